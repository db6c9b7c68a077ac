//! A request as one node passes it to another, and the other's answer as it is passed back.
//! Must not know: where it is sent, how often.

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use engine::telemetry::trace::Onward;
use hyper::header as wire;

use super::client::{Question, Reply};
use crate::api::idempotency::IDEMPOTENCY_KEY;
use crate::middleware::request_name::{REQUEST_ID, RequestName};

/// Says that a request was passed on, so that it is not passed on again.
pub(crate) const HOP: HeaderName = HeaderName::from_static("hotslot-hop");
/// The node that answers does not speak for this shard.
pub(crate) const MOVED: HeaderName = HeaderName::from_static("hotslot-moved");
/// Asks for what the asked node has itself of a list.
pub(crate) const PART: HeaderName = HeaderName::from_static("hotslot-part");

/// The same headers, as the client that asks other nodes spells them.
pub(crate) mod on_wire {
    use hyper::header::HeaderName;

    /// [`super::HOP`]
    pub(crate) const HOP: HeaderName = HeaderName::from_static("hotslot-hop");
    /// [`super::PART`]
    pub(crate) const PART: HeaderName = HeaderName::from_static("hotslot-part");
    /// W3C Trace Context: trace and parent.
    pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
    /// W3C Trace Context: what other systems say.
    pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
    /// What a reader of a stream has seen.
    pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
}

/// What handlers and the edge look at; all else stays on the first node.
const PASSED_ON: [HeaderName; 7] = [
    actix_web::http::header::AUTHORIZATION,
    actix_web::http::header::ACCEPT,
    actix_web::http::header::CONTENT_TYPE,
    actix_web::http::header::IF_MATCH,
    actix_web::http::header::IF_NONE_MATCH,
    IDEMPOTENCY_KEY,
    HeaderName::from_static("last-event-id"),
];

/// What belongs to the connection between the nodes, or is said by the first node itself.
const KEPT_BACK: [&str; 8] = [
    "connection",
    "keep-alive",
    "transfer-encoding",
    "content-length",
    "date",
    "server",
    "x-request-id",
    "x-content-type-options",
];

/// The question that `request` is, under its name: the command that it becomes carries the same name on whichever node and however often it
/// arrives. `target` is its own path and query unless something else is asked on its behalf.
pub(crate) fn of_request(request: &HttpRequest, name: &RequestName, target: Option<String>, body: Bytes) -> Question {
    let mut headers = hyper::HeaderMap::new();
    for known in PASSED_ON {
        // All values, so that one that is given twice is refused as it would be here.
        for value in request.headers().get_all(&known) {
            if let Some((name, value)) = to_wire(&known, value) {
                headers.append(name, value);
            }
        }
    }
    if let Some((name, value)) = name.header().and_then(|name| to_wire(&REQUEST_ID, &name)) {
        headers.insert(name, value);
    }
    let onward = name.trace.onward();
    insert_trace(&mut headers, &onward);
    headers.insert(on_wire::HOP, wire::HeaderValue::from_static("1"));
    let method = hyper::Method::from_bytes(request.method().as_str().as_bytes()).unwrap_or_default();
    let target = target.unwrap_or_else(|| {
        let uri = request.uri();
        uri.path_and_query().map_or_else(|| uri.path().to_owned(), |target| target.as_str().to_owned())
    });
    Question { method, target, headers, body }
}

/// Says of which trace a question is.
pub(crate) fn insert_trace(headers: &mut hyper::HeaderMap, onward: &Onward) {
    for (name, text) in [(on_wire::TRACEPARENT, Some(&onward.parent)), (on_wire::TRACESTATE, onward.state.as_ref())] {
        if let Some(value) = text.and_then(|text| wire::HeaderValue::from_str(text).ok()) {
            headers.insert(name, value);
        }
    }
}

fn to_wire(name: &HeaderName, value: &HeaderValue) -> Option<(wire::HeaderName, wire::HeaderValue)> {
    let name = wire::HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
    Some((name, wire::HeaderValue::from_bytes(value.as_bytes()).ok()?))
}

/// The shard that the asked node does not speak for, if that is its answer.
pub(crate) fn moved_shard(reply: &Reply) -> Option<u16> {
    if reply.status != hyper::StatusCode::MISDIRECTED_REQUEST {
        return None;
    }
    reply.headers.get(MOVED.as_str())?.to_str().ok()?.parse().ok()
}

/// `reply` as this node answers it: status, body, and the headers that are not the connection's.
pub(crate) fn pass_back(reply: Reply) -> HttpResponse {
    // The status of a real answer is one; a strange one must not become a success.
    let status = StatusCode::from_u16(reply.status.as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = HttpResponse::with_body(status, BoxBody::new(reply.body));
    copy_back(&reply.headers, response.headers_mut());
    response
}

fn copy_back(from: &hyper::HeaderMap, to: &mut HeaderMap) {
    for (name, value) in from {
        if KEPT_BACK.contains(&name.as_str()) || name.as_str().starts_with("hotslot-") {
            continue;
        }
        let name = HeaderName::from_bytes(name.as_str().as_bytes());
        let value = HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            to.append(name, value);
        }
    }
}

