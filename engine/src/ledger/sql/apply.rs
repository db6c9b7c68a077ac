//! One batch of records, one transaction: what is new of it goes through every projection, then the cursors move.
//! Must not know: what a projection writes, who retries.
//!
//! A transaction's future is never dropped half-way: its one caller is the applier's task. In batches of 4,096 bookings,
//! one second of one core applies 74,000 records of one day, or 45,000 spread over 2,000 days: an appointment, a step of
//! its history, a seat and the cursors each; under a key, which is one row more, 60,000 or 38,000. In batches of 512 it is
//! half of that, as each costs a sync of the disk.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use booking_core::{DayKey, DayVersion};

use super::bulk::{Bind, BulkStatement, Conflict, Kind};
use super::columns::{day, number};
use super::projections::{Batch, projections};
use super::statement::{Statement, signed};
use super::{Dialect, Writer, raw};
use crate::journal::{ReadError, ShardCursor};
use crate::ledger::{AppliedRecord, ApplyError};

/// The list comes first in the join, and stays there: only so does SQLite look each day up by its key instead of reading all.
static APPLIED: BulkStatement = BulkStatement::list(
    "SELECT a.doctor, a.date, a.epoch, a.sequence FROM ",
    &[Kind::Id, Kind::Date],
    " AS wanted CROSS JOIN applied_day a WHERE a.doctor = wanted.column1 AND a.date = wanted.column2",
);

static ADVANCE_DAY: BulkStatement = BulkStatement::insert(
    "applied_day",
    &[("doctor", Kind::Id), ("date", Kind::Date), ("epoch", Kind::Integer), ("sequence", Kind::Integer)],
    Conflict::Replace { key: &["doctor", "date"], only_if: "" },
);

static ADVANCE_SHARD: BulkStatement = BulkStatement::insert(
    "applied_shard",
    &[("shard", Kind::Integer), ("epoch", Kind::Integer), ("position", Kind::Integer)],
    Conflict::Replace {
        key: &["shard"],
        only_if: "(excluded.epoch, excluded.position) > (applied_shard.epoch, applied_shard.position)",
    },
);

const PARKED: &str = "SELECT doctor, date FROM parked_day";
const UNPARK: &str = "DELETE FROM parked_day WHERE doctor = $1 AND date = $2";
const PARK: &str = "INSERT INTO parked_day (doctor, date, epoch, sequence, position, reason) \
                    SELECT $1, $2, $3, $4, coalesce(max(position), 0), $5 FROM applied_shard WHERE true \
                    ON CONFLICT (doctor, date) DO NOTHING";

/// Those that look for rows, for the test of their plans.
#[cfg(test)]
pub(in crate::ledger) static BULK_STATEMENTS: [&BulkStatement; 3] = [&APPLIED, &ADVANCE_DAY, &ADVANCE_SHARD];
#[cfg(test)]
pub(in crate::ledger) const STATEMENTS: [&str; 2] = [UNPARK, PARK];

/// Applies `records` and moves the cursor to `position`.
pub(in crate::ledger) async fn apply<D: Dialect>(
    writer: &Writer<D>,
    records: &[AppliedRecord],
    position: u64,
) -> Result<(), ApplyError> {
    transact(writer, async |connection: &mut D::Connection| {
        D::require_ownership(connection, &writer.fence, shards(records)).await?;
        apply_new(writer, records, connection).await?;
        advance_shards::<D>(&cursors_of(records, position), connection).await?;
        crash_point!(LedgerApplyBeforeCommit);
        Ok(())
    })
    .await?;
    crash_point!(LedgerApplyAfterCommit);
    Ok(())
}

/// Applies `records` of `shard`, which an earlier owner wrote, and moves its cursor.
pub(in crate::ledger) async fn apply_shard<D: Dialect>(
    writer: &Writer<D>,
    shard: u16,
    records: &[AppliedRecord],
    cursor: ShardCursor,
) -> Result<(), ApplyError> {
    transact(writer, async |connection: &mut D::Connection| {
        D::require_ownership(connection, &writer.fence, std::iter::once(shard).chain(shards(records))).await?;
        apply_new(writer, records, connection).await?;
        advance_shards::<D>(&[(shard, cursor)], connection).await
    })
    .await
}

