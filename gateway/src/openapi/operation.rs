//! One call of the document, built up word by word.
//! Must not know: which calls there are.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::api::catalogue::{CATALOGUE, Code, Entry};
use crate::api::problem::Problem;

/// The request id of all examples.
const REQUEST_ID: &str = "0190a3c4-7b1e-7c3a-9d52-4f0b6a1c2d3e";

/// A call in the making.
pub(super) struct Operation {
    value: Map<String, Value>,
    parameters: Vec<Value>,
    responses: Map<String, Value>,
    codes: Vec<Code>,
}

impl Operation {
    /// A call with its name, subject and what it does.
    pub(super) fn new(id: &str, tag: &str, summary: &str, description: &str) -> Self {
        let mut value = Map::new();
        value.insert("operationId".to_owned(), json!(id));
        value.insert("tags".to_owned(), json!([tag]));
        value.insert("summary".to_owned(), json!(summary));
        if !description.is_empty() {
            value.insert("description".to_owned(), json!(description));
        }
        let codes = vec![Code::InvalidRequest, Code::RateLimited, Code::HeadersTooLarge, Code::Internal];
        Self { value, parameters: Vec::new(), responses: Map::new(), codes }
    }

    /// Needs a token; `who` says whose.
    pub(super) fn guarded(mut self, who: &str) -> Self {
        self.value.insert("security".to_owned(), json!([{"token": []}]));
        let described = self.value.get("description").and_then(Value::as_str).map(|text| format!("{text}\n\n"));
        let text = format!("{}**Who**: {who}.", described.unwrap_or_default());
        self.value.insert("description".to_owned(), json!(text));
        self.refuses(&[Code::Unauthenticated, Code::Forbidden])
    }

    /// The id in the path.
    pub(super) fn path_id(self, of: &str) -> Self {
        let schema = json!({"type": "string", "format": "uuid"});
        self.parameter("path", "id", true, &format!("The {of}'s id"), schema).refuses(&[Code::NotFound])
    }

    /// The name in the path.
    pub(super) fn path_name(self, description: &str, schema: Value) -> Self {
        self.parameter("path", "name", true, description, schema).refuses(&[Code::NotFound])
    }

    /// The date in the path.
    pub(super) fn path_date(self) -> Self {
        self.parameter(
            "path",
            "date",
            true,
            "A local date of the doctor's zone",
            json!({"type": "string", "format": "date"}),
        )
    }

    /// A query parameter.
    pub(super) fn query(self, name: &str, required: bool, description: &str, schema: Value) -> Self {
        self.parameter("query", name, required, description, schema)
    }

    /// `cursor` and `limit`.
    pub(super) fn paged(self) -> Self {
        self.query("cursor", false, "next_cursor of the page before", json!({"type": "string"})).query(
            "limit",
            false,
            "Most items of the page",
            json!({"type": "integer", "minimum": 1, "maximum": 200, "default": 50}),
        )
    }

    /// An `Idempotency-Key`.
    pub(super) fn idempotent(self, required: bool) -> Self {
        let schema = json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"});
        let description =
            "1 to 255 visible ASCII characters, opaque; a new one for each wish, the same for each retry of it";
        self.parameter("header", "Idempotency-Key", required, description, schema)
            .refuses(&[Code::IdempotencyKeyReused])
    }

    /// A header of the request.
    pub(super) fn header(self, name: &str, description: &str) -> Self {
        self.parameter("header", name, false, description, json!({"type": "string"}))
    }

    fn parameter(mut self, place: &str, name: &str, required: bool, description: &str, schema: Value) -> Self {
        let parameter =
            json!({"in": place, "name": name, "required": required, "description": description, "schema": schema});
        self.parameters.push(parameter);
        self
    }

    /// A JSON body.
    pub(super) fn body(mut self, required: bool, schema: &str, example: Value) -> Self {
        let content = json!({"application/json": {"schema": reference(schema), "example": example}});
        self.value.insert("requestBody".to_owned(), json!({"required": required, "content": content}));
        self.refuses(&[Code::TooLarge, Code::UnsupportedMediaType, Code::InvalidField])
    }

