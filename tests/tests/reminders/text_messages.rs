//! Text messages through the whole program, over a gateway that fails, hangs, answers late, and knows no such number.
//! Must not know: how the gateway is called, beyond what it is told.

use std::sync::Arc;

use blackbox::{Client, Launch, Plan, Server, Wish, eventually};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::mailbox::Mailbox;
use super::outbox::PATIENCE;
use super::provider::{Deed, Provider, value_of};
use super::{booked, reminders};

const PHONE: &str = "+4930123456";
const TAKEN: Deed = Deed::Answer(201, r#"{"sid":"SM1"}"#);

/// A server that sends text messages over that gateway, and mail to that mailbox.
async fn server(gateway: &Provider, mailbox: &Mailbox, more: &[&str]) -> Server {
    let url = gateway.base();
    let sms = ["--sms-url", &url, "--sms-account", "AC1", "--sms-token", "swordfish", "--sms-from", "+4930999999"];
    let mut arguments = mailbox.arguments();
    arguments.extend(sms.iter().chain(more).map(|argument| (*argument).to_owned()));
    Server::launch(Launch { arguments, ..Launch::default() }).await
}

/// Who wants to be told by text message, else by mail.
async fn patient(server: &Server) -> Client {
    let patient = server.patient();
    let email = format!("{}@example.net", patient.subject);
    let body = json!({"name": "Ada Brook", "phone": PHONE, "email": email, "channels": ["sms", "email"]});
    patient.call("PUT", &format!("/v1/patients/{}", patient.subject)).json(&body).await.expect(200);
    patient
}

/// The confirmation's rows, in the order in which they were due.
async fn confirmations(caller: &Client, id: &str) -> Vec<Value> {
    reminders(caller, id).await.into_iter().filter(|row| row["kind"] == "confirmation").collect()
}

/// Waits until the confirmation was sent over the first channel; its row.
async fn until_sent(caller: &Client, id: &str) -> Value {
    eventually("the text message counts as sent", PATIENCE, async || {
        let rows = confirmations(caller, id).await;
        let [row] = rows.as_slice() else { panic!("one row: {rows:?}") };
        (row["status"] == "sent").then(|| row.clone())
    })
    .await
}

/// The keys by which the gateway tells two copies of one message.
fn keys(gateway: &Provider) -> Vec<String> {
    let asked = gateway.asked();
    let key = |request: &String| value_of(request, "idempotency-key").expect("a key").to_owned();
    asked.iter().map(key).collect()
}

/// Books under a gateway that does these first, with a deadline of 700 ms; the row at the end, and the keys of all requests.
async fn book_under(deeds: Vec<Deed>) -> (Provider, Mailbox, Value) {
    let (gateway, mailbox) = (Provider::doing(deeds).await, Mailbox::start().await);
    let server = server(&gateway, &mailbox, &["--message-deadline-millis", "700"]).await;
    let day = server.publish(&Plan::quarters(1)).await;
    let patient = patient(&server).await;
    let id = booked(&patient, &Wish::any(&day)).await;
    let row = until_sent(&patient, &id).await;
    assert!(mailbox.mails_to(&format!("{}@example.net", patient.subject)).is_empty(), "one channel is enough");
    (gateway, mailbox, row)
}

#[tokio::test]
async fn a_gateway_that_fails_is_asked_again_with_the_same_key() {
    let failure = Deed::Answer(500, "");
    let (gateway, _mailbox, row) = book_under(vec![failure.clone(), failure, TAKEN]).await;
    let key = row["message_id"].as_str().expect("an id");
    assert_eq!((keys(&gateway), &row["attempts"]), (vec![key.to_owned(); 3], &json!(3)));
    let request = gateway.asked().remove(0);
    assert!(request.starts_with("POST /2010-04-01/Accounts/AC1/Messages.json HTTP/1.1\r\n"), "{request}");
    assert_eq!(value_of(&request, "To"), Some("%2B4930123456"));
    assert_eq!(value_of(&request, "From"), Some("%2B4930999999"));
    assert!(value_of(&request, "Body").is_some_and(|text| text.contains("Vera+Lind")), "{request}");
}

#[tokio::test]
async fn a_gateway_that_hangs_is_left_at_the_deadline_and_asked_again_with_the_same_key() {
    let (gateway, _mailbox, row) = book_under(vec![Deed::Hang, TAKEN]).await;
    let key = row["message_id"].as_str().expect("an id");
    assert_eq!((keys(&gateway), &row["attempts"]), (vec![key.to_owned(); 2], &json!(2)));
}

/// The answer comes when the message has been sent again: nobody waits for it, and it changes nothing.
#[tokio::test]
async fn an_answer_after_the_deadline_changes_nothing_and_the_copy_has_the_same_key() {
    let notice = Arc::new(Notify::new());
    let deeds = vec![Deed::Late(Arc::clone(&notice)), TAKEN];
    let (gateway, mailbox) = (Provider::doing(deeds).await, Mailbox::start().await);
    let server = server(&gateway, &mailbox, &["--message-deadline-millis", "700"]).await;
    let day = server.publish(&Plan::quarters(2)).await;
    let (patient, somebody) = (patient(&server).await, patient(&server).await);
    let id = booked(&patient, &Wish::any(&day)).await;
    let row = until_sent(&patient, &id).await;
    notice.notify_one();
    let other = booked(&somebody, &Wish::any(&day)).await;
    let next = until_sent(&somebody, &other).await;
    assert_eq!(confirmations(&patient, &id).await, std::slice::from_ref(&row));
    let ids = [&row, &row, &next].map(|row| row["message_id"].as_str().expect("an id"));
    assert_eq!(keys(&gateway), ids);
}

#[tokio::test]
async fn a_number_that_does_not_exist_is_asked_once_and_the_patient_is_told_by_mail() {
    let refusal = Deed::Answer(400, r#"{"code":21211,"message":"The 'To' number +4930123456 is not valid"}"#);
    let (gateway, mailbox) = (Provider::doing(vec![refusal]).await, Mailbox::start().await);
    let server = server(&gateway, &mailbox, &[]).await;
    let day = server.publish(&Plan::quarters(1)).await;
    let patient = patient(&server).await;
    let id = booked(&patient, &Wish::any(&day)).await;
    let rows = eventually("it is told by mail", PATIENCE, async || {
        let rows = confirmations(&patient, &id).await;
        rows.iter().any(|row| row["status"] == "sent").then_some(rows)
    })
    .await;
    let short = |row: &Value| (row["channel"].clone(), row["status"].clone(), row["attempts"].clone());
    let expected = [(json!("sms"), json!("failed"), json!(1)), (json!("email"), json!("sent"), json!(1))];
    assert_eq!(rows.iter().map(short).collect::<Vec<_>>(), expected);
    let reason = rows[0]["last_error"].as_str().expect("a reason");
    assert!(reason.contains("21211") && !reason.contains(PHONE), "{reason}");
    assert_eq!(gateway.asked().len(), 1);
    let mails = mailbox.mails_to(&format!("{}@example.net", patient.subject));
    assert_eq!(mails.len(), 1);
    // Another message than the one that failed.
    let message_id = rows[1]["message_id"].as_str().expect("an id");
    assert!(mails[0].header("Message-ID").contains(message_id) && rows[0]["message_id"] != rows[1]["message_id"]);
}
