//! What an audit reads of the journal's file: rows as they stand, also those that the journal itself would refuse.
//! Must not know: what is wrong with them.
//!
//! Without a deadline: an audit runs alone on a file that stands still, as long as the file is large.

use std::collections::BTreeSet;

use async_trait::async_trait;
use booking_core::{DayKey, UtcMillis, decode_event};
use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::append::{head_of, unsigned};
use super::open::MIGRATOR;
use super::{FILE_NAME, failure, read, schema};
use crate::journal::{ReadError, StoredRecord, StoredSnapshot};
use crate::verify::finding::{Findings, Kind};
use crate::verify::source::{Beside, Block, Bounds, Checked, HeadRow, JournalSource, NamedDays, NextWork};

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

/// Lines of SQLite's own check of a file; it is told to stop after so many.
const INTEGRITY: &str = "PRAGMA integrity_check(20)";
/// Where the findings about the whole file are.
const JOURNAL: &str = "journal";

/// A block without its body.
#[derive(Clone, Copy, Debug)]
struct BlockRow {
    day: DayKey,
    position: u64,
    previous_position: u64,
    record_count: u64,
}

/// The journal's file.
pub(crate) struct SqliteBooks<'connection> {
    /// Streamed while the other connection is asked about one day.
    blocks: BoxStream<'connection, Result<SqliteRow, sqlx::Error>>,
    /// Read, and of a day that is still to come.
    next: Option<BlockRow>,
    connection: &'connection mut SqliteConnection,
    day: Option<DayKey>,
    last_position: u64,
}

impl<'connection> SqliteBooks<'connection> {
    /// On two connections to one file.
    pub(crate) fn new(streamed: &'connection mut SqliteConnection, asked: &'connection mut SqliteConnection) -> Self {
        Self { blocks: blocks(streamed), next: None, connection: asked, day: None, last_position: 0 }
    }

    async fn read(&mut self, findings: &mut Findings) -> Result<Option<BlockRow>, ReadError> {
        while let Some(row) = self.blocks.try_next().await.map_err(failed)? {
            match block_row(&row) {
                Ok(block) => return Ok(Some(block)),
                Err(what) => findings.add(Kind::RowMalformed, JOURNAL, what),
            }
        }
        Ok(None)
    }
}

#[async_trait]
impl JournalSource for SqliteBooks<'_> {
    async fn examine(&mut self, findings: &mut Findings) -> Result<(), ReadError> {
        integrity(self.connection, &MIGRATOR, FILE, findings).await.map_err(failed)?;
        positions(self.connection, findings).await
    }

    async fn bounds(&mut self) -> Result<Bounds, ReadError> {
        let (epoch, last_position) = bounds(self.connection).await?;
        self.last_position = last_position;
        Ok(Bounds::OneLog { epoch, last_position })
    }

    async fn days(&mut self) -> Result<NamedDays, ReadError> {
        days(self.connection).await
    }

    /// What the record at the last position says; long ago, if it cannot be read.
    async fn last_at(&mut self) -> Result<UtcMillis, ReadError> {
        let never = UtcMillis(i64::MIN);
        if self.last_position == 0 {
            return Ok(never);
        }
        let Ok(records) = records(self.connection, self.last_position).await? else { return Ok(never) };
        Ok(records.last().and_then(|record| decode_event(&record.body).ok()).map_or(never, |event| event.at))
    }

    async fn open(&mut self, day: DayKey) -> Result<Beside, ReadError> {
        self.day = Some(day);
        Ok(Beside { snapshot: snapshot(self.connection, day).await?, head: head(self.connection, day).await? })
    }

    async fn next(&mut self, findings: &mut Findings) -> Result<Option<Block>, ReadError> {
        if self.next.is_none() {
            self.next = self.read(findings).await?;
        }
        let Some(block) = self.next.take_if(|block| Some(block.day) == self.day) else { return Ok(None) };
        let records = records(self.connection, block.position).await?;
        let chained = Some((block.position, block.previous_position));
        Ok(Some(Block { record_count: block.record_count, chained, records }))
    }

    async fn finish(&mut self, findings: &mut Findings) -> Result<(), ReadError> {
        while let Some(block) = self.read(findings).await? {
            let what = format!("position {}: the block is of no day that the audit knows", block.position);
            findings.add(Kind::RowMalformed, JOURNAL, what);
        }
        Ok(())
    }
}

