//! Makes every older append impossible, and finds out what the last one of them has written.
//! Must not know: who waits for it.
//!
//! An append carries a generation, one number for the whole process, and writes nothing if the ownership row of one of its shards has
//! a higher one. It locks these rows before it looks, and the barrier changes them: so an append either has ended before the
//! barrier has the rows, or comes after and sees the higher number. The commit of the barrier is synchronous and is judged as
//! an append's is: once it is clean, everything that was visible before it is as durable as the backend promises.

use std::sync::Arc;

use booking_core::DayKey;
use sqlx::{Connection, PgConnection};

use super::link::{self, Link};
use super::sent::Sent;
use super::{Shared, WRITE_DEADLINE, read};
use crate::journal::AppendError;

/// The message makes the commit one that writes, and so waits for the standby, though no shard is ours.
const RAISE: &str = "
    WITH message AS MATERIALIZED (SELECT pg_logical_emit_message(true, 'hotslot', 'barrier')),
    locked AS MATERIALIZED (
        SELECT owner.shard FROM shard_owner AS owner
        WHERE owner.shard = ANY ($1::smallint[]) ORDER BY owner.shard FOR NO KEY UPDATE),
    raised AS (
        UPDATE shard_owner AS owner SET generation = $3 FROM unnest($1::smallint[], $2::bigint[]) AS own(shard, epoch)
        WHERE owner.shard = own.shard AND owner.epoch = own.epoch AND owner.generation < $3
            AND owner.shard IN (SELECT shard FROM locked)
        RETURNING 1)
    SELECT count(*) FROM raised, message";

/// See [`crate::journal::Journal::barrier`]. Every failure leaves it to be tried again.
pub(super) async fn raise(shared: &Shared) -> Result<(), AppendError> {
    let _one_at_a_time = shared.raising.lock().await;
    let (generation, sent) = {
        let mut state = shared.state.lock();
        state.generation += 1;
        (state.generation, state.in_flight.clone())
    };
    // A connection of its own each time: it is seldom needed, and an old one may be gone without having said so.
    let mut link = shared.connect("barrier").await.map_err(|error| unknown(&error))?;
    terminate(shared, &mut link, sent.as_deref()).await.map_err(|error| unknown(&error))?;
    let mut shards: Vec<(u16, u32)> =
        shared.tenures.owned().iter().map(|shard| (shard, shared.tenures.epoch(shard))).collect();
    shards.extend(sent.iter().flat_map(|sent| sent.logs()));
    shards.sort_unstable();
    shards.dedup();
    let Link { connection, notices, .. } = &mut link;
    if let Err(failure) = link::judge(notices, WRITE_DEADLINE, send(connection, &shards, generation)).await {
        // Another try must not wait behind this one for ever.
        shared.state.lock().abandoned.push(link.backend.clone());
        return Err(AppendError::Unknown(failure.words));
    }
    if let Some(sent) = sent {
        settle(shared, &mut link.connection, &sent).await.map_err(|error| unknown(&error))?;
    }
    if let Err(error) = link.connection.close().await {
        tracing::debug!(%error, "the connection of a barrier did not close");
    }
    Ok(())
}

fn unknown(error: &sqlx::Error) -> AppendError {
    AppendError::Unknown(format!("the barrier is not raised: {error}"))
}

async fn send(connection: &mut PgConnection, shards: &[(u16, u32)], generation: i64) -> Result<(), sqlx::Error> {
    let (numbers, epochs) = read::columns(shards);
    sqlx::query(RAISE).bind(numbers).bind(epochs).bind(generation).fetch_all(connection).await.map(drop)
}

/// Ends what still holds locks for nobody: the backend of the append that may be under way, and those that were given up.
async fn terminate(shared: &Shared, link: &mut Link, sent: Option<&Sent>) -> Result<(), sqlx::Error> {
    let mut backends = shared.state.lock().abandoned.clone();
    backends.extend(sent.map(|sent| sent.backend.clone()));
    for backend in &backends {
        link.terminate(backend).await?;
    }
    shared.state.lock().abandoned.retain(|backend| !backends.contains(backend));
    Ok(())
}

/// Nothing of `sent` can be written any more: what of it is stored joins the log, the rest never was.
async fn settle(shared: &Shared, connection: &mut PgConnection, sent: &Arc<Sent>) -> Result<(), sqlx::Error> {
    let records: Vec<(DayKey, u64, _)> =
        sent.records.iter().map(|record| (record.day, record.version.sequence, record.hash)).collect();
    let found = read::find(connection, &records).await?;
    let stored = found.into_iter().filter_map(|(place, position)| {
        sent.records.get(place).map(|record| crate::journal::StoredRecord { position, ..record.clone() })
    });
    let stored: Vec<_> = stored.collect();
    let mut state = shared.state.lock();
    state.recent.push(stored);
    if state.in_flight.as_ref().is_some_and(|current| Arc::ptr_eq(current, sent)) {
        state.in_flight = None;
    }
    Ok(())
}
