//! Are operators told of messages that no channel takes, by whichever way works, and is a message tried as often as the settings say?
//! Must not know: how alerts are gathered, what is measured inside.

use blackbox::{Plan, Server, Wish, eventually, program};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::booked;
use super::dead_letters::SECRET;
use super::outbox::{Outbox, PATIENCE};
use super::provider::Provider;

/// A server that tells patients over the webhook of `provider`, and nothing else.
async fn server_over(provider: &Provider, more: &[&str]) -> Server {
    let url = provider.url();
    let usual = ["--webhook-url", &url, "--webhook-secret", SECRET, "--reminder-channels", "webhook"];
    Server::start_with(&[&usual[..], more].concat()).await
}

fn is_alert(line: &Value) -> bool {
    line["kind"] == "alert"
}

/// What the page of metrics says of alerts that came to `outcome`.
async fn counted(server: &Server, outcome: &str) -> u64 {
    let page = server.anyone().get("/metrics").await.expect(200).text();
    let name = format!("hotslot_reminder_alerts_total{{outcome=\"{outcome}\"}} ");
    let value = page.lines().find_map(|line| line.strip_prefix(&name)).expect("the counter is there");
    value.parse().expect("a number")
}

#[tokio::test]
async fn by_default_dead_letters_are_told_of_in_the_outbox_without_anybodys_data() {
    let provider = Provider::start(410).await;
    let server = server_over(&provider, &["--alert-interval-seconds", "1"]).await;
    let day = server.publish(&Plan::quarters(3)).await;
    let patients = [server.patient(), server.patient(), server.patient()];
    let mut private = vec![day.doctor.clone()];
    for patient in &patients {
        private.extend([booked(patient, &Wish::any(&day)).await, patient.subject.clone()]);
    }
    let outbox = Outbox::of(&server);
    let alerts = eventually("all three are told of", PATIENCE, async || {
        let alerts: Vec<Value> = outbox.lines().into_iter().filter(is_alert).collect();
        let told = alerts.iter().filter_map(|alert| alert["alert"]["dead_letters"].as_u64()).sum::<u64>();
        (told == 3).then_some(alerts)
    })
    .await;
    for alert in &alerts {
        assert_eq!((&alert["channel"], &alert["to"]), (&json!("file"), &json!("operator")));
        assert_eq!(alert["alert"]["where"], json!("GET /v1/dead-letters"));
        assert_eq!(alert["alert"]["channels"], json!({"webhook": alert["alert"]["dead_letters"]}));
        assert!(alert["appointment_id"].is_null() && alert["calendar"].is_null(), "{alert}");
        let line = alert.to_string();
        assert!(private.iter().all(|text| !line.contains(text.as_str())), "{line}");
    }
    // Where it leads is where they are.
    assert_eq!(server.admin().all_items("/v1/dead-letters").await.len(), 3);
    // The line is there a moment before its channel has said so.
    eventually("they are counted", PATIENCE, async || {
        (counted(&server, "sent").await == alerts.len() as u64).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_alert_goes_the_next_way_when_the_first_fails_and_none_if_nobody_is_named() {
    let provider = Provider::start(410).await;
    let server = server_over(&provider, &["--alert-to", "webhook:night shift,file:second"]).await;
    let day = server.publish(&Plan::quarters(1)).await;
    booked(&server.patient(), &Wish::any(&day)).await;
    let line = Outbox::of(&server).until("the file is the second way", is_alert).await;
    assert_eq!(line["to"], json!("second"));
    let asked = provider.asked();
    let tried = asked.iter().find(|request| request.contains("operations.alert")).expect("the first way was tried");
    let body = tried.split_once("\r\n\r\n").map(|(_, body)| serde_json::from_str::<Value>(body).expect("JSON"));
    let data = body.expect("a body")["data"].clone();
    assert_eq!((&data["to"], &data["message_id"]), (&json!("night shift"), &line["message_id"]));
    assert_eq!((counted(&server, "refused").await, counted(&server, "untold").await), (1, 0));
    let silent = server_over(&provider, &["--alert-to", "none"]).await;
    let day = silent.publish(&Plan::quarters(1)).await;
    booked(&silent.patient(), &Wish::any(&day)).await;
    eventually("it is dead", PATIENCE, async || {
        (!silent.admin().all_items("/v1/dead-letters").await.is_empty()).then_some(())
    })
    .await;
    assert_eq!(counted(&silent, "sent").await + counted(&silent, "untold").await, 0);
    assert!(Outbox::of(&silent).lines().is_empty());
}

#[tokio::test]
async fn a_message_is_tried_as_often_and_as_late_as_the_settings_say() {
    // The provider is there, and wants each message later.
    let provider = Provider::start_with(503, "retry-after: 0\r\n").await;
    let server = server_over(&provider, &["--reminder-retry-waits", "500ms,1s", "--alert-to", "file"]).await;
    let day = server.publish(&Plan::quarters(1)).await;
    let id = booked(&server.patient(), &Wish::any(&day)).await;
    let dead = eventually("it is given up", PATIENCE, async || {
        server.admin().all_items("/v1/dead-letters").await.into_iter().next()
    })
    .await;
    assert_eq!((&dead["attempts"], &dead["appointment_id"]), (&json!(3), &json!(id)));
    let asked = provider.asked_when();
    assert_eq!(asked.len(), 3, "{asked:?}");
    for (pair, wait_millis) in asked.windows(2).zip([500, 1_000]) {
        let waited = pair[1].0.duration_since(pair[0].0);
        assert!(waited >= SignedDuration::from_millis(wait_millis * 4 / 5), "{waited:?} for {wait_millis} ms");
    }
    let body: Value =
        asked[0].1.split_once("\r\n\r\n").map(|(_, body)| serde_json::from_str(body).expect("JSON")).expect("a body");
    let calendar = body["data"]["calendar"].as_str().expect("a calendar");
    assert!(calendar.contains(&format!("UID:{id}\r\n")) && calendar.contains("SEQUENCE:1\r\n"), "{calendar}");
    Outbox::of(&server).until("the operator is told", is_alert).await;
}

#[tokio::test]
async fn wrong_settings_of_attempts_and_alerts_stop_the_start_with_a_line_each() {
    let directory = TempDir::new().expect("a directory");
    let data = directory.path().to_str().expect("a path in UTF-8");
    for (flag, value, told) in [
        ("--reminder-retry-waits", "4s,2s", "reminder_retry_waits: \"4s,2s\" is not 1 to 10 waits such as 2s,4s,8s"),
        ("--reminder-retry-waits", "50ms", "reminder_retry_waits: \"50ms\" is not 1 to 10 waits"),
        ("--alert-to", "email:ops@example.org", "alert_to: address 1: email is named, and its settings are not given"),
        ("--alert-to", "sms:home", "alert_to: address 1: the address must be + and 7 to 15 digits"),
        ("--alert-interval-seconds", "0", "alert_interval_seconds: \"0\" is not a whole number from 1 to 86400"),
    ] {
        let output = program::run(&["serve", "--data-dir", data, flag, value]).await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{output:?}");
        let lines: Vec<&str> = output.stderr.lines().collect();
        assert!(lines.len() == 1 && lines[0].contains(told), "{told}: {output:?}");
    }
    let help = program::run(&["serve", "--help"]).await;
    for named in ["--reminder-retry-waits", "--alert-to", "--alert-interval-seconds", "[default: 2s,4s,8s]"] {
        assert!(help.stdout.contains(named), "{named}: {}", help.stdout);
    }
}
