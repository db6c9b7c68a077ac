//! Are patients told of their visits as the contract says: what, when, once, and never of a visit that has moved?
//! Must not know: how messages are kept or found.

mod alerts;
mod crashes;
mod dead_letters;
mod mail;
mod mailbox;
mod outbox;
mod policies;
mod provider;
mod templates;
mod text_messages;

use std::time::Duration;

use blackbox::{Client, Day, Plan, Server, Wish, eventually, instant_of, next_whole_second};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use self::outbox::{Outbox, PATIENCE};

/// What the call answers of each message.
const FIELDS: [&str; 11] = [
    "appointment_version",
    "attempts",
    "channel",
    "due_at",
    "kind",
    "last_error",
    "message_id",
    "offset_seconds",
    "recipient",
    "sent_at",
    "status",
];

async fn reminders(caller: &Client, id: &str) -> Vec<Value> {
    let body = caller.get(&format!("/v1/appointments/{id}/reminders")).await.expect(200).json();
    body["items"].as_array().expect("a list").clone()
}

/// Version, kind, offset and status of each message, sorted.
async fn told(caller: &Client, id: &str) -> Vec<(u64, String, u64, String)> {
    let number = |item: &Value, name: &str| item[name].as_u64().expect("a number");
    let word = |item: &Value, name: &str| item[name].as_str().expect("a word").to_owned();
    let row = |item: &Value| {
        let version = number(item, "appointment_version");
        (version, word(item, "kind"), number(item, "offset_seconds"), word(item, "status"))
    };
    let mut rows: Vec<_> = reminders(caller, id).await.iter().map(row).collect();
    rows.sort();
    rows
}

async fn booked(patient: &Client, wish: &Wish) -> String {
    patient.book(wish).await.expect(201).json()["id"].as_str().expect("an id").to_owned()
}

/// A day whose one slot begins so many seconds from now.
async fn day_in(server: &Server, seconds: i64) -> (Day, Timestamp) {
    let start = next_whole_second(SignedDuration::from_secs(seconds));
    let day = server.publish(&Plan::grid(start, 1, SignedDuration::from_mins(15), 4)).await;
    (day, start)
}

#[tokio::test]
async fn whoever_books_is_told_at_once_and_has_a_reminder_a_day_and_two_hours_before() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(2)).await;
    let patient = server.patient();
    let id = booked(&patient, &Wish::any(&day)).await;
    // However far behind the ledger is.
    let rows = reminders(&patient, &id).await;
    for row in &rows {
        let mut fields: Vec<&str> = row.as_object().expect("an object").keys().map(String::as_str).collect();
        fields.sort_unstable();
        assert_eq!(fields, FIELDS);
        assert_eq!((&row["channel"], &row["recipient"]), (&json!("file"), &json!("patient")));
    }
    let due: Vec<Timestamp> =
        rows.iter().filter(|row| row["kind"] == "reminder").map(|row| instant_of(&row["due_at"])).collect();
    assert_eq!(due, [24, 2].map(|hours| day.starts[0] - SignedDuration::from_hours(hours)));
    let outbox = Outbox::of(&server);
    let line = outbox.until("the confirmation", |line| line["appointment_id"] == json!(id)).await;
    assert_eq!((&line["kind"], &line["appointment_version"]), (&json!("confirmation"), &json!(1)));
    assert_eq!((&line["channel"], &line["offset_seconds"]), (&json!("file"), &json!(0)));
    let names = ["message_id", "to", "subject", "text", "sent_at"];
    assert!(names.iter().all(|name| line[*name].is_string()), "{line}");
    assert!(line["calendar"].as_str().is_some_and(|text| text.contains("METHOD:REQUEST")), "{line}");
    assert_eq!(line.as_object().map(serde_json::Map::len), Some(11), "{line}");
    eventually("it counts as sent", PATIENCE, async || {
        let rows = told(&patient, &id).await;
        let row = |kind: &str, offset, status: &str| (1, kind.to_owned(), offset, status.to_owned());
        let wanted =
            [row("confirmation", 0, "sent"), row("reminder", 7_200, "pending"), row("reminder", 86_400, "pending")];
        (rows == wanted).then_some(())
    })
    .await;
}

#[tokio::test]
async fn only_the_patient_and_admins_read_what_was_told() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(1)).await;
    let patient = server.patient();
    let id = booked(&patient, &Wish::any(&day)).await;
    let path = format!("/v1/appointments/{id}/reminders");
    assert_eq!(reminders(&server.admin(), &id).await.len(), 3);
    for other in [server.patient(), server.doctor(&day.doctor)] {
        other.get(&path).await.problem(403, "forbidden");
    }
    server.anyone().get(&path).await.problem(401, "unauthenticated");
    patient.get(&format!("{path}?x=1")).await.problem(400, "invalid_request");
    patient.get("/v1/appointments/0190a3c4-0000-7000-8000-000000000000/reminders").await.problem(404, "not_found");
}

#[tokio::test]
async fn a_reminder_goes_out_at_its_instant_and_once() {
    let server = Server::start_with(&["--reminder-offsets", "1d,4s,2s"]).await;
    let (day, start) = day_in(&server, 8).await;
    let patient = server.patient();
    let id = booked(&patient, &Wish::any(&day)).await;
    // A day before has passed: no row.
    assert_eq!(reminders(&patient, &id).await.len(), 3);
    let outbox = Outbox::of(&server);
    for offset in [4, 2] {
        let line = outbox.until("a reminder", |line| line["offset_seconds"] == json!(offset)).await;
        let late = instant_of(&line["sent_at"]).duration_since(start - SignedDuration::from_secs(offset));
        assert!(!late.is_negative(), "before its time: {late:?}");
    }
    // Nothing comes twice: what is sent is recorded before it is forgotten.
    eventually("all are recorded", PATIENCE, async || {
        told(&patient, &id).await.iter().all(|row| row.3 == "sent").then_some(())
    })
    .await;
    assert_eq!(outbox.lines_of(&id).len(), 3);
}

