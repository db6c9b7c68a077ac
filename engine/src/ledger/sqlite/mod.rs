//! The ledger and the registry in one SQLite file, `ledger.db`.
//! Must not know: the journal, the overlay, who waits.

pub(crate) mod audit;
mod bulk;
mod dialect;
mod packed;
mod reminders;
mod start;
mod words;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool};

use super::sql::Writer;
use super::sql::store::{Store, Stored};
use crate::config::{ReminderSettings, StartError};
use crate::journal::sqlite::failure;
use crate::journal::wal;
use crate::reminders::plan::Planner;

/// The file below the data directory.
const FILE: &str = "ledger.db";

/// Connections that read. Each is a thread; more than the machine's cores gain nothing, as the pages are in memory.
const READERS_MAX: u32 = 4;

/// How long a statement waits for the other writer. A batch takes a tenth of a second.
const BUSY_MILLIS: u64 = 5_000;

/// How long a question waits for a free connection before it is told that the store is away.
const ACQUIRE_MILLIS: u64 = 2_000;

/// The first version whose WAL cannot be corrupted by a reset during a checkpoint.
const SQLITE_VERSION_MIN: (u32, u32, u32) = (3, 51, 3);

/// Compiled in, see `migrations/README.md`.
static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/sqlite");

/// The ledger of the embedded profile; also its registry. Cheap to clone. SQLite lets one of the two write at a time.
#[derive(Clone)]
pub struct SqliteLedger {
    store: Store<Sqlite>,
}

impl SqliteLedger {
    /// Opens `ledger.db` in `directory`, which exists, and brings its schema up to date. The caller has locked the
    /// directory: two processes on one ledger would both apply.
    pub async fn open(directory: &Path) -> Result<Self, StartError> {
        Self::open_with(directory, false).await
    }

    /// The same behind a journal that may forget its end: records are kept as they were there, until their days are over.
    pub async fn open_behind_forgetful(directory: &Path) -> Result<Self, StartError> {
        Self::open_with(directory, true).await
    }

    async fn open_with(directory: &Path, keeps_raw: bool) -> Result<Self, StartError> {
        let path = directory.join(FILE);
        let store = |error: sqlx::Error| {
            StartError::Store(format!("{} cannot be opened: {}", path.display(), failure::at_open(&error)))
        };
        wal::require_whole(&path)?;
        let options = options(directory);
        let writer = pool(1).connect_with(options.clone()).await.map_err(store)?;
        bring_up_to_date(&writer, &path).await?;
        let registry = pool(1).connect_with(options.clone()).await.map_err(store)?;
        let readers = pool(READERS_MAX).connect_with(options.pragma("query_only", "ON")).await.map_err(store)?;
        let planner = Arc::new(Planner::new(&ReminderSettings::default()));
        let writer = Writer { pool: writer, fence: (), keeps_raw, planner };
        Ok(Self { store: Store::new(writer, registry, readers) })
    }

    /// The same with the reminders that `settings` say, instead of the usual ones.
    #[must_use]
    pub fn with_reminders(self, settings: &ReminderSettings) -> Self {
        Self { store: self.store.with_reminders(settings) }
    }

    /// Brings the schema of `ledger.db` in `directory` up to date, creating it if absent; says in words what was done.
    pub async fn migrate(directory: &Path) -> Result<String, StartError> {
        let path = directory.join(FILE);
        let writer = pool(1).connect_with(options(directory)).await;
        let writer = writer.map_err(|error| {
            StartError::Store(format!("{} cannot be opened: {}", path.display(), failure::at_open(&error)))
        })?;
        let done = bring_up_to_date(&writer, &path).await;
        writer.close().await;
        done
    }
}

fn options(directory: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(directory.join(FILE))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_millis(BUSY_MILLIS))
        .foreign_keys(true)
        .statement_cache_capacity(100)
        // 32 MiB a connection, and a checkpoint each 16 MiB of log instead of each 4: both measured on bulk.
        .pragma("cache_size", "-32768")
        .pragma("wal_autocheckpoint", "4000")
        .thread_name(|number| format!("ledger-{number}"))
}

/// Connections live as long as the process: a new one would have to warm its cache again, and a file does not hang up.
fn pool(connections_max: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(Duration::from_millis(ACQUIRE_MILLIS))
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// Asks the library that is really linked, not the one that was meant to be.
async fn check_version(writer: &SqlitePool) -> Result<(), StartError> {
    let version: String = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(writer)
        .await
        .map_err(|error| StartError::Store(format!("SQLite does not tell its version: {error}")))?;
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let mut part = || parts.next().unwrap_or(0);
    if (part(), part(), part()) >= SQLITE_VERSION_MIN {
        return Ok(());
    }
    Err(StartError::Store(format!("SQLite {version} can corrupt its log: this program needs 3.51.3 or newer")))
}

async fn bring_up_to_date(writer: &SqlitePool, path: &Path) -> Result<String, StartError> {
    check_version(writer).await?;
    let before = migrations_run(writer).await;
    let store = |error| {
        let words = failure::at_migration(&error);
        StartError::Store(format!("the schema of {} cannot be brought up to date: {words}", path.display()))
    };
    crash_point!(LedgerBeforeMigrate);
    MIGRATOR.run(writer).await.map_err(store)?;
    crash_point!(LedgerMigrated);
    let newest = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0);
    let run = MIGRATOR.iter().count().saturating_sub(before);
    Ok(match run {
        0 => format!("ledger: the schema is at version {newest}, nothing to do"),
        1 => format!("ledger: 1 migration run, the schema is at version {newest}"),
        _ => format!("ledger: {run} migrations run, the schema is at version {newest}"),
    })
}

/// How many migrations the file has seen; 0 for a new one, which has no list of them yet.
async fn migrations_run(writer: &SqlitePool) -> usize {
    let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM _sqlx_migrations WHERE success");
    count.fetch_one(writer).await.map_or(0, |count| usize::try_from(count).unwrap_or(0))
}

impl Stored for SqliteLedger {
    type Dialect = Sqlite;

    fn store(&self) -> &Store<Sqlite> {
        &self.store
    }
}

#[cfg(test)]
mod tests;
