//! What every relational ledger does in the same way: statements, projections, questions and the registry, written once.
//! Must not know: which database answers.
//!
//! A database is a [`Dialect`]: it says how a list of rows is handed over, how values stand in columns and what its errors
//! mean. Statements are in the words that both SQLite and PostgreSQL understand, with `$1` as placeholders. What is written
//! twice stands in the modules of the databases, with the reason beside it.

pub(super) mod apply;
pub(super) mod audit;
pub(super) mod bulk;
pub(super) mod columns;
pub(super) mod feed;
pub(super) mod forget;
pub(super) mod lost;
pub(super) mod people;
pub(super) mod policies;
pub(super) mod projections;
pub(super) mod raw;
pub(super) mod read;
pub(super) mod registry;
pub(super) mod reminder_rows;
pub(super) mod reminders;
pub(super) mod statement;
pub(super) mod store;

use std::sync::Arc;

use booking_core::{Date, DayKey, UtcMillis};
use sqlx::Pool;
use sqlx::error::BoxDynError;

use self::bulk::{Bind, BulkStatement};
use self::columns::Columns;
use self::reminder_rows::ReminderStatements;
use self::statement::Statement;
use super::ApplyError;
use super::registry::WriteError;
use super::won_keys::{KeyDigest, LiveAppointment};
use crate::journal::ReadError;
use crate::ownership::ShardSet;
use crate::reminders::plan::Planner;

/// A database that keeps a ledger.
///
/// Its futures are never dropped half-way inside a transaction: the applier's task and the registry's own tasks call them.
pub(super) trait Dialect: sqlx::Database<Row: Columns> + Sized {
    /// Begins a transaction that writes.
    const BEGIN: &'static str;

    /// Deletes at most `$2` of the keys that concern no date from `$1` on.
    const FORGET_KEYS: &'static str;

    /// Deletes at most `$2` of the raw records of days before `$1`.
    const FORGET_RAW: &'static str;

    /// Those over reminders that are not the same everywhere.
    fn reminder_statements() -> &'static ReminderStatements;

    /// What proves, within a transaction, that this process may write what it writes.
    type Fence: Clone + Send + Sync + 'static;

    /// The values of a list of rows.
    type Rows: Bind + Send;

    /// Refuses with [`ApplyError::Unavailable`] if one of `shards` is not this process's any more; what it found stays true
    /// until the transaction ends.
    fn require_ownership(
        connection: &mut Self::Connection,
        fence: &Self::Fence,
        shards: impl Iterator<Item = u16> + Send,
    ) -> impl Future<Output = Result<(), ApplyError>> + Send;

    /// Whether this process believes `shard` its own.
    fn is_own(fence: &Self::Fence, shard: u16) -> bool;

    /// Asks one of the readers' connections about `rows`, each bound by `bind`, within the deadline of a question.
    fn ask_rows<T: Sync>(
        readers: &Pool<Self>,
        statement: &'static BulkStatement,
        rows: &[T],
        bind: impl Fn(&T, &mut Self::Rows) -> Result<(), BoxDynError> + Send + Sync,
    ) -> impl Future<Output = Result<Vec<Self::Row>, ReadError>> + Send;

    /// Asks one of the readers' connections, within the deadline of a question.
    fn ask(
        readers: &Pool<Self>,
        statement: Statement,
    ) -> impl Future<Output = Result<Vec<Self::Row>, ReadError>> + Send;

    /// Runs a statement; the number of rows that changed.
    fn execute(
        connection: &mut Self::Connection,
        statement: Statement,
    ) -> impl Future<Output = Result<u64, sqlx::Error>> + Send;

    /// Runs a statement; the rows that it answers with.
    fn fetch(
        connection: &mut Self::Connection,
        statement: Statement,
    ) -> impl Future<Output = Result<Vec<Self::Row>, sqlx::Error>> + Send;

    /// Runs a statement over `rows`, each bound by `bind`; the number of rows that changed.
    fn execute_rows<T: Sync>(
        connection: &mut Self::Connection,
        statement: &'static BulkStatement,
        rows: &[T],
        bind: impl Fn(&T, &mut Self::Rows) -> Result<(), BoxDynError> + Send + Sync,
    ) -> impl Future<Output = Result<u64, sqlx::Error>> + Send;

    /// Runs a statement over `rows`; the rows that it answers with.
    fn fetch_rows<T: Sync>(
        connection: &mut Self::Connection,
        statement: &'static BulkStatement,
        rows: &[T],
        bind: impl Fn(&T, &mut Self::Rows) -> Result<(), BoxDynError> + Send + Sync,
    ) -> impl Future<Output = Result<Vec<Self::Row>, sqlx::Error>> + Send;

    /// See [`Ledger::live_appointments`](super::Ledger::live_appointments).
    fn live_appointments(
        readers: &Pool<Self>,
        shards: &ShardSet,
        now: UtcMillis,
        visit: &mut (dyn FnMut(LiveAppointment) + Send),
    ) -> impl Future<Output = Result<(), ReadError>> + Send;

    /// See [`Ledger::won_keys`](super::Ledger::won_keys).
    fn won_keys(
        readers: &Pool<Self>,
        shards: &ShardSet,
        from: Date,
        visit: &mut (dyn FnMut(KeyDigest, DayKey, Date) + Send),
    ) -> impl Future<Output = Result<(), ReadError>> + Send;

    /// What a failed write of the applier means: the batch's fault, or the store is away.
    fn apply_error(during: &'static str, error: &sqlx::Error) -> ApplyError;

    /// A failed write of the registry, in words without a value.
    fn write_error(error: &sqlx::Error) -> WriteError;
}

/// The applier's way to write.
pub(super) struct Writer<D: Dialect> {
    /// One connection.
    pub(super) pool: Pool<D>,
    /// See [`Dialect::require_ownership`].
    pub(super) fence: D::Fence,
    /// Whether records are kept as they were in the journal, which may forget its end (`protocols.md` rule 20).
    pub(super) keeps_raw: bool,
    /// Makes reminders of changes.
    pub(super) planner: Arc<Planner>,
}

impl<D: Dialect> Clone for Writer<D> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            fence: self.fence.clone(),
            keeps_raw: self.keeps_raw,
            planner: Arc::clone(&self.planner),
        }
    }
}

/// Asks one of the readers' connections; the first row, if there is one.
async fn ask_first<D: Dialect>(readers: &Pool<D>, statement: Statement) -> Result<Option<D::Row>, ReadError> {
    Ok(D::ask(readers, statement).await?.into_iter().next())
}
