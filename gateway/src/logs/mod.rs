//! The log of the process: one line an event on standard error, as text for people or JSON for machines; and, if asked for, the
//! recording of requests beside it.
//! Must not know: what is logged, what is recorded.
//!
//! Libraries are heard from `INFO` on, whatever the filter says: what they tell beyond is headers, statements and rows, with tokens and
//! personal data in them.

pub(crate) mod fields;
mod json;
mod panics;

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, FilterFn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{LogFormat, LogSettings};
use crate::waiting;

/// The crates whose finer lines are ours to answer for.
const OWN: [&str; 3] = ["hotslot", "engine", "booking_core"];

/// Sends the log to standard error; for `verify` and the like, where no request is recorded.
pub(crate) fn init(settings: &LogSettings) {
    // A second call, in a process of tests, changes nothing.
    if tracing_subscriber::registry().with(lines(settings)).try_init().is_ok() {
        panics::log_them();
    }
}

/// As [`init`], with a recorder of requests beside.
#[cfg(feature = "otel")]
pub(crate) fn init_with(settings: &LogSettings, recorder: impl Layer<tracing_subscriber::Registry> + Send + Sync) {
    if tracing_subscriber::registry().with(recorder).with(lines(settings)).try_init().is_ok() {
        panics::log_them();
    }
}

fn lines<S>(settings: &LogSettings) -> impl Layer<S> + Send + Sync + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    // The filter has been judged with the settings; a default here only spares a panic.
    let filter = EnvFilter::try_new(&settings.filter).unwrap_or_default();
    let layer = fmt::layer().with_writer(waiting::log_writer);
    let layer = match settings.format {
        LogFormat::Json => layer.event_format(json::Lines).fmt_fields(json::Fields).boxed(),
        LogFormat::Text => layer.with_ansi(std::io::stderr().is_terminal()).boxed(),
    };
    // One filter, and not one around another: so what is off is off for good, at the cost of one load.
    layer.with_filter(filter.and(FilterFn::new(may_be_told).with_max_level_hint(LevelFilter::TRACE)))
}

/// Whether lines of this kind can be logged at all.
fn may_be_told(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= LevelFilter::INFO || is_own(metadata.target())
}

/// Whether a target is one of ours.
pub(crate) fn is_own(target: &str) -> bool {
    let of_crate = target.split("::").next().unwrap_or_default();
    OWN.contains(&of_crate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_off_is_off_for_good() {
        let settings = LogSettings { format: LogFormat::Json, filter: "info".to_owned() };
        let subscriber = tracing_subscriber::registry().with(lines(&settings));
        assert_eq!(subscriber.max_level_hint(), Some(LevelFilter::INFO), "anything finer costs one load");
    }

    #[test]
    fn only_our_own_targets_are_ours() {
        for own in ["hotslot", "hotslot::stages", "engine::actors::day", "booking_core"] {
            assert!(is_own(own), "{own}");
        }
        for other in ["", "hotslots", "sqlx::query", "hyper::proto::h1", "actix_http::engine", "engineer"] {
            assert!(!is_own(other), "{other}");
        }
    }
}
