//! Alerts to operators: what goes over each channel's wire, and what it says of a failure.
//! Must not know: when there is something to tell.

use std::sync::Arc;

use icalendar::{Calendar, Component};
use messages::{
    Address, Alert, Channel, ChannelKind, Fault, FileSettings, Kind, MailTls, Receipt, SendError, Settings,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use super::mail_server::{MailServer, Manner};
use super::provider::{Deed, Provider};
use super::support::{NOW_MS, PASSWORD, envelope, mail, open, send, sms, telegram, webhook, with_deadline};

const PHONE: &str = "+4930123456";
const WHERE: &str = "GET /v1/dead-letters";

fn news() -> Alert {
    let channels = vec![(ChannelKind::Email, 1), (ChannelKind::Webhook, 2)];
    let (message_id, where_to_look) = (Uuid::from_u128(9), WHERE.to_owned());
    Alert { message_id, dead_letters: 3, since_ms: NOW_MS - 60_000, channels, where_to_look }
}

async fn tell(channel: &Arc<dyn Channel>, to: &str) -> Result<Receipt, SendError> {
    channel.alert(&Address::new(to), &news(), NOW_MS).await
}

fn figures() -> Value {
    let channels = json!({"email": 1, "webhook": 2});
    json!({"dead_letters": 3, "since": "2026-12-31T23:59:00.123Z", "channels": channels, "where": WHERE})
}

#[tokio::test]
async fn in_the_file_it_is_a_line_among_the_others_with_all_of_their_names() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("outbox.jsonl");
    let settings = Settings { file: Some(FileSettings { path: path.clone() }), ..Settings::default() };
    let channel = open(settings, ChannelKind::File);
    send(&*channel, &envelope(ChannelKind::File, Kind::Reminder, "somebody")).await.expect("written");
    tell(&channel, "operator").await.expect("written");
    let text = std::fs::read_to_string(&path).expect("the file");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let [message, alert] = lines.as_slice() else { panic!("two lines: {text}") };
    assert!(message.as_object().expect("an object").keys().all(|name| alert.get(name).is_some()), "{alert}");
    assert!(message.get("alert").is_none(), "{message}");
    let told = ["kind", "channel", "to", "message_id", "sent_at"].map(|name| alert[name].clone());
    let id = Uuid::from_u128(9).to_string();
    assert_eq!(told, ["alert", "file", "operator", &id, "2027-01-01T00:00:00.123Z"].map(Value::from));
    let of_a_visit = ["appointment_id", "appointment_version", "offset_seconds", "calendar"];
    assert!(of_a_visit.iter().all(|name| alert[*name].is_null()), "{alert}");
    assert_eq!(alert["alert"], figures());
}

#[tokio::test]
async fn by_mail_it_is_plain_text() {
    let server = MailServer::start(Manner::default()).await;
    let channel = open(mail(server.port, MailTls::None), ChannelKind::Email);
    tell(&channel, "ops@example.org").await.expect("taken");
    let mails = server.mails();
    let [mail] = mails.as_slice() else { panic!("one mail: {mails:?}") };
    assert_eq!(mail.to, "RCPT TO:<ops@example.org>");
    let id = format!("Message-ID: <{}@example.org>\r\n", Uuid::from_u128(9));
    for part in [&*id, "Auto-Submitted: auto-generated\r\n", "Subject: hotslot: 3 messages are dead letters\r\n"] {
        assert!(mail.content.contains(part), "{part} in {}", mail.content);
    }
    assert!(mail.content.contains("Content-Type: text/plain") && !mail.content.contains("multipart"), "{mail:?}");
    assert!(mail.content.contains("Listed at: GET /v1/dead-letters"), "{}", mail.content);
}

