//! Who owns which shard: the store of ownership as a port, and what this process holds.
//! Must not know: SQL, what is done with a shard.
//!
//! Leases and routes are liveness: they say who may try. Epochs are safety: every append names the epoch of its shard, and the journal
//! refuses an older one (`protocols.md` rules 29 to 32).

pub(crate) mod keeper;
pub(crate) mod memory;
pub mod peers;
pub mod plan;
pub mod postgres;
pub mod publishing;
pub mod publishing_postgres;
pub mod shards;
pub(crate) mod takeover;
pub mod tenures;
pub mod territory;
pub mod transport;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

pub use self::peers::Cluster;
pub use self::postgres::PostgresOwnership;
pub use self::publishing::{PublishGuard, PublishLock};
pub use self::shards::ShardSet;
pub use self::tenures::Tenures;
pub use self::territory::{Place, Territory};
pub use self::transport::PeerTransport;

/// A process that takes part, as the store knows it. Every start of a program is another one (`protocols.md` rule 29).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// Made anew at each start.
    pub incarnation: Uuid,
    /// Where other nodes reach it: `host:port`.
    pub address: String,
    /// Whether its lease runs, by the store's clock.
    pub is_live: bool,
}

/// Who has a shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ShardOwner {
    /// Which shard.
    pub shard: u16,
    /// Of the last claim; 0: never claimed.
    pub epoch: u32,
    /// Who claimed it last; `None` if it was given back.
    pub owner: Option<Uuid>,
}

/// Everything the store knows, read at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OwnershipMap {
    /// Every node that has not left, also those whose lease has ended.
    pub nodes: Vec<Node>,
    /// Every shard, by number.
    pub shards: Vec<ShardOwner>,
}

impl OwnershipMap {
    /// Where those were reached that had any of `shards` when this was read, live or not, but for the node at `own`.
    pub(crate) fn owners_of(&self, shards: &ShardSet, own: &str) -> Vec<Arc<str>> {
        let rows = self.shards.iter().filter(|row| shards.contains(row.shard));
        let owners: BTreeSet<Uuid> = rows.filter_map(|row| row.owner).collect();
        let nodes = self.nodes.iter().filter(|node| owners.contains(&node.incarnation) && node.address != own);
        nodes.map(|node| Arc::from(&*node.address)).collect()
    }
}

/// Why the store of ownership did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum OwnershipError {
    /// It did not answer, or it is not known whether it did it.
    #[error("the store of ownership did not answer: {0}")]
    Unavailable(String),
    /// The lease of this process has ended, or its row is gone: everything it held may be somebody else's.
    #[error("the lease has ended")]
    LeaseEnded,
}

/// The store of ownership: one lease row a node, one row a shard, and the clock of one database.
#[async_trait]
pub trait Ownership: Send + Sync + 'static {
    /// Enters a node with a lease of `lease_millis` from now on.
    async fn join(&self, node: &Node, lease_millis: u64) -> Result<(), OwnershipError>;

    /// Prolongs the lease to `lease_millis` from now on. [`OwnershipError::LeaseEnded`] if it had ended: a lease is never resumed.
    async fn renew(&self, incarnation: Uuid, lease_millis: u64) -> Result<(), OwnershipError>;

    /// Who has what.
    async fn map(&self) -> Result<OwnershipMap, OwnershipError>;

    /// Claims those of `wanted` (shard, epoch as it was seen) that are still at that epoch and whose owner has given them back or
    /// whose lease has ended; the caller's lease must run. Returns what it got, with the raised epochs. Durable when it returns.
    async fn claim(&self, incarnation: Uuid, wanted: &[(u16, u32)]) -> Result<Vec<(u16, u32)>, OwnershipError>;

    /// Gives shards back that `incarnation` has under these epochs; others are left alone.
    async fn release(&self, incarnation: Uuid, shards: &[(u16, u32)]) -> Result<(), OwnershipError>;

    /// Gives everything back and takes the node out.
    async fn leave(&self, incarnation: Uuid) -> Result<(), OwnershipError>;

    /// Releases the store.
    async fn close(&self) {}
}
