//! What this node speaks for, and where everything else is: asked before every answer.
//! Must not know: how shards are claimed, how another node is asked.

use std::sync::Arc;

use arc_swap::ArcSwap;
use booking_core::{DayKey, SHARD_COUNT};
use uuid::Uuid;

use super::{OwnershipMap, ShardSet, Tenures};
use crate::clock::Clock;
use crate::error::EngineError;

/// Where a shard is spoken for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// In this process.
    Here,
    /// In another one, as far as is known.
    There {
        /// `host:port` of its listener for nodes.
        address: Arc<str>,
    },
    /// By nobody at the moment: it is being taken over.
    Nowhere,
}

/// Who spoke for what when the store was asked last. A hint: the owner itself knows better.
#[derive(Debug, Default)]
struct Routes {
    /// By shard; empty for a store with one process.
    owners: Vec<Option<Arc<str>>>,
    /// Every other live node.
    peers: Vec<Arc<str>>,
}

/// See the module.
pub struct Territory {
    tenures: Arc<Tenures>,
    clock: Arc<dyn Clock>,
    routes: ArcSwap<Routes>,
}

impl Territory {
    /// Of a process that speaks for what `tenures` say.
    pub fn new(tenures: Arc<Tenures>, clock: Arc<dyn Clock>) -> Self {
        Self { tenures, clock, routes: ArcSwap::default() }
    }

    /// What this process owns.
    pub fn tenures(&self) -> &Arc<Tenures> {
        &self.tenures
    }

    /// Whether this process may speak for `day` now.
    pub fn is_here(&self, day: DayKey) -> bool {
        self.has(day.shard())
    }

    /// Whether this process may speak for `shard` now.
    pub fn has(&self, shard: u16) -> bool {
        self.tenures.is_open(shard) && self.tenures.is_leased_by(|| self.clock.monotonic_micros())
    }

    /// Under which epoch this process may speak for `shard` now, if it may. What was read while this stayed the same was read under one
    /// tenure: in between nobody else has spoken for it.
    pub fn tenure(&self, shard: u16) -> Option<u32> {
        let epoch = self.tenures.epoch(shard);
        self.has(shard).then_some(epoch)
    }

    /// Whether requests can come to something here: some shard is open; or this process has none, and another node lives to which they
    /// are passed on.
    pub fn can_answer(&self) -> bool {
        let tenures = &self.tenures;
        (0..SHARD_COUNT).any(|shard| tenures.is_open(shard))
            || (!self.peers().is_empty() && (0..SHARD_COUNT).all(|shard| tenures.epoch(shard) == 0))
    }

    /// The shards that this process may speak for now.
    pub fn spoken_for(&self) -> ShardSet {
        (0..SHARD_COUNT).filter(|shard| self.has(*shard)).collect()
    }

    /// Nothing if this process may speak for `day`; else which shard is to be looked for elsewhere.
    pub fn require(&self, day: DayKey) -> Result<(), EngineError> {
        self.require_shard(day.shard())
    }

    /// As [`Territory::require`], of a shard.
    pub fn require_shard(&self, shard: u16) -> Result<(), EngineError> {
        if self.has(shard) { Ok(()) } else { Err(EngineError::NotHere { shard }) }
    }

    /// Where to ask for `shard`.
    pub fn place_of(&self, shard: u16) -> Place {
        if self.has(shard) {
            return Place::Here;
        }
        let routes = self.routes.load();
        let owner = routes.owners.get(usize::from(shard)).cloned().flatten();
        owner.map_or(Place::Nowhere, |address| Place::There { address })
    }

    /// The other live nodes.
    pub fn peers(&self) -> Vec<Arc<str>> {
        self.routes.load().peers.clone()
    }

    /// Takes up what the store says; `own` is this process.
    pub fn learn(&self, map: &OwnershipMap, own: Uuid) {
        let live = map.nodes.iter().filter(|node| node.is_live && node.incarnation != own);
        let live: Vec<(Uuid, Arc<str>)> = live.map(|node| (node.incarnation, Arc::from(&*node.address))).collect();
        let mut owners = vec![None; usize::from(SHARD_COUNT)];
        for row in &map.shards {
            let address = live.iter().find(|(incarnation, _)| Some(*incarnation) == row.owner);
            if let (Some(slot), Some((_, address))) = (owners.get_mut(usize::from(row.shard)), address) {
                *slot = Some(Arc::clone(address));
            }
        }
        let peers = live.into_iter().map(|(_, address)| address).collect();
        self.routes.store(Arc::new(Routes { owners, peers }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::ownership::{Node, ShardOwner};

    #[test]
    fn what_is_not_ours_is_where_the_store_says() {
        let (own, other, dead) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let territory = Territory::new(Arc::new(Tenures::none()), Arc::new(SystemClock::start()));
        assert!(!territory.can_answer(), "there is nobody");
        let node = |incarnation, is_live| Node { incarnation, address: format!("node:{incarnation}"), is_live };
        let shard = |shard, owner| ShardOwner { shard, epoch: 1, owner: Some(owner) };
        territory.learn(
            &OwnershipMap {
                nodes: vec![node(own, true), node(other, true), node(dead, false)],
                shards: vec![shard(0, own), shard(1, other), shard(2, dead)],
            },
            own,
        );
        let there = Place::There { address: Arc::from(format!("node:{other}")) };
        assert!(territory.can_answer(), "it passes on");
        assert_eq!(territory.place_of(0), Place::Nowhere, "ours on paper, but not open");
        assert_eq!((territory.place_of(1), territory.place_of(2)), (there, Place::Nowhere));
        assert_eq!(territory.peers().len(), 1);
        territory.tenures().grant(0, 1);
        assert!(!territory.can_answer(), "everything that it has is still being taken over");
        territory.tenures().open(0);
        assert!(territory.can_answer());
        assert_eq!(territory.place_of(0), Place::Nowhere, "no lease");
        territory.tenures().extend(u64::MAX);
        assert_eq!(territory.place_of(0), Place::Here);
    }
}
