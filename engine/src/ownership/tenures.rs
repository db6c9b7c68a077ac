//! What this process owns: the epoch of each shard, and until when its lease surely runs.
//! Must not know: how it was claimed.
//!
//! An epoch is safety and is also in the store. The deadline is this process's own, on its monotonic clock, counted from before the renewal was
//! sent: who waits beyond it may no longer speak for the shard, whatever the store would say (`protocols.md` rule 9, D 5).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use booking_core::SHARD_COUNT;

use super::ShardSet;

/// See the module.
#[derive(Debug)]
pub struct Tenures {
    /// By shard; 0: not ours.
    epochs: Box<[AtomicU32]>,
    /// On the engine's monotonic scale.
    deadline_micros: AtomicU64,
}

impl Tenures {
    /// Nothing, and no lease.
    pub fn none() -> Self {
        let epochs = (0..SHARD_COUNT).map(|_| AtomicU32::new(0)).collect();
        Self { epochs, deadline_micros: AtomicU64::new(0) }
    }

    /// Every shard under `epoch`, for ever: a store with one process.
    pub fn sole(epoch: u32) -> Self {
        let tenures = Self::none();
        (0..SHARD_COUNT).for_each(|shard| tenures.grant(shard, epoch));
        tenures.extend(u64::MAX);
        tenures
    }

    /// The epoch under which `shard` may be written; 0 if it is not ours. The lease may be over.
    pub fn epoch(&self, shard: u16) -> u32 {
        self.epochs.get(usize::from(shard)).map_or(0, |epoch| epoch.load(Ordering::Acquire))
    }

    /// Whether this process may speak for `shard` at `now_micros`: it is ours, and the lease runs for certain.
    pub fn speaks_for(&self, shard: u16, now_micros: u64) -> bool {
        self.epoch(shard) != 0 && self.is_leased(now_micros)
    }

    /// Whether the lease runs for certain.
    pub fn is_leased(&self, now_micros: u64) -> bool {
        now_micros < self.deadline_micros.load(Ordering::Acquire)
    }

    /// `shard` is ours under `epoch`.
    pub fn grant(&self, shard: u16, epoch: u32) {
        if let Some(slot) = self.epochs.get(usize::from(shard)) {
            slot.store(epoch, Ordering::Release);
        }
    }

    /// `shard` is not ours any more.
    pub fn revoke(&self, shard: u16) {
        self.grant(shard, 0);
    }

    /// The lease runs at least until then; never shortened.
    pub fn extend(&self, deadline_micros: u64) {
        self.deadline_micros.fetch_max(deadline_micros, Ordering::AcqRel);
    }

    /// What is ours.
    pub fn owned(&self) -> ShardSet {
        (0..SHARD_COUNT).filter(|shard| self.epoch(*shard) != 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_speaks_for_what_is_not_its_own_or_after_the_lease() {
        let tenures = Tenures::none();
        tenures.grant(7, 3);
        assert!(!tenures.speaks_for(7, 0), "no lease yet");
        tenures.extend(1_000);
        tenures.extend(500);
        assert!(tenures.speaks_for(7, 999) && !tenures.speaks_for(7, 1_000) && !tenures.speaks_for(8, 0));
        tenures.revoke(7);
        assert_eq!((tenures.epoch(7), tenures.owned().is_empty()), (0, true));
        assert!(Tenures::sole(2).speaks_for(1_023, u64::MAX - 1));
    }
}