/// Adds what SQLite's own check of a file says, and in which its schema is not what `migrator` makes.
pub(crate) async fn integrity(
    connection: &mut SqliteConnection,
    migrator: &Migrator,
    file: &str,
    findings: &mut Findings,
) -> Result<(), sqlx::Error> {
    let lines: Vec<String> = sqlx::query_scalar(INTEGRITY).fetch_all(&mut *connection).await?;
    for line in lines.iter().filter(|line| *line != "ok") {
        findings.add(Kind::FileDamaged, file, line);
    }
    schema::examine(connection, migrator, file, findings).await
}

/// Adds a finding wherever a block does not begin right after the one before: positions are given out without a gap.
async fn positions(connection: &mut SqliteConnection, findings: &mut Findings) -> Result<(), ReadError> {
    let mut rows = spans(connection);
    let mut last = 0_u64;
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        let Ok((position, count)) = span(&row) else { continue };
        let (first, due) = (position.saturating_add(1).saturating_sub(count), last + 1);
        if first != due {
            let what = format!("position {first} begins a block where {due} belongs");
            findings.add(Kind::PositionGap, JOURNAL, what);
        }
        last = position;
    }
    Ok(())
}

/// All blocks by day and position; [`block_row`] reads one.
fn blocks(connection: &mut SqliteConnection) -> BoxStream<'_, Result<SqliteRow, sqlx::Error>> {
    sqlx::query(BLOCKS).fetch(connection)
}

/// A row of [`blocks`].
fn block_row(row: &SqliteRow) -> Checked<BlockRow> {
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
fn spans(connection: &mut SqliteConnection) -> BoxStream<'_, Result<SqliteRow, sqlx::Error>> {
    sqlx::query(SPANS).fetch(connection)
}

/// A row of [`spans`].
fn span(row: &SqliteRow) -> Checked<(u64, u64)> {
    let read = || -> Result<_, sqlx::Error> { Ok((unsigned(row, "position")?, unsigned(row, "record_count")?)) };
    read().map_err(|error| format!("a block: {error}"))
}

/// The records of the block at `position`.
async fn records(connection: &mut SqliteConnection, position: u64) -> Result<Checked<Vec<StoredRecord>>, ReadError> {
    let query = sqlx::query(BODY).bind(i64::try_from(position).unwrap_or(i64::MAX));
    Ok(read::records_of(&query.fetch_one(connection).await.map_err(failed)?))
}

/// The head of `day`.
async fn head(connection: &mut SqliteConnection, day: DayKey) -> Result<Option<Checked<HeadRow>>, ReadError> {
    let query = sqlx::query(HEAD).bind(day.to_bytes().to_vec());
    let row = query.fetch_optional(connection).await.map_err(failed)?;
    let head_row = |row: &SqliteRow| -> Result<_, sqlx::Error> {
        let next_work_at = row.try_get::<Option<i64>, _>("next_work_at")?.map(UtcMillis);
        Ok(HeadRow {
            head: head_of(row)?,
            position: Some(unsigned(row, "position")?),
            next_work: NextWork::At(next_work_at),
        })
    };
    Ok(row.map(|row| head_row(&row).map_err(|error| format!("its head: {error}"))))
}

/// The packed state of `day`, if it fits its checksum.
async fn snapshot(
    connection: &mut SqliteConnection,
    day: DayKey,
) -> Result<Option<Checked<StoredSnapshot>>, ReadError> {
    let query = sqlx::query(SNAPSHOT).bind(day.to_bytes().to_vec());
    let row = query.fetch_optional(connection).await.map_err(failed)?;
    Ok(row.map(|row| read::snapshot_of(day, &row)))
}

/// Every day that any table names, and in words every name that is none.
async fn days(connection: &mut SqliteConnection) -> Result<(BTreeSet<DayKey>, Vec<String>), ReadError> {
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
async fn bounds(connection: &mut SqliteConnection) -> Result<(u32, u64), ReadError> {
    let text = "SELECT coalesce((SELECT epoch FROM meta WHERE id = 1), 0) AS epoch, \
                (SELECT coalesce(max(position), 0) FROM block) AS position";
    let row = sqlx::query(text).fetch_one(connection).await.map_err(failed)?;
    let read = || -> Result<_, sqlx::Error> { Ok((unsigned(&row, "epoch")?, unsigned(&row, "position")?)) };
    read().map_err(failed)
}

/// The journal does not answer, or answers with what cannot be.
#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` takes")]
fn failed(error: sqlx::Error) -> ReadError {
    let words = error.to_string();
    if failure::is_damage(&error) { read::damaged(&words) } else { ReadError::Unavailable(words) }
}
