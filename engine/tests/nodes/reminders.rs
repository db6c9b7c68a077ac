//! What is told of an appointment's messages, by any node and however far the ledger is behind.
//! Must not know: who sends them.

use booking_core::AppointmentId;
use engine::ledger::reminders::{Kind, ReminderStatus};
use engine::view::AppointmentAction;

use crate::moves::days_apart;
use crate::world::{World, patient};

/// Version, kind, offset in seconds, status.
type Told = (u32, Kind, u32, ReminderStatus);

/// What each node says, which is the same.
async fn told(world: &World, id: AppointmentId) -> Vec<Told> {
    let mut answers = Vec::new();
    for at in 0..world.members.len() {
        let rows = world.at(at, |engine| async move { engine.reminders(id).await }).await.expect("reminders");
        assert!(rows.iter().all(|row| row.patient == patient(1)));
        let told = |row: &engine::ledger::reminders::ReminderRow| {
            (row.key.version, row.key.kind, row.key.offset_seconds, row.status)
        };
        answers.push(rows.iter().map(told).collect::<Vec<_>>());
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    answers.swap_remove(0)
}

fn booked(version: u32, notice: Kind, status: ReminderStatus) -> [Told; 2] {
    // Nine hours before the visit: a day before has passed.
    [(version, notice, 0, status), (version, Kind::Reminder, 7_200, status)]
}

#[tokio::test]
async fn own_writes_are_told_before_the_ledger_has_them() {
    let (pending, void) = (ReminderStatus::Pending, ReminderStatus::Cancelled);
    for is_ledger_held in [false, true] {
        let (world, days) = days_apart(3).await;
        if is_ledger_held {
            world.hold_ledger();
        }
        let held = world.book(0, days[2], 1, Some(60_000)).await.expect("held").placed.appointment.id;
        assert_eq!(told(&world, held).await, []);
        world.change(1, held, AppointmentAction::Confirm, None).await.expect("confirmed");
        assert_eq!(told(&world, held).await, booked(2, Kind::Confirmation, pending));
        world.change(1, held, AppointmentAction::Cancel { reason: None }, None).await.expect("cancelled");
        let expected = [&booked(2, Kind::Confirmation, void)[..], &[(3, Kind::Cancellation, 0, pending)]].concat();
        assert_eq!(told(&world, held).await, expected);
    }
}

#[tokio::test]
async fn a_move_is_told_by_whoever_has_the_new_day() {
    let (pending, void) = (ReminderStatus::Pending, ReminderStatus::Cancelled);
    let (world, days) = days_apart(3).await;
    let id = world.book(0, days[0], 1, None).await.expect("booked").placed.appointment.id;
    world.applied().await;
    world.hold_ledger();
    for (version, to) in (2..).zip([days[1], days[2], days[0]]) {
        world.reschedule(2, id, to, None).await.expect("moved");
        // What the ledger has is void; of what it does not have, only the last can be told.
        let expected = [booked(1, Kind::Confirmation, void), booked(version, Kind::Change, pending)].concat();
        assert_eq!(told(&world, id).await, expected, "version {version}");
    }
}
