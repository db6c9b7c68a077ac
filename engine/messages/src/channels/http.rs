//! One POST to a provider over HTTP/1.1: pooled connections, a deadline, an answer of bounded size. Redirects are answers like any other.
//! Must not know: which provider, what is said. Targets have secrets in them, and errors do not name them.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::Timestamp;
use rustls::ClientConfig;
use tokio::time::timeout;

use super::SendError;

/// The content type of most bodies.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Most bytes of an answer: all that is read of one is a code and an id.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Idle connections that are kept: as many as a channel sends at once.
const IDLE_MAX: usize = 16;
/// Closed before most providers do, so that none is used that is just being closed.
const IDLE_DEADLINE: Duration = Duration::from_secs(20);
/// No provider is waited for longer, whatever it says.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// Connections to one provider.
pub(super) struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
    deadline: Duration,
}

/// An answer, as far as anybody needs it.
pub(super) struct Answer {
    /// Its status.
    pub(super) status: StatusCode,
    /// What it says about coming again.
    pub(super) retry_after: Option<Duration>,
    /// Its body.
    pub(super) body: Bytes,
}

impl Client {
    /// Trusts the authorities of `tls`; plain `http` is left to the settings to allow.
    pub(super) fn new(tls: &Arc<ClientConfig>, deadline: Duration) -> Self {
        let mut http = HttpConnector::new();
        http.set_connect_timeout(Some(deadline));
        http.set_nodelay(true);
        http.enforce_http(false);
        let https = HttpsConnectorBuilder::new().with_tls_config(ClientConfig::clone(tls)).https_or_http();
        let mut builder = Pool::builder(TokioExecutor::new());
        builder.pool_idle_timeout(IDLE_DEADLINE).pool_max_idle_per_host(IDLE_MAX).pool_timer(TokioTimer::new());
        Self { pool: builder.build(https.enable_http1().wrap_connector(http)), deadline }
    }

    /// The whole answer, within the deadline. Any failure is transient: the question may have arrived.
    pub(super) async fn post(
        &self,
        target: &Uri,
        content_type: HeaderValue,
        headers: &[(HeaderName, HeaderValue)],
        body: String,
        now_ms: i64,
    ) -> Result<Answer, SendError> {
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = target.clone();
        request.headers_mut().insert(CONTENT_TYPE, content_type);
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("hotslot"));
        request.headers_mut().extend(headers.iter().cloned());
        let answer = async {
            let answer = self.pool.request(request).await.map_err(|error| {
                SendError::transient(if error.is_connect() { "cannot connect" } else { "the connection failed" })
            })?;
            let (parts, body) = answer.into_parts();
            let retry_after = retry_after(&parts.headers, now_ms);
            // What was answered stands, even if its body does not come whole.
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map(|body| body.to_bytes()).unwrap_or_default();
            Ok(Answer { status: parts.status, retry_after, body })
        };
        timeout(self.deadline, answer).await.unwrap_or_else(|_| Err(SendError::transient("no answer in time")))
    }
}

impl Answer {
    /// A refusal that says nothing about this message: of the provider's own, of our credentials, of our haste.
    pub(super) fn transient(&self) -> SendError {
        let reason = match self.status.as_u16() {
            401 | 403 => "the provider refuses our credentials",
            429 => "the provider asks us to slow down",
            300..=399 => "the provider answers with a redirect, which is not followed",
            500..=599 => "the provider does not work",
            _ => "the provider refuses",
        };
        let reason = format!("{reason} ({})", self.status.as_u16());
        SendError { retry_after: self.retry_after, ..SendError::transient(reason) }
    }

    /// The body as JSON; null if it is none.
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// At most an hour.
pub(super) fn bounded(seconds: u64) -> Duration {
    Duration::from_secs(seconds).min(RETRY_AFTER_MAX)
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap, now_ms: i64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = text.parse::<u64>().ok().or_else(|| {
        let date: Timestamp = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        u64::try_from(date.as_second() - now_ms.div_euclid(1_000)).ok()
    })?;
    Some(bounded(seconds))
}

/// What a provider calls a message, if it can be kept: short and printable.
pub(super) fn provider_id(value: &serde_json::Value) -> Option<String> {
    let id = match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(number) => number.to_string(),
        _ => return None,
    };
    ((1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_says_when_to_come_again_in_seconds_or_by_a_date() {
        let now_ms = 784_111_777_000; // Sun, 06 Nov 1994 08:49:37 GMT
        for (text, seconds) in [
            ("7", Some(7)),
            ("86400", Some(3_600)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", None),
            ("soon", None),
            ("-1", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().expect("a header"));
            assert_eq!(retry_after(&headers, now_ms), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn what_providers_call_a_message_is_kept_if_it_is_harmless() {
        assert_eq!(provider_id(&serde_json::json!("SM12")), Some("SM12".to_owned()));
        assert_eq!(provider_id(&serde_json::json!(12)), Some("12".to_owned()));
        assert_eq!(provider_id(&serde_json::json!("a\nb")), None);
        assert_eq!(provider_id(&serde_json::json!("x".repeat(200))), None);
    }
}
