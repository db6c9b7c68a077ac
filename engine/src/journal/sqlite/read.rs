//! What can be read back: a day as one consistent whole, the log in order, the index of days.
//! Must not know: who reads, and what a record means.
//!
//! Each read is one SELECT, so that it sees one committed state without a transaction of its own and can be given up at
//! its deadline.

use std::time::Duration;

use booking_core::{Date, DayKey, DayVersion, DoctorId, UtcMillis};
use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqlitePool};

use super::append::{bytes_of, hash_of, head_of, unsigned};
use super::block::{self, Block};
use super::failure;
use crate::journal::{Head, LoadedDay, ReadError, StoredRecord, StoredSnapshot, chain};

/// Longest wait for one read. A load is some milliseconds; who waits longer than this is better told to come again.
const READ_DEADLINE: Duration = Duration::from_secs(5);

/// Kind 0 is the head, 1 the snapshot, 2 a block of the tail. The walk goes back from the head's block to the one that
/// continues the snapshot; positions must fall, so that a damaged pointer cannot make it turn in a circle.
const LOAD: &str = "
    WITH RECURSIVE start(position, known) AS (
        SELECT head.position, coalesce(snapshot.sequence, 0)
        FROM head LEFT JOIN snapshot ON snapshot.day = head.day WHERE head.day = ?1),
    tail(position, previous_position, first_sequence, known) AS (
        SELECT block.position, block.previous_position, block.first_sequence, start.known
        FROM start JOIN block ON block.position = start.position
        WHERE block.first_sequence + block.record_count - 1 > start.known
        UNION ALL
        SELECT block.position, block.previous_position, block.first_sequence, tail.known
        FROM tail JOIN block ON block.position = tail.previous_position
        WHERE tail.first_sequence > tail.known + 1 AND block.position < tail.position)
    SELECT 0 AS kind, day, epoch, sequence, hash, position, 0 AS record_count, NULL AS checksum, NULL AS body
        FROM head WHERE day = ?1
    UNION ALL
    SELECT 1, day, epoch, sequence, hash, 0, 0, checksum, body FROM snapshot WHERE day = ?1
    UNION ALL
    SELECT 2, block.day, 0, block.first_sequence, NULL, block.position, block.record_count, NULL, block.body
        FROM tail JOIN block ON block.position = tail.position";

/// With the day's block before each, which has the link that the first record covers.
const READ_AFTER: &str = "
    SELECT block.day, block.position, block.first_sequence AS sequence, block.record_count, block.body,
        before.day AS day_before, before.first_sequence AS sequence_before, before.record_count AS count_before,
        before.body AS body_before
    FROM block LEFT JOIN block AS before ON before.position = block.previous_position
    WHERE block.position > ?1 ORDER BY block.position LIMIT ?2";

/// What the index names, and what stands there.
const DAYS_OF: &str = "
    SELECT named.day AS named, head.day FROM head AS named LEFT JOIN head ON head.number = named.number
    WHERE named.day BETWEEN ?1 AND ?2 ORDER BY named.day";

/// With the place where the day itself would be looked for.
const OPEN_WORK: &str = "
    SELECT day, next_work_at, number, (SELECT named.number FROM head AS named WHERE named.day = head.day) AS named
    FROM head WHERE next_work_at <= ?1 ORDER BY next_work_at LIMIT ?2";

/// See [`crate::journal::Journal::load`].
pub(super) async fn load(pool: &SqlitePool, day: DayKey) -> Result<Option<LoadedDay>, ReadError> {
    let rows = within_deadline(sqlx::query(LOAD).bind(&day.to_bytes()[..]).fetch_all(pool)).await?;
    assemble(day, &rows).map_err(|reason| damaged(&format!("{day}: {reason}")))
}

