//! The settings of traces: where recorded requests are told, and how many are recorded.
//! Must not know: how they are recorded.

use hyper::Uri;

use super::values::Reader;
use crate::traces::sampling::Sampling;

/// The share that is recorded unless a setting says otherwise: of a release of 50,000 requests some hundreds.
const RATIO_DEFAULT: f64 = 0.01;
/// Where a collector takes traces over HTTP.
const PATH_DEFAULT: &str = "/v1/traces";

/// Where spans are told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Collector {
    /// Host and port.
    pub(crate) address: String,
    /// From the slash on.
    pub(crate) path: String,
}

/// How requests are recorded.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct TraceSettings {
    /// Without one, nothing is recorded.
    pub(crate) collector: Option<Collector>,
    /// Which requests.
    pub(crate) sampling: Sampling,
}

/// Those of `reader`.
pub(super) fn traces(reader: &mut Reader<'_>) -> TraceSettings {
    let expected = "a URL such as http://127.0.0.1:4318, without a user";
    let collector = reader.parsed("otlp_endpoint", expected, collector);
    if collector.is_some() && !cfg!(feature = "otel") {
        reader.mistake("otlp_endpoint", "this program was built without the feature otel");
    }
    TraceSettings { collector, sampling: Sampling::of_ratio(reader.ratio("trace_ratio", RATIO_DEFAULT)) }
}

fn collector(text: &str) -> Option<Collector> {
    let uri: Uri = text.parse().ok()?;
    let authority = uri.authority()?.as_str();
    if uri.scheme_str() != Some("http") || authority.contains('@') || uri.query().is_some() {
        return None;
    }
    let path = if uri.path() == "/" { PATH_DEFAULT } else { uri.path() };
    Some(Collector { address: authority.to_owned(), path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_an_http_url_whose_path_is_known_unless_given() {
        let of = |text| collector(text).map(|known| format!("{} {}", known.address, known.path));
        assert_eq!(of("http://127.0.0.1:4318").as_deref(), Some("127.0.0.1:4318 /v1/traces"));
        assert_eq!(of("http://collector:4318/").as_deref(), Some("collector:4318 /v1/traces"));
        assert_eq!(of("http://[::1]:1/otlp/v1/traces").as_deref(), Some("[::1]:1 /otlp/v1/traces"));
        for bad in
            ["", "collector", "collector:4318", "https://a:1", "http://u:p@a:1", "http://a:1/x?y=z", "grpc://a:1"]
        {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
