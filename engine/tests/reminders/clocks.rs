//! A machine's clock that is set by an hour, forward and back, while the process runs and while it is dead: what is due is caught up with,
//! nothing goes out twice, nothing is lost.
//! Must not know: how the engine's clock follows.

use engine::ledger::people::Channel;
use engine::ledger::reminders::{Kind, ReminderStatus};

use crate::post::Mood;
use crate::town::{HOUR, LATE_MILLIS, MINUTE, SECOND, Town, after};

const OFFSETS: [u32; 2] = [7_200, 900];
const MISSED: ReminderStatus = ReminderStatus::Missed;
const SENT: ReminderStatus = ReminderStatus::Sent;
const PENDING: ReminderStatus = ReminderStatus::Pending;

/// Visits in three slots: one that an hour forward goes beyond, one whose first reminder that makes due, one that it leaves alone.
async fn three_slots() -> (Town, [Vec<booking_core::AppointmentId>; 3]) {
    let town = Town::with(&[Channel::File], &OFFSETS).await;
    let starts = [40 * MINUTE, 150 * MINUTE, 10 * HOUR];
    town.publish(1, &starts, 20);
    let mut from = 1;
    let ids = starts.map(|start| {
        from += 20;
        town.book(1, start, from - 20..from)
    });
    town.apply().await;
    town.house.time.pass(10 * SECOND).await;
    assert_eq!(town.post.count(), (60, 60), "the confirmations");
    (town, ids)
}

/// What became of the reminders of a visit, the earlier one first.
async fn reminders(town: &Town, id: booking_core::AppointmentId) -> Vec<ReminderStatus> {
    let mut rows = town.house.rows(id).await;
    rows.retain(|row| row.key.kind == Kind::Reminder);
    rows.sort_by_key(|row| row.due_at);
    rows.iter().map(|row| row.status).collect()
}

async fn assert_all(town: &Town, ids: &[booking_core::AppointmentId], expected: &[ReminderStatus]) {
    for id in ids {
        assert_eq!(reminders(town, *id).await, expected);
    }
}

#[tokio::test]
async fn an_hour_forward_is_caught_up_with_and_an_hour_back_repeats_nothing() {
    let (town, [beyond, due, later]) = three_slots().await;
    town.house.time.step_wall(HOUR);
    town.house.time.pass(5 * SECOND).await;
    assert!(town.house.now() > after(HOUR), "the clock is followed");
    assert_all(&town, &beyond, &[MISSED]).await;
    assert_all(&town, &due, &[SENT, PENDING]).await;
    assert_all(&town, &later, &[PENDING, PENDING]).await;
    assert_eq!(town.post.count(), (80, 80));

    town.house.time.step_wall(-HOUR);
    town.publish(2, &[9 * HOUR], 20);
    let booked = town.book(2, 9 * HOUR, 101..=120);
    town.apply().await;
    town.house.time.pass(10 * MINUTE).await;
    assert_eq!(town.post.count(), (100, 100), "whoever books meanwhile is told at once, and nobody twice");
    // The engine's clock goes on, slower, so every reminder comes when that says so.
    for instant in [135 * MINUTE, 7 * HOUR, 8 * HOUR] {
        town.house.sleep_until(after(instant)).await;
        town.house.time.pass(LATE_MILLIS).await;
    }
    assert_all(&town, &due, &[SENT, SENT]).await;
    assert_all(&town, &booked, &[SENT, PENDING]).await;
    assert_all(&town, &later, &[SENT, PENDING]).await;
    assert_eq!(town.post.count(), (160, 160));
    town.judge(1);
}

/// The machine was an hour ahead; its clock is set right while the process is dead, which dies over a call.
#[tokio::test]
async fn a_process_that_starts_an_hour_earlier_than_the_last_one_died_repeats_only_what_that_died_over() {
    let (mut town, [beyond, due, later]) = three_slots().await;
    town.post.set(Channel::File, Some(Mood::Stuck));
    town.house.time.step_wall(HOUR);
    town.house.time.pass(3 * SECOND).await;
    // Claimed, as is believed to be an hour later, and perhaps out.
    assert_all(&town, &due, &[ReminderStatus::Sending, PENDING]).await;
    town.house.crash().await;
    town.house.time.step_wall(-HOUR);
    town.post.set(Channel::File, None);
    town.house.start();
    town.house.time.pass(3 * SECOND).await;
    assert!(town.house.now() < after(MINUTE));
    // What was in its hands is taken over at once, whatever the clock says. By the present one no visit has begun.
    assert_all(&town, &due, &[SENT, PENDING]).await;
    assert_all(&town, &beyond, &[SENT]).await;
    assert_eq!(town.post.count(), (100, 100));
    for instant in [30 * MINUTE, 135 * MINUTE, 8 * HOUR] {
        town.house.sleep_until(after(instant)).await;
        town.house.time.pass(LATE_MILLIS).await;
    }
    assert_all(&town, &due, &[SENT, SENT]).await;
    assert_all(&town, &later, &[SENT, PENDING]).await;
    assert_eq!(town.post.count(), (140, 140), "each once");
}

/// Messages that wait for their next attempt while the clock is set, forward or back, are tried again all the same.
#[tokio::test]
async fn attempts_that_wait_survive_a_clock_that_is_set() {
    for step in [HOUR, -HOUR] {
        let town = Town::with(&[Channel::File], &[900]).await;
        town.publish(1, &[10 * HOUR], 20);
        town.post.set(Channel::File, Some(Mood::Away));
        town.book(1, 10 * HOUR, 1..=20);
        town.apply().await;
        town.house.time.pass(500).await;
        town.house.time.step_wall(step);
        town.house.time.pass(2 * SECOND).await;
        town.post.set(Channel::File, None);
        town.house.time.pass(90 * SECOND).await;
        assert_eq!(town.post.count(), (20, 20), "a step of {step} ms");
        town.judge(1);
    }
}