/// The day that `rows` of [`LOAD`] describe, checked; what is wrong, in words.
fn assemble(day: DayKey, rows: &[SqliteRow]) -> Result<Option<LoadedDay>, String> {
    let words = |error: sqlx::Error| error.to_string();
    let (mut head, mut snapshot, mut tail) = (None, None, Vec::new());
    for row in rows {
        match row.try_get::<i64, _>("kind").map_err(words)? {
            0 => head = Some(head_of(row).map_err(words)?),
            1 => snapshot = Some(snapshot_of(day, row)?),
            _ => tail.extend(records_of(row)?),
        }
    }
    let Some(head) = head else {
        return if snapshot.is_some() { Err("it has a snapshot and no head".to_owned()) } else { Ok(None) };
    };
    if let Some(stranger) = tail.iter().find(|record| record.day != day) {
        return Err(format!("position {} belongs to {}", stranger.position, stranger.day));
    }
    let known = snapshot.as_ref().map_or(0, |snapshot: &StoredSnapshot| snapshot.head.version.sequence);
    tail.retain(|record| record.version.sequence > known);
    tail.sort_unstable_by_key(|record| record.position);
    let loaded = LoadedDay { snapshot, tail, head };
    chain::verify(&loaded)?;
    Ok(Some(loaded))
}

pub(super) fn snapshot_of(day: DayKey, row: &SqliteRow) -> Result<StoredSnapshot, String> {
    let read = || -> Result<_, sqlx::Error> {
        let head: Head = head_of(row)?;
        Ok((StoredSnapshot { day, head, bytes: bytes_of(row, "body")? }, hash_of(row, "checksum")?))
    };
    let (snapshot, checksum) = read().map_err(|error| format!("its snapshot: {error}"))?;
    if chain::snapshot_checksum(&snapshot) == checksum {
        Ok(snapshot)
    } else {
        Err(format!("its snapshot at sequence {} does not fit its checksum", snapshot.head.version.sequence))
    }
}

pub(super) fn records_of(row: &SqliteRow) -> Result<Vec<StoredRecord>, String> {
    let read = || -> Result<Block, sqlx::Error> {
        Ok(Block {
            day: day_of(row)?,
            position: unsigned(row, "position")?,
            first_sequence: unsigned(row, "sequence")?,
            record_count: unsigned(row, "record_count")?,
            body: row.try_get("body")?,
        })
    };
    block::decode(&read().map_err(|error| format!("a block: {error}"))?)
}

pub(super) fn day_of(row: &SqliteRow) -> Result<DayKey, sqlx::Error> {
    DayKey::from_bytes(row.try_get("day")?).ok_or_else(|| sqlx::Error::Decode("day: not twenty bytes of a day".into()))
}

/// Where the log of the day of this row of [`READ_AFTER`] ended before it.
fn head_before(row: &SqliteRow) -> Result<Head, sqlx::Error> {
    let Some(body) = row.try_get::<Option<&[u8]>, _>("body_before")? else { return Ok(Head::default()) };
    let first: u64 = unsigned(row, "sequence_before")?;
    let sequence = first.saturating_add(unsigned(row, "count_before")?).saturating_sub(1);
    let last = block::last(body).filter(|_| row.try_get::<&[u8], _>("day_before").ok() == row.try_get("day").ok());
    let (epoch, hash) = last.ok_or_else(|| sqlx::Error::Decode("the block before is not one of its day".into()))?;
    Ok(Head { version: DayVersion { epoch, sequence }, hash })
}

/// The records of a row of [`READ_AFTER`], which continue the log of their day, and the positions after `last`.
fn checked_records(row: &SqliteRow, last: u64) -> Result<Vec<StoredRecord>, String> {
    let position: u64 = unsigned(row, "position").map_err(|error| error.to_string())?;
    let records = records_of(row)?;
    let first = records.first().map_or(position, |record| record.position);
    if first > last + 1 {
        return Err(format!("position {first} follows position {last}: records are missing"));
    }
    let before = head_before(row).map_err(|error| format!("position {position}: {error}"))?;
    chain::follow_all(before, &records).map_err(|(broken, at)| match records.first() {
        Some(record) => format!("{}: position {at}: {broken}", record.day),
        None => format!("position {at}: {broken}"),
    })?;
    Ok(records)
}

