//! The OpenAPI 3.1 document: written from the route table's calls and the error catalogue, committed as `openapi.json`.
//! Must not know: how calls are answered.

mod activity;
mod operation;
mod paths;
mod people;
mod reminders;
mod schemas;

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::api::catalogue::{CATALOGUE, Code};

const DESCRIPTION: &str = "\
Doctor-days are published with their slots and released at an instant; from then on places are booked, one decision after \
another, and an answer leaves only after it is durable.

**Tokens** are JWT (HS256) in `Authorization: Bearer`. A patient's `sub` is its patient id, a doctor's its doctor id.

**Errors** are `application/problem+json` (RFC 9457) with a stable `code`; the table of codes is in the schema `Problem`. Every \
answer names its request in `X-Request-Id`, which is the caller's own if it sent one (or a `traceparent`).

**Input is strict**: unknown fields of a body, unknown or repeated query parameters and duplicate fields are errors. Instants are \
RFC 3339 with any offset, answered in UTC with milliseconds; dates are local dates of the doctor's zone; ids are UUIDs.

**Idempotency**: the same `Idempotency-Key` from the same subject with the same request gives the first answer again, with \
`Idempotency-Replayed: true`, also after a restart. Only successes are remembered. At most 64 are remembered of one subject on one \
doctor-day; beyond that the answer is 429.";

/// The document as text, the same on every call.
pub(crate) fn document() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        // Plain maps of strings always serialize; an empty document would fail the test against the committed one.
        let mut text = serde_json::to_string_pretty(&sorted(build())).unwrap_or_default();
        text.push('\n');
        text
    });
    &TEXT
}

fn build() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "hotslot",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Booking for the moment a popular doctor's slots are released",
            "description": DESCRIPTION,
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"}
        },
        "servers": [{"url": "/", "description": "This server"}],
        "tags": [
            {"name": "doctors", "description": "Practitioners whose time is booked"},
            {"name": "days", "description": "All of a doctor's shifts that start on one local date"},
            {"name": "appointments", "description": "A patient's place in a slot, from hold to completion"},
            {"name": "patients", "description": "What patients say of themselves"},
            {"name": "clinics", "description": "What doctors name by clinic_id"},
            {"name": "reminders", "description": "What is told of appointments, when, how, and what became of it"},
            {"name": "operations", "description": "Health, figures, this document"}
        ],
        "paths": paths::paths(),
        "components": {
            "schemas": schemas::schemas(),
            "headers": headers(),
            "examples": operation::examples(),
            "responses": {"MethodNotAllowed": operation::refusal(&[Code::MethodNotAllowed])},
            "securitySchemes": {"token": {
                "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                "description": "HS256; claims sub, role, iss = aud = hotslot, iat, exp, optional clinic and audiences"
            }}
        }
    })
}

fn headers() -> Value {
    let header = |description: &str, schema: Value| json!({"description": description, "schema": schema});
    json!({
        "X-Request-Id": header("The name of the request, as in the log", json!({"type": "string"})),
        "Idempotency-Replayed": header("true on every answer but the first under a key", json!({"type": "string", "enum": ["true"]})),
        "Location": header("Where the new thing can be read", json!({"type": "string", "format": "uri-reference"})),
        "ETag": header("A weak tag over everything but server_time", json!({"type": "string", "examples": ["W/\"1.42.3\""]})),
        "Retry-After": header("Whole seconds until a try makes sense, rounded up", json!({"type": "integer", "minimum": 0})),
        "WWW-Authenticate": header("What is needed", json!({"type": "string", "examples": ["Bearer realm=\"hotslot\""]})),
        "Allow": header("The methods that the address knows", json!({"type": "string"}))
    })
}

/// The table of codes, for the schema of problems.
fn code_table() -> String {
    let row = |entry: &crate::api::catalogue::Entry| {
        let retry = if entry.retryable { "yes" } else { "no" };
        format!("| {} | `{}` | {} | {retry} |", entry.status.as_u16(), entry.name, entry.doc)
    };
    let rows: Vec<String> = CATALOGUE.iter().map(row).collect();
    format!(
        "| status | code | when | the same request can succeed later |\n| --- | --- | --- | --- |\n{}",
        rows.join("\n")
    )
}

/// The same value with the members of every object in the order of their names, whatever map serde_json was built with.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Object(members) => {
            let mut members: Vec<(String, Value)> = members.into_iter().collect();
            members.sort_by(|(left, _), (right, _)| left.cmp(right));
            Value::Object(members.into_iter().map(|(name, value)| (name, sorted(value))).collect::<Map<_, _>>())
        }
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::{Access, interface_and_metrics};

    const COMMITTED: &str = include_str!("../../openapi.json");

    #[test]
    fn the_committed_document_is_the_printed_one() {
        assert!(document() == COMMITTED, "write the output of `hotslot openapi` into gateway/openapi.json");
    }

    #[test]
    fn every_code_of_the_catalogue_occurs_as_an_example() {
        for entry in CATALOGUE {
            let example = format!("\"code\": \"{}\"", entry.name);
            assert!(document().contains(&example), "{}", entry.name);
        }
    }

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let document = build();
        let paths = document["paths"].as_object().expect("paths");
        let mut described: Vec<(String, String)> = paths
            .iter()
            .flat_map(|(path, calls)| {
                let methods = calls.as_object().expect("calls").keys();
                methods.map(move |method| (path.clone(), method.to_uppercase()))
            })
            .collect();
        described.sort();
        let page_parts = ["/docs/", "/docs/{file}"];
        let mut served: Vec<(String, String)> = interface_and_metrics()
            .iter()
            .filter(|entry| !page_parts.contains(&entry.path))
            .map(|entry| (entry.path.to_owned(), entry.method.to_string()))
            .collect();
        served.sort();
        assert_eq!(described, served);
    }

    #[test]
    fn exactly_the_guarded_calls_ask_for_a_token() {
        let document = build();
        for entry in interface_and_metrics() {
            let call = &document["paths"][entry.path][entry.method.as_str().to_lowercase()];
            let guarded = matches!(entry.access, Access::Guarded(_));
            assert_eq!(call["security"].is_array(), guarded, "{} {}", entry.method, entry.path);
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = build();
        for reference in document.to_string().split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().expect("a pointer");
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
    }
}
