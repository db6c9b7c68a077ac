//! What can be read back: a day as one consistent whole, a shard in the order of its owners, the index of days.
//! Must not know: who reads, and what a record means.
//!
//! Each read is one SELECT, so that it sees one committed state without a transaction of its own.

use std::sync::Arc;

use booking_core::{Date, DayKey, DayVersion, DoctorId, UtcMillis};
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::journal::{ChainHash, Head, LoadedDay, ReadError, ShardCursor, StoredRecord, StoredSnapshot, chain};
use crate::postgres;

/// What to do about damage.
const ADVICE: &str = "Stop writing to this database, look at its disk, and restore a backup or promote a standby";

/// Kind 0 is the head, 1 the snapshot, 2 a record of the tail. Days since 1970-01-01 as `day`.
const LOAD: &str = "
    SELECT 0 AS kind, shard, epoch, sequence, hash, 0::bigint AS position, NULL::bytea AS checksum, NULL::bytea AS body
        FROM journal_head WHERE doctor = $1 AND date = '1970-01-01'::date + $2
    UNION ALL
    SELECT 1, 0::smallint, epoch, sequence, hash, 0, checksum, body
        FROM journal_snapshot WHERE doctor = $1 AND date = '1970-01-01'::date + $2
    UNION ALL
    SELECT 2, shard, epoch, sequence, hash, position, NULL, body
        FROM journal_record WHERE doctor = $1 AND date = '1970-01-01'::date + $2 AND sequence > coalesce(
            (SELECT sequence FROM journal_snapshot WHERE doctor = $1 AND date = '1970-01-01'::date + $2), 0)";

const READ_SHARD: &str = "
    SELECT doctor, date - '1970-01-01'::date AS day, shard, epoch, sequence, hash, position, body
    FROM journal_record WHERE shard = $1 AND (epoch, position) > ($2, $3) ORDER BY epoch, position LIMIT $4";

/// Each shard by itself and by the index: the limit keeps the planner from joining the whole table.
const AHEAD_OF: &str = "
    SELECT wanted.shard FROM unnest($1::smallint[], $2::bigint[], $3::bigint[]) AS wanted(shard, epoch, position)
    CROSS JOIN LATERAL (
        SELECT 1 FROM journal_record AS record
        WHERE record.shard = wanted.shard AND (record.epoch, record.position) > (wanted.epoch, wanted.position)
        ORDER BY record.epoch, record.position LIMIT 1) AS next";

/// Of the logs that this process has written.
const READ_OWN: &str = "
    SELECT record.doctor, record.date - '1970-01-01'::date AS day, record.shard, record.epoch, record.sequence, record.hash,
        record.position, record.body
    FROM unnest($1::smallint[], $2::bigint[]) AS own(shard, epoch)
    JOIN journal_record AS record ON record.shard = own.shard AND record.epoch = own.epoch
        AND record.position > $3 AND record.position <= $4
    ORDER BY record.position";

/// The positions of records that may have been written.
const FIND: &str = "
    SELECT sent.place, record.position
    FROM unnest($1::uuid[], $2::integer[], $3::bigint[], $4::bytea[]) WITH ORDINALITY AS sent(doctor, day, sequence, hash, place)
    JOIN journal_record AS record ON record.doctor = sent.doctor AND record.date = '1970-01-01'::date + sent.day
        AND record.sequence = sent.sequence AND record.hash = sent.hash
    ORDER BY record.position";

const DAYS_OF: &str = "
    SELECT doctor, date - '1970-01-01'::date AS day FROM journal_head
    WHERE doctor = $1 AND date BETWEEN '1970-01-01'::date + $2 AND '1970-01-01'::date + $3 ORDER BY date";

const OPEN_WORK: &str = "
    SELECT doctor, date - '1970-01-01'::date AS day, next_work_ms FROM journal_head
    WHERE shard = ANY ($1::smallint[]) AND next_work_ms <= $2 ORDER BY next_work_ms LIMIT $3";

const EPOCHS: &str = "SELECT shard, epoch FROM shard_owner WHERE shard = ANY ($1::smallint[])";

/// See [`crate::journal::Journal::load`].
pub(super) async fn load(pool: &PgPool, day: DayKey) -> Result<Option<LoadedDay>, ReadError> {
    let query = sqlx::query(LOAD).bind(day.doctor.0).bind(day.date.days());
    let rows = postgres::within_deadline(query.fetch_all(pool)).await.map_err(|error| failed(&error))?;
    assemble(day, &rows).map_err(|reason| damaged(&format!("{day}: {reason}")))
}

