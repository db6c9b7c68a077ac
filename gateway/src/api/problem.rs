//! A refusal on its way out: which code, what is said beyond the catalogue, how the body is written.
//! Must not know: why the caller was refused, which route was asked.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::web::Bytes;
use booking_core::{AppointmentId, UtcMillis};
use serde::Serialize;

use super::catalogue::{CATALOGUE, Code};
use super::idempotency::IDEMPOTENCY_REPLAYED;
use super::instant::InstantText;

/// One wrong place of a body.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct FieldError {
    /// JSON Pointer (RFC 6901) into the body.
    pub(crate) pointer: String,
    /// What is wrong there.
    pub(crate) message: String,
}

/// What a problem says beyond its code.
#[derive(Default, Debug)]
struct Extra {
    errors: Vec<FieldError>,
    release_at: Option<UtcMillis>,
    appointment: Option<AppointmentId>,
    retry_after_seconds: Option<u64>,
    allow: Option<&'static str>,
    part: Option<&'static str>,
    replayed: bool,
    shard: Option<u16>,
    cause: Option<String>,
}

/// A refusal. Small, so that results stay small; most refusals carry no extra.
#[derive(Debug)]
pub(crate) struct Problem {
    code: Code,
    detail: Option<Cow<'static, str>>,
    extra: Option<Box<Extra>>,
}

impl Problem {
    /// The catalogue's own words.
    pub(crate) fn of(code: Code) -> Self {
        Self { code, detail: None, extra: None }
    }

    /// With a detail of its own.
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: Some(detail.into()), extra: None }
    }

    /// `invalid_request` with a detail.
    pub(crate) fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidRequest, detail)
    }

    /// `invalid_field` with every wrong place.
    pub(crate) fn fields(errors: Vec<FieldError>) -> Self {
        let mut problem = Self::of(Code::InvalidField);
        problem.extra().errors = errors;
        problem
    }

    /// `internal`: `cause` goes to the log, never into the body.
    pub(crate) fn internal(cause: impl Into<String>) -> Self {
        let mut problem = Self::of(Code::Internal);
        problem.extra().cause = Some(cause.into());
        problem
    }

    /// `unavailable`: `cause` goes to the log, never into the body.
    pub(crate) fn unavailable(cause: impl Into<String>) -> Self {
        let mut problem = Self::of(Code::Unavailable).retry_after_seconds(1);
        problem.extra().cause = Some(cause.into());
        problem
    }

    /// `unavailable`, unless another node speaks for `shard`.
    pub(crate) fn not_here(shard: u16) -> Self {
        let mut problem = Self::unavailable(format!("shard {shard} is being taken over"));
        problem.extra().shard = Some(shard);
        problem
    }

    fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// Adds `Retry-After`.
    pub(crate) fn retry_after_seconds(mut self, seconds: u64) -> Self {
        self.extra().retry_after_seconds = Some(seconds);
        self
    }

    /// Adds `release_at`.
    pub(crate) fn release_at(mut self, at: UtcMillis) -> Self {
        self.extra().release_at = Some(at);
        self
    }

    /// Adds `appointment_id`.
    pub(crate) fn appointment(mut self, id: AppointmentId) -> Self {
        self.extra().appointment = Some(id);
        self
    }

    /// Adds `Allow`.
    pub(crate) fn allow(mut self, methods: &'static str) -> Self {
        self.extra().allow = Some(methods);
        self
    }

    /// Adds `part`: which part of the service is not ready.
    pub(crate) fn part(mut self, part: &'static str) -> Self {
        self.extra().part = Some(part);
        self
    }

    /// Says that this is the answer of a twin in flight, repeated.
    pub(crate) fn replayed(mut self) -> Self {
        self.extra().replayed = true;
        self
    }

    /// The code.
    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// The shard that this process does not speak for, if that is the problem.
    pub(crate) fn shard(&self) -> Option<u16> {
        self.extra.as_ref()?.shard
    }

    /// What the log is told.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.extra.as_ref()?.cause.as_deref()
    }

    /// The wrong places, of an `invalid_field`.
    #[cfg(test)]
    pub(crate) fn field_errors(&self) -> &[FieldError] {
        self.extra.as_ref().map_or(&[], |extra| &extra.errors)
    }

    /// The body. Everything but the request id was written once for the whole life of the process.
    pub(crate) fn body(&self, request_id: &str) -> String {
        let prefix = &PREFIXES[self.code as usize];
        let mut body = String::with_capacity(prefix.len() + 256);
        body.push_str(prefix);
        match &self.detail {
            None => push_json_string(&mut body, self.code.entry().detail),
            Some(detail) => push_json_string(&mut body, detail),
        }
        body.push_str(",\"request_id\":");
        push_json_string(&mut body, request_id);
        if let Some(extra) = &self.extra {
            extra.write(&mut body);
        }
        body.push('}');
        body
    }

    /// The answer.
    pub(crate) fn response(&self, request_id: &str) -> HttpResponse {
        let body = Bytes::from(self.body(request_id));
        let mut response = HttpResponse::with_body(self.code.entry().status, BoxBody::new(body));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.code == Code::Unauthenticated {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"hotslot\""));
        }
        if let Some(extra) = &self.extra {
            if let Some(seconds) = extra.retry_after_seconds {
                headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            if extra.replayed {
                headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
            }
            if let Some(methods) = extra.allow {
                headers.insert(ALLOW, HeaderValue::from_static(methods));
            }
        }
        response
    }
}