#[tokio::test]
async fn as_a_text_message_it_is_short_and_has_an_id() {
    let provider = Provider::answering(201, "", r#"{"sid":"SM42"}"#).await;
    let channel = open(sms(&provider.url), ChannelKind::Sms);
    assert_eq!(tell(&channel, PHONE).await.expect("taken").provider_id.as_deref(), Some("SM42"));
    let request = provider.requests().remove(0);
    assert_eq!(request.header("idempotency-key"), Some(Uuid::from_u128(9).to_string().as_str()));
    assert!(request.body.starts_with("To=%2B4930123456&"), "{}", request.body);
    assert!(
        request.body.contains("&Body=hotslot%3A+3+messages+are+dead+letters+since+2026-12-31T"),
        "{}",
        request.body
    );
}

#[tokio::test]
async fn a_bot_says_it_without_markup_and_without_a_file() {
    let provider = Provider::answering(200, "", r#"{"ok":true,"result":{"message_id":9}}"#).await;
    let channel = open(telegram(&provider.url), ChannelKind::Telegram);
    tell(&channel, "-1001").await.expect("taken");
    let request = provider.requests().remove(0);
    assert_eq!(request.first_line, format!("POST /bot42:{PASSWORD}/sendMessage HTTP/1.1"));
    let body: Value = serde_json::from_str(&request.body).expect("JSON");
    assert_eq!((&body["chat_id"], &body["parse_mode"]), (&json!("-1001"), &Value::Null));
    assert!(body["text"].as_str().expect("a text").contains("Given up by: email 1, webhook 2"), "{body}");
}

#[tokio::test]
async fn a_listener_gets_a_type_of_its_own_signed_like_the_others() {
    let provider = Provider::answering(204, "", "").await;
    let channel = open(webhook(&provider.url), ChannelKind::Webhook);
    tell(&channel, "operator").await.expect("taken");
    let request = provider.requests().remove(0);
    assert_eq!(request.header("webhook-id"), Some(Uuid::from_u128(9).to_string().as_str()));
    assert!(request.header("webhook-signature").is_some_and(|signature| signature.starts_with("v1,")));
    let body: Value = serde_json::from_str(&request.body).expect("JSON");
    assert_eq!((&body["type"], &body["timestamp"]), (&json!("operations.alert"), &json!("2027-01-01T00:00:00.123Z")));
    assert_eq!((&body["data"]["to"], &body["data"]["alert"]), (&json!("operator"), &figures()));
}

#[tokio::test]
async fn whoever_refuses_or_hangs_is_told_of_and_the_address_is_not() {
    for (kind, settings, to) in [
        (ChannelKind::Sms, sms as fn(&str) -> Settings, PHONE),
        (ChannelKind::Telegram, telegram, "123456789"),
        (ChannelKind::Webhook, webhook, "operator-77"),
    ] {
        let provider = Provider::start(vec![Deed::Answer(503, "", String::new()), Deed::Hang]).await;
        let channel = open(with_deadline(settings(&provider.url), true), kind);
        for words in ["the provider does not work (503)", "no answer in time"] {
            let error = tell(&channel, to).await.expect_err(words);
            assert_eq!((error.fault, error.to_string().as_str()), (Fault::Transient, words));
        }
    }
    let server = MailServer::start(Manner { replies: vec![("RCPT", "550 no such user")], ..Manner::default() }).await;
    let channel = open(mail(server.port, MailTls::None), ChannelKind::Email);
    let error = tell(&channel, "ops@example.org").await.expect_err("refused");
    assert!(error.is_permanent() && !error.to_string().contains("ops@"), "{error}");
}

#[tokio::test]
async fn a_listener_and_the_file_get_the_calendar_that_a_mail_has() {
    let provider = Provider::answering(204, "", "").await;
    let listener = open(webhook(&provider.url), ChannelKind::Webhook);
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("outbox.jsonl");
    let settings = Settings { file: Some(FileSettings { path: path.clone() }), ..Settings::default() };
    let file = open(settings, ChannelKind::File);
    for kind in Kind::ALL {
        send(&*listener, &envelope(ChannelKind::Webhook, kind, "somebody")).await.expect("taken");
        send(&*file, &envelope(ChannelKind::File, kind, "somebody")).await.expect("written");
    }
    let json = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let called: Vec<Value> = provider.requests().iter().map(|it| json(&it.body)["data"]["calendar"].clone()).collect();
    let text = std::fs::read_to_string(&path).expect("the file");
    let written: Vec<Value> = text.lines().map(|line| json(line)["calendar"].clone()).collect();
    assert_eq!(called, written, "the same visits at the same instant");
    for (calendar, method) in called.iter().zip(["REQUEST", "REQUEST", "REQUEST", "CANCEL"]) {
        let calendar: Calendar = calendar.as_str().expect("a text").parse().expect("a calendar");
        assert_eq!(calendar.property_value("METHOD"), Some(method));
        let event = calendar.events().next().expect("an event");
        let message = envelope(ChannelKind::Webhook, Kind::Reminder, "somebody");
        assert_eq!(event.get_uid(), Some(message.notice.appointment_id.to_string().as_str()));
        assert_eq!(event.get_sequence(), Some(message.notice.version));
    }
}
