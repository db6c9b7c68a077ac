//! How far everything durable is also published: what lies beyond may be read by nobody yet.
//! Must not know: what was recorded, who reads.
//!
//! A record is durable before its day has heard of it, and the days of one batch publish one after another. The ledger must not take a
//! record in that time: who reads it there, and then asks the day, would be told of an older state than before (`protocols.md` rule 2,
//! seen from outside).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use booking_core::{DayKey, SHARD_COUNT};
use parking_lot::Mutex;

/// See the module. Bounded by what the committer has in flight and what days have not taken up yet, which admission bounds.
pub struct Publications {
    state: Mutex<State>,
    /// By shard: how often something of it was durable, or may have been.
    changes: Box<[AtomicU64]>,
    /// Told how far everything is published; never less than before.
    follower: Box<dyn Fn(u64) + Send + Sync>,
}

struct State {
    /// The highest position that anybody was told of.
    highest: u64,
    /// By the last position of a submission: its day, and the highest position before it.
    open: BTreeMap<u64, (DayKey, u64)>,
    /// Days of which an append may have landed unheard, with the highest position before it: until they have read themselves again.
    unsettled: BTreeMap<DayKey, u64>,
}

impl State {
    fn up_to(&self) -> u64 {
        let open = self.open.first_key_value().map_or(self.highest, |(_, (_, before))| *before);
        self.unsettled.values().copied().min().map_or(open, |before| before.min(open))
    }
}

impl Publications {
    /// Everything up to `position` is published, or can be read by nobody: so it is at a start. `follower` must not block.
    pub fn starting_at(position: u64, follower: Box<dyn Fn(u64) + Send + Sync>) -> Self {
        let state = State { highest: position, open: BTreeMap::new(), unsettled: BTreeMap::new() };
        let changes = (0..SHARD_COUNT).map(|_| AtomicU64::default()).collect();
        Self { state: Mutex::new(state), changes, follower }
    }

    /// A number that is another one after anything of `shard` has become durable and was told here.
    pub fn changes_of(&self, shard: u16) -> u64 {
        self.changes.get(usize::from(shard)).map_or(0, |changes| changes.load(Ordering::Acquire))
    }

    fn note(&self, day: DayKey) {
        if let Some(changes) = self.changes.get(usize::from(day.shard())) {
            changes.fetch_add(1, Ordering::Release);
        }
    }

    /// A submission of `day` is durable up to `position`, and `day` is about to be told. Called in the order of positions.
    pub fn durable(&self, day: DayKey, position: u64) {
        self.note(day);
        let mut state = self.state.lock();
        let before = state.highest;
        state.open.insert(position, (day, before));
        state.highest = before.max(position);
    }

    /// A submission of `day` is not known to be durable: from here on its records may lie in the journal.
    pub fn unknown(&self, day: DayKey) {
        let mut state = self.state.lock();
        let before = state.highest;
        state.unsettled.entry(day).or_insert(before);
    }

    /// The submission that ended at `position` is published.
    pub fn published(&self, position: u64) {
        self.change(|state| {
            state.open.remove(&position);
        });
    }

    /// Everything of `day` that can be durable is published up to `position`, if that is known: it has read itself again. Or it never
    /// will be in this process.
    pub fn settled(&self, day: DayKey, position: Option<u64>) {
        self.note(day);
        self.change(|state| {
            state.open.retain(|_, (open, _)| *open != day);
            state.unsettled.remove(&day);
            state.highest = state.highest.max(position.unwrap_or(0));
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let up_to = {
            let mut state = self.state.lock();
            change(&mut state);
            state.up_to()
        };
        (self.follower)(up_to);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use booking_core::{Date, DoctorId};

    use super::*;

    fn day(number: u8) -> DayKey {
        DayKey { doctor: DoctorId::from_bytes([number; 16]), date: Date::from_days(20_000).expect("a date") }
    }

    /// Publications from position 10 on, and what the follower was told last.
    fn bench() -> (Publications, impl Fn() -> u64) {
        let told = Arc::new(AtomicU64::new(10));
        let follower = Arc::clone(&told);
        let follow = Box::new(move |position| assert!(follower.swap(position, Ordering::SeqCst) <= position));
        (Publications::starting_at(10, follow), move || told.load(Ordering::SeqCst))
    }

    #[test]
    fn nothing_is_passed_over_that_another_day_has_not_published() {
        let (publications, told) = bench();
        publications.durable(day(1), 12);
        publications.durable(day(2), 15);
        publications.published(15);
        assert_eq!(told(), 10, "the first day has 11 and 12 still to publish");
        publications.published(12);
        assert_eq!(told(), 15);
    }

    #[test]
    fn what_may_have_landed_unheard_is_waited_for_until_its_day_has_read_itself() {
        let (publications, told) = bench();
        publications.unknown(day(1));
        publications.unknown(day(2));
        publications.settled(day(2), Some(13));
        publications.durable(day(3), 14);
        publications.published(14);
        assert_eq!(told(), 10, "11 and 12 may be the first day's");
        publications.settled(day(1), None);
        assert_eq!(told(), 14);
    }

    #[test]
    fn a_day_that_reads_itself_again_publishes_all_that_it_was_told_of() {
        let (publications, told) = bench();
        publications.durable(day(1), 11);
        publications.durable(day(1), 12);
        publications.settled(day(1), Some(12));
        assert_eq!(told(), 12);
    }
}