/// Applies `records` of the parked `day` and takes its mark away; the cursor stays.
pub(in crate::ledger) async fn unpark<D: Dialect>(
    writer: &Writer<D>,
    day: DayKey,
    records: &[AppliedRecord],
) -> Result<(), ApplyError> {
    transact(writer, async |connection: &mut D::Connection| {
        D::require_ownership(connection, &writer.fence, std::iter::once(day.shard())).await?;
        let unparked = D::execute(connection, Statement::new(UNPARK).bind_day(day)).await;
        unparked.map_err(|error| D::apply_error("unpark", &error))?;
        apply_new(writer, records, connection).await
    })
    .await
}

/// Marks `day` as parked; the first mark stays.
pub(in crate::ledger) async fn park<D: Dialect>(
    writer: &Writer<D>,
    day: DayKey,
    version: DayVersion,
    reason: &str,
) -> Result<(), ApplyError> {
    transact(writer, async |connection: &mut D::Connection| {
        D::require_ownership(connection, &writer.fence, std::iter::once(day.shard())).await?;
        let mark = Statement::new(PARK).bind_day(day).bind(version.epoch).bind(version.sequence).bind(reason);
        D::execute(connection, mark).await.map(drop).map_err(|error| D::apply_error("park", &error))
    })
    .await
}

/// All of `work` or nothing.
pub(super) async fn transact<D, W>(writer: &Writer<D>, work: W) -> Result<(), ApplyError>
where
    D: Dialect,
    W: for<'connection> AsyncFnOnce(&'connection mut D::Connection) -> Result<(), ApplyError>,
{
    let transaction = writer.pool.begin_with(D::BEGIN).await;
    let mut transaction = transaction.map_err(|error| D::apply_error("begin", &error))?;
    match work(&mut transaction).await {
        Ok(()) => {
            crash_point!(LedgerTransactionBeforeCommit);
            transaction.commit().await.map_err(|error| D::apply_error("commit", &error))?;
            crash_point!(LedgerTransactionAfterCommit);
            Ok(())
        }
        Err(failure) => {
            // A connection that cannot even roll back is closed by the pool; what counts is the failure itself.
            if let Err(error) = transaction.rollback().await {
                tracing::warn!(error = %D::apply_error("rollback", &error), "the ledger did not roll back");
            }
            Err(failure)
        }
    }
}

async fn apply_new<D: Dialect>(
    writer: &Writer<D>,
    records: &[AppliedRecord],
    connection: &mut D::Connection,
) -> Result<(), ApplyError> {
    let parked = parked::<D>(connection).await?;
    if writer.keeps_raw && !parked.is_empty() {
        let aside: Vec<_> = records.iter().filter(|record| parked.contains(&record.day)).collect();
        raw::keep_aside::<D>(&aside, connection).await?;
    }
    let mut applied = applied::<D>(records, connection).await?;
    let fresh = fresh(records, &parked, &mut applied)?;
    if fresh.is_empty() {
        return Ok(());
    }
    if writer.keeps_raw {
        raw::keep::<D>(&fresh, connection).await?;
    }
    let days: BTreeSet<DayKey> = fresh.iter().map(|record| record.day).collect();
    let batch = Batch { records: fresh, planner: &writer.planner };
    for projection in projections::<D>() {
        projection.apply(&batch, connection).await?;
    }
    let rows: Vec<(DayKey, DayVersion)> =
        days.into_iter().filter_map(|day| applied.get(&day).map(|version| (day, *version))).collect();
    let advanced = D::execute_rows(connection, &ADVANCE_DAY, &rows, |(day, version), values| {
        values.day(*day)?;
        values.integer(version.epoch.into())?;
        values.integer(signed(version.sequence))
    });
    advanced.await.map(drop).map_err(|error| D::apply_error("applied days", &error))
}