/// The day that `rows` of [`LOAD`] describe, checked; what is wrong, in words.
fn assemble(day: DayKey, rows: &[PgRow]) -> Result<Option<LoadedDay>, String> {
    let words = |error: sqlx::Error| error.to_string();
    let (mut head, mut snapshot, mut tail) = (None, None, Vec::new());
    for row in rows {
        match row.try_get::<i32, _>("kind").map_err(words)? {
            0 => head = Some(head_of(row).map_err(words)?),
            1 => snapshot = Some(snapshot_of(day, row)?),
            _ => tail.push(record_of(row, day).map_err(words)?),
        }
    }
    let Some(head) = head else {
        return if rows.is_empty() { Ok(None) } else { Err("it has a snapshot or records, and no head".to_owned()) };
    };
    tail.sort_unstable_by_key(|record| record.version.sequence);
    let loaded = LoadedDay { snapshot, tail, head };
    chain::verify(&loaded)?;
    Ok(Some(loaded))
}

pub(super) fn snapshot_of(day: DayKey, row: &PgRow) -> Result<StoredSnapshot, String> {
    let read = || -> Result<_, sqlx::Error> {
        Ok((StoredSnapshot { day, head: head_of(row)?, bytes: bytes_of(row)? }, hash_of(row, "checksum")?))
    };
    let (snapshot, checksum) = read().map_err(|error| format!("its snapshot: {error}"))?;
    if chain::snapshot_checksum(&snapshot) == checksum {
        Ok(snapshot)
    } else {
        Err(format!("its snapshot at sequence {} does not fit its checksum", snapshot.head.version.sequence))
    }
}

/// See [`crate::journal::Journal::read_shard`].
pub(super) async fn read_shard(
    pool: &PgPool,
    shard: u16,
    after: ShardCursor,
    limit: usize,
) -> Result<Vec<StoredRecord>, ReadError> {
    let Ok(position) = i64::try_from(after.position) else { return Ok(Vec::new()) };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let query = sqlx::query(READ_SHARD).bind(small(shard)).bind(i64::from(after.epoch)).bind(position).bind(limit);
    let rows = postgres::within_deadline(query.fetch_all(pool)).await.map_err(|error| failed(&error))?;
    records(&rows)
}

/// See [`crate::journal::Journal::ahead_of`].
pub(super) async fn ahead_of(pool: &PgPool, cursors: &[(u16, ShardCursor)]) -> Result<Vec<u16>, ReadError> {
    let logs: Vec<(u16, u32)> = cursors.iter().map(|(shard, cursor)| (*shard, cursor.epoch)).collect();
    let positions = cursors.iter().map(|(_, cursor)| i64::try_from(cursor.position).unwrap_or(i64::MAX));
    let ((shards, epochs), positions) = (columns(&logs), positions.collect::<Vec<_>>());
    let query = sqlx::query(AHEAD_OF).bind(shards).bind(epochs).bind(positions);
    let rows = postgres::within_deadline(query.fetch_all(pool)).await.map_err(|error| failed(&error))?;
    rows.iter().map(|row| shard_of(row).map_err(|error| failed(&error))).collect()
}

/// The records after `after` and up to `until` of these shards' logs, by position.
pub(super) async fn read_own(
    pool: &PgPool,
    logs: &[(u16, u32)],
    after: u64,
    until: u64,
) -> Result<Vec<StoredRecord>, ReadError> {
    let (Ok(after), Ok(until)) = (i64::try_from(after), i64::try_from(until)) else { return Ok(Vec::new()) };
    let (shards, epochs) = columns(logs);
    let query = sqlx::query(READ_OWN).bind(shards).bind(epochs).bind(after).bind(until);
    let rows = postgres::within_deadline(query.fetch_all(pool)).await.map_err(|error| failed(&error))?;
    records(&rows)
}

/// Which of these records (day, sequence, link) are stored: their places in `sent`, and positions, by position.
pub(super) async fn find(
    connection: &mut sqlx::PgConnection,
    sent: &[(DayKey, u64, ChainHash)],
) -> Result<Vec<(usize, u64)>, sqlx::Error> {
    let doctors: Vec<Uuid> = sent.iter().map(|(day, ..)| day.doctor.0).collect();
    let days: Vec<i32> = sent.iter().map(|(day, ..)| day.date.days()).collect();
    let sequences: Vec<i64> =
        sent.iter().map(|(_, sequence, _)| i64::try_from(*sequence).unwrap_or(i64::MAX)).collect();
    let hashes: Vec<&[u8]> = sent.iter().map(|(.., hash)| &hash.0[..]).collect();
    let query = sqlx::query(FIND).bind(doctors).bind(days).bind(sequences).bind(hashes);
    let rows = postgres::within_deadline(query.fetch_all(connection)).await?;
    let found = |row: &PgRow| Ok((unsigned::<usize>(row, "place")?.saturating_sub(1), unsigned(row, "position")?));
    rows.iter().map(found).collect()
}

/// See [`crate::journal::Journal::days_of`]. At most one row for each date in between.
pub(super) async fn days_of(pool: &PgPool, doctor: DoctorId, from: Date, to: Date) -> Result<Vec<DayKey>, ReadError> {
    let query = sqlx::query(DAYS_OF).bind(doctor.0).bind(from.days()).bind(to.days());
    let rows = postgres::within_deadline(query.fetch_all(pool)).await.map_err(|error| failed(&error))?;
    rows.iter().map(|row| day_of(row).map_err(|error| failed(&error))).collect()
}

