//! Processes that die between any two steps of sending: nothing is lost, what goes out twice has the same id and is what nobody could
//! know of, and nothing goes out for a visit that was cancelled before the death.
//! Must not know: how the next process finds out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::ledger::people::Channel;
use engine::ledger::reminders::{Kind, ReminderStatus};
use engine::testing::{Seam, SendingHouse};
use uuid::Uuid;

use crate::town::{HOUR, SECOND, Town, after};

const VISIT: i64 = 3 * HOUR;
/// When the reminders are due.
const DUE: i64 = HOUR;
const VISITS: usize = 30;

/// From now on nobody comes beyond that seam; whether somebody has come to it.
fn stop_at(house: &SendingHouse, seam: Seam) -> Arc<AtomicBool> {
    let is_reached = Arc::new(AtomicBool::new(false));
    let reached = Arc::clone(&is_reached);
    house.seams.meddle(move |at| {
        if at == seam {
            reached.store(true, Ordering::Release);
            return Box::pin(std::future::pending());
        }
        Box::pin(std::future::ready(()))
    });
    is_reached
}

/// Dies so often at that seam, each time by the next process; then one lives. How often each reminder was taken.
async fn die(seam: Seam, times: usize, cancels: bool) -> (Town, Vec<usize>) {
    let mut town = Town::with(&[Channel::File], &[7_200]).await;
    town.publish(1, &[VISIT], VISITS as u32);
    let ids = town.book(1, VISIT, 1..=VISITS as u128);
    town.apply().await;
    town.house.sleep_until(after(DUE - SECOND)).await;
    for death in 0..times {
        let is_reached = stop_at(&town.house, seam);
        town.house.time.pass(3 * SECOND).await;
        // Once it is recorded there is nothing left to die over.
        let is_expected = death == 0 || seam != Seam::Recorded;
        assert_eq!(is_reached.load(Ordering::Acquire), is_expected, "death {death} at {seam:?}");
        if cancels && death == 0 {
            // Told to the patients; the ledger hears of it in the next life, before that begins.
            let now = town.house.now();
            ids.iter().step_by(2).for_each(|id| town.house.books.with(|diary| diary.cancel(*id, now)));
        }
        town.house.crash().await;
        town.house.seams.leave();
        town.apply().await;
        town.house.start();
    }
    town.house.time.pass(3 * SECOND).await;
    let mut copies: BTreeMap<Uuid, usize> = BTreeMap::new();
    for taken in town.post.of_kind(Kind::Reminder) {
        assert_eq!(taken.letter.message_id, taken.letter.row.key.message_id());
        *copies.entry(taken.letter.message_id).or_default() += 1;
    }
    let statuses = town.house.statuses().await;
    assert_eq!(statuses.get("pending").or(statuses.get("sending")), None, "nothing is left over: {statuses:?}");
    if !cancels {
        assert_eq!(statuses, [("sent".to_owned(), 2 * VISITS as u64)].into(), "{seam:?}");
        for id in ids {
            assert_eq!(town.statuses(id, Kind::Reminder, 1).await, [(Channel::File, ReminderStatus::Sent)]);
        }
    }
    (town, copies.into_values().collect())
}

/// Whether whoever dies there has handed messages over that nobody has recorded.
fn repeats(seam: Seam) -> bool {
    matches!(seam, Seam::Taken | Seam::BeforeRecord)
}

#[tokio::test]
async fn a_death_between_any_two_steps_loses_nothing_and_repeats_only_what_nobody_had_recorded() {
    for seam in Seam::ALL {
        for deaths in [1, 3] {
            let (_, copies) = die(seam, deaths, false).await;
            let expected = if repeats(seam) { 1 + deaths } else { 1 };
            assert_eq!(copies, vec![expected; VISITS], "{deaths} deaths at {seam:?}");
        }
    }
}

#[tokio::test]
async fn what_was_cancelled_before_a_death_does_not_go_out_after_it() {
    for seam in Seam::ALL {
        let (town, copies) = die(seam, 1, true).await;
        let out_before = seam >= Seam::Taken;
        let stay = VISITS / 2;
        let expected = match (out_before, repeats(seam)) {
            (false, _) => (stay, stay),
            (true, false) => (VISITS, VISITS),
            (true, true) => (VISITS, VISITS + stay),
        };
        assert_eq!((copies.len(), copies.iter().sum::<usize>()), expected, "{seam:?}");
        assert_eq!(town.post.of_kind(Kind::Cancellation).len(), VISITS - stay, "{seam:?}");
    }
}
