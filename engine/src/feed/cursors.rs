//! How far each sink of the feed is: a cursor a shard and sink, as a port.
//! Must not know: SQL, how a sink is reached.

use async_trait::async_trait;

use crate::journal::{ReadError, ShardCursor};
use crate::ledger::ApplyError;

/// Stands for the whole of a journal that lasts, where one cursor suffices: no shard has this number.
pub const WHOLE_LOG: u16 = u16::MAX;

/// The store of the cursors, in the ledger's database.
#[async_trait]
pub trait FeedCursors: Send + Sync + 'static {
    /// Every cursor of `sink`; what was never saved is missing.
    async fn load(&self, sink: &str) -> Result<Vec<(u16, ShardCursor)>, ReadError>;

    /// Moves cursors of `sink` forward, never back, all or none. Refuses with [`ApplyError::Unavailable`] if one of the shards is not this
    /// process's any more. Not to be dropped before it is ready: it is a transaction.
    async fn save(&self, sink: &str, cursors: &[(u16, ShardCursor)]) -> Result<(), ApplyError>;
}
