//! When days must be woken because a hold ends: an index in memory. The journal's open-work index is the store.
//! Must not know: what a day does when it is woken.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use booking_core::{DayKey, UtcMillis};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::limits::DEADLINES_MAX;

/// One timer a day: its earliest.
#[derive(Default)]
pub struct Deadlines {
    state: Mutex<State>,
    earlier: Notify,
}

#[derive(Default)]
struct State {
    heap: BinaryHeap<Reverse<(UtcMillis, DayKey)>>,
    armed: HashMap<DayKey, UtcMillis>,
}

impl Deadlines {
    /// Has `day` woken at `at`, or earlier if it is armed for earlier already.
    pub fn arm(&self, day: DayKey, at: UtcMillis) {
        let mut state = self.state.lock();
        if state.armed.get(&day).is_some_and(|armed| *armed <= at) {
            return;
        }
        // Past the bound the sweep of the open-work index finds the day.
        if state.armed.len() >= DEADLINES_MAX && !state.armed.contains_key(&day) {
            return;
        }
        let first = state.heap.peek().map(|Reverse((at, _))| *at);
        state.armed.insert(day, at);
        state.heap.push(Reverse((at, day)));
        drop(state);
        if first.is_none_or(|first| at < first) {
            self.earlier.notify_one();
        }
    }

    /// Takes the days whose time has come.
    pub fn take_due(&self, now: UtcMillis) -> Vec<DayKey> {
        let mut state = self.state.lock();
        let mut due = Vec::new();
        while let Some(Reverse((at, day))) = state.heap.peek().copied() {
            if at > now {
                break;
            }
            state.heap.pop();
            // An entry that was replaced by an earlier one of the same day has been taken already.
            if state.armed.get(&day) == Some(&at) {
                state.armed.remove(&day);
                due.push(day);
            }
        }
        due
    }

    /// Days with a timer.
    pub fn armed(&self) -> usize {
        self.state.lock().armed.len()
    }

    /// The earliest timer.
    pub fn next(&self) -> Option<UtcMillis> {
        self.state.lock().heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Becomes ready when a timer was armed that is earlier than all others.
    pub async fn earlier(&self) {
        self.earlier.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use booking_core::{Date, DoctorId};

    use super::*;

    fn day(number: u8) -> DayKey {
        DayKey { doctor: DoctorId::from_bytes([number; 16]), date: Date::from_days(20_000).expect("a date") }
    }

    #[test]
    fn a_day_is_due_once_at_its_earliest_instant() {
        let deadlines = Deadlines::default();
        deadlines.arm(day(1), UtcMillis(300));
        deadlines.arm(day(1), UtcMillis(100));
        deadlines.arm(day(1), UtcMillis(200));
        deadlines.arm(day(2), UtcMillis(150));
        assert_eq!(deadlines.next(), Some(UtcMillis(100)));
        assert!(deadlines.take_due(UtcMillis(99)).is_empty());
        assert_eq!(deadlines.take_due(UtcMillis(150)), vec![day(1), day(2)]);
        assert!(deadlines.take_due(UtcMillis(1_000)).is_empty());
        deadlines.arm(day(1), UtcMillis(50));
        assert_eq!(deadlines.take_due(UtcMillis(1_000)), vec![day(1)]);
    }
}
