//! What this process may write: of each shard the epoch, reign and generation that Redis has from it, and whether it was lost.
//! Must not know: connections, how a shard is claimed.

use std::sync::Arc;

use booking_core::SHARD_COUNT;
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::ownership::{ShardSet, Tenures};

/// Whether the servers may have forgotten records of a shard before it was installed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wholeness {
    /// No: in this history it was whole once, and a server forgets nothing before its history ends.
    Whole,
    /// Perhaps, but what they have forgotten this process has written itself, and remembers.
    OwnMemory,
    /// Perhaps, and only an earlier owner may remember it.
    Doubtful,
}

/// A shard that was installed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Standing {
    pub(super) epoch: u32,
    /// `master_replid` when it was installed (`protocols.md` D 2).
    pub(super) reign: Arc<str>,
    pub(super) wholeness: Wholeness,
    /// The last one that was tried: raised by every barrier.
    pub(super) generation: u64,
    pub(super) is_lost: bool,
    /// Of a newer owner, if the store named one; else 0.
    pub(super) newer_epoch: u32,
}

/// Every shard.
pub(super) struct Standings {
    shards: RwLock<Vec<Option<Standing>>>,
    lost: watch::Sender<ShardSet>,
    tenures: Arc<Tenures>,
}

impl Standings {
    /// Of nothing yet. A shard that is lost is closed in `tenures`.
    pub(super) fn none(tenures: Arc<Tenures>) -> Self {
        let shards = RwLock::new(vec![None; usize::from(SHARD_COUNT)]);
        Self { shards, lost: watch::Sender::default(), tenures }
    }

    /// What is held of `shard`, lost or not.
    pub(super) fn of(&self, shard: u16) -> Option<Standing> {
        self.shards.read().get(usize::from(shard))?.clone()
    }

    /// The epoch under which `shard` may be written; 0: it may not.
    pub(super) fn epoch(&self, shard: u16) -> u32 {
        let shards = self.shards.read();
        let standing = shards.get(usize::from(shard)).and_then(Option::as_ref);
        standing.filter(|standing| !standing.is_lost).map_or(0, |standing| standing.epoch)
    }

    /// The epoch of a newer owner of `shard`, if the store named one; else 0.
    pub(super) fn newer_epoch(&self, shard: u16) -> u32 {
        self.of(shard).map_or(0, |standing| standing.newer_epoch)
    }

    /// The highest epoch that was installed.
    pub(super) fn highest_epoch(&self) -> u32 {
        self.shards.read().iter().flatten().map(|standing| standing.epoch).max().unwrap_or(0)
    }

    /// `shard` is ours under `epoch`, in the history `reign`; it was known to be whole in the history `whole_in`.
    pub(super) fn install(&self, shard: u16, epoch: u32, reign: &str, whole_in: &str) {
        if let Some(slot) = self.shards.write().get_mut(usize::from(shard)) {
            // Nobody was between that tenure of ours and this one.
            let had_all = slot
                .as_ref()
                .is_some_and(|had| had.epoch.checked_add(1) == Some(epoch) && had.wholeness != Wholeness::Doubtful);
            let wholeness = match (whole_in == reign, had_all) {
                (true, _) => Wholeness::Whole,
                (false, true) => Wholeness::OwnMemory,
                (false, false) => Wholeness::Doubtful,
            };
            let reign = reign.into();
            *slot = Some(Standing { epoch, reign, wholeness, generation: 0, is_lost: false, newer_epoch: 0 });
        }
        self.lost.send_if_modified(|lost| {
            let was_lost = lost.contains(shard);
            *lost = lost.iter().filter(|other| *other != shard).collect();
            was_lost
        });
    }

    /// What `shard` had lost before it was installed under `epoch` is put back.
    pub(super) fn is_whole(&self, shard: u16, epoch: u32) {
        if let Some(Some(standing)) = self.shards.write().get_mut(usize::from(shard))
            && standing.epoch == epoch
        {
            standing.wholeness = Wholeness::Whole;
        }
    }

    /// A generation that was never tried.
    pub(super) fn next_generation(&self, shard: u16) -> u64 {
        let mut shards = self.shards.write();
        let Some(Some(standing)) = shards.get_mut(usize::from(shard)) else { return 0 };
        standing.generation += 1;
        standing.generation
    }

