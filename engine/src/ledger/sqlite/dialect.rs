//! SQLite as a dialect of the ledger's SQL.
//! Must not know: what is written and asked.

use booking_core::{Date, DayKey, UtcMillis};
use sqlx::error::BoxDynError;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Decode, Row, Sqlite, SqlitePool, Type};
use uuid::Uuid;

use super::bulk::{self, Values};
use super::words::{apply_error, damaged, read_error};
use super::{reminders, start};
use crate::journal::ReadError;
use crate::ledger::ApplyError;
use crate::ledger::registry::WriteError;
use crate::ledger::sql::Dialect;
use crate::ledger::sql::bulk::BulkStatement;
use crate::ledger::sql::columns::Columns;
use crate::ledger::sql::reminder_rows::ReminderStatements;
use crate::ledger::sql::statement::{Statement, Value};
use crate::ledger::won_keys::{KeyDigest, LiveAppointment};
use crate::ownership::ShardSet;

impl Dialect for Sqlite {
    /// A read that turns into a write would be told busy without waiting.
    const BEGIN: &'static str = "BEGIN IMMEDIATE";

    const FORGET_KEYS: &'static str = start::FORGET_KEYS;

    const FORGET_RAW: &'static str = start::FORGET_RAW;

    fn reminder_statements() -> &'static ReminderStatements {
        &reminders::STATEMENTS
    }

    /// The directory is locked: nobody else writes to the file.
    type Fence = ();

    type Rows = Values;

    async fn require_ownership(
        _: &mut SqliteConnection,
        (): &(),
        _: impl Iterator<Item = u16> + Send,
    ) -> Result<(), ApplyError> {
        Ok(())
    }

    fn is_own((): &(), _: u16) -> bool {
        true
    }

    async fn ask_rows<T: Sync>(
        readers: &SqlitePool,
        statement: &'static BulkStatement,
        rows: &[T],
        bind: impl Fn(&T, &mut Values) -> Result<(), BoxDynError> + Send + Sync,
    ) -> Result<Vec<SqliteRow>, ReadError> {
        let mut connection = readers.acquire().await.map_err(|error| read_error(&error))?;
        bulk::fetch(&mut connection, statement, rows, bind).await.map_err(|error| read_error(&error))
    }

    /// Without a deadline: a file does not hang up.
    async fn ask(readers: &SqlitePool, statement: Statement) -> Result<Vec<SqliteRow>, ReadError> {
        query(statement).fetch_all(readers).await.map_err(|error| read_error(&error))
    }

    async fn execute(connection: &mut SqliteConnection, statement: Statement) -> Result<u64, sqlx::Error> {
        Ok(query(statement).execute(connection).await?.rows_affected())
    }

    async fn fetch(connection: &mut SqliteConnection, statement: Statement) -> Result<Vec<SqliteRow>, sqlx::Error> {
        query(statement).fetch_all(connection).await
    }

    async fn execute_rows<T: Sync>(
        connection: &mut SqliteConnection,
        statement: &'static BulkStatement,
        rows: &[T],
        bind: impl Fn(&T, &mut Values) -> Result<(), BoxDynError> + Send + Sync,
    ) -> Result<u64, sqlx::Error> {
        bulk::execute(connection, statement, rows, bind).await
    }

    async fn fetch_rows<T: Sync>(
        connection: &mut SqliteConnection,
        statement: &'static BulkStatement,
        rows: &[T],
        bind: impl Fn(&T, &mut Values) -> Result<(), BoxDynError> + Send + Sync,
    ) -> Result<Vec<SqliteRow>, sqlx::Error> {
        bulk::fetch(connection, statement, rows, bind).await
    }

    async fn live_appointments(
        readers: &SqlitePool,
        shards: &ShardSet,
        now: UtcMillis,
        visit: &mut (dyn FnMut(LiveAppointment) + Send),
    ) -> Result<(), ReadError> {
        let mut of_shards = |live: LiveAppointment| {
            if shards.contains(live.day.shard()) {
                visit(live);
            }
        };
        start::live_appointments(readers, now, &mut of_shards).await
    }

    async fn won_keys(
        readers: &SqlitePool,
        shards: &ShardSet,
        from: Date,
        visit: &mut (dyn FnMut(KeyDigest, DayKey, Date) + Send),
    ) -> Result<(), ReadError> {
        let mut of_shards = |digest, day: DayKey, until| {
            if shards.contains(day.shard()) {
                visit(digest, day, until);
            }
        };
        start::won_keys(readers, from, &mut of_shards).await
    }

    fn apply_error(during: &'static str, error: &sqlx::Error) -> ApplyError {
        apply_error(during, error)
    }

    fn write_error(error: &sqlx::Error) -> WriteError {
        WriteError(error.to_string())
    }
}

fn query(statement: Statement) -> Query<'static, Sqlite, SqliteArguments> {
    statement.values.into_iter().fold(sqlx::query(statement.text), |query, value| match value {
        Value::Id(id) => query.bind(id),
        Value::Integer(number) => query.bind(number),
        Value::Text(text) => query.bind(text),
        Value::Bytes(bytes) => query.bind(bytes),
        Value::Real(measure) => query.bind(measure),
        // No table of a file has such a column.
        Value::Shards(_) => query,
    })
}

fn read<'row, T>(row: &'row SqliteRow, column: &str) -> Result<T, ReadError>
where
    T: Decode<'row, Sqlite> + Type<Sqlite>,
{
    row.try_get(column).map_err(|error| read_error(&error))
}

impl Columns for SqliteRow {
    fn id(&self, column: &str) -> Result<Option<Uuid>, ReadError> {
        let Some(bytes) = read::<Option<&[u8]>>(self, column)? else { return Ok(None) };
        let wrong = |_| damaged(format!("`{column}` has {} bytes instead of 16", bytes.len()));
        Uuid::from_slice(bytes).map(Some).map_err(wrong)
    }

    fn integer(&self, column: &str) -> Result<Option<i64>, ReadError> {
        read(self, column)
    }

    fn text(&self, column: &str) -> Result<Option<&str>, ReadError> {
        read(self, column)
    }

    fn bytes(&self, column: &str) -> Result<Option<&[u8]>, ReadError> {
        read(self, column)
    }

    fn real(&self, column: &str) -> Result<Option<f64>, ReadError> {
        read(self, column)
    }

    fn damaged(what: String) -> ReadError {
        damaged(what)
    }
}
