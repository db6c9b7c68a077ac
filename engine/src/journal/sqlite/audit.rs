//! What an audit reads of the journal's file: rows as they stand, also those that the journal itself would refuse.
//! Must not know: what is wrong with them.
//!
//! Without a deadline: an audit runs alone on a file that stands still, as long as the file is large.

use std::collections::BTreeSet;

use booking_core::{DayKey, UtcMillis};
use futures_util::stream::BoxStream;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::append::{head_of, unsigned};
use super::{FILE_NAME, failure, read};
use crate::journal::{Head, ReadError, StoredRecord, StoredSnapshot};

/// The file below the data directory.
pub(crate) const FILE: &str = FILE_NAME;

/// The bodies are left out, so that SQLite sorts some bytes a block, in files of its own where memory is short.
const BLOCKS: &str = "
    SELECT day, position, previous_position, record_count FROM block ORDER BY day, position";
const SPANS: &str = "SELECT position, record_count FROM block ORDER BY position";
const BODY: &str = "
    SELECT day, position, first_sequence AS sequence, record_count, body FROM block WHERE position = ?1";
const HEAD: &str = "SELECT day, epoch, sequence, hash, position, next_work_at FROM head WHERE day = ?1";
const SNAPSHOT: &str = "SELECT day, epoch, sequence, hash, checksum, body FROM snapshot WHERE day = ?1";
const DAYS: &str = "SELECT day FROM block UNION SELECT day FROM head UNION SELECT day FROM snapshot ORDER BY day";

/// A block without its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockRow {
    pub(crate) day: DayKey,
    pub(crate) position: u64,
    pub(crate) previous_position: u64,
    pub(crate) record_count: u64,
}

/// A row of `head`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadRow {
    pub(crate) head: Head,
    pub(crate) position: u64,
    pub(crate) next_work_at: Option<UtcMillis>,
}

/// A row, or in words why it is none.
pub(crate) type Checked<T> = Result<T, String>;

/// All blocks by day and position; [`block_row`] reads one.
pub(crate) fn blocks(connection: &mut SqliteConnection) -> BoxStream<'_, Result<SqliteRow, sqlx::Error>> {
    sqlx::query(BLOCKS).fetch(connection)
}

/// A row of [`blocks`].
pub(crate) fn block_row(row: &SqliteRow) -> Checked<BlockRow> {
    let read = || -> Result<_, sqlx::Error> {
        Ok(BlockRow {
            day: read::day_of(row)?,
            position: unsigned(row, "position")?,
            previous_position: unsigned(row, "previous_position")?,
            record_count: unsigned(row, "record_count")?,
        })
    };
    read().map_err(|error| format!("a block: {error}"))
}

/// Last position and number of records of every block, by position; [`span`] reads one.
pub(crate) fn spans(connection: &mut SqliteConnection) -> BoxStream<'_, Result<SqliteRow, sqlx::Error>> {
    sqlx::query(SPANS).fetch(connection)
}

/// A row of [`spans`].
pub(crate) fn span(row: &SqliteRow) -> Checked<(u64, u64)> {
    let read = || -> Result<_, sqlx::Error> { Ok((unsigned(row, "position")?, unsigned(row, "record_count")?)) };
    read().map_err(|error| format!("a block: {error}"))
}

/// The records of the block at `position`.
pub(crate) async fn records(
    connection: &mut SqliteConnection,
    position: u64,
) -> Result<Checked<Vec<StoredRecord>>, ReadError> {
    let query = sqlx::query(BODY).bind(i64::try_from(position).unwrap_or(i64::MAX));
    Ok(read::records_of(&query.fetch_one(connection).await.map_err(failed)?))
}

/// The head of `day`.
pub(crate) async fn head(
    connection: &mut SqliteConnection,
    day: DayKey,
) -> Result<Option<Checked<HeadRow>>, ReadError> {
    let query = sqlx::query(HEAD).bind(day.to_bytes().to_vec());
    let row = query.fetch_optional(connection).await.map_err(failed)?;
    let head_row = |row: &SqliteRow| -> Result<_, sqlx::Error> {
        let next_work_at = row.try_get::<Option<i64>, _>("next_work_at")?.map(UtcMillis);
        Ok(HeadRow { head: head_of(row)?, position: unsigned(row, "position")?, next_work_at })
    };
    Ok(row.map(|row| head_row(&row).map_err(|error| format!("its head: {error}"))))
}

/// The packed state of `day`, if it fits its checksum.
pub(crate) async fn snapshot(
    connection: &mut SqliteConnection,
    day: DayKey,
) -> Result<Option<Checked<StoredSnapshot>>, ReadError> {
    let query = sqlx::query(SNAPSHOT).bind(day.to_bytes().to_vec());
    let row = query.fetch_optional(connection).await.map_err(failed)?;
    Ok(row.map(|row| read::snapshot_of(day, &row)))
}

/// Every day that any table names, and in words every name that is none.
pub(crate) async fn days(connection: &mut SqliteConnection) -> Result<(BTreeSet<DayKey>, Vec<String>), ReadError> {
    let rows = sqlx::query(DAYS).fetch_all(connection).await.map_err(failed)?;
    let (mut days, mut malformed) = (BTreeSet::new(), Vec::new());
    for row in &rows {
        match read::day_of(row) {
            Ok(day) => {
                days.insert(day);
            }
            Err(error) => malformed.push(error.to_string()),
        }
    }
    Ok((days, malformed))
}

/// The highest epoch that was given out, and the last position.
pub(crate) async fn bounds(connection: &mut SqliteConnection) -> Result<(u32, u64), ReadError> {
    let text = "SELECT coalesce((SELECT epoch FROM meta WHERE id = 1), 0) AS epoch, \
                (SELECT coalesce(max(position), 0) FROM block) AS position";
    let row = sqlx::query(text).fetch_one(connection).await.map_err(failed)?;
    let read = || -> Result<_, sqlx::Error> { Ok((unsigned(&row, "epoch")?, unsigned(&row, "position")?)) };
    read().map_err(failed)
}

/// The journal does not answer, or answers with what cannot be.
#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` takes")]
pub(crate) fn failed(error: sqlx::Error) -> ReadError {
    let words = error.to_string();
    if failure::is_damage(&error) { read::damaged(&words) } else { ReadError::Unavailable(words) }
}
