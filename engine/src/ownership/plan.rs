//! Which shards a node should claim and which give back, from what the store says: every node comes to compatible conclusions by itself.
//! Must not know: time, stores, how long anything takes.
//!
//! The live nodes, in the order of their ids, share the shards evenly; the first ones have one more if they do not divide. Who has less
//! than its
//! share takes what is free; who has more gives back, a few at a time, as long as somebody has too little. Two nodes that want the same
//! free shard meet in the store, which gives it to one.

use booking_core::SHARD_COUNT;
use uuid::Uuid;

use super::{OwnershipMap, ShardOwner};

/// Shards given back at once: each is out of service for as long as it takes to settle it, some tens of milliseconds, and the others go on.
pub const GIVEN_BACK_AT_ONCE: usize = 32;

/// What a node should do next.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// Free shards to claim, with the epochs at which they were seen.
    pub claim: Vec<(u16, u32)>,
    /// Own shards to give back, with their epochs.
    pub give_back: Vec<(u16, u32)>,
    /// Own shards by what is held here, that the store gives to somebody else or knows under another epoch.
    pub lost: Vec<u16>,
    /// Shards that the store gives to this node and that are not held here, with their epochs: an answer was lost on the way. To be given
    /// back, so that they are claimed anew.
    pub unheld: Vec<(u16, u32)>,
}

/// The plan of node `own`, which holds `held` (shard, epoch), all by number.
pub fn plan(map: &OwnershipMap, own: Uuid, held: &[(u16, u32)]) -> Plan {
    let lost: Vec<u16> = held.iter().filter(|it| !is_ours(map, own, **it)).map(|(shard, _)| *shard).collect();
    let mut live: Vec<Uuid> = map.nodes.iter().filter(|node| node.is_live).map(|node| node.incarnation).collect();
    live.sort_unstable();
    let Some(rank) = live.iter().position(|node| *node == own) else { return Plan { lost, ..Plan::default() } };
    let is_free = |row: &&ShardOwner| row.owner.is_none_or(|owner| !live.contains(&owner));
    let free: Vec<(u16, u32)> = map.shards.iter().filter(is_free).map(|row| (row.shard, row.epoch)).collect();
    let owned = |node: Uuid| map.shards.iter().filter(|row| row.owner == Some(node)).count();
    let (share, has) = (share(live.len(), rank), owned(own));
    let is_unheld = |row: &&ShardOwner| row.owner == Some(own) && !held.iter().any(|(shard, _)| *shard == row.shard);
    let unheld = map.shards.iter().filter(is_unheld).map(|row| (row.shard, row.epoch)).collect();
    let mut plan = Plan { lost, unheld, ..Plan::default() };
    if has < share {
        // Each begins at another place, so that they seldom want the same.
        let begin = free.len() * rank / live.len();
        plan.claim = free.iter().cycle().skip(begin).take(free.len().min(share - has)).copied().collect();
        plan.claim.sort_unstable();
    } else if has > share && free.is_empty() {
        let is_short = |(rank, node): (usize, &Uuid)| owned(*node) < self::share(live.len(), rank);
        if live.iter().enumerate().any(is_short) {
            let count = (has - share).min(GIVEN_BACK_AT_ONCE);
            let rows = map.shards.iter().rev().filter(|row| row.owner == Some(own));
            plan.give_back = rows.take(count).map(|row| (row.shard, row.epoch)).collect();
        }
    }
    plan
}

fn is_ours(map: &OwnershipMap, own: Uuid, (shard, epoch): (u16, u32)) -> bool {
    map.shards.iter().any(|row| row.shard == shard && row.owner == Some(own) && row.epoch == epoch)
}

