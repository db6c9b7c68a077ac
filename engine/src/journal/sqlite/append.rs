//! Appends a batch in one transaction of few statements, and settles it when it fails.
//! Must not know: who waits for the outcome.
//!
//! A batch travels as two byte strings, in two turns of the connection's thread. `fields` has a row of decimal numbers of fixed
//! width for each day, `payload` the days' keys, links and blocks. The statements cut them with `substr`, which costs a copy of the slice only. Measured
//! against JSON and against many bound values on 800 rows, this is the fastest, and its SQL is the same for every size.

use std::sync::Arc;

use booking_core::DayVersion;
use foldhash::{HashSet, HashSetExt};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::block;
use super::failure::{self, WriteFailure};
use crate::clock::Stopwatch;
use crate::journal::poison::Poison;
use crate::journal::{AppendError, ChainHash, DayAppend, DayOutcome, Head};
use crate::telemetry::catalogue;

/// Characters of one number in `fields`; holds every 64-bit integer.
const WIDTH: usize = 20;
/// A day without work of its own, in `fields`.
const NO_WORK: i64 = i64::MIN;

// A row of `fields` is ten numbers (200 bytes). From byte 1: last position minus the batch's base; 21: first sequence;
// 41: record count; 61 and 81: epoch and sequence of the last record; 101: next work; 121: where the day's payload
// starts, from 1; 141: length of its block; 161 and 181: epoch and sequence of the expected head.
// The payload of a day is its key (20 bytes), expected link (16), new link (16) and block.

// Each text is one way to the connection's thread and back, so the transaction begins and ends in them.

/// Begins. First row: the store's epoch and last position. Then one row for each day whose log does not end as expected.
const BEGIN_AND_CHECK: &str = "
    BEGIN IMMEDIATE;
    WITH RECURSIVE entry(at) AS (SELECT 0 UNION ALL SELECT at + 200 FROM entry WHERE at + 200 < length(?1)),
    named(at, start) AS (SELECT at, CAST(substr(?1, at + 121, 20) AS INTEGER) FROM entry)
    SELECT -1 AS entry, epoch, (SELECT coalesce(max(position), 0) FROM block) AS sequence, NULL AS hash
        FROM meta WHERE id = 1
    UNION ALL
    SELECT at / 200, coalesce(head.epoch, 0), coalesce(head.sequence, 0), coalesce(head.hash, zeroblob(16))
        FROM named LEFT JOIN head ON head.day = substr(?2, start, 20)
        WHERE coalesce(head.sequence, 0) <> CAST(substr(?1, at + 181, 20) AS INTEGER)
        OR coalesce(head.epoch, 0) <> CAST(substr(?1, at + 161, 20) AS INTEGER)
        OR coalesce(head.hash, zeroblob(16)) <> substr(?2, start + 20, 16)";

/// The blocks first, while the heads still say where each day's last block is. Then commits.
const WRITE_AND_COMMIT: &str = "
    WITH RECURSIVE entry(at) AS (SELECT 0 UNION ALL SELECT at + 200 FROM entry WHERE at + 200 < length(?1)),
    named(at, start) AS (SELECT at, CAST(substr(?1, at + 121, 20) AS INTEGER) FROM entry)
    INSERT INTO block (position, previous_position, day, first_sequence, record_count, body)
    SELECT ?3 + CAST(substr(?1, at + 1, 20) AS INTEGER),
        coalesce((SELECT position FROM head WHERE day = substr(?2, start, 20)), 0),
        substr(?2, start, 20),
        CAST(substr(?1, at + 21, 20) AS INTEGER),
        CAST(substr(?1, at + 41, 20) AS INTEGER),
        substr(?2, start + 52, CAST(substr(?1, at + 141, 20) AS INTEGER))
    FROM named;
    WITH RECURSIVE entry(at) AS (SELECT 0 UNION ALL SELECT at + 200 FROM entry WHERE at + 200 < length(?1)),
    named(at, start) AS (SELECT at, CAST(substr(?1, at + 121, 20) AS INTEGER) FROM entry)
    INSERT INTO head (day, epoch, sequence, hash, position, next_work_at)
    SELECT substr(?2, start, 20),
        CAST(substr(?1, at + 61, 20) AS INTEGER),
        CAST(substr(?1, at + 81, 20) AS INTEGER),
        substr(?2, start + 36, 16),
        ?3 + CAST(substr(?1, at + 1, 20) AS INTEGER),
        nullif(CAST(substr(?1, at + 101, 20) AS INTEGER), -9223372036854775808)
    FROM named WHERE true
    ON CONFLICT (day) DO UPDATE SET epoch = excluded.epoch, sequence = excluded.sequence, hash = excluded.hash,
        position = excluded.position, next_work_at = excluded.next_work_at;
    COMMIT";

/// A batch in the form in which the statements take it.
pub(super) struct Encoded {
    fields: Vec<u8>,
    payload: Vec<u8>,
    /// For each row of `fields`: which entry of the batch it is, and its last position minus the base.
    rows: Vec<(usize, u64)>,
}

