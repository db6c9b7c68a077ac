//! What becomes of messages that no channel takes: listed, sent again, given up.
//! Must not know: how they are kept.

use blackbox::{Client, Plan, Server, Wish, eventually};
use serde_json::{Value, json};

use super::outbox::PATIENCE;
use super::provider::Provider;
use super::{booked, told};

pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A server that tells patients over the webhook of `provider`, and nothing else.
async fn server_over(provider: &Provider) -> Server {
    let url = provider.url();
    Server::start_with(&["--webhook-url", &url, "--webhook-secret", SECRET, "--reminder-channels", "webhook"]).await
}

async fn letters(admin: &Client) -> Vec<Value> {
    admin.all_items("/v1/dead-letters?limit=1").await
}

#[tokio::test]
async fn a_message_that_is_refused_for_good_is_listed_and_sent_again_when_an_admin_says_so() {
    let provider = Provider::start(410).await;
    let server = server_over(&provider).await;
    let day = server.publish(&Plan::quarters(3)).await;
    let admin = server.admin();
    let patients = [server.patient(), server.patient()];
    let mut ids = Vec::new();
    for patient in &patients {
        ids.push(booked(patient, &Wish::any(&day)).await);
    }
    let dead = eventually("both confirmations are dead", PATIENCE, async || {
        let letters = letters(&admin).await;
        (letters.len() == 2).then_some(letters)
    })
    .await;
    for letter in &dead {
        assert_eq!((&letter["kind"], &letter["status"]), (&json!("confirmation"), &json!("dead")));
        assert_eq!((&letter["channel"], &letter["attempts"]), (&json!("webhook"), &json!(1)));
        assert!(letter["last_error"].is_string() && ids.iter().any(|id| letter["appointment_id"] == json!(id)));
    }
    let first = dead[0]["message_id"].as_str().expect("an id");
    let redrive = |id: &str| admin.call("POST", &format!("/v1/dead-letters/{id}/redrive"));
    provider.answer(200);
    assert_eq!(redrive(first).await.expect(200).json(), json!({"redriven": 1}));
    redrive(first).await.problem(404, "not_found");
    eventually("it is gone from the list and sent", PATIENCE, async || {
        let asked = provider.asked().iter().filter(|request| request.contains(first)).count();
        (letters(&admin).await.len() == 1 && asked == 2).then_some(())
    })
    .await;
    // Under the same id, signed.
    let again: Vec<String> = provider.asked().into_iter().filter(|request| request.contains(first)).collect();
    assert!(again.iter().all(|request| request.to_ascii_lowercase().contains("webhook-signature: v1,")), "{again:?}");
    let second = dead[1]["message_id"].as_str().expect("an id");
    let discarded = admin.call("POST", &format!("/v1/dead-letters/{second}/discard"));
    assert_eq!(discarded.await.expect(200).json(), json!({"discarded": 1}));
    admin.call("POST", &format!("/v1/dead-letters/{second}/discard")).await.problem(404, "not_found");
    assert!(letters(&admin).await.is_empty());
    let all = admin.call("POST", "/v1/dead-letters/redrive").await.expect(200).json();
    assert_eq!(all, json!({"redriven": 0}));
    let owner = dead[1]["appointment_id"].as_str().expect("an id");
    let rows = told(&admin, owner).await;
    assert!(rows.contains(&(1, "confirmation".to_owned(), 0, "failed".to_owned())), "{rows:?}");
}

#[tokio::test]
async fn only_admins_look_after_dead_letters() {
    let server = Server::start().await;
    for stranger in [server.patient(), server.doctor(&server.new_doctor().await)] {
        stranger.get("/v1/dead-letters").await.problem(403, "forbidden");
        stranger.call("POST", "/v1/dead-letters/redrive").await.problem(403, "forbidden");
    }
    server.anyone().get("/v1/dead-letters").await.problem(401, "unauthenticated");
    let admin = server.admin();
    admin.get("/v1/dead-letters?limit=0").await.problem(400, "invalid_request");
    admin.get("/v1/dead-letters?cursor=x").await.problem(400, "invalid_request");
    admin.call("POST", "/v1/dead-letters/no-id/redrive").await.problem(400, "invalid_request");
    admin.call("POST", "/v1/dead-letters/redrive").json(&json!({"x": 1})).await.problem(422, "invalid_field");
}

#[tokio::test]
async fn a_provider_that_is_away_for_a_moment_loses_nothing() {
    let provider = Provider::start(503).await;
    let server = server_over(&provider).await;
    let day = server.publish(&Plan::quarters(1)).await;
    let patient = server.patient();
    let id = booked(&patient, &Wish::any(&day)).await;
    eventually("it was tried", PATIENCE, async || (!provider.asked().is_empty()).then_some(())).await;
    provider.answer(200);
    eventually("it is sent", PATIENCE, async || {
        told(&patient, &id).await.contains(&(1, "confirmation".to_owned(), 0, "sent".to_owned())).then_some(())
    })
    .await;
    assert!(letters(&server.admin()).await.is_empty());
}
