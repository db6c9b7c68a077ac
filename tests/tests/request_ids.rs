//! Does every refusal name its request, in the header and in the body, by the caller's own name if it has given a good one?
//! Must not know: why requests are refused.

use blackbox::{Call, Plan, Reply, Server, Wish, fresh_id};
use serde_json::json;

#[track_caller]
fn assert_named(reply: &Reply, name: &str) {
    assert_eq!(reply.header("x-request-id"), Some(name), "{}", reply.text());
    assert_eq!(reply.json()["request_id"], name, "{}", reply.text());
    reply.assert_problem_shape();
}

#[tokio::test]
async fn every_kind_of_refusal_bears_the_callers_name() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(1)).await;
    server.patient().book(&Wish::any(&day)).await.expect(201);
    let (anyone, patient) = (server.anyone(), server.patient());
    let wish = || patient.book(&Wish::any(&day));
    let calls: Vec<(u16, Call)> = vec![
        (400, anyone.get("/v1/doctors/x")),
        (401, anyone.book(&Wish::any(&day))),
        (403, patient.appointments_of(&fresh_id(), "")),
        (404, anyone.get("/v1/nowhere")),
        (404, anyone.get("/nowhere")),
        (405, anyone.call("PUT", "/v1/appointments")),
        (406, anyone.get("/v1/doctors").header("accept", "text/html")),
        (409, wish()),
        (412, server.admin().put_day(&day.doctor, &day.date, &Plan::quarters(2).body()).header("if-match", "W/\"0\"")),
        (413, wish().raw(vec![b' '; 70_000])),
        (415, wish().without("content-type").header("content-type", "text/plain")),
        (422, wish().json(&json!({"doctor_id": 7}))),
        (431, anyone.get("/v1/doctors").header("x-padding", &"p".repeat(20_000))),
    ];
    for (number, (status, call)) in calls.into_iter().enumerate() {
        let name = format!("call-{number}");
        let reply = call.clone().header("x-request-id", &name).await.expect(status);
        assert_named(&reply, &name);
        let unnamed = call.await.expect(status);
        let name = unnamed.header("x-request-id").expect("it has a name").to_owned();
        assert_named(&unnamed, &name);
    }
}

#[tokio::test]
async fn a_request_without_a_name_has_that_of_its_trace() {
    let server = Server::start().await;
    let get = || server.anyone().get("/v1/nowhere");
    let good = get().header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00").await;
    assert_named(&good, "4bf92f35-77b3-4da6-a3ce-929d0e0e4736");
    for bad in ["00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00"] {
        let reply = get().header("traceparent", bad).await;
        assert_ne!(reply.header("x-request-id"), Some("4bf92f35-77b3-4da6-a3ce-929d0e0e4736"), "{bad}");
    }
}
