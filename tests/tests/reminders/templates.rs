//! Templates of messages: put, listed, previewed; and every mistake pointed at.
//! Must not know: what the usual words are.

use blackbox::Server;
use serde_json::{Value, json};

fn template() -> Value {
    json!({
        "subject": {"en": "Visit to {{ doctor }}", "de": "Termin bei {{ doctor }}"},
        "text": {"en": "See you at {{ place }}", "de": "Bis bald: {{ place }}"}
    })
}

fn path(name: &str) -> String {
    format!("/v1/message-templates/{name}")
}

#[tokio::test]
async fn a_template_is_put_listed_and_taken_away() {
    let server = Server::start().await;
    let admin = server.admin();
    admin.get(&path("short")).await.problem(404, "not_found");
    for name in ["short", "long", "a-1_b"] {
        let put = admin.call("PUT", &path(name)).json(&template()).await.expect(200).json();
        assert_eq!(put, json!({"name": name, "template": template()}));
    }
    let names: Vec<Value> =
        admin.all_items("/v1/message-templates?limit=2").await.iter().map(|item| item["name"].clone()).collect();
    assert_eq!(names, ["a-1_b", "long", "short"]);
    admin.call("DELETE", &path("long")).await.expect(200);
    admin.get(&path("long")).await.problem(404, "not_found");
    for stranger in [server.patient(), server.doctor(&server.new_doctor().await)] {
        stranger.get("/v1/message-templates").await.problem(403, "forbidden");
        stranger.call("PUT", &path("x")).json(&template()).await.problem(403, "forbidden");
    }
}

#[tokio::test]
async fn a_preview_shows_each_language_and_escapes_names() {
    let server = Server::start().await;
    let admin = server.admin();
    admin.call("PUT", &path("short")).json(&template()).await.expect(200);
    let preview = async |body: Value| admin.call("POST", "/v1/message-preview").json(&body).await.expect(200).json();
    let asked = json!({"name": "short", "kind": "reminder", "channel": "email", "language": "de-AT"});
    assert!(preview(asked).await["subject"].as_str().expect("text").starts_with("Termin bei "));
    let mut usual = std::collections::BTreeSet::new();
    for language in ["en", "ru", "uk", "zh", "de", "fr"] {
        for kind in ["reminder", "confirmation", "change", "cancellation"] {
            let told = preview(json!({"kind": kind, "channel": "sms", "language": language})).await;
            assert!(usual.insert(told["text"].as_str().expect("text").to_owned()), "{told}");
        }
    }
    let mail = preview(json!({"kind": "change", "channel": "email", "recipient": "doctor"})).await;
    assert!(mail["html"].as_str().expect("a page").contains("<html"), "{mail}");
}

#[tokio::test]
async fn each_mistake_of_a_template_is_pointed_at_and_changes_nothing() {
    let server = Server::start().await;
    let admin = server.admin();
    for (pointer, value, place) in [
        ("/text/de", json!("{{ docter }}"), "/text/de"),
        ("/text/en", json!("{{ doctor"), "/text/en"),
        ("/text/en", json!("   "), "/text/en"),
        ("/subject/en", json!("two\nlines"), "/subject/en"),
        ("/text", json!({"en": "only"}), "/text/de"),
        ("/subject", json!({}), "/subject"),
        ("/text/en", json!(7), "/text/en"),
        ("/text/en", json!("x".repeat(4_001)), "/text/en"),
        ("/text/en", json!("{% for x in doctor %}{% endfor %}"), "/text/en"),
    ] {
        let mut body = template();
        *body.pointer_mut(pointer).expect("a member") = value;
        let problem = admin.call("PUT", &path("bad")).json(&body).await.problem(422, "invalid_field");
        assert_eq!(problem["errors"][0]["pointer"], json!(place), "{body}: {problem}");
    }
    admin.get(&path("bad")).await.problem(404, "not_found");
    admin.call("PUT", &path("Bad%20name")).json(&template()).await.problem(400, "invalid_request");
    for body in [
        json!({"kind": "wedding", "channel": "sms"}),
        json!({"kind": "reminder", "channel": "pigeon"}),
        json!({"kind": "reminder", "channel": "sms", "name": "x", "template": template()}),
        json!({"kind": "reminder", "channel": "sms", "language": "not a tag"}),
    ] {
        admin.call("POST", "/v1/message-preview").json(&body).await.problem(422, "invalid_field");
    }
    let unknown = json!({"kind": "reminder", "channel": "sms", "name": "nobody-put-it"});
    admin.call("POST", "/v1/message-preview").json(&unknown).await.problem(404, "not_found");
}
