//! Text messages, Telegram and the webhook: what goes over the wire, and what each answer means.
//! Must not know: how providers are played.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use icalendar::{Calendar, Component};
use messages::{Channel, ChannelKind, Fault, Kind, Settings};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::form::{content, fields};
use super::provider::{Deed, Provider};
use super::support::{
    NOW_MS, PASSWORD, WEBHOOK_SECRET, envelope, open, pem, send, sms, telegram, webhook, with_deadline,
};

const PHONE: &str = "+4930123456";

/// A channel, its settings towards a base URL, and an address on it.
type Way = (ChannelKind, fn(&str) -> Settings, &'static str);

const ALL: [Way; 3] = [
    (ChannelKind::Sms, sms, PHONE),
    (ChannelKind::Telegram, telegram, "123456789"),
    (ChannelKind::Webhook, webhook, "0198-patient"),
];

#[tokio::test]
async fn a_text_message_is_a_form_with_the_account_the_number_and_the_message_id() {
    let provider = Provider::answering(201, "", r#"{"sid":"SM42","status":"queued"}"#).await;
    let channel = open(sms(&provider.url), ChannelKind::Sms);
    let message = envelope(ChannelKind::Sms, Kind::Reminder, PHONE);
    let receipt = send(&*channel, &message).await.expect("taken");
    assert_eq!(receipt.provider_id.as_deref(), Some("SM42"));
    let request = provider.requests().remove(0);
    assert_eq!(request.first_line, "POST /2010-04-01/Accounts/AC123/Messages.json HTTP/1.1");
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    let basic = format!("Basic {}", STANDARD.encode(format!("AC123:{PASSWORD}")));
    assert_eq!(request.header("authorization"), Some(basic.as_str()));
    assert_eq!(request.header("idempotency-key"), Some(message.message_id.to_string().as_str()));
    assert!(request.body.starts_with("To=%2B4930123456&From=%2B4930999999&Body=Reminder%3A+Tue+2+Mar"), "{request:?}");
}

const BOT_ANSWERS: &str = r#"{"ok":true,"result":{"message_id":9}}"#;

#[tokio::test]
async fn a_bot_sends_the_visit_as_a_file_with_the_text_below_it() {
    let provider = Provider::answering(200, "", BOT_ANSWERS).await;
    let channel = open(telegram(&provider.url), ChannelKind::Telegram);
    let message = envelope(ChannelKind::Telegram, Kind::Cancellation, "@ada_l");
    let receipt = send(&*channel, &message).await.expect("taken");
    assert_eq!(receipt.provider_id.as_deref(), Some("9"));
    let request = provider.requests().remove(0);
    assert_eq!(request.first_line, format!("POST /bot42:{PASSWORD}/sendDocument HTTP/1.1"));
    let fields = fields(&request);
    assert_eq!(fields.len(), 4, "{fields:?}");
    assert_eq!((content(&fields, "chat_id"), content(&fields, "parse_mode")), ("@ada_l", "HTML"));
    assert_eq!(content(&fields, "caption"), message.rendered.text);
    assert!(message.rendered.text.contains("<b>Dr. Clara Weiss</b>"), "{}", message.rendered.text);
    let (_, file) = fields.iter().find(|(name, _)| name == "document").expect("a file");
    assert!(file.head.contains("; filename=\"visit.ics\"\r\nContent-Type: text/calendar; charset=utf-8"), "{file:?}");
    let calendar: Calendar = file.content.parse().expect("a calendar");
    assert_eq!(calendar.property_value("METHOD"), Some("CANCEL"));
    let id = calendar.events().next().and_then(|event| event.get_uid().map(str::to_owned));
    assert_eq!(id, Some(message.notice.appointment_id.to_string()));
}

#[tokio::test]
async fn a_text_that_is_too_long_for_a_file_goes_alone_and_fetches_no_links() {
    let provider = Provider::answering(200, "", BOT_ANSWERS).await;
    let channel = open(telegram(&provider.url), ChannelKind::Telegram);
    let mut message = envelope(ChannelKind::Telegram, Kind::Change, "42");
    for (shown, method) in [(1_024, "sendDocument"), (1_025, "sendMessage")] {
        message.rendered.text = format!("<b>{}</b>&amp;", "x".repeat(shown - 1));
        send(&*channel, &message).await.expect("taken");
        let request = provider.requests().pop().expect("a request");
        assert_eq!(request.first_line, format!("POST /bot42:{PASSWORD}/{method} HTTP/1.1"));
    }
    let body: Value = serde_json::from_str(&provider.requests()[1].body).expect("JSON");
    assert_eq!((&body["chat_id"], &body["parse_mode"]), (&json!("42"), &json!("HTML")));
    assert_eq!(body["link_preview_options"]["is_disabled"], true);
    assert_eq!(body["text"], json!(message.rendered.text));
}

#[tokio::test]
async fn a_webhook_is_signed_over_id_instant_and_body() {
    let provider = Provider::answering(204, "", "").await;
    let channel = open(webhook(&format!("{}/hook?tenant=1", provider.url)), ChannelKind::Webhook);
    let message = envelope(ChannelKind::Webhook, Kind::Cancellation, "0198-patient");
    send(&*channel, &message).await.expect("taken");
    send(&*channel, &message).await.expect("taken again");
    let requests = provider.requests();
    let key = STANDARD.decode(WEBHOOK_SECRET.trim_start_matches("whsec_")).expect("base64");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    for request in &requests {
        assert_eq!(request.first_line, "POST /hook?tenant=1 HTTP/1.1");
        let id = request.header("webhook-id").expect("an id");
        assert_eq!(id, message.message_id.to_string(), "the same for every attempt");
        assert_eq!(request.header("webhook-timestamp"), Some("1798761600"));
        let tag = hmac::sign(&key, format!("{id}.1798761600.{}", request.body).as_bytes());
        let signature = format!("v1,{}", STANDARD.encode(tag.as_ref()));
        assert_eq!(request.header("webhook-signature"), Some(signature.as_str()));
    }
    let body: Value = serde_json::from_str(&requests[0].body).expect("JSON");
    assert_eq!(body["type"], "appointment.cancellation");
    assert_eq!(body["timestamp"], "2027-01-01T00:00:00.123Z");
    assert_eq!(body["data"]["to"], "0198-patient");
    assert_eq!(body["data"]["start"], "2027-03-02T09:30:00.000Z");
    assert_eq!(body["data"]["message_id"], json!(message.message_id));
}

/// Status, headers, body, whether for good, and how long to wait.
type Refusal = (u16, &'static str, &'static str, bool, Option<u64>);

async fn refuses(at: usize, refusals: &[Refusal]) {
    let (kind, settings, to) = ALL[at];
    for (status, headers, body, for_good, wait_s) in refusals {
        let provider = Provider::answering(*status, headers, body).await;
        let channel = open(settings(&provider.url), kind);
        let error = send(&*channel, &envelope(kind, Kind::Reminder, to)).await.expect_err("refused");
        assert_eq!(error.is_permanent(), *for_good, "{kind:?} {status} {body}: {error}");
        assert_eq!(error.retry_after, wait_s.map(Duration::from_secs), "{kind:?} {status}");
        assert!(!error.to_string().contains(to) && !error.to_string().contains(PASSWORD), "{error}");
        assert_eq!(provider.requests().len(), 1, "nothing is tried again here, and no redirect is followed");
    }
}

#[tokio::test]
async fn what_a_gateway_for_text_messages_refuses_is_for_good_if_it_is_about_the_number() {
    let refusals = [
        (400, "", r#"{"code":21211,"message":"The 'To' number +4930123456 is not valid"}"#, true, None),
        (400, "", r#"{"code":21610,"message":"unsubscribed"}"#, true, None),
        (400, "", r#"{"code":21614}"#, true, None),
        (400, "", "not JSON", true, None),
        (400, "", r#"{"code":21606,"message":"the From number is not yours"}"#, false, None),
        (401, "", r#"{"code":20003}"#, false, None),
        (403, "", "", false, None),
        (404, "", "", false, None),
        (429, "retry-after: 7\r\n", r#"{"code":20429}"#, false, Some(7)),
        (500, "", "", false, None),
        (503, "retry-after: 100000\r\n", "", false, Some(3_600)),
        (302, "location: http://127.0.0.1:1/elsewhere\r\n", "", false, None),
    ];
    refuses(0, &refusals).await;
}

#[tokio::test]
async fn what_telegram_refuses_is_for_good_if_it_is_about_the_chat() {
    let refusals = [
        (400, "", r#"{"ok":false,"error_code":400,"description":"Bad Request: chat 123456789 not found"}"#, true, None),
        (403, "", r#"{"ok":false,"description":"Forbidden: bot was blocked by the user"}"#, true, None),
        (401, "", r#"{"ok":false}"#, false, None),
        (404, "", r#"{"ok":false}"#, false, None),
        (429, "", r#"{"ok":false,"parameters":{"retry_after":13}}"#, false, Some(13)),
        (502, "", "<html>", false, None),
        (200, "", "a captive portal", false, None),
    ];
    refuses(1, &refusals).await;
}

#[tokio::test]
async fn what_a_listener_refuses_is_tried_again_unless_it_is_gone() {
    let refusals = [
        (410, "", "", true, None),
        (400, "", "", false, None),
        (404, "", "", false, None),
        (429, "retry-after: 5\r\n", "", false, Some(5)),
        (500, "", "", false, None),
    ];
    refuses(2, &refusals).await;
}

#[tokio::test]
async fn a_provider_that_hangs_is_left_at_the_deadline_and_the_next_message_goes_out() {
    for (kind, settings, to) in ALL {
        let body = r#"{"ok":true,"result":{"message_id":1}}"#.to_owned();
        let provider = Provider::start(vec![Deed::Hang, Deed::Answer(200, "", body)]).await;
        let message = envelope(kind, Kind::Reminder, to);
        let impatient = open(with_deadline(settings(&provider.url), true), kind);
        let error = send(&*impatient, &message).await.expect_err("it hangs");
        assert_eq!((error.fault, error.to_string().as_str()), (Fault::Transient, "no answer in time"));
        send(&*open(settings(&provider.url), kind), &message).await.expect("it answers");
    }
}

#[tokio::test]
async fn an_answer_after_the_deadline_is_not_taken_for_that_of_the_next_message() {
    let let_go = Arc::new(Notify::new());
    let refusal = Deed::Answer(410, "", String::new());
    let provider = Provider::start(vec![Deed::Late(Arc::clone(&let_go)), refusal]).await;
    let channel = open(with_deadline(webhook(&provider.url), true), ChannelKind::Webhook);
    let message = envelope(ChannelKind::Webhook, Kind::Reminder, "somebody");
    assert!(!send(&*channel, &message).await.expect_err("too late").is_permanent());
    let_go.notify_one();
    assert!(send(&*channel, &message).await.expect_err("gone").is_permanent());
}

#[tokio::test]
async fn who_hangs_up_or_is_not_there_is_tried_again() {
    for (kind, settings, to) in ALL {
        let provider = Provider::start(vec![Deed::HangUp]).await;
        let message = envelope(kind, Kind::Reminder, to);
        let error = send(&*open(settings(&provider.url), kind), &message).await.expect_err("hung up");
        assert_eq!((error.fault, error.to_string().as_str()), (Fault::Transient, "the connection failed"));
        let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let nobody = format!("http://{}", free.local_addr().expect("bound"));
        drop(free);
        let error = send(&*open(settings(&nobody), kind), &message).await.expect_err("nobody there");
        assert_eq!((error.fault, error.to_string().as_str()), (Fault::Transient, "cannot connect"));
    }
}

#[tokio::test]
async fn over_tls_only_who_is_vouched_for_hears_anything() {
    for (kind, settings, to) in ALL {
        let body = r#"{"ok":true,"result":{"message_id":1}}"#.to_owned();
        let provider = Provider::start_encrypted(vec![Deed::Answer(200, "", body)]).await;
        let message = envelope(kind, Kind::Reminder, to);
        for authorities in [None, Some(pem("other.pem"))] {
            let stranger = open(Settings { authorities, ..settings(&provider.url) }, kind);
            let error = send(&*stranger, &message).await.expect_err("a stranger");
            assert_eq!((error.fault, error.to_string().as_str()), (Fault::Transient, "cannot connect"));
        }
        assert!(provider.requests().is_empty());
        let known = Settings { authorities: Some(pem("ca.pem")), ..settings(&provider.url) };
        send(&*open(known, kind), &message).await.expect("it is vouched for");
    }
}

#[test]
fn a_message_can_be_shown_without_telling_anything_personal() {
    let shown = format!("{:?}", envelope(ChannelKind::Sms, Kind::Cancellation, PHONE));
    for personal in [PHONE, "Ada", "Weiss", "closed that day", "Praxis"] {
        assert!(!shown.contains(personal), "{shown}");
    }
}

#[tokio::test]
async fn an_answer_of_any_size_is_an_answer() {
    let provider = Provider::answering(200, "", &"x".repeat(1 << 20)).await;
    let channel: Arc<dyn Channel> = open(webhook(&provider.url), ChannelKind::Webhook);
    let results = channel.send(&[envelope(ChannelKind::Webhook, Kind::Reminder, "somebody")], NOW_MS).await;
    assert!(results[0].is_ok(), "{results:?}");
}
