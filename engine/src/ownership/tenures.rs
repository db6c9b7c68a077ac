//! What this process owns: the epoch of each shard, whether it is open, and until when the lease surely runs.
//! Must not know: how it was claimed.
//!
//! An epoch is safety and is also in the store. The deadline is this process's own, on its monotonic clock, counted from before the
//! renewal was
//! sent: who waits beyond it may no longer speak for the shard, whatever the store would say (`protocols.md` rule 9, D 5).

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use booking_core::SHARD_COUNT;

use super::ShardSet;

/// A lease that never ends: of a store with one process.
const FOR_EVER: u64 = u64::MAX;

/// See the module.
#[derive(Debug)]
pub struct Tenures {
    shards: Box<[Tenure]>,
    /// On the engine's monotonic scale.
    deadline_micros: AtomicU64,
    /// How often a shard was opened, or an open one was closed.
    changes: AtomicU64,
}

#[derive(Debug, Default)]
struct Tenure {
    /// 0: not ours.
    epoch: AtomicU32,
    /// Whether it was loaded, so that this process answers for it.
    is_open: AtomicBool,
}

impl Tenures {
    /// Nothing, and no lease.
    pub fn none() -> Self {
        let shards = (0..SHARD_COUNT).map(|_| Tenure::default()).collect();
        Self { shards, deadline_micros: AtomicU64::new(0), changes: AtomicU64::new(0) }
    }

    /// Every shard under `epoch`, open, for ever: a store with one process.
    pub fn sole(epoch: u32) -> Self {
        let tenures = Self::none();
        for shard in 0..SHARD_COUNT {
            tenures.grant(shard, epoch);
            tenures.open(shard);
        }
        tenures.extend(FOR_EVER);
        tenures
    }

    /// The epoch under which `shard` may be written; 0 if it is not ours. It may not be open, and the lease may be over.
    pub fn epoch(&self, shard: u16) -> u32 {
        self.shards.get(usize::from(shard)).map_or(0, |tenure| tenure.epoch.load(Ordering::Acquire))
    }

    /// Whether `shard` is ours and open. The lease may be over.
    pub fn is_open(&self, shard: u16) -> bool {
        self.shards.get(usize::from(shard)).is_some_and(|tenure| tenure.is_open.load(Ordering::Acquire))
    }

    /// Whether the lease runs for certain at `now_micros`.
    pub fn is_leased(&self, now_micros: u64) -> bool {
        self.is_leased_by(|| now_micros)
    }

    /// As [`Tenures::is_leased`]; a lease that never ends needs no clock.
    pub fn is_leased_by(&self, now_micros: impl FnOnce() -> u64) -> bool {
        let deadline = self.deadline_micros();
        deadline == FOR_EVER || now_micros() < deadline
    }

    /// Until when the lease surely runs.
    pub fn deadline_micros(&self) -> u64 {
        self.deadline_micros.load(Ordering::Acquire)
    }

    /// `shard` is ours under `epoch`, and not open yet: it may be written by whoever takes it over.
    pub fn grant(&self, shard: u16, epoch: u32) {
        if let Some(tenure) = self.shards.get(usize::from(shard)) {
            self.end(tenure);
            tenure.epoch.store(epoch, Ordering::Release);
        }
    }

    /// From now on this process answers for `shard`.
    pub fn open(&self, shard: u16) {
        if let Some(tenure) = self.shards.get(usize::from(shard)) {
            // Counted before it can be seen: who has read before, and finds the shard open now, must read again.
            self.changes.fetch_add(1, Ordering::AcqRel);
            tenure.is_open.store(true, Ordering::Release);
        }
    }

    /// Takes no new requests for `shard`; what is under way may still be written.
    pub fn close(&self, shard: u16) {
        if let Some(tenure) = self.shards.get(usize::from(shard)) {
            self.end(tenure);
        }
    }

    /// Whoever opens the shard again does so after this has returned, and so after the count has risen.
    fn end(&self, tenure: &Tenure) {
        if tenure.is_open.swap(false, Ordering::AcqRel) {
            self.changes.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Rises whenever a shard is opened, or an open one is closed: what was read of open shards while it stayed the same was read under
    /// one tenure of each. Before a shard opens, what its last owner has recorded may be nowhere to be read.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// `shard` is not ours any more.
    pub fn revoke(&self, shard: u16) {
        self.grant(shard, 0);
    }

    /// The lease runs at least until then; never shortened.
    pub fn extend(&self, deadline_micros: u64) {
        self.deadline_micros.fetch_max(deadline_micros, Ordering::AcqRel);
    }

    /// Ends the lease at `deadline_micros`, as if it had not been renewed since.
    #[cfg(feature = "testing")]
    pub fn end_lease(&self, deadline_micros: u64) {
        self.deadline_micros.store(deadline_micros, Ordering::Release);
    }

    /// What is ours, open or not.
    pub fn owned(&self) -> ShardSet {
        (0..SHARD_COUNT).filter(|shard| self.epoch(*shard) != 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_is_open_when_it_was_loaded_and_only_while_the_lease_runs() {
        let tenures = Tenures::none();
        tenures.grant(7, 3);
        assert!((tenures.epoch(7), tenures.is_open(7), tenures.is_leased(0)) == (3, false, false));
        tenures.open(7);
        tenures.extend(1_000);
        tenures.extend(500);
        assert!(tenures.is_open(7) && tenures.is_leased(999) && !tenures.is_leased(1_000) && !tenures.is_open(8));
        tenures.close(7);
        assert_eq!((tenures.epoch(7), tenures.is_open(7)), (3, false));
        tenures.revoke(7);
        assert_eq!((tenures.epoch(7), tenures.owned().is_empty()), (0, true));
    }

    /// Who reads while a shard is closed, and looks whether it is open afterwards, has to notice that it was not.
    #[test]
    fn whatever_a_reader_may_have_missed_is_counted() {
        let tenures = Tenures::none();
        let mut seen = tenures.changes();
        let mut has_changed = || std::mem::replace(&mut seen, tenures.changes()) != tenures.changes();
        tenures.grant(7, 3);
        assert!(!has_changed(), "it was not open, and is not");
        tenures.open(7);
        assert!(has_changed());
        tenures.extend(1_000);
        assert!(!has_changed());
        tenures.close(7);
        assert!(has_changed());
        tenures.open(7);
        assert!(has_changed());
        tenures.grant(7, 4);
        assert!(has_changed());
    }

    #[test]
    fn a_sole_owner_needs_no_clock() {
        let sole = Tenures::sole(2);
        assert!(sole.is_open(1_023) && sole.is_leased_by(|| unreachable!("nobody asks")));
        assert_eq!(sole.owned().len(), usize::from(SHARD_COUNT));
    }
}
