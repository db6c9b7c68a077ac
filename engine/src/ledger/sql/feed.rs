//! The cursors of the feed in the ledger's database, fenced as the applier is.
//! Must not know: what is published, where.
//!
//! Written over the registry's connections, so that the applier never waits for one.

use async_trait::async_trait;

use super::apply::transact;
use super::bulk::{Bind, BulkStatement, Conflict, Kind};
use super::columns::number;
use super::statement::{Statement, signed};
use super::store::Stored;
use super::{Dialect, Writer};
use crate::feed::{FeedCursors, WHOLE_LOG};
use crate::journal::{ReadError, ShardCursor};
use crate::ledger::ApplyError;

const LOAD: &str = "SELECT shard, epoch, position FROM feed_cursor WHERE sink = $1";

static SAVE: BulkStatement = BulkStatement::insert(
    "feed_cursor",
    &[("sink", Kind::Text), ("shard", Kind::Integer), ("epoch", Kind::Integer), ("position", Kind::Integer)],
    Conflict::Replace {
        key: &["sink", "shard"],
        only_if: "(excluded.epoch, excluded.position) > (feed_cursor.epoch, feed_cursor.position)",
    },
);

#[async_trait]
impl<L: Stored> FeedCursors for L {
    async fn load(&self, sink: &str) -> Result<Vec<(u16, ShardCursor)>, ReadError> {
        let rows = L::Dialect::ask(&self.store().readers, Statement::new(LOAD).bind(sink)).await?;
        let cursor = |row| {
            let cursor = ShardCursor { epoch: number(row, "epoch")?, position: number(row, "position")? };
            Ok((number(row, "shard")?, cursor))
        };
        rows.iter().map(cursor).collect()
    }

    async fn save(&self, sink: &str, cursors: &[(u16, ShardCursor)]) -> Result<(), ApplyError> {
        save(&self.store().beside_the_applier(), sink, cursors).await
    }
}

async fn save<D: Dialect>(writer: &Writer<D>, sink: &str, cursors: &[(u16, ShardCursor)]) -> Result<(), ApplyError> {
    let mut cursors = cursors.to_vec();
    // In the order of shards, as every writer takes them.
    cursors.sort_unstable();
    transact(writer, async |connection: &mut D::Connection| {
        let shards = cursors.iter().map(|(shard, _)| *shard).filter(|shard| *shard != WHOLE_LOG);
        D::require_ownership(connection, &writer.fence, shards).await?;
        let saved = D::execute_rows(connection, &SAVE, &cursors, |(shard, cursor), values| {
            values.text(sink)?;
            values.integer((*shard).into())?;
            values.integer(cursor.epoch.into())?;
            values.integer(signed(cursor.position))
        });
        saved.await.map(drop).map_err(|error| D::apply_error("feed cursors", &error))
    })
    .await
}
