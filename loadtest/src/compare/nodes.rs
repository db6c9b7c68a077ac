//! Several nodes of hotslot on one database: when each has its share of the days, and how often they have forwarded.
//! Must not know: how they are started, what is pressed.

use std::time::Duration;

use thiserror::Error;

use super::metrics::Metrics;
use crate::driver::clock;
use crate::driver::target::Target;

/// How many shards there are: every one has to be answered for before the press.
const SHARDS: f64 = 1_024.0;
/// hotslot's gauge of the shards that a node answers for.
const SHARDS_OPEN: &str = "hotslot_shards_open";
/// hotslot's gauge of the nodes that a node knows of.
const NODES_SEEN: &str = "hotslot_nodes_seen";
/// hotslot's counter of the requests that another node has answered.
const FORWARDED: &str = "hotslot_forwards_total{outcome=\"answered\"}";
/// How long the nodes may take to share the days.
const SHARED_DEADLINE: Duration = Duration::from_secs(60);
/// How often they are asked.
const SHARED_INTERVAL: Duration = Duration::from_millis(100);

/// Why nothing can be said of nodes.
#[derive(Debug, Error)]
pub(crate) enum NodesError {
    /// They do not come to a fair share.
    #[error("the nodes have not shared their days within {}s: {seen}", SHARED_DEADLINE.as_secs())]
    NotShared {
        /// What each said last.
        seen: String,
    },
    /// A system without processes.
    #[error("nothing was started")]
    NoNode,
    /// A node does not say.
    #[error("cannot read a node's metrics: {0}")]
    Unreadable(String),
    /// Not exactly one node answers for a day.
    #[error("no single node speaks for the day: of {presses} requests through each they forwarded {forwarded:?}")]
    NoOwner {
        /// Requests through each node.
        presses: usize,
        /// How many of them each has forwarded.
        forwarded: Vec<u64>,
    },
}

/// Waits until every node knows all of them and each answers for its share.
pub(crate) async fn shared(nodes: &[Target]) -> Result<(), NodesError> {
    let mut pages: Vec<Metrics> = nodes.iter().cloned().map(Metrics::of).collect();
    let deadline = clock::now() + SHARED_DEADLINE;
    loop {
        let mut seen = Vec::with_capacity(nodes.len());
        for page in &mut pages {
            // A gauge is missing until it was set for the first time.
            seen.push(page.read([NODES_SEEN, SHARDS_OPEN]).await);
        }
        if is_shared(&seen) {
            return Ok(());
        }
        if clock::now() >= deadline {
            return Err(NodesError::NotShared { seen: format!("{seen:?}") });
        }
        tokio::time::sleep(SHARED_INTERVAL).await;
    }
}

/// Whether these are the nodes seen and the shards open at all nodes, every shard at one and no node with two more than another.
fn is_shared(seen: &[Result<[f64; 2], String>]) -> bool {
    let count = seen.len() as f64;
    let open: Vec<f64> = seen.iter().flatten().filter(|[nodes, _]| *nodes == count).map(|[_, open]| *open).collect();
    let (least, greatest) =
        open.iter().fold((SHARDS, 0.0_f64), |(least, most), open| (least.min(*open), most.max(*open)));
    open.len() == seen.len() && open.iter().sum::<f64>() == SHARDS && greatest - least <= 1.0
}

/// How many requests each node has had answered by another one since it started.
pub(crate) async fn forwarded(nodes: &[Target]) -> Result<Vec<u64>, NodesError> {
    let mut forwarded = Vec::with_capacity(nodes.len());
    for node in nodes {
        let [count] = Metrics::of(node.clone()).read([FORWARDED]).await.map_err(NodesError::Unreadable)?;
        forwarded.push(count as u64);
    }
    Ok(forwarded)
}

/// The one node that has forwarded nothing of `presses` requests, where the others forwarded all of them.
pub(crate) fn owner(presses: usize, forwarded: &[u64]) -> Result<usize, NodesError> {
    let is_clear = forwarded.iter().all(|count| *count == 0 || *count == presses as u64);
    let mut owners = forwarded.iter().enumerate().filter(|(_, count)| **count == 0).map(|(node, _)| node);
    match (is_clear, owners.next(), owners.next()) {
        (true, Some(owner), None) => Ok(owner),
        _ => Err(NodesError::NoOwner { presses, forwarded: forwarded.to_vec() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_shared_when_every_shard_is_open_at_one_node_and_all_have_as_many() {
        let seen = |open: [f64; 3]| open.map(|open| Ok([3.0, open]));
        assert!(is_shared(&seen([342.0, 341.0, 341.0])));
        assert!(!is_shared(&seen([1024.0, 0.0, 0.0])), "the others have none yet");
        assert!(!is_shared(&seen([342.0, 341.0, 300.0])), "some are being taken over");
        assert!(!is_shared(&[Ok([2.0, 512.0]), Ok([2.0, 512.0]), Ok([3.0, 0.0])]), "not all are known to all");
        assert!(!is_shared(&[Ok([2.0, 512.0]), Err("away".to_owned())]));
        assert!(is_shared(&[Ok([1.0, 1024.0])]));
    }

    #[test]
    fn the_owner_is_the_one_that_forwards_nothing() {
        assert_eq!(owner(30, &[30, 0, 30]).unwrap(), 1);
        for unclear in [[30, 30, 30], [0, 0, 30], [30, 0, 12]] {
            assert!(matches!(owner(30, &unclear), Err(NodesError::NoOwner { .. })), "{unclear:?}");
        }
    }
}