/// The records that are new, which must follow their predecessors without a gap; moves `applied` on.
fn fresh<'records>(
    records: &'records [AppliedRecord],
    parked: &HashSet<DayKey>,
    applied: &mut HashMap<DayKey, DayVersion>,
) -> Result<Vec<&'records AppliedRecord>, ApplyError> {
    let mut fresh = Vec::with_capacity(records.len());
    for record in records.iter().filter(|record| !parked.contains(&record.day)) {
        let last = applied.entry(record.day).or_default();
        let (sequence, epoch) = (record.version.sequence, record.version.epoch);
        if sequence < last.sequence || record.version == *last {
            continue;
        }
        if sequence == last.sequence || epoch < last.epoch {
            return Err(ApplyError::Refused(format!(
                "{}: record {sequence} of epoch {epoch} is a fork: record {} of epoch {} is applied",
                record.day, last.sequence, last.epoch
            )));
        }
        if sequence != last.sequence + 1 {
            return Err(ApplyError::Refused(format!(
                "{}: record {sequence} comes after record {}: records are missing",
                record.day, last.sequence
            )));
        }
        *last = record.version;
        fresh.push(record);
    }
    Ok(fresh)
}

async fn parked<D: Dialect>(connection: &mut D::Connection) -> Result<HashSet<DayKey>, ApplyError> {
    let rows = D::fetch(connection, Statement::new(PARKED)).await;
    let rows = rows.map_err(|error| D::apply_error("parked days", &error))?;
    rows.iter().map(|row| day(row).map_err(unavailable)).collect()
}

/// How far the days of `records` are applied.
async fn applied<D: Dialect>(
    records: &[AppliedRecord],
    connection: &mut D::Connection,
) -> Result<HashMap<DayKey, DayVersion>, ApplyError> {
    let days: BTreeSet<DayKey> = records.iter().map(|record| record.day).collect();
    let days: Vec<DayKey> = days.into_iter().collect();
    let rows = D::fetch_rows(connection, &APPLIED, &days, |day, values| values.day(*day)).await;
    let rows = rows.map_err(|error| D::apply_error("applied days", &error))?;
    let mut applied = HashMap::with_capacity(days.len());
    for row in &rows {
        let version = DayVersion {
            epoch: number(row, "epoch").map_err(unavailable)?,
            sequence: number(row, "sequence").map_err(unavailable)?,
        };
        applied.insert(day(row).map_err(unavailable)?, version);
    }
    Ok(applied)
}

/// The cursor of each shard that the batch touches; the batch's own end is the last record's shard's.
fn cursors_of(records: &[AppliedRecord], position: u64) -> Vec<(u16, ShardCursor)> {
    let mut cursors: BTreeMap<u16, ShardCursor> = BTreeMap::new();
    for record in records.iter().filter(|record| record.position <= position) {
        let cursor = cursors.entry(record.day.shard()).or_default();
        *cursor = record.cursor().max(*cursor);
    }
    let (shard, epoch) = records.last().map_or((0, 0), |record| (record.day.shard(), record.version.epoch));
    cursors.insert(shard, ShardCursor { epoch, position });
    cursors.into_iter().collect()
}

async fn advance_shards<D: Dialect>(
    cursors: &[(u16, ShardCursor)],
    connection: &mut D::Connection,
) -> Result<(), ApplyError> {
    let advanced = D::execute_rows(connection, &ADVANCE_SHARD, cursors, |(shard, cursor), values| {
        values.integer((*shard).into())?;
        values.integer(cursor.epoch.into())?;
        values.integer(signed(cursor.position))
    });
    advanced.await.map(drop).map_err(|error| D::apply_error("cursor", &error))
}

/// The shards of `records`, as often as they come.
fn shards(records: &[AppliedRecord]) -> impl Iterator<Item = u16> + Send {
    records.iter().map(|record| record.day.shard())
}

/// A damaged cursor is no record's fault: the whole ledger waits.
fn unavailable(error: ReadError) -> ApplyError {
    ApplyError::Unavailable(error.to_string())
}
