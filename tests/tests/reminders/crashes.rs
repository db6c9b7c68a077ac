//! A process that dies between two steps of sending: after the next start the message is out, a second time only where nobody could know of
//! the first, and then under the same id.
//! Must not know: what stands around a crash point.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use blackbox::{Launch, Plan, Point, Server, Wish, eventually};
use serde_json::json;

use super::outbox::{Outbox, PATIENCE};
use super::{booked, reminders};

/// The process has died by then.
const DEATH_DEADLINE: Duration = Duration::from_secs(30);
const KEY: &str = "the-first";

/// How often the first confirmation is in the file, after a process that came to the point has died and another one has lived.
async fn copies_after(point: Point) -> usize {
    let crash = ("HOTSLOT_TEST_CRASH_AT".to_owned(), format!("{}:1", point.name()));
    let mut server = Server::launch(Launch { environment: vec![crash], ..Launch::default() }).await;
    let day = server.publish(&Plan::quarters(4)).await;
    let (patient, wish) = (server.patient(), Wish::any(&day));
    // Perhaps it dies before the answer is out.
    let _answer = patient.book(&wish).key(KEY).attempt().await;
    assert_eq!(server.ended(DEATH_DEADLINE).await.signal(), Some(9), "it dies by the point");
    server.change_launch(|launch| launch.environment.clear());
    server.start_again().await;
    let patient = server.patient_as(&patient.subject);
    let id = patient.book(&wish).key(KEY).await.expect(201).text_of("id");
    let row = eventually("the confirmation counts as sent", PATIENCE, async || {
        let rows = reminders(&patient, &id).await;
        rows.into_iter().find(|row| row["kind"] == "confirmation" && row["status"] == "sent")
    })
    .await;
    // Whoever comes later is told once, and what is out stays out.
    let other = booked(&server.patient(), &wish).await;
    let outbox = Outbox::of(&server);
    outbox.until("the next confirmation", |line| line["appointment_id"] == json!(other)).await;
    let lines = outbox.lines_of(&id);
    assert!(lines.iter().all(|line| line["message_id"] == row["message_id"]), "the same id: {lines:?}");
    lines.len()
}

#[tokio::test]
async fn a_death_before_the_message_leaves_delays_it() {
    assert_eq!(copies_after(Point::ReminderClaimed).await, 1);
}

#[tokio::test]
async fn a_death_between_sending_and_recording_repeats_the_same_message() {
    assert_eq!(copies_after(Point::ReminderBeforeRecord).await, 2);
}

#[tokio::test]
async fn a_death_after_recording_repeats_nothing() {
    assert_eq!(copies_after(Point::ReminderRecorded).await, 1);
}