/// See [`crate::journal::Journal::open_work`].
pub(super) async fn open_work(
    pool: &PgPool,
    shards: impl Iterator<Item = u16>,
    until: UtcMillis,
    limit: usize,
) -> Result<Vec<(DayKey, UtcMillis)>, ReadError> {
    let shards: Vec<i16> = shards.map(small).collect();
    let query = sqlx::query(OPEN_WORK).bind(shards).bind(until.0).bind(i64::try_from(limit).unwrap_or(i64::MAX));
    let rows = postgres::within_deadline(query.fetch_all(pool)).await.map_err(|error| failed(&error))?;
    let work = |row: &PgRow| Ok((day_of(row)?, UtcMillis(row.try_get("next_work_ms")?)));
    rows.iter().map(|row| work(row).map_err(|error: sqlx::Error| failed(&error))).collect()
}

/// The epochs of these shards as the store knows them.
pub(super) async fn epochs(pool: &PgPool, shards: &[(u16, u32)]) -> Result<Vec<(u16, u32)>, sqlx::Error> {
    let (numbers, _) = columns(shards);
    let rows = postgres::within_deadline(sqlx::query(EPOCHS).bind(numbers).fetch_all(pool)).await?;
    rows.iter().map(|row| Ok((shard_of(row)?, unsigned(row, "epoch")?))).collect()
}

/// Shards and epochs, as the database takes them.
pub(super) fn columns(shards: &[(u16, u32)]) -> (Vec<i16>, Vec<i64>) {
    shards.iter().map(|(shard, epoch)| (small(*shard), i64::from(*epoch))).unzip()
}

/// Numbers from 32,768 on are no shards, and neither is what stands for them here.
fn small(shard: u16) -> i16 {
    i16::try_from(shard).unwrap_or(i16::MAX)
}

fn records(rows: &[PgRow]) -> Result<Vec<StoredRecord>, ReadError> {
    let record = |row: &PgRow| record_of(row, day_of(row)?);
    rows.iter().map(|row| record(row).map_err(|error| failed(&error))).collect()
}

pub(super) fn record_of(row: &PgRow, day: DayKey) -> Result<StoredRecord, sqlx::Error> {
    let head = head_of(row)?;
    let (shard, position) = (shard_of(row)?, unsigned(row, "position")?);
    Ok(StoredRecord { day, shard, position, version: head.version, hash: head.hash, body: bytes_of(row)? })
}

pub(super) fn shard_of(row: &PgRow) -> Result<u16, sqlx::Error> {
    let shard: i16 = row.try_get("shard")?;
    u16::try_from(shard).map_err(|_| sqlx::Error::Decode(format!("shard: {shard} cannot be").into()))
}

pub(super) fn day_of(row: &PgRow) -> Result<DayKey, sqlx::Error> {
    let days: i32 = row.try_get("day")?;
    let date =
        Date::from_days(days).ok_or_else(|| sqlx::Error::Decode(format!("date: day {days} cannot be").into()))?;
    Ok(DayKey { doctor: DoctorId(row.try_get("doctor")?), date })
}

pub(super) fn head_of(row: &PgRow) -> Result<Head, sqlx::Error> {
    let version = DayVersion { epoch: unsigned(row, "epoch")?, sequence: unsigned(row, "sequence")? };
    Ok(Head { version, hash: hash_of(row, "hash")? })
}

/// A link of sixteen bytes.
pub(super) fn hash_of(row: &PgRow, column: &'static str) -> Result<ChainHash, sqlx::Error> {
    let bytes: &[u8] = row.try_get(column)?;
    let hash = bytes.try_into().map_err(|_| sqlx::Error::Decode(format!("{column}: not sixteen bytes").into()))?;
    Ok(ChainHash(hash))
}

/// A number that is never negative.
pub(super) fn unsigned<T: TryFrom<i64>>(row: &PgRow, column: &'static str) -> Result<T, sqlx::Error> {
    let number: i64 = row.try_get(column)?;
    T::try_from(number).map_err(|_| sqlx::Error::Decode(format!("{column}: {number} cannot be").into()))
}

fn bytes_of(row: &PgRow) -> Result<Arc<[u8]>, sqlx::Error> {
    Ok(Arc::from(row.try_get::<&[u8], _>("body")?))
}

/// What an error of a read says.
pub(super) fn failed(error: &sqlx::Error) -> ReadError {
    if postgres::is_damage(error) { damaged(&error.to_string()) } else { ReadError::Unavailable(error.to_string()) }
}

fn damaged(reason: &str) -> ReadError {
    ReadError::Damaged(format!("the journal in PostgreSQL is not what was written: {reason}. {ADVICE}"))
}
