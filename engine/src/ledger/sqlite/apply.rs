//! One batch of records, one transaction: what is new of it goes through every projection, then the cursors move.
//! Must not know: what a projection writes, who retries.
//!
//! A transaction's future is never dropped half-way: its one caller is the applier's task. In batches of 4,096 bookings,
//! one second of one core applies 74,000 records of one day, or 45,000 spread over 2,000 days: an appointment, a step of
//! its history, a seat and the cursors each; under a key, which is one row more, 60,000 or 38,000. In batches of 512 it is
//! half of that, as each costs a sync of the disk.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use booking_core::{DayKey, DayVersion};
use sqlx::SqlitePool;
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteConnection;

use super::bulk::{BulkStatement, Values};
use super::projections::{Batch, PROJECTIONS};
use super::words::{apply_error, day, number, signed};
use crate::journal::{ReadError, ShardCursor};
use crate::ledger::{AppliedRecord, ApplyError};

/// The list comes first in the join: only so does SQLite look each day up by its key instead of reading all.
static APPLIED: BulkStatement = BulkStatement::new(
    "SELECT a.doctor, a.date, a.epoch, a.sequence FROM (VALUES ",
    2,
    ") AS wanted CROSS JOIN applied_day a ON a.doctor = wanted.column1 AND a.date = wanted.column2",
);

static ADVANCE_DAY: BulkStatement = BulkStatement::new(
    "INSERT INTO applied_day (doctor, date, epoch, sequence) VALUES ",
    4,
    " ON CONFLICT (doctor, date) DO UPDATE SET epoch = excluded.epoch, sequence = excluded.sequence",
);

static ADVANCE_SHARD: BulkStatement = BulkStatement::new(
    "INSERT INTO applied_shard (shard, epoch, position) VALUES ",
    3,
    " ON CONFLICT (shard) DO UPDATE SET epoch = excluded.epoch, position = excluded.position \
      WHERE (excluded.epoch, excluded.position) > (applied_shard.epoch, applied_shard.position)",
);

const PARKED: &str = "SELECT doctor, date FROM parked_day";
const UNPARK: &str = "DELETE FROM parked_day WHERE doctor = ?1 AND date = ?2";
const PARK: &str = "INSERT INTO parked_day (doctor, date, epoch, sequence, position, reason) \
                    SELECT ?1, ?2, ?3, ?4, coalesce(max(position), 0), ?5 FROM applied_shard WHERE true \
                    ON CONFLICT (doctor, date) DO NOTHING";

/// Those that look for rows, for the test of their plans.
#[cfg(test)]
pub(super) static BULK_STATEMENTS: [&BulkStatement; 3] = [&APPLIED, &ADVANCE_DAY, &ADVANCE_SHARD];
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 2] = [UNPARK, PARK];

/// Applies `records` and moves the cursor to `position`.
pub(super) async fn apply(writer: &SqlitePool, records: &[AppliedRecord], position: u64) -> Result<(), ApplyError> {
    transact(writer, async |connection: &mut SqliteConnection| {
        apply_new(records, connection).await?;
        advance_shards(&cursors_of(records, position), connection).await?;
        crash_point!(LedgerApplyBeforeCommit);
        Ok(())
    })
    .await?;
    crash_point!(LedgerApplyAfterCommit);
    Ok(())
}

/// Applies `records` of `shard`, which an earlier owner wrote, and moves its cursor.
pub(super) async fn apply_shard(
    writer: &SqlitePool,
    shard: u16,
    records: &[AppliedRecord],
    cursor: ShardCursor,
) -> Result<(), ApplyError> {
    transact(writer, async |connection: &mut SqliteConnection| {
        apply_new(records, connection).await?;
        advance_shards(&[(shard, cursor)], connection).await
    })
    .await
}

/// Applies `records` of the parked `day` and takes its mark away; the cursor stays.
pub(super) async fn unpark(writer: &SqlitePool, day: DayKey, records: &[AppliedRecord]) -> Result<(), ApplyError> {
    transact(writer, async |connection: &mut SqliteConnection| {
        let query = sqlx::query(UNPARK).bind(day.doctor.as_bytes().to_vec()).bind(day.date.days());
        query.execute(&mut *connection).await.map_err(|error| apply_error("unpark", &error))?;
        apply_new(records, connection).await
    })
    .await
}