impl Encoded {
    /// The entries of `batch` that `keep` names; in words, what of them a journal cannot take.
    pub(super) fn of(batch: &[DayAppend], keep: impl Fn(usize) -> bool) -> Result<Self, String> {
        let mut encoded = Self { fields: Vec::new(), payload: Vec::new(), rows: Vec::new() };
        let mut positions = 0;
        let mut days = HashSet::with_capacity(batch.len());
        for (index, append) in batch.iter().enumerate().filter(|(index, _)| keep(*index)) {
            if !days.insert(append.day) {
                return Err(format!("{} has two entries in one batch", append.day));
            }
            positions += append.records.len() as u64;
            encoded
                .push(append, positions)
                .ok_or_else(|| format!("what {} appends does not follow its own expected head", append.day))?;
            encoded.rows.push((index, positions));
        }
        Ok(encoded)
    }

    fn push(&mut self, append: &DayAppend, last_position: u64) -> Option<()> {
        let (first, last) = (append.records.first()?, append.records.last()?);
        let mut numbered = append.records.iter().zip(append.expected.version.sequence + 1..);
        if numbered.any(|(record, sequence)| record.version.sequence != sequence) {
            return None;
        }
        let start = self.payload.len();
        self.payload.extend_from_slice(&append.day.to_bytes());
        self.payload.extend_from_slice(&append.expected.hash.0);
        self.payload.extend_from_slice(&last.hash.0);
        let block_start = self.payload.len();
        block::encode(&append.records, &mut self.payload)?;
        let numbers = [
            last_position.try_into().ok()?,
            first.version.sequence.try_into().ok()?,
            append.records.len().try_into().ok()?,
            last.version.epoch.into(),
            last.version.sequence.try_into().ok()?,
            append.next_work_at.map_or(NO_WORK, |at| at.0),
            (start + 1).try_into().ok()?,
            (self.payload.len() - block_start).try_into().ok()?,
            append.expected.version.epoch.into(),
            append.expected.version.sequence.try_into().ok()?,
        ];
        numbers.into_iter().for_each(|number| push_number(&mut self.fields, number));
        Some(())
    }

    /// About how many pages of the WAL it takes: the payload, a page for each head, and the tree above them.
    pub(super) fn pages(&self) -> u64 {
        self.payload.len() as u64 / 4000 + self.rows.len() as u64 + 3
    }
}

/// Writes `number` in decimal, filled with spaces from the left. By hand: there are ten a day, and `write!` is slow.
fn push_number(fields: &mut Vec<u8>, number: i64) {
    let mut text = [b' '; WIDTH];
    let (mut rest, mut at) = (number.unsigned_abs(), WIDTH);
    loop {
        at -= 1;
        text[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        text[at - 1] = b'-';
    }
    fields.extend_from_slice(&text);
}

/// What the check inside the transaction found.
struct Checked {
    store_epoch: u32,
    last_position: u64,
    /// Row of `fields` and actual head, of each day that conflicts.
    conflicts: Vec<(usize, Head)>,
}

/// Appends `batch` under `epoch`; `encoded` is all of it. Sets `poison` if nothing is certain any more.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    poison: &Poison,
    epoch: u32,
    batch: &[DayAppend],
    encoded: Encoded,
) -> Result<Vec<DayOutcome>, AppendError> {
    let mut before = None;
    match transact(connection, epoch, batch, encoded, &mut before).await {
        Ok(outcomes) => Ok(outcomes),
        Err(error) => match failure::of_write(&error) {
            WriteFailure::Poisoning => Err(AppendError::Poisoned(poison.set(error.to_string()))),
            WriteFailure::Definite => Err(settle(connection, poison, before, &error.to_string()).await),
        },
    }
}

async fn transact(
    connection: &mut SqliteConnection,
    epoch: u32,
    batch: &[DayAppend],
    mut encoded: Encoded,
    before: &mut Option<u64>,
) -> Result<Vec<DayOutcome>, sqlx::Error> {
    let checked = begin_and_check(connection, &encoded).await?;
    *before = Some(checked.last_position);
    // Entries that are not in `encoded` carry another epoch than this journal's.
    let mut outcomes = vec![DayOutcome::StaleEpoch { current: checked.store_epoch }; batch.len()];
    if checked.store_epoch == epoch {
        for (row, actual) in &checked.conflicts {
            let entry = encoded.rows.get(*row).map(|(entry, _)| *entry);
            if let Some(outcome) = entry.and_then(|entry| outcomes.get_mut(entry)) {
                *outcome = DayOutcome::Conflict { actual: *actual };
            }
        }
        if !checked.conflicts.is_empty() {
            let kept: HashSet<usize> = encoded.rows.iter().map(|(entry, _)| *entry).collect();
            let keep = |entry| kept.contains(&entry) && matches!(outcomes[entry], DayOutcome::StaleEpoch { .. });
            encoded = Encoded::of(batch, keep).map_err(|reason| sqlx::Error::Encode(reason.into()))?;
        }
        for (entry, offset) in &encoded.rows {
            outcomes[*entry] = DayOutcome::Appended { position: checked.last_position + offset };
        }
    } else {
        encoded.rows.clear();
    }
    write_and_commit(connection, encoded, checked.last_position).await?;
    Ok(outcomes)
}

