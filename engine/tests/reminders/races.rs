//! Cancels and moves that come between any two steps of sending: once they are acknowledged nothing goes out for what was before, unless
//! it had been handed over already; and what they tell themselves goes out once.
//! Must not know: how the sender finds out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use booking_core::AppointmentId;
use engine::ledger::people::Channel;
use engine::ledger::reminders::{Kind, ReminderStatus};
use engine::testing::Seam;

use crate::town::{HOUR, MINUTE, SECOND, Town, after};

/// What a patient does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Change {
    Cancel,
    Move,
}

/// When the ledger knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Known {
    /// Before anything else happens.
    AtOnce,
    /// Some seconds later, when everything is over.
    Late,
}

const VISIT: i64 = 3 * HOUR;
const OTHER_VISIT: i64 = 5 * HOUR;
/// When the reminder of the visit is due.
const DUE: i64 = HOUR;
/// Visits at the same instant, whose messages go out together.
const NEIGHBOURS: usize = 7;

async fn town() -> (Town, Vec<AppointmentId>) {
    let town = Town::with(&[Channel::File], &[7_200]).await;
    town.publish(1, &[VISIT, OTHER_VISIT], 20);
    let ids = town.book(1, VISIT, 1..=NEIGHBOURS as u128);
    town.apply().await;
    town.house.time.pass(5 * SECOND).await;
    assert_eq!(town.post.count(), (NEIGHBOURS, NEIGHBOURS), "the confirmations");
    town.house.sleep_until(after(DUE - SECOND)).await;
    (town, ids)
}

/// The patient does so when somebody is at that seam for the first time, and is told so before anything else happens.
fn change_at(town: &Town, seam: Seam, id: AppointmentId, change: Change, known: Known) {
    let (books, applying) = (Arc::clone(&town.house.books), town.house.applying());
    let is_done = Arc::new(AtomicBool::new(false));
    let now = after(DUE);
    town.house.seams.meddle(move |at| {
        if at == seam && !is_done.swap(true, Ordering::AcqRel) {
            books.with(|diary| match change {
                Change::Cancel => diary.cancel(id, now),
                Change::Move => diary.shift(id, after(OTHER_VISIT), now),
            });
            let applying = applying.clone();
            return Box::pin(async move {
                if known == Known::AtOnce {
                    applying.apply().await;
                }
            });
        }
        Box::pin(std::future::ready(()))
    });
}

async fn race(seam: Seam, change: Change, known: Known) {
    let what = format!("{change:?} at {seam:?}, known {known:?}");
    let (town, ids) = town().await;
    let id = ids[NEIGHBOURS / 2];
    change_at(&town, seam, id, change, known);
    town.house.time.pass(2 * SECOND).await;
    town.apply().await;
    town.house.time.pass(5 * SECOND).await;
    let notice = if change == Change::Cancel { Kind::Cancellation } else { Kind::Change };
    let of_it = |kind| town.post.of_kind(kind).iter().filter(|it| it.letter.row.key.appointment == id).count();
    // From its being found true on it is on its way, and nobody can take it back.
    let is_on_its_way = seam >= Seam::Checked;
    assert_eq!(of_it(Kind::Reminder), usize::from(is_on_its_way), "{what}");
    assert_eq!(of_it(notice), 1, "{what}");
    let expected = if is_on_its_way { ReminderStatus::Sent } else { ReminderStatus::Cancelled };
    assert_eq!(town.statuses(id, Kind::Reminder, 1).await, [(Channel::File, expected)], "{what}");
    // The neighbours' went out with it.
    let others = ids.iter().filter(|other| **other != id);
    for other in others {
        assert_eq!(town.statuses(*other, Kind::Reminder, 1).await, [(Channel::File, ReminderStatus::Sent)], "{what}");
    }
    town.house.sleep_until(after(OTHER_VISIT - 2 * HOUR)).await;
    town.house.time.pass(MINUTE).await;
    let moved = usize::from(change == Change::Move);
    let again = town.post.of_kind(Kind::Reminder).into_iter().filter(|it| it.letter.row.key.version == 2);
    assert_eq!(again.map(|it| it.letter.row.start).collect::<Vec<_>>(), vec![after(OTHER_VISIT); moved], "{what}");
    let expected = NEIGHBOURS * 2 - usize::from(!is_on_its_way) + 1 + moved;
    assert_eq!(town.post.count(), (expected, expected), "{what}: everything once");
    town.judge(1);
}

#[tokio::test]
async fn a_cancel_between_any_two_steps_is_obeyed_unless_it_is_too_late() {
    for seam in Seam::ALL {
        race(seam, Change::Cancel, Known::AtOnce).await;
        race(seam, Change::Cancel, Known::Late).await;
    }
}

#[tokio::test]
async fn a_move_between_any_two_steps_is_obeyed_unless_it_is_too_late() {
    for seam in Seam::ALL {
        race(seam, Change::Move, Known::AtOnce).await;
        race(seam, Change::Move, Known::Late).await;
    }
}
