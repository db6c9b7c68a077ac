//! Mail through the whole program, to a real mail server: invitations that calendars understand, and servers that put off, refuse and hang.
//! Must not know: how mail is made.

use std::sync::Arc;

use blackbox::{Client, Launch, Plan, Server, Wish, eventually, instant_of};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::mailbox::{Mail, Mailbox, Manner};
use super::outbox::{Outbox, PATIENCE};
use super::{booked, reminders};

/// A server that sends mail to that mailbox, and has its file besides.
async fn server(mailbox: &Mailbox, more: &[&str]) -> Server {
    let mut arguments = mailbox.arguments();
    arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
    Server::launch(Launch { arguments, ..Launch::default() }).await
}

/// A patient with a mail address of its own, who wants to be told over these channels.
async fn patient(server: &Server, channels: &[&str]) -> (Client, String) {
    let patient = server.patient();
    let email = format!("{}@example.net", patient.subject);
    let body = json!({"name": "Ada Brook", "email": email, "channels": channels});
    patient.call("PUT", &format!("/v1/patients/{}", patient.subject)).json(&body).await.expect(200);
    (patient, email)
}

/// Channel and status of the confirmation's rows, and how often each was tried.
async fn confirmations(caller: &Client, id: &str) -> Vec<(Value, Value, Value)> {
    let rows = reminders(caller, id).await.into_iter().filter(|row| row["kind"] == "confirmation");
    rows.map(|row| (row["channel"].clone(), row["status"].clone(), row["attempts"].clone())).collect()
}

async fn until_confirmed(caller: &Client, id: &str, expected: &[(&str, &str, u64)]) {
    let expected: Vec<(Value, Value, Value)> =
        expected.iter().map(|(channel, status, attempts)| (json!(channel), json!(status), json!(attempts))).collect();
    let what = format!("the confirmation is {expected:?}");
    eventually(&what, PATIENCE, async || (confirmations(caller, id).await == expected).then_some(())).await;
}

/// Of a calendar: method as the mail says it, method, id, sequence, status, start.
fn told(mail: &Mail) -> [String; 6] {
    let (method, calendar) = mail.calendar();
    let line = |name: &str| {
        let found = calendar.lines().find_map(|line| line.strip_prefix(name));
        found.unwrap_or_else(|| panic!("{name} in {calendar}")).to_owned()
    };
    [method, line("METHOD:"), line("UID:"), line("SEQUENCE:"), line("STATUS:"), line("DTSTART:")]
}

#[tokio::test]
async fn a_visit_is_put_into_the_calendar_moved_in_it_and_taken_out_again() {
    let mailbox = Mailbox::start().await;
    let server = server(&mailbox, &[]).await;
    let day = server.publish(&Plan::quarters(2)).await;
    let (patient, email) = patient(&server, &["email"]).await;
    let id = booked(&patient, &Wish::slot(&day, 0)).await;
    let mails = async |count| {
        let all = async || Some(mailbox.mails_to(&email)).filter(|mails| mails.len() == count);
        eventually(&format!("{count} mails"), PATIENCE, all).await
    };
    mails(1).await;
    patient.reschedule(&id, &Wish::slot(&day, 1)).await.expect(200);
    mails(2).await;
    patient.cancel(&id).await.expect(200);
    let mails = mails(3).await;
    let start = |slot: usize| day.starts[slot].to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string();
    let expected =
        [("REQUEST", "1", "CONFIRMED", 0), ("REQUEST", "2", "CONFIRMED", 1), ("CANCEL", "3", "CANCELLED", 1)];
    for (mail, (method, sequence, status, slot)) in mails.iter().zip(expected) {
        assert_eq!(
            told(mail),
            [method, method, id.as_str(), sequence, status, start(slot).as_str()],
            "{}",
            mail.content
        );
    }
    // Each under the id that its row has.
    let rows = reminders(&patient, &id).await;
    for (mail, kind) in mails.iter().zip(["confirmation", "change", "cancellation"]) {
        let row = rows.iter().find(|row| row["kind"] == kind).expect("its row");
        let message_id = row["message_id"].as_str().expect("an id");
        assert_eq!(mail.header("Message-ID"), format!("<{message_id}@example.org>"));
    }
    assert!(Outbox::of(&server).lines_of(&id).is_empty(), "who is told by mail is told by mail only");
}

