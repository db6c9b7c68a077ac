//! Is every malformed request refused with the right status, code and pointer, and never acted on?
//! Must not know: tokens (see `tokens`), days (see `day_rules`).

use blackbox::{Call, Client, Plan, Server, Wish, fresh_id};
use serde_json::{Value, json};

/// A server with one open day, and a booking of it to spoil.
async fn booking() -> (Server, blackbox::Day, Call) {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(2)).await;
    let call = server.patient().book(&Wish::any(&day));
    (server, day, call)
}

#[tokio::test]
async fn what_is_not_json_is_an_invalid_request() {
    let (server, day, call) = booking().await;
    for body in ["", " ", "{", "null garbage", "{\"a\":1}{", "{'doctor_id': 1}", "\u{0}", "{\"doctor_id\":}", "nul"] {
        call.clone().raw(body).await.problem(400, "invalid_request");
    }
    call.clone().raw(vec![b'"', 0xFF, 0xFE, b'"']).await.problem(400, "invalid_request");
    let nested = "[".repeat(60_000);
    let reply = call.clone().raw(nested).await;
    assert!([400, 422].contains(&reply.status), "deep nesting: {}", reply.status);
    for whole in ["null", "[]", "\"text\"", "17", "true"] {
        call.clone().raw(whole).await.problem(422, "invalid_field");
    }
    let untouched = server.anyone().day(&day.doctor, &day.date).await.expect(200).json();
    assert_eq!(untouched["slots"][0]["remaining"], 1);
    call.await.expect(201);
}

#[tokio::test]
async fn a_body_must_say_that_it_is_json() {
    let (_server, _day, call) = booking().await;
    let typed = |content_type: &str| call.clone().without("content-type").header("content-type", content_type);
    for wrong in ["text/plain", "application/x-www-form-urlencoded", "application/xml", "json", "text/json;"] {
        typed(wrong).await.problem(415, "unsupported_media_type");
    }
    call.clone().without("content-type").await.problem(415, "unsupported_media_type");
    typed("application/json; charset=utf-8").await.expect(201);
}

#[tokio::test]
async fn each_wrong_field_of_a_booking_is_pointed_at() {
    let (server, day, call) = booking().await;
    let good = Wish::any(&day).body().clone();
    let wrong = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        (call.clone().json(&body), format!("/{name}"))
    };
    let cases = [
        wrong("doctor_id", json!("nobody")),
        wrong("doctor_id", json!(17)),
        wrong("doctor_id", Value::Null),
        wrong("date", json!("2026-02-30")),
        wrong("date", json!("03/04/2026")),
        wrong("date", json!(20260301)),
        wrong("start", json!("09:00")),
        wrong("start", json!("2026-03-01T09:00:00")),
        wrong("start", json!("2026-03-01T09:00:00.5Z")),
        wrong("start", json!(1_772_355_600)),
        wrong("patient_id", json!("me")),
        wrong("patient_id", json!([])),
        wrong("strat", json!("2026-03-01T09:00:00Z")),
        wrong("a/b~c", json!(1)),
    ];
    for (call, pointer) in cases {
        let pointer = pointer.replace("/a/b~c", "/a~1b~0c");
        assert_eq!(call.await.pointers(), [pointer]);
    }
    let missing = call.clone().json(&json!({"date": day.date})).await;
    assert_eq!(missing.pointers(), ["/doctor_id"]);
    let no_patient = server.admin().book(&Wish::any(&day)).await;
    assert_eq!(no_patient.pointers(), ["/patient_id"], "an admin must name the patient");
    let twice = format!("{{\"doctor_id\":\"{0}\",\"doctor_id\":\"{0}\",\"date\":\"{1}\"}}", day.doctor, day.date);
    let reply = call.clone().raw(twice).await;
    assert!([400, 422].contains(&reply.status), "a doubled field: {}", reply.status);
    reply.assert_problem_shape();
    call.json(&good).await.expect(201);
}

#[tokio::test]
async fn a_body_over_64_kibibytes_is_too_large() {
    let (server, day, call) = booking().await;
    let padded = |bytes: usize| {
        let body = Wish::any(&day).body().to_string();
        let padding = " ".repeat(bytes - body.len());
        format!("{}{padding}}}", &body[..body.len() - 1])
    };
    call.clone().raw(padded(64 * 1024 + 1)).await.problem(413, "too_large");
    // Ten times as much: the refusal must not depend on reading it all, and may end the connection.
    if let Ok(reply) = call.clone().raw(padded(640 * 1024)).attempt().await {
        reply.problem(413, "too_large");
    }
    call.raw(padded(64 * 1024)).await.expect(201);
    server.anyone().get("/healthz/live").await.expect(200);
}