/// See [`crate::journal::Journal::read_after`].
pub(super) async fn read_after(pool: &SqlitePool, position: u64, limit: usize) -> Result<Vec<StoredRecord>, ReadError> {
    let Ok(after) = i64::try_from(position) else { return Ok(Vec::new()) };
    let rows_max = i64::try_from(limit).unwrap_or(i64::MAX);
    within_deadline(async {
        let (mut records, mut last) = (Vec::new(), position);
        let mut rows = sqlx::query(READ_AFTER).bind(after).bind(rows_max).fetch(pool);
        // A row holds one record at least; the stream is dropped as soon as there are enough.
        while records.len() < limit {
            let Some(row) = rows.try_next().await? else { break };
            let block = checked_records(&row, last).map_err(|reason| sqlx::Error::Decode(reason.into()))?;
            last = block.last().map_or(last, |record| record.position);
            records.extend(block.into_iter().filter(|record| record.position > position));
        }
        records.truncate(limit);
        Ok(records)
    })
    .await
}

/// See [`crate::journal::Journal::last_position`].
pub(super) async fn last_position(pool: &SqlitePool) -> Result<u64, ReadError> {
    let last: i64 =
        within_deadline(sqlx::query_scalar("SELECT coalesce(max(position), 0) FROM block").fetch_one(pool)).await?;
    u64::try_from(last).map_err(|_| damaged("a position is negative"))
}

/// See [`crate::journal::Journal::days_of`]. At most one row for each date in between.
pub(super) async fn days_of(
    pool: &SqlitePool,
    doctor: DoctorId,
    from: Date,
    to: Date,
) -> Result<Vec<DayKey>, ReadError> {
    let (from, to) = (DayKey { doctor, date: from }.to_bytes(), DayKey { doctor, date: to }.to_bytes());
    let rows = within_deadline(sqlx::query(DAYS_OF).bind(&from[..]).bind(&to[..]).fetch_all(pool)).await?;
    let day = |row: &SqliteRow| {
        let day = day_of(row)?;
        let is_named = row.try_get::<&[u8], _>("named")? == &day.to_bytes()[..];
        if is_named { Ok(day) } else { Err(misplaced(day)) }
    };
    rows.iter().map(|row| day(row).map_err(|error: sqlx::Error| damaged(&error.to_string()))).collect()
}

/// An index and its table do not agree about a day.
fn misplaced(day: DayKey) -> sqlx::Error {
    sqlx::Error::Decode(format!("{day}: the index of days does not lead to its head").into())
}

/// See [`crate::journal::Journal::open_work`].
pub(super) async fn open_work(
    pool: &SqlitePool,
    until: UtcMillis,
    limit: usize,
) -> Result<Vec<(DayKey, UtcMillis)>, ReadError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = within_deadline(sqlx::query(OPEN_WORK).bind(until.0).bind(limit).fetch_all(pool)).await?;
    let work = |row: &SqliteRow| {
        let day = day_of(row)?;
        let is_found = row.try_get::<Option<i64>, _>("named")? == Some(row.try_get::<i64, _>("number")?);
        if is_found { Ok((day, UtcMillis(row.try_get("next_work_at")?))) } else { Err(misplaced(day)) }
    };
    rows.iter().map(|row| work(row).map_err(|error: sqlx::Error| damaged(&error.to_string()))).collect()
}

async fn within_deadline<T>(read: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, ReadError> {
    match tokio::time::timeout(READ_DEADLINE, read).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) if failure::is_damage(&error) => Err(damaged(&error.to_string())),
        Ok(Err(error)) => Err(ReadError::Unavailable(error.to_string())),
        Err(_) => Err(ReadError::Unavailable(format!("no answer within {READ_DEADLINE:?}"))),
    }
}

/// Says what is damaged and what to do.
pub(super) fn damaged(reason: &str) -> ReadError {
    ReadError::Damaged(format!("{} is not what was written: {reason}. {}", super::FILE_NAME, failure::ADVICE))
}
