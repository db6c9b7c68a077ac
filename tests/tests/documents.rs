//! Does the program describe itself truthfully: document, page, health?
//! Must not know: what the described calls do; figures (see `metrics`).

use std::time::Duration;

use blackbox::{Server, program};
use serde_json::Value;

const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

fn committed() -> Value {
    let path = program::repository().join("gateway/openapi.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("the committed document is JSON")
}

#[tokio::test]
async fn the_served_the_printed_and_the_committed_document_are_one() {
    let server = Server::start().await;
    let served = server.anyone().get("/openapi.json").await.expect(200);
    assert!(served.header("content-type").is_some_and(|kind| kind.starts_with("application/json")));
    let printed = program::run(&["openapi"]).await;
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    let printed: Value = serde_json::from_str(&printed.stdout).expect("the printed document is JSON");
    assert!(served.json() == committed(), "served is not gateway/openapi.json: write `hotslot openapi` into it");
    assert!(printed == committed(), "printed is not gateway/openapi.json: write `hotslot openapi` into it");
    assert!(printed["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "OpenAPI 3.1");
}

#[tokio::test]
async fn every_call_of_the_contract_is_in_the_document() {
    let document = committed();
    for (method, path) in [
        ("post", "/v1/doctors"),
        ("get", "/v1/doctors"),
        ("get", "/v1/doctors/{id}"),
        ("patch", "/v1/doctors/{id}"),
        ("put", "/v1/doctors/{id}/days/{date}"),
        ("get", "/v1/doctors/{id}/days/{date}"),
        ("post", "/v1/doctors/{id}/days/{date}/close"),
        ("get", "/v1/doctors/{id}/days"),
        ("get", "/v1/doctors/{id}/days/{date}/appointments"),
        ("post", "/v1/appointments"),
        ("post", "/v1/holds"),
        ("get", "/v1/appointments/{id}"),
        ("delete", "/v1/appointments/{id}"),
        ("get", "/v1/appointments/{id}/history"),
        ("post", "/v1/appointments/{id}/confirm"),
        ("post", "/v1/appointments/{id}/cancel"),
        ("post", "/v1/appointments/{id}/no-show"),
        ("get", "/v1/patients/{id}/appointments"),
        ("get", "/v1/patients/{id}"),
        ("put", "/v1/patients/{id}"),
        ("get", "/v1/clinics/{id}"),
        ("put", "/v1/clinics/{id}"),
    ] {
        let operation = &document["paths"][path][method];
        assert!(operation.is_object(), "{method} {path} is not described");
        let responses = operation["responses"].as_object().unwrap_or_else(|| panic!("{method} {path}: responses"));
        assert!(responses.keys().any(|status| status.starts_with('2')), "{method} {path}: a success");
    }
}

#[tokio::test]
async fn every_described_path_is_served_with_exactly_its_methods() {
    let server = Server::start().await;
    let document = committed();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        let concrete = path.replace("{date}", "2030-01-01").replace("{id}", "00000000-0000-7000-8000-000000000000");
        let concrete = concrete.replace("{name}", "some-name");
        assert!(!concrete.contains('{'), "a parameter this test does not know: {path}");
        if concrete.ends_with("/stream") {
            continue;
        }
        for method in METHODS {
            let reply = server.anyone().call(&method.to_uppercase(), &concrete).await;
            let described = operations.get(method).is_some();
            assert_eq!(reply.status != 405, described, "{method} {path}: {}", reply.status);
            let has_route = !(reply.status == 404 && reply.text().to_lowercase().contains("no such route"));
            assert!(has_route, "{method} {path} is described, but there is no such route");
        }
    }
}

#[tokio::test]
async fn the_page_of_the_document_asks_nobody_outside() {
    let server = Server::start().await;
    let mut page = server.anyone().get("/docs").await;
    let mut hops = 0;
    let mut base = "/docs".to_owned();
    while [301, 302, 303, 307, 308].contains(&page.status) && hops < 3 {
        let location = page.header("location").expect("Location").to_owned();
        base = location.strip_prefix(server.address()).unwrap_or(&location).to_owned();
        assert!(base.starts_with('/'), "redirected away: {location}");
        page = server.anyone().get(&base).await;
        hops += 1;
    }
    let page = page.expect(200);
    let html = page.text();
    assert!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{:?}", page.headers);
    assert_asks_nobody_outside("the page", &html);
    let folder = base.rsplit_once('/').map_or("", |(folder, _)| folder);
    let loaded: Vec<&str> = html
        .split(['"', '\''])
        .filter(|text| {
            [".js", ".css"].iter().any(|ending| text.ends_with(ending)) && !text.contains(char::is_whitespace)
        })
        .collect();
    for resource in loaded {
        let path = if resource.starts_with('/') {
            resource.to_owned()
        } else {
            format!("{folder}/{}", resource.trim_start_matches("./"))
        };
        let reply = server.anyone().get(&path).await.expect(200);
        assert!(!reply.body.is_empty(), "{path} is empty");
        if path.contains("initializer") {
            assert_asks_nobody_outside(&path, &reply.text());
        }
    }
}

/// Fails if the text loads anything from another host: an address in `src`, `href`, `url(…)`, `@import` or `url:`.
#[track_caller]
fn assert_asks_nobody_outside(what: &str, text: &str) {
    for mark in ["src=\"", "src='", "href=\"", "href='", "url(", "@import ", "url: \"", "url: '", "fetch(\""] {
        for (position, _) in text.match_indices(mark) {
            let target = text[position + mark.len()..].trim_start_matches(['"', '\'']);
            let outside = ["http://", "https://", "//"].iter().any(|scheme| target.starts_with(scheme));
            assert!(!outside, "{what} loads {}", target.chars().take(80).collect::<String>());
        }
    }
}

#[tokio::test]
async fn a_running_server_is_alive_and_ready() {
    let mut server = Server::start().await;
    server.anyone().get("/healthz/live").await.expect(200);
    server.anyone().get("/healthz/ready").await.expect(200);
    server.restart().await;
    // The first line is printed when ready: no waiting.
    server.anyone().get("/healthz/ready").await.expect(200);
    let exit = server.terminate(Duration::from_secs(10)).await;
    assert_eq!(exit.status.code(), Some(0));
}