    /// A JSON success.
    pub(super) fn answers(mut self, status: u16, description: &str, schema: &str, headers: &[&str]) -> Self {
        let content = json!({"application/json": {"schema": reference(schema)}});
        let answer = json!({"description": description, "headers": header_references(headers), "content": content});
        self.responses.insert(status.to_string(), answer);
        self.refuses(&[Code::NotAcceptable])
    }

    /// A success that is not JSON, or has no body (`kind` empty).
    pub(super) fn answers_plain(mut self, status: u16, description: &str, kind: &str, headers: &[&str]) -> Self {
        let mut answer = json!({"description": description, "headers": header_references(headers)});
        if !kind.is_empty() {
            answer["content"] = json!({kind: {"schema": {"type": "string"}}});
        }
        self.responses.insert(status.to_string(), answer);
        self
    }

    /// Can be refused so.
    pub(super) fn refuses(mut self, codes: &[Code]) -> Self {
        self.codes.extend(codes.iter().filter(|code| !self.codes.contains(code)).copied().collect::<Vec<_>>());
        self
    }

    /// Asks the stores.
    pub(super) fn stored(self) -> Self {
        self.refuses(&[Code::Unavailable])
    }

    /// The finished call.
    pub(super) fn finish(mut self) -> Value {
        let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
        for code in self.codes {
            by_status.entry(code.entry().status.as_u16()).or_default().push(code);
        }
        for (status, codes) in by_status {
            self.responses.insert(status.to_string(), refusal(&codes));
        }
        if !self.parameters.is_empty() {
            self.value.insert("parameters".to_owned(), Value::Array(self.parameters));
        }
        self.value.insert("responses".to_owned(), Value::Object(self.responses));
        Value::Object(self.value)
    }
}

/// The response of codes that share a status.
pub(super) fn refusal(codes: &[Code]) -> Value {
    let mut headers = vec![];
    let mut examples = Map::new();
    let mut words = Vec::new();
    for code in codes {
        let entry = code.entry();
        words.push(format!("`{}`: {}", entry.name, entry.doc));
        examples.insert(entry.name.to_owned(), json!({"$ref": format!("#/components/examples/{}", entry.name)}));
        match code {
            Code::Unauthenticated => headers.push("WWW-Authenticate"),
            Code::MethodNotAllowed => headers.push("Allow"),
            Code::NotReleased | Code::RateLimited | Code::Overloaded | Code::Unavailable => headers.push("Retry-After"),
            _ => {}
        }
    }
    json!({
        "description": words.join("\n\n"),
        "headers": header_references(&headers),
        "content": {"application/problem+json": {"schema": reference("Problem"), "examples": examples}}
    })
}

/// An example of each code, by name.
pub(super) fn examples() -> Value {
    let example =
        |entry: &Entry| (entry.name.to_owned(), json!({"summary": entry.title, "value": example(entry.code)}));
    Value::Object(CATALOGUE.iter().map(example).collect())
}

fn example(code: Code) -> Value {
    let text = Problem::of(code).body(REQUEST_ID);
    let mut value: Value = serde_json::from_str(&text).unwrap_or_default();
    match code {
        Code::NotReleased => value["release_at"] = json!("2026-06-01T05:00:00.000Z"),
        Code::AlreadyBooked => value["appointment_id"] = json!("0190a3c4-7b1e-7c3a-9d52-4f0b6a1c2000"),
        Code::InvalidField => {
            value["errors"] = json!([{"pointer": "/slots/3/end", "message": "end must be after start"}]);
        }
        _ => {}
    }
    value
}

/// A reference to a schema.
pub(super) fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn header_references(names: &[&str]) -> Value {
    let references = ["X-Request-Id"].iter().chain(names).map(|name| {
        let pointer = format!("#/components/headers/{name}");
        ((*name).to_owned(), json!({"$ref": pointer}))
    });
    Value::Object(references.collect())
}