/// How many shards the node at `rank` of `nodes` should have.
fn share(nodes: usize, rank: usize) -> usize {
    let all = usize::from(SHARD_COUNT);
    all / nodes + usize::from(rank < all % nodes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ownership::Node;

    const ALL: usize = SHARD_COUNT as usize;

    fn map(nodes: &[(u128, bool)], owner: impl Fn(u16) -> Option<u128>) -> OwnershipMap {
        let node = |(id, is_live): &(u128, bool)| Node {
            incarnation: Uuid::from_u128(*id),
            address: String::new(),
            is_live: *is_live,
        };
        let row = |shard| ShardOwner { shard, epoch: 1, owner: owner(shard).map(Uuid::from_u128) };
        OwnershipMap { nodes: nodes.iter().map(node).collect(), shards: (0..SHARD_COUNT).map(row).collect() }
    }

    fn planned(map: &OwnershipMap, own: u128) -> Plan {
        let own = Uuid::from_u128(own);
        let held: Vec<(u16, u32)> =
            map.shards.iter().filter(|row| row.owner == Some(own)).map(|row| (row.shard, row.epoch)).collect();
        plan(map, own, &held)
    }

    #[test]
    fn the_first_node_takes_everything_and_gives_half_to_the_second() {
        assert_eq!(planned(&map(&[(1, true)], |_| None), 1).claim.len(), ALL);
        let both = map(&[(1, true), (2, true)], |_| Some(1));
        assert_eq!(planned(&both, 1).give_back.len(), GIVEN_BACK_AT_ONCE);
        assert_eq!(planned(&both, 2), Plan::default(), "nothing is free yet");
        let some_free = map(&[(1, true), (2, true)], |shard| (shard < 1_000).then_some(1));
        assert_eq!(planned(&some_free, 1), Plan::default(), "first the free ones are taken");
        assert_eq!(planned(&some_free, 2).claim.len(), 24);
    }

    #[test]
    fn what_a_dead_node_had_is_shared_among_the_living() {
        let map = map(&[(1, true), (2, true), (3, false)], |shard| Some(u128::from(shard % 3) + 1));
        let (one, two) = (planned(&map, 1).claim, planned(&map, 2).claim);
        let shards: std::collections::BTreeSet<u16> = one.iter().chain(&two).map(|(shard, _)| *shard).collect();
        assert_eq!((one.len() + two.len(), shards.len()), (341, 341), "all of them, none twice");
    }

    #[test]
    fn whoever_is_not_live_only_learns_what_it_has_lost() {
        let map = map(&[(1, false), (2, true)], |shard| Some(u128::from(shard % 2) + 1));
        let held: Vec<(u16, u32)> = (0..4).map(|shard| (shard, 1)).collect();
        let plan = plan(&map, Uuid::from_u128(1), &held);
        assert_eq!((plan.lost.as_slice(), plan.claim.len(), plan.give_back.len()), ([1, 3].as_slice(), 0, 0));
        let raised = planned(&map, 2);
        assert_eq!(raised.lost, Vec::<u16>::new());
    }

    #[test]
    fn what_is_ours_on_paper_only_is_given_back() {
        let map = map(&[(1, true)], |_| Some(1));
        let held: Vec<(u16, u32)> = (2..SHARD_COUNT).map(|shard| (shard, 1)).collect();
        assert_eq!(plan(&map, Uuid::from_u128(1), &held).unheld, [(0, 1), (1, 1)]);
    }

    #[test]
    fn a_handful_of_nodes_comes_to_rest() {
        let mut owners: Vec<Option<u128>> = vec![None; ALL];
        let nodes: Vec<(u128, bool)> = (1..=7).map(|id| (id, true)).collect();
        for round in 0..64 {
            let before = owners.clone();
            for (id, _) in &nodes {
                let seen = map(&nodes, |shard| owners[usize::from(shard)]);
                let plan = planned(&seen, *id);
                plan.claim.iter().for_each(|(shard, _)| owners[usize::from(*shard)] = Some(*id));
                plan.give_back.iter().for_each(|(shard, _)| owners[usize::from(*shard)] = None);
            }
            if owners == before {
                let counts = |id: u128| owners.iter().filter(|owner| **owner == Some(id)).count();
                assert!(nodes.iter().all(|(id, _)| [146, 147].contains(&counts(*id))), "round {round}");
                return;
            }
        }
        panic!("it goes on for ever");
    }
}