/// The answer of a node that does not speak for `shard`: for other nodes only.
pub(crate) fn moved(shard: u16) -> HttpResponse {
    let mut response = HttpResponse::new(StatusCode::MISDIRECTED_REQUEST);
    response.headers_mut().insert(MOVED, HeaderValue::from(shard));
    response
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use uuid::Uuid;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn name(request: &HttpRequest) -> RequestName {
        RequestName::of(request.headers(), || Uuid::from_u128(9))
    }

    #[test]
    fn a_request_is_passed_on_with_all_that_its_answer_depends_on() {
        let request = TestRequest::put()
            .uri("/v1/doctors/1/days/2?a=%20b")
            .append_header(("authorization", "Bearer x"))
            .append_header(("idempotency-key", "a"))
            .append_header(("idempotency-key", "b"))
            .append_header(("if-match", "\"x\""))
            .append_header(("cookie", "secret"))
            .append_header(("hotslot-part", "1"))
            .append_header(("hotslot-hop", "7"))
            .append_header(("x-request-id", "mine"))
            .append_header(("traceparent", PARENT))
            .append_header(("tracestate", "a=b"))
            .append_header(("tracestate", "c=d"))
            .to_http_request();
        let question = of_request(&request, &name(&request), None, Bytes::from_static(b"{}"));
        assert_eq!((question.method.as_str(), &*question.target), ("PUT", "/v1/doctors/1/days/2?a=%20b"));
        let values =
            |name: &str| question.headers.get_all(name).iter().map(|value| value.as_bytes()).collect::<Vec<_>>();
        assert_eq!(values("idempotency-key"), [b"a", b"b"]);
        assert_eq!((values("authorization"), values("if-match")), (vec![&b"Bearer x"[..]], vec![&b"\"x\""[..]]));
        assert_eq!((values("hotslot-hop"), values("x-request-id")), (vec![&b"1"[..]], vec![&b"mine"[..]]));
        assert_eq!((values("traceparent"), values("tracestate")), (vec![PARENT.as_bytes()], vec![&b"a=b,c=d"[..]]));
        assert!(values("cookie").is_empty() && values("hotslot-part").is_empty());
    }

    #[test]
    fn a_request_without_a_name_is_passed_on_under_the_one_it_was_given() {
        let request = TestRequest::get().uri("/").to_http_request();
        let question = of_request(&request, &name(&request), None, Bytes::new());
        let given = question.headers.get("x-request-id").expect("named");
        assert_eq!(given.as_bytes(), Uuid::from_u128(9).to_string().as_bytes());
        let trace = question.headers.get("traceparent").expect("named after it");
        assert_eq!(trace.as_bytes(), b"00-00000000000000000000000000000009-0000000000000009-00");
    }

    #[test]
    fn an_answer_is_passed_back_without_what_is_the_connections() {
        let mut headers = hyper::HeaderMap::new();
        for (name, value) in [
            ("content-type", "application/problem+json"),
            ("retry-after", "3"),
            ("etag", "W/\"1\""),
            ("connection", "close"),
            ("content-length", "5"),
            ("date", "today"),
            ("hotslot-moved", "7"),
            ("x-request-id", "theirs"),
        ] {
            headers.insert(wire::HeaderName::from_static(name), wire::HeaderValue::from_static(value));
        }
        let reply = Reply { status: hyper::StatusCode::CONFLICT, headers, body: Bytes::from_static(b"{}") };
        assert_eq!(moved_shard(&reply), None);
        let response = pass_back(reply);
        let mut names: Vec<&str> = response.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!((response.status().as_u16(), names), (409, vec!["content-type", "etag", "retry-after"]));
    }

    #[test]
    fn only_a_421_that_names_a_shard_says_that_it_has_moved() {
        let reply = |status, shard: &'static str| {
            let mut headers = hyper::HeaderMap::new();
            headers.insert("hotslot-moved", wire::HeaderValue::from_static(shard));
            Reply { status, headers, body: Bytes::new() }
        };
        let moved = |status, shard| moved_shard(&reply(status, shard));
        assert_eq!(moved(hyper::StatusCode::MISDIRECTED_REQUEST, "1023"), Some(1_023));
        assert_eq!(moved(hyper::StatusCode::MISDIRECTED_REQUEST, "x"), None);
        assert_eq!(moved(hyper::StatusCode::OK, "5"), None);
        let response = super::moved(9);
        assert_eq!(response.headers().get(MOVED).map(HeaderValue::as_bytes), Some(&b"9"[..]));
    }
}