impl Extra {
    fn write(&self, body: &mut String) {
        if !self.errors.is_empty() {
            body.push_str(",\"errors\":");
            push_json(body, &self.errors);
        }
        if let Some(at) = self.release_at {
            body.push_str(",\"release_at\":");
            push_json(body, &InstantText(at));
        }
        if let Some(id) = self.appointment {
            // Writing to a String cannot fail.
            let _ = write!(body, ",\"appointment_id\":\"{id}\"");
        }
        if let Some(part) = self.part {
            body.push_str(",\"part\":");
            push_json_string(body, part);
        }
    }
}

/// Each code's body up to its detail.
static PREFIXES: LazyLock<Vec<String>> = LazyLock::new(|| {
    CATALOGUE
        .iter()
        .map(|entry| {
            let status = entry.status.as_u16();
            let (uri, title, name) = (entry.type_uri, entry.title, entry.name);
            format!("{{\"type\":\"{uri}\",\"title\":\"{title}\",\"status\":{status},\"code\":\"{name}\",\"detail\":")
        })
        .collect()
});

fn push_json_string(body: &mut String, text: &str) {
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        body.push('"');
        body.push_str(text);
        body.push('"');
    } else {
        push_json(body, text);
    }
}

fn push_json<T: Serialize + ?Sized>(body: &mut String, value: &T) {
    // Strings and plain structs always serialize; an empty value keeps the body well-formed all the same.
    body.push_str(&serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(problem: &Problem) -> serde_json::Value {
        serde_json::from_str(&problem.body("r-\"1\"")).expect("a problem is JSON")
    }

    #[test]
    fn every_code_writes_a_complete_problem() {
        for entry in CATALOGUE {
            let body = json(&Problem::of(entry.code));
            assert_eq!(body["type"], entry.type_uri);
            assert_eq!(body["title"], entry.title);
            assert_eq!(body["status"], entry.status.as_u16());
            assert_eq!(body["detail"], entry.detail);
            assert_eq!(body["code"], entry.name);
            assert_eq!(body["request_id"], "r-\"1\"");
            assert_eq!(body.as_object().map(serde_json::Map::len), Some(6));
        }
    }

    #[test]
    fn extras_become_members() {
        let error = FieldError { pointer: "/a~1b".into(), message: "say \"no\"\n".into() };
        let body = json(&Problem::fields(vec![error]));
        assert_eq!(body["errors"][0]["pointer"], "/a~1b");
        assert_eq!(body["errors"][0]["message"], "say \"no\"\n");
        let body = json(&Problem::of(Code::NotReleased).release_at(UtcMillis(0)));
        assert_eq!(body["release_at"], "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn the_cause_of_an_internal_error_stays_inside() {
        let problem = Problem::internal("disk on fire");
        assert_eq!(problem.cause(), Some("disk on fire"));
        assert_eq!(json(&problem), json(&Problem::of(Code::Internal)));
    }
}