/// The first attempt comes to nothing by `manner`, with these arguments of the program; the second is taken.
async fn assert_comes_again(manner: Manner, arguments: &[&str]) {
    let mailbox = Mailbox::start().await;
    let server = server(&mailbox, arguments).await;
    let day = server.publish(&Plan::quarters(1)).await;
    let (patient, email) = patient(&server, &["email"]).await;
    mailbox.treat(&email, vec![manner, Manner::Take]);
    let id = booked(&patient, &Wish::any(&day)).await;
    until_confirmed(&patient, &id, &[("email", "sent", 2)]).await;
    let mails = mailbox.mails_to(&email);
    assert_eq!(mails.iter().map(|mail| mail.is_taken).collect::<Vec<_>>(), [false, true]);
    assert_eq!(mails[0].header("Message-ID"), mails[1].header("Message-ID"));
}

#[tokio::test]
async fn a_mail_that_is_put_off_comes_again_under_the_same_id() {
    assert_comes_again(Manner::PutOff, &[]).await;
}

#[tokio::test]
async fn a_recipient_that_is_refused_is_told_over_the_next_channel_or_is_a_dead_letter() {
    let mailbox = Mailbox::start().await;
    let server = server(&mailbox, &[]).await;
    let day = server.publish(&Plan::quarters(2)).await;
    let (both, email) = patient(&server, &["email", "file"]).await;
    let (mail_only, other_email) = patient(&server, &["email"]).await;
    for address in [&email, &other_email] {
        mailbox.treat(address, vec![Manner::Refuse]);
    }
    let id = booked(&both, &Wish::any(&day)).await;
    let other = booked(&mail_only, &Wish::any(&day)).await;
    until_confirmed(&both, &id, &[("email", "failed", 1), ("file", "sent", 1)]).await;
    until_confirmed(&mail_only, &other, &[("email", "dead", 1)]).await;
    assert_eq!(Outbox::of(&server).lines_of(&id).len(), 1);
    assert!(Outbox::of(&server).lines_of(&other).is_empty());
    let letters = server.admin().all_items("/v1/dead-letters").await;
    let letter = letters.first().expect("a dead letter");
    assert_eq!((letters.len(), &letter["appointment_id"]), (1, &json!(other)));
    let reason = letter["last_error"].as_str().expect("a reason");
    assert!(reason.contains("550") && !reason.contains(&other_email), "{reason}");
    assert_eq!([&email, &other_email].map(|address| mailbox.refused(address)), [1, 1], "nobody is asked twice");
}

#[tokio::test]
async fn a_mail_server_that_hangs_is_left_at_the_deadline_and_gets_the_mail_again() {
    assert_comes_again(Manner::Hang(Arc::default()), &["--message-deadline-millis", "700"]).await;
}

#[tokio::test]
async fn while_a_mail_server_hangs_the_other_channels_go_on() {
    let mailbox = Mailbox::start().await;
    // Far beyond what follows.
    let server = server(&mailbox, &["--message-deadline-millis", "60000"]).await;
    let day = server.publish(&Plan::quarters(20)).await;
    let (hanging, email) = patient(&server, &["email"]).await;
    let notice = Arc::new(Notify::new());
    mailbox.treat(&email, vec![Manner::Hang(Arc::clone(&notice))]);
    let id = booked(&hanging, &Wish::any(&day)).await;
    eventually("the mail server hangs", PATIENCE, async || (!mailbox.mails_to(&email).is_empty()).then_some(())).await;
    let outbox = Outbox::of(&server);
    for _ in 0..3 {
        let other = booked(&server.patient(), &Wish::any(&day)).await;
        let line = outbox.until("the other's confirmation", |line| line["appointment_id"] == json!(other)).await;
        instant_of(&line["sent_at"]);
    }
    assert_eq!(confirmations(&hanging, &id).await, [(json!("email"), json!("sending"), json!(1))], "it hangs still");
    notice.notify_one();
    until_confirmed(&hanging, &id, &[("email", "sent", 1)]).await;
    assert_eq!(mailbox.mails_to(&email).len(), 1);
}
