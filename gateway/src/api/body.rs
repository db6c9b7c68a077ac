//! Bodies: how many bytes are taken, and how JSON becomes a value or a list of what is wrong with it.
//! Must not know: which call a body belongs to.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};

use super::catalogue::Code;
use super::input::Object;
use super::problem::{FieldError, Problem};

/// Most bytes of a body: the largest day (500 slots) has well under this.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;

/// A body that has not arrived whole after this long will not: its connection is not kept for it.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// The whole body; `too_large` over [`BODY_BYTES_MAX`], also if no length was announced.
pub(crate) async fn read(request: &HttpRequest, payload: Payload) -> Result<Bytes, Problem> {
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match announced {
        Some(0) => return Ok(Bytes::new()),
        Some(length) if length > BODY_BYTES_MAX as u64 => return Err(Problem::of(Code::TooLarge)),
        _ => {}
    }
    tokio::time::timeout(BODY_DEADLINE, collect(payload))
        .await
        .unwrap_or_else(|_| Err(Problem::invalid("The body did not arrive in time.")))
}

async fn collect(mut payload: Payload) -> Result<Bytes, Problem> {
    let broken = |_| Problem::invalid("The body did not arrive whole.");
    let Some(first) = payload.next().await else {
        return Ok(Bytes::new());
    };
    let first = first.map_err(broken)?;
    let Some(second) = payload.next().await else {
        return if first.len() > BODY_BYTES_MAX { Err(Problem::of(Code::TooLarge)) } else { Ok(first) };
    };
    let mut body = BytesMut::from(&first[..]);
    let mut next = Some(second);
    while let Some(chunk) = next {
        let chunk = chunk.map_err(broken)?;
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(Problem::of(Code::TooLarge));
        }
        body.extend_from_slice(&chunk);
        next = payload.next().await;
    }
    Ok(body.freeze())
}

/// Whether the body is announced as JSON; a merge patch is, too.
pub(crate) fn check_content_type(request: &HttpRequest) -> Result<(), Problem> {
    let announced = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = announced.split(';').next().unwrap_or("").trim();
    let fits = essence.eq_ignore_ascii_case("application/json")
        || (request.method() == Method::PATCH && essence.eq_ignore_ascii_case("application/merge-patch+json"));
    if fits { Ok(()) } else { Err(Problem::of(Code::UnsupportedMediaType)) }
}

/// The body as `T`. Syntax is `invalid_request`, meaning `invalid_field`.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    match serde_json::from_slice::<Object<T>>(body) {
        Ok(Object(value)) => Ok(value),
        Err(_) => Err(explain::<T>(body)),
    }
}

/// The slow path: where and why `body` is not a `T`.
fn explain<T: DeserializeOwned>(body: &[u8]) -> Problem {
    // A document that breaks off behind a wrong field is not JSON at all, and that is said first.
    if std::str::from_utf8(body).is_err() || serde_json::from_slice::<IgnoredAny>(body).is_err() {
        return Problem::invalid("The body is not JSON.");
    }
    let deserializer = &mut serde_json::Deserializer::from_slice(body);
    match serde_path_to_error::deserialize::<_, Object<T>>(deserializer) {
        Err(error) if error.inner().classify() == Category::Data => {
            let message = message_of(error.inner());
            let pointer = pointer_of(error.path(), &message);
            Problem::fields(vec![FieldError { pointer, message }])
        }
        Err(_) | Ok(_) => Problem::invalid("The body is not JSON that can be read."),
    }
}

/// serde's words without the position, which means nothing to a caller who built the body by program.
fn message_of(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// The path as a JSON Pointer. A missing field is pointed at where it should stand.
fn pointer_of(path: &Path, message: &str) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => push_token(&mut pointer, &index.to_string()),
            Segment::Map { key } => push_token(&mut pointer, key),
            Segment::Enum { variant } => push_token(&mut pointer, variant),
            Segment::Unknown => {}
        }
    }
    for prefix in ["missing field `", "duplicate field `", "unknown field `"] {
        let field = message.strip_prefix(prefix).and_then(|rest| rest.split('`').next());
        if let Some(field) = field.filter(|field| !pointer.ends_with(&format!("/{}", escape(field)))) {
            push_token(&mut pointer, field);
        }
    }
    pointer
}

fn escape(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

fn push_token(pointer: &mut String, token: &str) {
    pointer.push('/');
    pointer.push_str(&escape(token));
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::super::input::{Id, Moment};
    use super::*;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only its parsing is tested")]
        start: Moment,
    }

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only its parsing is tested")]
        id: Option<Id>,
        #[expect(dead_code, reason = "only its parsing is tested")]
        slots: Vec<Object<Inner>>,
    }

    fn refusal(body: &str) -> (Code, Vec<String>) {
        let problem = parse::<Outer>(body.as_bytes()).expect_err(body);
        (problem.code(), problem.field_errors().iter().map(|error| error.pointer.clone()).collect())
    }

    #[test]
    fn what_is_not_json_is_an_invalid_request() {
        for body in ["", "{", "nul", "{\"x\":1,", "{\"slots\":[]} {}", "{\"a\":01}", "\u{feff}{}"] {
            assert_eq!(refusal(body), (Code::InvalidRequest, vec![]), "{body}");
        }
        let deep = "[".repeat(30_000);
        assert_eq!(refusal(&deep), (Code::InvalidRequest, vec![]));
        assert_eq!(parse::<Outer>(b"{\"slots\":[\"\xff\"]}").expect_err("not UTF-8").code(), Code::InvalidRequest);
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        for (body, pointer) in [
            ("[]", ""),
            ("null", ""),
            ("{}", "/slots"),
            (r#"{"slots":[],"sloots":1}"#, "/sloots"),
            (r#"{"slots":[],"a/b~c":1}"#, "/a~1b~0c"),
            (r#"{"slots":[],"slots":[]}"#, "/slots"),
            (r#"{"slots":{}}"#, "/slots"),
            (r#"{"slots":[{"start":"2026-01-01T00:00:00Z"},{}]}"#, "/slots/1/start"),
            (r#"{"slots":[{"start":"yesterday"}]}"#, "/slots/0/start"),
            (r#"{"slots":[{"start":"2026-01-01T00:00:00Z","end":1}]}"#, "/slots/0/end"),
            (r#"{"slots":[["2026-01-01T00:00:00Z"]]}"#, "/slots/0"),
            (r#"{"id":"0190a3c4000070008000000000000000","slots":[]}"#, "/id"),
            (r#"{"id":7,"slots":[]}"#, "/id"),
        ] {
            assert_eq!(refusal(body), (Code::InvalidField, vec![pointer.to_owned()]), "{body}");
        }
    }

    #[test]
    fn nesting_that_no_call_takes_is_refused_without_harm() {
        let body = format!("{{\"slots\":[],\"x\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
        assert_eq!(refusal(&body).0, Code::InvalidField);
    }
}