    /// The store has a higher generation than was tried.
    pub(super) fn saw_generation(&self, shard: u16, generation: u64) {
        if let Some(Some(standing)) = self.shards.write().get_mut(usize::from(shard)) {
            standing.generation = standing.generation.max(generation);
        }
    }

    /// The history in which `shard` was installed under `epoch` is over, or a newer owner has it: nothing is written until it
    /// is installed again. `newer`: the newer owner's epoch, if the store named it.
    pub(super) fn lose(&self, shard: u16, epoch: u32, (reason, newer): (&str, Option<u32>)) {
        if self.close(shard, epoch, newer) {
            tracing::warn!(shard, epoch, reason, "a shard is lost in Redis and must be claimed again");
            self.lost.send_modify(|lost| lost.insert(shard));
        }
    }

    /// The history of a server is over: those of `shards` that still stand as they are here are lost, as by [`Standings::lose`]; how many.
    pub(super) fn lose_together(&self, shards: &[(u16, u32)]) -> usize {
        let lost: ShardSet =
            shards.iter().filter(|(shard, epoch)| self.close(*shard, *epoch, None)).map(|it| it.0).collect();
        if !lost.is_empty() {
            self.lost.send_modify(|known| known.extend(&lost));
        }
        lost.len()
    }

    /// Whether this has made the difference.
    fn close(&self, shard: u16, epoch: u32, newer: Option<u32>) -> bool {
        let mut shards = self.shards.write();
        let Some(Some(standing)) = shards.get_mut(usize::from(shard)) else { return false };
        if standing.epoch != epoch || standing.is_lost {
            return false;
        }
        // First of all: from here on the applier leaves the shard's records to whoever takes it over, and until that is done a
        // reader would miss them.
        self.tenures.close(shard);
        (standing.is_lost, standing.newer_epoch) = (true, newer.unwrap_or(0));
        true
    }

    /// Those that were lost and not installed since.
    pub(super) fn lost(&self) -> watch::Receiver<ShardSet> {
        self.lost.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_shard_is_told_and_comes_back_with_a_new_epoch() {
        let tenures = Arc::new(Tenures::sole(7));
        let standings = Standings::none(Arc::clone(&tenures));
        let lost = standings.lost();
        standings.install(3, 7, "a", "");
        assert_eq!((standings.epoch(3), standings.epoch(4), standings.highest_epoch()), (7, 0, 7));
        assert_eq!((standings.next_generation(3), standings.next_generation(3)), (1, 2));
        standings.lose(3, 6, ("an older one", None));
        assert!(standings.epoch(3) == 7 && tenures.is_open(3));
        assert_eq!(standings.lose_together(&[(3, 6), (4, 7)]), 0);
        standings.lose(3, 7, ("epoch", Some(9)));
        assert_eq!(standings.lose_together(&[(3, 7)]), 0, "once");
        assert!(standings.newer_epoch(3) == 9 && !tenures.is_open(3) && tenures.is_open(4), "nobody reads it as ours");
        assert_eq!((standings.epoch(3), lost.borrow().contains(3)), (0, true));
        standings.install(3, 8, "b", "a");
        assert_eq!((standings.epoch(3), lost.borrow().is_empty()), (8, true));
    }

    #[test]
    fn what_nobody_here_knew_whole_stays_doubtful_until_it_is_repaired() {
        let standings = Standings::none(Arc::new(Tenures::sole(7)));
        let install = |epoch, reign, whole_in| {
            standings.install(3, epoch, reign, whole_in);
            standings.of(3).map(|standing| standing.wholeness)
        };
        assert_eq!(install(1, "a", ""), Some(Wholeness::Doubtful), "new, or emptied");
        assert_eq!(install(2, "b", "a"), Some(Wholeness::Doubtful), "it was not repaired under the epoch before");
        standings.is_whole(3, 1);
        assert_eq!(install(3, "c", "a"), Some(Wholeness::Doubtful), "said of an older tenure");
        standings.is_whole(3, 3);
        assert_eq!(install(4, "d", "c"), Some(Wholeness::OwnMemory), "what was written since is remembered here");
        assert_eq!(install(5, "e", "c"), Some(Wholeness::OwnMemory), "nothing of that has gone");
        assert_eq!(install(7, "f", "e"), Some(Wholeness::Doubtful), "somebody was between");
        assert_eq!(install(9, "g", "g"), Some(Wholeness::Whole));
    }
}