#[tokio::test]
async fn a_bad_id_query_or_limit_is_an_invalid_request() {
    let (server, day, _call) = booking().await;
    let admin = server.admin();
    let anyone = server.anyone();
    for id in ["x", "00000000-0000-0000-0000-00000000000", "%F0%28%8C%28", "..%2F..%2Fetc"] {
        anyone.doctor(id).await.problem(400, "invalid_request");
        admin.appointment(id).await.problem(400, "invalid_request");
        admin.cancel(id).await.problem(400, "invalid_request");
        admin.appointments_of(id, "").await.problem(400, "invalid_request");
    }
    for query in
        ["limit=0", "limit=201", "limit=-1", "limit=ten", "limit=", "cursor=nonsense", "lmit=5", "limit=5&limit=6"]
    {
        anyone.doctors(query).await.problem(400, "invalid_request");
        admin.appointments_of(&fresh_id(), query).await.problem(400, "invalid_request");
        let path = format!("/v1/doctors/{}/days/{}/appointments?{query}", day.doctor, day.date);
        admin.get(&path).await.problem(400, "invalid_request");
    }
    let single = format!("/v1/doctors/{}/days/{}?verbose=1", day.doctor, day.date);
    anyone.get(&single).await.problem(400, "invalid_request");
    for query in ["status=gone", "from=today", "to=2026-03-01", "from=2026-03-01T00:00:00"] {
        admin.appointments_of(&fresh_id(), query).await.problem(400, "invalid_request");
    }
    for query in ["", "from=2026-03-01", "from=2026-03-01&to=1", "from=2026-03-01&to=2026-03-02&slots=1"] {
        anyone.get(&format!("/v1/doctors/{}/days?{query}", day.doctor)).await.problem(400, "invalid_request");
    }
    let with_query = admin.call("POST", "/v1/appointments?dry_run=true").json(Wish::any(&day).body()).key("K");
    with_query.await.problem(400, "invalid_request");
}

#[tokio::test]
async fn another_method_is_told_which_ones_there_are() {
    let server = Server::start().await;
    let id = fresh_id();
    let cases = [
        ("DELETE", "/v1/doctors".to_owned(), vec!["GET", "POST"]),
        ("PUT", format!("/v1/doctors/{id}"), vec!["GET", "PATCH"]),
        ("GET", "/v1/holds".to_owned(), vec!["POST"]),
        ("POST", format!("/v1/appointments/{id}"), vec!["DELETE", "GET"]),
        ("GET", format!("/v1/appointments/{id}/cancel"), vec!["POST"]),
        ("POST", "/openapi.json".to_owned(), vec!["GET"]),
    ];
    for (method, path, allowed) in cases {
        let reply = server.admin().call(method, &path).await;
        reply.problem(405, "method_not_allowed");
        let allow = reply.header("allow").expect("Allow");
        let mut named: Vec<&str> = allow.split(',').map(str::trim).filter(|name| *name != "HEAD").collect();
        named.sort_unstable();
        assert_eq!(named, allowed, "{method} {path}");
    }
}

#[tokio::test]
async fn an_answer_that_nobody_can_read_is_refused() {
    let server = Server::start().await;
    let doctor = server.new_doctor().await;
    server.anyone().doctor(&doctor).header("accept", "text/html").await.problem(406, "not_acceptable");
    server.anyone().doctor(&doctor).header("accept", "application/json;q=0").await.problem(406, "not_acceptable");
    for fine in
        ["*/*", "application/*", "application/json", "text/html, application/json;q=0.5", "text/html, */*;q=0.1"]
    {
        server.anyone().doctor(&doctor).header("accept", fine).await.expect(200);
    }
    server.anyone().doctor(&fresh_id()).header("accept", "application/json").await.problem(404, "not_found");
}

#[tokio::test]
async fn calls_with_optional_bodies_take_none_and_refuse_wrong_ones() {
    let (server, day, call) = booking().await;
    let id = call.await.expect(201).text_of("id");
    let admin = server.admin();
    for call in [admin.confirm(&id), admin.cancel(&id), admin.no_show(&id), admin.close_day(&day.doctor, &day.date)] {
        let json = |body: &Value| call.clone().json(body);
        assert_eq!(json(&json!({"reasons": "x"})).await.pointers(), ["/reasons"]);
        json(&json!([])).await.problem(422, "invalid_field");
        call.clone().header("content-type", "application/json").raw("{").await.problem(400, "invalid_request");
        call.clone().header("content-type", "text/plain").raw("{}").await.problem(415, "unsupported_media_type");
    }
    assert_eq!(admin.cancel(&id).json(&json!({"reason": 17})).await.pointers(), ["/reason"]);
    assert_eq!(server.admin().appointment(&id).await.text_of("status"), "booked");
}

#[tokio::test]
async fn every_answer_has_a_request_id_and_they_differ() {
    let server = Server::start().await;
    let first = server.anyone().doctor("x").await.problem(400, "invalid_request");
    let second = server.anyone().doctor("x").await.problem(400, "invalid_request");
    assert_ne!(first["request_id"], second["request_id"]);
    assert_eq!((&first["type"], &first["title"]), (&second["type"], &second["title"]));
}

#[tokio::test]
async fn headers_that_are_too_large_are_refused_and_the_server_lives_on() {
    let server = Server::start().await;
    let padded = |size: usize| server.anyone().get("/healthz/live").header("x-padding", &"p".repeat(size)).attempt();
    padded(20_000).await.expect("an answer").problem(431, "headers_too_large");
    // A head that is too large even to be read is refused by the parser, without a body, and its connection is closed while the
    // rest is still being sent: it must not be used again, so this request brings a pool of its own.
    let own_pool = reqwest::Client::builder().no_proxy().build().expect("a client");
    let stranger = Client::new(&own_pool, server.address(), "", None);
    if let Ok(reply) = stranger.get("/healthz/live").header("x-padding", &"p".repeat(200_000)).attempt().await {
        assert_eq!(reply.status, 431);
    }
    server.anyone().get("/healthz/live").await.expect(200);
}