#[tokio::test]
async fn nobody_is_reminded_of_a_visit_that_was_cancelled() {
    let server = Server::start_with(&["--reminder-offsets", "3s,2h"]).await;
    let (day, start) = day_in(&server, 6).await;
    let (gone, stays) = (server.patient(), server.patient());
    let id = booked(&gone, &Wish::any(&day)).await;
    let other = booked(&stays, &Wish::any(&day)).await;
    gone.cancel(&id).await.expect(200);
    // At once, however far behind the ledger is.
    let rows = told(&gone, &id).await;
    assert!(rows.contains(&(1, "reminder".to_owned(), 3, "cancelled".to_owned())), "{rows:?}");
    let outbox = Outbox::of(&server);
    outbox
        .until("the cancellation", |line| line["kind"] == "cancellation" && line["appointment_id"] == json!(id))
        .await;
    // The neighbour's, due at the same instant, is out: so would this one's be.
    outbox.until("the other's reminder", |line| line["kind"] == "reminder").await;
    blackbox::wall_clock_reaches(start).await;
    let kinds: Vec<Value> = outbox.lines_of(&id).iter().map(|line| line["kind"].clone()).collect();
    assert!(!kinds.contains(&json!("reminder")), "{kinds:?}");
    assert_eq!(outbox.lines_of(&other).iter().filter(|line| line["kind"] == "reminder").count(), 1);
}

#[tokio::test]
async fn a_move_makes_what_was_planned_void_and_is_told() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(2)).await;
    let later = server.publish_for(&day.doctor, &Plan::quarters(2).later(1)).await;
    let patient = server.patient();
    let id = booked(&patient, &Wish::slot(&day, 0)).await;
    patient.reschedule(&id, &Wish::date(&later.date)).await.expect(200);
    let row = |version, kind: &str, offset, status: &str| (version, kind.to_owned(), offset, status.to_owned());
    let rows = told(&patient, &id).await;
    for offset in [7_200, 86_400] {
        assert!(rows.contains(&row(2, "reminder", offset, "pending")), "{rows:?}");
    }
    // What was planned before the move is known when the ledger has it.
    eventually("the older version's are void", PATIENCE, async || {
        let rows = told(&patient, &id).await;
        [7_200, 86_400].iter().all(|offset| rows.contains(&row(1, "reminder", *offset, "cancelled"))).then_some(())
    })
    .await;
    let line = Outbox::of(&server).until("the change", |line| line["kind"] == "change").await;
    assert_eq!((&line["appointment_id"], &line["appointment_version"]), (&json!(id), &json!(2)));
}

#[tokio::test]
async fn a_hold_is_told_of_when_it_is_confirmed() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(1)).await;
    let patient = server.patient();
    let held = patient.hold(&Wish::any(&day)).await.expect(201).json();
    let id = held["id"].as_str().expect("an id");
    assert!(reminders(&patient, id).await.is_empty());
    patient.confirm(id).await.expect(200);
    let versions: Vec<u64> = told(&patient, id).await.iter().map(|row| row.0).collect();
    assert_eq!(versions, [2; 3]);
    let line = Outbox::of(&server).until("the confirmation", |line| line["appointment_id"] == held["id"]).await;
    assert_eq!(line["kind"], "confirmation");
}

#[tokio::test]
async fn a_reminder_survives_a_crash_and_goes_out_late_rather_than_never() {
    let mut server = Server::start_with(&["--reminder-offsets", "20s"]).await;
    let (day, start) = day_in(&server, 23).await;
    let patient = server.patient();
    let id = booked(&patient, &Wish::any(&day)).await;
    Outbox::of(&server).until("the confirmation", |line| line["kind"] == "confirmation").await;
    server.kill().await;
    blackbox::wall_clock_reaches(start - SignedDuration::from_secs(19)).await;
    server.start_again().await;
    let outbox = Outbox::of(&server);
    let line = outbox.until("the reminder", |line| line["kind"] == "reminder").await;
    assert_eq!(line["appointment_id"], json!(id));
    // Sent again it would have the same id.
    let lines = outbox.lines_of(&id);
    let mut ids: Vec<&str> = lines.iter().filter_map(|line| line["message_id"].as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 2, "{lines:?}");
}

#[tokio::test]
async fn a_visit_that_has_begun_is_missed_and_not_told() {
    let mut server = Server::start_with(&["--reminder-offsets", "2s"]).await;
    let (day, start) = day_in(&server, 5).await;
    let patient = server.patient();
    let id = booked(&patient, &Wish::any(&day)).await;
    server.kill().await;
    blackbox::wall_clock_reaches(start).await;
    server.start_again().await;
    let patient = server.patient_as(&patient.subject);
    eventually("it counts as missed", Duration::from_secs(20), async || {
        told(&patient, &id).await.contains(&(1, "reminder".to_owned(), 2, "missed".to_owned())).then_some(())
    })
    .await;
    assert!(Outbox::of(&server).lines_of(&id).iter().all(|line| line["kind"] != "reminder"));
}
