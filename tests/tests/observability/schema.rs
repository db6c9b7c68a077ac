//! Is a value of the form that a JSON schema demands? As much of JSON Schema as Grafana's schema of dashboards uses.
//! Must not know: dashboards.

use serde_json::Value;

/// What stands in the way; empty if the value is of that form. A keyword that is not understood fails the test.
pub(super) fn violations(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, value, "", &mut found);
    found
}

fn check(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    let keywords = schema.as_object().unwrap_or_else(|| panic!("a schema is an object: {schema}"));
    for (keyword, expected) in keywords {
        match keyword.as_str() {
            "$schema" | "$comment" => {}
            "type" => {
                if !any_of(expected).any(|name| is_of_type(value, name)) {
                    found.push(format!("{path}: {value} is no {expected}"));
                }
            }
            "const" => expect(value == expected, value, expected, path, found),
            "enum" => expect(list(expected).contains(value), value, expected, path, found),
            "anyOf" => check_any(list(expected), value, path, found),
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(expected, item, &format!("{path}/{index}"), found);
                }
            }
            "required" => {
                for name in list(expected).iter().filter(|name| is_missing(value, name)) {
                    found.push(format!("{path}: {name} is missing"));
                }
            }
            "properties" => check_properties(schema, value, path, found),
            // Judged with the properties, if there are any.
            "additionalProperties" if keywords.contains_key("properties") => {}
            "additionalProperties" => check_properties(schema, value, path, found),
            unknown => panic!("{path}: the keyword {unknown} is not understood"),
        }
    }
}

fn expect(holds: bool, value: &Value, expected: &Value, path: &str, found: &mut Vec<String>) {
    if !holds {
        found.push(format!("{path}: {value} is none of {expected}"));
    }
}

fn is_missing(value: &Value, name: &Value) -> bool {
    let name = name.as_str().expect("a name");
    value.as_object().is_some_and(|map| !map.contains_key(name))
}

/// Known properties by their own schema, others by `additionalProperties`.
fn check_properties(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    let more = &schema["additionalProperties"];
    for (name, part) in value.as_object().into_iter().flatten() {
        let inner = format!("{path}/{name}");
        match (&schema["properties"][name], more) {
            (Value::Null, Value::Bool(false)) => found.push(format!("{inner} is not known")),
            (Value::Null, Value::Null | Value::Bool(true)) => {}
            (Value::Null, other) => check(other, part, &inner, found),
            (known, _) => check(known, part, &inner, found),
        }
    }
}

/// Of alternatives the one counts that fits best, so that a message is about what was meant.
fn check_any(alternatives: &[Value], value: &Value, path: &str, found: &mut Vec<String>) {
    let tried = alternatives.iter().map(|alternative| {
        let mut own = Vec::new();
        check(alternative, value, path, &mut own);
        own
    });
    found.extend(tried.min_by_key(Vec::len).unwrap_or_default());
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("a list: {value}"))
}

/// A name, or several.
fn any_of(names: &Value) -> impl Iterator<Item = &str> {
    let several = names.as_array().into_iter().flatten();
    names.as_str().into_iter().chain(several.filter_map(Value::as_str))
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        unknown => panic!("the type {unknown} is not understood"),
    }
}

mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let schema = json!({
            "type": "object", "required": ["id"], "additionalProperties": false,
            "properties": {
                "id": {"type": ["number", "null"]},
                "panels": {"type": "array", "items": {"anyOf": [
                    {"type": "object", "required": ["type"], "properties": {"type": {"const": "row"}}, "additionalProperties": false},
                    {"type": "object", "properties": {"type": {"enum": ["stat"]}, "unit": {"type": "string"}}, "additionalProperties": false},
                ]}},
            },
        });
        assert_eq!(violations(&schema, &json!({"id": null, "panels": [{"type": "row"}]})), [""; 0]);
        assert_eq!(violations(&schema, &json!({"panels": []})), [": \"id\" is missing"]);
        assert_eq!(violations(&schema, &json!({"id": "x"})), ["/id: \"x\" is no [\"number\",\"null\"]"]);
        assert_eq!(violations(&schema, &json!({"id": 1, "colour": 1})), ["/colour is not known"]);
        let wrong = json!({"id": 1, "panels": [{"type": "stat", "unit": 1}]});
        assert_eq!(violations(&schema, &wrong), ["/panels/0/unit: 1 is no \"string\""]);
    }
}