async fn begin_and_check(connection: &mut SqliteConnection, encoded: &Encoded) -> Result<Checked, sqlx::Error> {
    let query = sqlx::query(BEGIN_AND_CHECK).bind(&encoded.fields[..]).bind(&encoded.payload[..]);
    let rows = query.fetch_all(&mut *connection).await?;
    let mut checked = Checked { store_epoch: 0, last_position: 0, conflicts: Vec::new() };
    for row in rows {
        match usize::try_from(row.try_get::<i64, _>("entry")?) {
            Ok(entry) => checked.conflicts.push((entry, head_of(&row)?)),
            Err(_) => {
                checked.store_epoch = unsigned(&row, "epoch")?;
                checked.last_position = unsigned(&row, "sequence")?;
            }
        }
    }
    Ok(checked)
}

async fn write_and_commit(connection: &mut SqliteConnection, encoded: Encoded, base: u64) -> Result<(), sqlx::Error> {
    crash_point!(JournalAppendBeforeCommit);
    if encoded.rows.is_empty() {
        return sqlx::query("COMMIT").execute(connection).await.map(drop);
    }
    let base = i64::try_from(base).map_err(|error| sqlx::Error::Decode(error.into()))?;
    let watch = Stopwatch::start();
    sqlx::query(WRITE_AND_COMMIT).bind(encoded.fields).bind(encoded.payload).bind(base).execute(connection).await?;
    metrics::histogram!(catalogue::SYNC_DURATION).record(watch.seconds());
    crash_point!(JournalAppendAfterCommit);
    Ok(())
}

/// After a definite error: makes sure that nothing stays, or poisons. `before` is the last position at the start of the
/// transaction, if it came so far.
pub(super) async fn settle(
    connection: &mut SqliteConnection,
    poison: &Poison,
    before: Option<u64>,
    reason: &str,
) -> AppendError {
    match sqlx::query("ROLLBACK").execute(&mut *connection).await {
        Ok(_) => return AppendError::Failed(reason.to_owned()),
        Err(error) if !failure::is_without_transaction(&error) => {
            return AppendError::Poisoned(poison.set(format!("{reason}; and it does not roll back: {error}")));
        }
        Err(_) => {}
    }
    let Some(before) = before else {
        return AppendError::Failed(reason.to_owned());
    };
    let after =
        sqlx::query_scalar::<_, i64>("SELECT coalesce(max(position), 0) FROM block").fetch_one(connection).await;
    match after {
        Ok(after) if u64::try_from(after) == Ok(before) => AppendError::Failed(reason.to_owned()),
        Ok(after) => {
            AppendError::Poisoned(poison.set(format!("{reason}; but the last position went from {before} to {after}")))
        }
        Err(error) => AppendError::Poisoned(poison.set(format!("{reason}; and it cannot be re-read: {error}"))),
    }
}

/// Epoch, sequence and link of a row that names them so.
pub(super) fn head_of(row: &SqliteRow) -> Result<Head, sqlx::Error> {
    let version = DayVersion { epoch: unsigned(row, "epoch")?, sequence: unsigned(row, "sequence")? };
    Ok(Head { version, hash: hash_of(row, "hash")? })
}

/// A link of sixteen bytes.
pub(super) fn hash_of(row: &SqliteRow, column: &'static str) -> Result<ChainHash, sqlx::Error> {
    let bytes: &[u8] = row.try_get(column)?;
    let hash = bytes.try_into().map_err(|_| sqlx::Error::Decode(format!("{column}: not sixteen bytes").into()))?;
    Ok(ChainHash(hash))
}

/// A number that is never negative.
pub(super) fn unsigned<T: TryFrom<i64>>(row: &SqliteRow, column: &'static str) -> Result<T, sqlx::Error> {
    let number: i64 = row.try_get(column)?;
    T::try_from(number).map_err(|_| sqlx::Error::Decode(format!("{column}: {number} cannot be").into()))
}

/// The bytes of a row.
pub(super) fn bytes_of(row: &SqliteRow, column: &'static str) -> Result<Arc<[u8]>, sqlx::Error> {
    Ok(Arc::from(row.try_get::<&[u8], _>(column)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_statements_cut_them() {
        for number in [0, 7, -1, 1_752_394_348, i64::MAX, NO_WORK] {
            let mut fields = Vec::new();
            push_number(&mut fields, number);
            assert_eq!(fields, format!("{number:>WIDTH$}").into_bytes());
        }
    }
}
