//! What operators look into: the activity of a process, and `hotslot top` on a real server.
//! Must not know: how activity is counted, what a frame looks like beyond its words.

use std::time::Duration;

use blackbox::{Launch, Plan, Server, Wish, eventually, fresh_id, program};
use serde_json::Value;

/// The sweep that counts comes once a second.
const PATIENCE: Duration = Duration::from_secs(20);

async fn activity(server: &Server) -> Value {
    server.admin().get("/v1/admin/activity").await.expect(200).json()
}

#[tokio::test]
async fn the_hottest_day_is_named_first_with_its_places() {
    let server = Server::start().await;
    let (hot, quiet) = (server.publish(&Plan::quarters(4)).await, server.publish(&Plan::quarters(1)).await);
    server.patient().book(&Wish::any(&hot)).await.expect(201);
    server.patient().hold(&Wish::any(&hot)).await.expect(201);
    let found = eventually("the hot day is hotter", PATIENCE, async || {
        for _ in 0..20 {
            server.anyone().day(&hot.doctor, &hot.date).await.expect(200);
        }
        server.anyone().day(&quiet.doctor, &quiet.date).await.expect(200);
        let seen = activity(&server).await;
        let rank =
            |doctor: &str| seen["days"].as_array().expect("days").iter().position(|day| day["doctor_id"] == doctor);
        (rank(&hot.doctor) == Some(0) && rank(&quiet.doctor).is_some()).then_some(seen)
    })
    .await;
    let day = &found["days"][0];
    assert_eq!(day["date"], hot.date.as_str());
    assert_eq!(day["state"], "open");
    assert_eq!(day["places"], serde_json::json!({"withheld": 0, "free": 2, "held": 1, "booked": 1}));
    assert!(day["reads_per_second"].as_f64() > Some(1.0), "{day}");
    assert_eq!(found["places"]["booked"], 1);
    let queues = found["queues"].as_array().expect("queues");
    assert!(queues.iter().all(|queue| queue["bound"].as_u64() > Some(0)), "{queues:?}");
    assert!(queues.iter().any(|queue| queue["name"] == "journal"), "{queues:?}");
}

#[tokio::test]
async fn the_activity_is_for_admins() {
    let server = Server::start().await;
    server.anyone().get("/v1/admin/activity").await.problem(401, "unauthenticated");
    server.patient().get("/v1/admin/activity").await.problem(403, "forbidden");
    server.doctor(&fresh_id()).get("/v1/admin/activity").await.problem(403, "forbidden");
    server.admin().get("/v1/admin/activity?limit=3").await.problem(400, "invalid_request");
}

/// One frame of `top` on `server`, with further arguments.
async fn top(server: &Server, arguments: &[&str]) -> program::Output {
    let mut all = vec!["top", "--once", "--url", server.address()];
    all.extend(arguments);
    program::run(&all).await
}

#[tokio::test]
async fn top_shows_a_frame_of_a_real_server() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(4)).await;
    for _ in 0..4 {
        server.patient().book(&Wish::any(&day)).await.expect(201);
    }
    eventually("the day is hot", PATIENCE, async || {
        server.anyone().day(&day.doctor, &day.date).await.expect(200);
        let seen = activity(&server).await;
        seen["days"].as_array().is_some_and(|days| !days.is_empty()).then_some(())
    })
    .await;
    let directory = server.directory().to_str().expect("a path in UTF-8");
    let output = top(&server, &["--data-dir", directory]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    for part in ["hotslot top", " ready ", "bookings a second", "won", "group commit", "ledger lag", &day.doctor, "4/4"]
    {
        assert!(output.stdout.contains(part), "{part:?} is not in\n{}", output.stdout);
    }
    assert!(!output.stdout.contains('\u{1b}'), "plain text");
}

#[tokio::test]
async fn top_says_what_it_cannot_see_and_why() {
    let server = Server::start_with(&["--metrics-listen", "127.0.0.1:0"]).await;
    let output = top(&server, &[]).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("--metrics-url"), "{output:?}");
    let server = Server::launch(Launch::default()).await;
    let patient = server.signer().sign(&blackbox::Claims::of("patient", &fresh_id()));
    let output = top(&server, &["--token", &patient]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("not shown: the token is not an admin's"), "{output:?}");
    let nobody = program::run(&["top", "--once", "--url", "http://127.0.0.1:9"]).await;
    assert_eq!(nobody.code, Some(1), "{nobody:?}");
    assert!(nobody.stderr.contains("http://127.0.0.1:9 does not answer"), "{nobody:?}");
    for wrong in [&["top", "--once", "--url", "nowhere"][..], &["top", "--url", server.address(), "--interval", "0s"]] {
        let output = program::run(wrong).await;
        assert_eq!(output.code, Some(2), "{output:?}");
    }
    let no_terminal = program::run(&["top", "--url", server.address()]).await;
    assert_eq!(no_terminal.code, Some(2), "{no_terminal:?}");
    assert!(no_terminal.stderr.contains("--once"), "{no_terminal:?}");
}
