//! What an audit reads of the journal in PostgreSQL: one state of it, whoever writes meanwhile.
//! Must not know: what is wrong with it.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use booking_core::{DayKey, UtcMillis};
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Row};

use super::read::{self, failed, unsigned};
use crate::journal::{ReadError, StoredRecord};
use crate::verify::finding::Findings;
use crate::verify::source::{Beside, Block, Bounds, HeadRow, JournalSource, NamedDays, NextWork};

const DAYS: &str = "
    SELECT doctor, date - '1970-01-01'::date AS day FROM journal_record
    UNION SELECT doctor, date - '1970-01-01'::date FROM journal_head
    UNION SELECT doctor, date - '1970-01-01'::date FROM journal_snapshot";
const EPOCHS: &str = "SELECT shard, epoch FROM shard_owner";
/// Every booking changes an appointment: the newest change is as old as the newest record, or older.
const LAST_AT: &str = "SELECT max(updated_ms) FROM appointment";
const HEAD: &str = "
    SELECT epoch, sequence, hash, next_work_ms FROM journal_head WHERE doctor = $1 AND date = '1970-01-01'::date + $2";
const SNAPSHOT: &str = "
    SELECT epoch, sequence, hash, checksum, body FROM journal_snapshot WHERE doctor = $1 AND date = '1970-01-01'::date + $2";
const RECORDS: &str = "
    SELECT shard, epoch, sequence, hash, position, body FROM journal_record
    WHERE doctor = $1 AND date = '1970-01-01'::date + $2 ORDER BY sequence";

/// The journal, on a connection inside a transaction that only reads one state.
pub(crate) struct PostgresBooks {
    connection: PgConnection,
    /// Opened, its records not read yet.
    day: Option<DayKey>,
}

impl PostgresBooks {
    pub(crate) fn new(connection: PgConnection) -> Self {
        Self { connection, day: None }
    }

    /// Ends the connection, and with it its transaction.
    pub(crate) async fn close(self) {
        if let Err(error) = self.connection.close().await {
            tracing::warn!(error = %failed(&error), "a connection did not close");
        }
    }

    async fn of_day(&mut self, text: &'static str, day: DayKey) -> Result<Vec<PgRow>, ReadError> {
        let query = sqlx::query(text).bind(day.doctor.0).bind(day.date.days());
        query.fetch_all(&mut self.connection).await.map_err(|error| failed(&error))
    }
}

#[async_trait]
impl JournalSource for PostgresBooks {
    /// PostgreSQL checks its pages when they are read; which positions a process has given out it alone knows.
    async fn examine(&mut self, _: &mut Findings) -> Result<(), ReadError> {
        Ok(())
    }

    async fn bounds(&mut self) -> Result<Bounds, ReadError> {
        epochs(&mut self.connection).await.map(|epochs| Bounds::Shards { epochs })
    }

    async fn days(&mut self) -> Result<NamedDays, ReadError> {
        let rows = sqlx::query(DAYS).fetch_all(&mut self.connection).await.map_err(|error| failed(&error))?;
        let (mut days, mut malformed) = (BTreeSet::new(), Vec::new());
        for row in &rows {
            match read::day_of(row) {
                Ok(day) => drop(days.insert(day)),
                Err(error) => malformed.push(error.to_string()),
            }
        }
        Ok((days, malformed))
    }

    async fn last_at(&mut self) -> Result<UtcMillis, ReadError> {
        let newest: Result<Option<i64>, _> = sqlx::query_scalar(LAST_AT).fetch_one(&mut self.connection).await;
        newest.map(|newest| UtcMillis(newest.unwrap_or(i64::MIN))).map_err(|error| failed(&error))
    }

    async fn open(&mut self, day: DayKey) -> Result<Beside, ReadError> {
        self.day = Some(day);
        let snapshot = self.of_day(SNAPSHOT, day).await?.first().map(|row| read::snapshot_of(day, row));
        let head = self
            .of_day(HEAD, day)
            .await?
            .first()
            .map(|row| head_row(row).map_err(|error| format!("its head: {error}")));
        Ok(Beside { snapshot, head })
    }

    /// All of the day at once.
    async fn next(&mut self, _: &mut Findings) -> Result<Option<Block>, ReadError> {
        let Some(day) = self.day.take() else { return Ok(None) };
        let rows = self.of_day(RECORDS, day).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let records: Result<Vec<StoredRecord>, sqlx::Error> =
            rows.iter().map(|row| read::record_of(row, day)).collect();
        let records = records.map_err(|error| format!("a record: {error}"));
        Ok(Some(Block { record_count: rows.len() as u64, chained: None, records }))
    }

    async fn finish(&mut self, _: &mut Findings) -> Result<(), ReadError> {
        Ok(())
    }
}

fn head_row(row: &PgRow) -> Result<HeadRow, sqlx::Error> {
    let next_work_at = row.try_get::<Option<i64>, _>("next_work_ms")?.map(UtcMillis);
    Ok(HeadRow { head: read::head_of(row)?, position: None, next_work: NextWork::At(next_work_at) })
}

/// The epoch of every shard that was ever claimed.
pub(crate) async fn epochs(connection: &mut PgConnection) -> Result<BTreeMap<u16, u32>, ReadError> {
    let rows = sqlx::query(EPOCHS).fetch_all(connection).await.map_err(|error| failed(&error))?;
    let epoch = |row: &PgRow| Ok((read::shard_of(row)?, unsigned(row, "epoch")?));
    rows.iter().map(|row| epoch(row).map_err(|error: sqlx::Error| failed(&error))).collect()
}
