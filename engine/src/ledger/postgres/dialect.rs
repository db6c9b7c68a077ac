//! PostgreSQL as a dialect of the ledger's SQL, and the fence of its writers.
//! Must not know: what is written and asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use booking_core::{Date, DayKey, UtcMillis};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{Decode, PgPool, Postgres, Row, Type};
use uuid::Uuid;

use super::failure::{apply_error, damaged, read_error, write_error};
use super::lists::{self, Lists};
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
use crate::ownership::{ShardSet, Tenures};
use crate::postgres::within_deadline;

/// The rows of ownership that are still at our epochs, locked against a claim until the transaction ends, in the order of
/// shards, as every writer locks them (`protocols.md` rules 21 and 31).
const OWNED: &str = "SELECT o.shard FROM shard_owner o JOIN UNNEST($1::smallint[], $2::bigint[]) AS mine (shard, epoch) \
                     ON o.shard = mine.shard AND o.epoch = mine.epoch ORDER BY o.shard FOR SHARE OF o";

impl Dialect for Postgres {
    const BEGIN: &'static str = "BEGIN";

    const FORGET_KEYS: &'static str = start::FORGET_KEYS;

    const FORGET_RAW: &'static str = start::FORGET_RAW;

    fn reminder_statements() -> &'static ReminderStatements {
        &reminders::STATEMENTS
    }

    /// The epochs under which this process writes.
    type Fence = Arc<Tenures>;

    type Rows = Lists;

    async fn require_ownership(
        connection: &mut PgConnection,
        tenures: &Arc<Tenures>,
        shards: impl Iterator<Item = u16> + Send,
    ) -> Result<(), ApplyError> {
        let epochs: BTreeMap<u16, u32> = shards.map(|shard| (shard, tenures.epoch(shard))).collect();
        if let Some((shard, _)) = epochs.iter().find(|(_, epoch)| **epoch == 0) {
            return Err(ApplyError::Unavailable(format!("shard {shard} is not this process's: nothing was applied")));
        }
        if epochs.is_empty() {
            return Ok(());
        }
        let numbers: Vec<i16> = epochs.keys().filter_map(|shard| i16::try_from(*shard).ok()).collect();
        let wanted: Vec<i64> = epochs.values().map(|epoch| i64::from(*epoch)).collect();
        let asked = sqlx::query_scalar::<_, i16>(OWNED).bind(numbers).bind(wanted).fetch_all(connection).await;
        let owned = asked.map_err(|error| apply_error("ownership", &error))?;
        let lost = epochs.iter().find(|(shard, _)| i16::try_from(**shard).is_ok_and(|it| !owned.contains(&it)));
        lost.map_or(Ok(()), |(shard, epoch)| {
            Err(ApplyError::Unavailable(format!(
                "shard {shard} has a newer owner than this process with its epoch {epoch}: nothing was applied"
            )))
        })
    }

    fn is_own(tenures: &Arc<Tenures>, shard: u16) -> bool {
        tenures.epoch(shard) != 0
    }

    async fn ask_rows<T: Sync>(
        readers: &PgPool,
        statement: &'static BulkStatement,
        rows: &[T],
        bind: impl Fn(&T, &mut Lists) -> Result<(), BoxDynError> + Send + Sync,
    ) -> Result<Vec<PgRow>, ReadError> {
        let mut connection = readers.acquire().await.map_err(|error| read_error(&error))?;
        let answer = within_deadline(Self::fetch_rows(&mut connection, statement, rows, bind)).await;
        if matches!(answer, Err(sqlx::Error::Io(_))) {
            connection.close_on_drop();
        }
        answer.map_err(|error| read_error(&error))
    }

    async fn ask(readers: &PgPool, statement: Statement) -> Result<Vec<PgRow>, ReadError> {
        let mut connection = readers.acquire().await.map_err(|error| read_error(&error))?;
        let answer = within_deadline(query(statement).fetch_all(&mut *connection)).await;
        if matches!(answer, Err(sqlx::Error::Io(_))) {
            // Perhaps in the middle of an answer that does not come: nobody else may wait for it.
            connection.close_on_drop();
        }
        answer.map_err(|error| read_error(&error))
    }

    async fn execute(connection: &mut PgConnection, statement: Statement) -> Result<u64, sqlx::Error> {
        Ok(query(statement).execute(connection).await?.rows_affected())
    }

    async fn fetch(connection: &mut PgConnection, statement: Statement) -> Result<Vec<PgRow>, sqlx::Error> {
        query(statement).fetch_all(connection).await
    }

    async fn execute_rows<T: Sync>(
        connection: &mut PgConnection,
        statement: &'static BulkStatement,
        rows: &[T],
        bind: impl Fn(&T, &mut Lists) -> Result<(), BoxDynError> + Send + Sync,
    ) -> Result<u64, sqlx::Error> {
        if rows.is_empty() {
            return Ok(0);
        }
        let (text, arguments) = lists::bound(statement, rows, bind)?;
        Ok(sqlx::query_with(text, arguments).execute(connection).await?.rows_affected())
    }

    async fn fetch_rows<T: Sync>(
        connection: &mut PgConnection,
        statement: &'static BulkStatement,
        rows: &[T],
        bind: impl Fn(&T, &mut Lists) -> Result<(), BoxDynError> + Send + Sync,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let (text, arguments) = lists::bound(statement, rows, bind)?;
        sqlx::query_with(text, arguments).fetch_all(connection).await
    }

    async fn live_appointments(
        readers: &PgPool,
        shards: &ShardSet,
        now: UtcMillis,
        visit: &mut (dyn FnMut(LiveAppointment) + Send),
    ) -> Result<(), ReadError> {
        start::live_appointments(readers, shards, now, visit).await
    }

    async fn won_keys(
        readers: &PgPool,
        shards: &ShardSet,
        from: Date,
        visit: &mut (dyn FnMut(KeyDigest, DayKey, Date) + Send),
    ) -> Result<(), ReadError> {
        start::won_keys(readers, shards, from, visit).await
    }

    fn apply_error(during: &'static str, error: &sqlx::Error) -> ApplyError {
        apply_error(during, error)
    }

    fn write_error(error: &sqlx::Error) -> WriteError {
        write_error(error)
    }
}

fn query(statement: Statement) -> Query<'static, Postgres, PgArguments> {
    statement.values.into_iter().fold(sqlx::query(statement.text), |query, value| match value {
        Value::Id(id) => query.bind(id),
        Value::Integer(number) => query.bind(number),
        Value::Text(text) => query.bind(text),
        Value::Bytes(bytes) => query.bind(bytes),
        Value::Real(measure) => query.bind(measure),
        Value::Shards(shards) => {
            query.bind(shards.iter().filter_map(|shard| i16::try_from(shard).ok()).collect::<Vec<_>>())
        }
    })
}

fn read<'row, T>(row: &'row PgRow, column: &str) -> Result<T, ReadError>
where
    T: Decode<'row, Postgres> + Type<Postgres>,
{
    row.try_get(column).map_err(|error| read_error(&error))
}

impl Columns for PgRow {
    fn id(&self, column: &str) -> Result<Option<Uuid>, ReadError> {
        read(self, column)
    }

    /// Of any size: the driver decodes by the length of the value.
    fn integer(&self, column: &str) -> Result<Option<i64>, ReadError> {
        self.try_get_unchecked(column).map_err(|error| read_error(&error))
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