/// Marks `day` as parked; the first mark stays.
pub(super) async fn park(
    writer: &SqlitePool,
    day: DayKey,
    version: DayVersion,
    reason: &str,
) -> Result<(), ApplyError> {
    transact(writer, async |connection: &mut SqliteConnection| {
        let query = sqlx::query(PARK)
            .bind(day.doctor.as_bytes().to_vec())
            .bind(day.date.days())
            .bind(version.epoch)
            .bind(signed(version.sequence))
            .bind(reason.to_owned());
        query.execute(connection).await.map(drop).map_err(|error| apply_error("park", &error))
    })
    .await
}

/// All of `work` or nothing. `BEGIN IMMEDIATE`: a read that turns into a write would be told busy without waiting.
pub(super) async fn transact<W>(writer: &SqlitePool, work: W) -> Result<(), ApplyError>
where
    W: for<'connection> AsyncFnOnce(&'connection mut SqliteConnection) -> Result<(), ApplyError>,
{
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(|error| apply_error("begin", &error))?;
    match work(&mut transaction).await {
        Ok(()) => {
            crash_point!(LedgerTransactionBeforeCommit);
            transaction.commit().await.map_err(|error| apply_error("commit", &error))?;
            crash_point!(LedgerTransactionAfterCommit);
            Ok(())
        }
        Err(failure) => {
            // A connection that cannot even roll back is closed by the pool; what counts is the failure itself.
            if let Err(error) = transaction.rollback().await {
                tracing::warn!(%error, "the ledger did not roll back");
            }
            Err(failure)
        }
    }
}

async fn apply_new(records: &[AppliedRecord], connection: &mut SqliteConnection) -> Result<(), ApplyError> {
    let parked = parked(connection).await?;
    let mut applied = applied(records, connection).await?;
    let fresh = fresh(records, &parked, &mut applied)?;
    if fresh.is_empty() {
        return Ok(());
    }
    let days: BTreeSet<DayKey> = fresh.iter().map(|record| record.day).collect();
    let batch = Batch { records: fresh };
    for projection in PROJECTIONS {
        projection.apply(&batch, connection).await?;
    }
    let rows: Vec<(DayKey, DayVersion)> =
        days.into_iter().filter_map(|day| applied.get(&day).map(|version| (day, *version))).collect();
    let advanced = ADVANCE_DAY.execute(connection, &rows, |(day, version), values| {
        bind_day(day, values)?;
        values.push(version.epoch)?;
        values.push(signed(version.sequence))
    });
    advanced.await.map(drop).map_err(|error| apply_error("applied days", &error))
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

async fn parked(connection: &mut SqliteConnection) -> Result<HashSet<DayKey>, ApplyError> {
    let rows = sqlx::query(PARKED).fetch_all(connection).await.map_err(|error| apply_error("parked days", &error))?;
    rows.iter().map(|row| day(row).map_err(unavailable)).collect()
}

/// How far the days of `records` are applied.
async fn applied(
    records: &[AppliedRecord],
    connection: &mut SqliteConnection,
) -> Result<HashMap<DayKey, DayVersion>, ApplyError> {
    let days: BTreeSet<DayKey> = records.iter().map(|record| record.day).collect();
    let days: Vec<DayKey> = days.into_iter().collect();
    let rows = APPLIED.fetch(connection, &days, bind_day).await.map_err(|error| apply_error("applied days", &error))?;
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

async fn advance_shards(cursors: &[(u16, ShardCursor)], connection: &mut SqliteConnection) -> Result<(), ApplyError> {
    let advanced = ADVANCE_SHARD.execute(connection, cursors, |(shard, cursor), values| {
        values.push(*shard)?;
        values.push(cursor.epoch)?;
        values.push(signed(cursor.position))
    });
    advanced.await.map(drop).map_err(|error| apply_error("cursor", &error))
}

fn bind_day(day: &DayKey, values: &mut Values) -> Result<(), BoxDynError> {
    values.push_bytes(day.doctor.as_bytes())?;
    values.push(day.date.days())
}

/// A damaged cursor is no record's fault: the whole ledger waits.
fn unavailable(error: ReadError) -> ApplyError {
    ApplyError::Unavailable(error.to_string())
}
