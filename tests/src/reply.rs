//! One answer of the program, and what every answer must look like.
//! Must not know: how it was asked for.

use jiff::Timestamp;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// Status, headers and the whole body of an answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status code.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub body: Vec<u8>,
}

impl Reply {
    /// A header as text, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("headers of the program are ASCII"))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("status {}, not JSON ({error}): {:?}", self.status, self.text()))
    }

    /// One field of a JSON body; `Value::Null` if it is null, a failed test if it is absent.
    #[track_caller]
    pub fn field(&self, name: &str) -> Value {
        let body = self.json();
        body.get(name).unwrap_or_else(|| panic!("no field {name} in {body}")).clone()
    }

    /// One text field of a JSON body.
    #[track_caller]
    pub fn text_of(&self, name: &str) -> String {
        let value = self.field(name);
        value.as_str().unwrap_or_else(|| panic!("{name} is not text but {value}")).to_owned()
    }

    /// The stable `code` of a refusal; empty for anything else.
    pub fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or(Value::Null);
        body.get("code").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// Whether the answer says that it repeats an earlier one.
    #[track_caller]
    pub fn replayed(&self) -> bool {
        match self.header("idempotency-replayed") {
            None => false,
            Some("true") => true,
            Some(other) => panic!("Idempotency-Replayed: {other}"),
        }
    }

    /// Fails unless the status is `status`.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "body: {}", self.text());
        self
    }

    /// Fails unless this is a complete problem document with this status and code; answers the document.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!((self.status, self.code().as_str()), (status, code), "body: {}", self.text());
        self.assert_problem_shape();
        self.json()
    }

    /// Fails unless a refusal has everything that every refusal has.
    #[track_caller]
    pub fn assert_problem_shape(&self) {
        let content_type = self.header("content-type").unwrap_or_default();
        assert!(content_type.starts_with("application/problem+json"), "content type {content_type:?}");
        let body = self.json();
        assert_eq!(body["status"], self.status, "{body}");
        for name in ["type", "title", "detail", "request_id", "code"] {
            let text = body.get(name).and_then(Value::as_str).unwrap_or_default();
            assert!(!text.is_empty(), "a problem needs {name}: {body}");
        }
        let mentions_retry = ["not_released", "rate_limited", "overloaded", "unavailable"].contains(&&*self.code());
        if mentions_retry {
            let seconds = self.header("retry-after").expect("Retry-After").parse::<u64>();
            assert!(seconds.is_ok(), "Retry-After is whole seconds: {seconds:?}");
        }
    }

    /// The pointers of a 422's `errors`, sorted.
    #[track_caller]
    pub fn pointers(&self) -> Vec<String> {
        let body = self.problem(422, "invalid_field");
        let errors = body["errors"].as_array().unwrap_or_else(|| panic!("errors: {body}"));
        let mut pointers: Vec<String> = errors
            .iter()
            .map(|error| {
                assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{error}");
                error["pointer"].as_str().unwrap_or_else(|| panic!("pointer: {error}")).to_owned()
            })
            .collect();
        pointers.sort();
        pointers
    }
}

/// How many replies have this status.
pub fn count_of(replies: &[Reply], status: u16) -> usize {
    replies.iter().filter(|reply| reply.status == status).count()
}

/// The codes of all refusals among the replies, each once, sorted.
pub fn codes(replies: &[Reply]) -> Vec<String> {
    let mut codes: Vec<String> = replies.iter().filter(|reply| reply.status >= 400).map(Reply::code).collect();
    codes.sort();
    codes.dedup();
    codes
}

/// An instant in an answer: UTC with `Z` and milliseconds, as the contract writes instants.
#[track_caller]
pub fn instant_of(value: &Value) -> Timestamp {
    let text = value.as_str().unwrap_or_else(|| panic!("an instant: {value}"));
    let instant: Timestamp = text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"));
    assert_eq!(format!("{instant:.3}"), text, "UTC with Z and milliseconds");
    instant
}

/// The names of an object's fields, sorted.
#[track_caller]
pub fn keys_of(value: &Value) -> Vec<&str> {
    let fields = value.as_object().unwrap_or_else(|| panic!("an object: {value}"));
    let mut names: Vec<&str> = fields.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}
