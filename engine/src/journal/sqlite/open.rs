//! Opens the file of the journal: recovers, brings the schema up to date, takes a new epoch, looks if it is sound.
//! Must not know: appends, reads.

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::pool::PoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row, Sqlite, SqliteConnection, SqlitePool};

use super::failure::{self, ADVICE};
use super::{FILE_NAME, checkpoint};
use crate::config::StartError;
use crate::journal::lock::DirectoryLock;
use crate::journal::wal;
use crate::telemetry::pools;

pub(super) static MIGRATOR: Migrator = sqlx::migrate!("../migrations/journal-sqlite");

/// The first SQLite without the corruption at a WAL reset under several connections.
const SQLITE_MIN: [u32; 3] = [3, 51, 3];
/// See the first migration. 0 is a file without tables.
const APPLICATION_ID: i64 = 1_752_394_348;
/// Longest wait for another connection's lock. Only checkpoints and the writer of this process meet there.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Loads and the ledger's applier. Each connection is a thread; reads are short, and 2 cores do not run more.
const READERS_MAX: u32 = 4;
/// Longest wait for a reader's connection, after which the read says that the store does not answer.
const READER_WAIT: Duration = Duration::from_secs(5);
/// Rows under way from a connection's thread: a load's blocks fit, and the memory of large ones stays bounded.
const ROW_BUFFER: usize = 64;

/// The last block, and the head of its day: they must agree.
const SOUND: &str = "
    SELECT block.position, head.position AS head_position, head.sequence,
        block.first_sequence + block.record_count - 1 AS last_sequence
    FROM block LEFT JOIN head ON head.day = block.day ORDER BY block.position DESC LIMIT 1";

/// The table of heads, its indexes, and the end of the log: `told` is what one says, `known` what the other. The sums are of
/// what an index and the table both have; a remainder, so that no number of days is too many. One pass over the heads: a
/// quarter of a second for a million.
const HEADS: &str = "
    WITH work(count, sum) AS (
        SELECT count(*), coalesce(sum((number + next_work_at) % 1000003), 0)
        FROM head INDEXED BY head_by_next_work WHERE next_work_at IS NOT NULL),
    days(count) AS (SELECT count(*) FROM head INDEXED BY sqlite_autoindex_head_1 WHERE day >= zeroblob(0)),
    rows(count, work_count, work_sum, position) AS (
        SELECT count(*), count(next_work_at), coalesce(sum((number + next_work_at) % 1000003), 0),
            coalesce(max(position), 0) FROM head NOT INDEXED)
    SELECT 'the index of open work' AS what, work.count AS told, rows.work_count AS known FROM work, rows
    UNION ALL SELECT 'the instants of open work', work.sum, rows.work_sum FROM work, rows
    UNION ALL SELECT 'the index of days', days.count, rows.count FROM days, rows
    UNION ALL SELECT 'the last position', (SELECT coalesce(max(position), 0) FROM block), rows.position FROM rows";

/// All connections of an open journal.
pub(super) struct Opened {
    pub(super) writer: SqliteConnection,
    pub(super) checkpointer: SqliteConnection,
    pub(super) readers: SqlitePool,
    pub(super) epoch: u32,
}

/// Opens the journal in the directory of `lock`. When this returns, everything that was ever durable is in the database
/// file itself and synced: what a failed sync of an earlier process left in the page cache only is gone or kept for good
/// (`protocols.md` rule 7).
pub(super) async fn open(lock: &DirectoryLock) -> Result<Opened, StartError> {
    let path = lock.directory().join(FILE_NAME);
    let failed = |error: sqlx::Error| store_error(&path, &failure::at_open(&error));
    let mut writer = prepare(&path).await?;
    require_promise(&mut writer, &path).await?;
    require_sound(&mut writer, &path).await?;
    let epoch: i64 = sqlx::query_scalar("UPDATE meta SET epoch = epoch + 1 WHERE id = 1 RETURNING epoch")
        .fetch_one(&mut writer)
        .await
        .map_err(failed)?;
    crash_point!(JournalEpochRaised);
    let epoch =
        u32::try_from(epoch).map_err(|_| store_error(&path, &format!("its epoch is out of range. {ADVICE}")))?;
    empty_wal(&mut writer, &path).await?;
    lock.sync_names().map_err(|error| store_error(&path, &error.to_string()))?;
    let checkpointer = connect(&path, 256).await.map_err(failed)?;
    crash_point!(JournalOpened);
    let readers = readers(&path);
    pools::watch("journal_read", &readers);
    Ok(Opened { writer, checkpointer, readers, epoch })
}

/// Brings the schema up to date and says in words what it is now; takes no epoch.
pub(super) async fn migrate(lock: &DirectoryLock) -> Result<String, StartError> {
    let path = lock.directory().join(FILE_NAME);
    let writer = prepare(&path).await?;
    writer.close().await.map_err(|error| store_error(&path, &error.to_string()))?;
    lock.sync_names().map_err(|error| store_error(&path, &error.to_string()))?;
    let version = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or_default();
    Ok(format!("the journal {} is at version {version}", path.display()))
}

/// Recovers what a crash has left, and brings the schema up to date.
async fn prepare(path: &Path) -> Result<SqliteConnection, StartError> {
    wal::require_whole(path)?;
    let mut writer = connect(path, 65_536).await.map_err(|error| store_error(path, &failure::at_open(&error)))?;
    require_version(&mut writer).await?;
    require_ours(&mut writer, path).await?;
    empty_wal(&mut writer, path).await?;
    MIGRATOR.run_direct(None, &mut writer, false).await.map_err(|error| migration_error(path, &error))?;
    crash_point!(JournalMigrated);
    Ok(writer)
}

/// `cache_kib`: memory for pages of the database.
fn options(path: &Path, cache_kib: u32) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .page_size(4096)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("cache_size", format!("-{cache_kib}"))
        // The argument about a full disk (see `failure`) needs a transaction that reaches the WAL at its commit only.
        .pragma("cache_spill", "OFF")
        // See `checkpoint`.
        .pragma("wal_autocheckpoint", "0")
        .pragma("temp_store", "MEMORY")
        .row_buffer_size(ROW_BUFFER)
        .thread_name(|number| format!("journal-sqlite-{number}"))
        .disable_statement_logging()
}

async fn connect(path: &Path, cache_kib: u32) -> Result<SqliteConnection, sqlx::Error> {
    options(path, cache_kib).connect().await
}

fn readers(path: &Path) -> SqlitePool {
    PoolOptions::<Sqlite>::new()
        .min_connections(0)
        .max_connections(READERS_MAX)
        .acquire_timeout(READER_WAIT)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(options(path, 16_384).create_if_missing(false).pragma("query_only", "ON"))
}

async fn require_version(connection: &mut SqliteConnection) -> Result<(), StartError> {
    let version: String = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(connection)
        .await
        .map_err(|error| StartError::Store(format!("SQLite does not say its version: {error}")))?;
    let numbers: Vec<u32> = version.split('.').filter_map(|number| number.parse().ok()).collect();
    if numbers.as_slice() < SQLITE_MIN.as_slice() {
        return Err(StartError::Store(format!(
            "this program was built with SQLite {version}, which can corrupt a WAL; 3.51.3 is the oldest that is safe"
        )));
    }
    Ok(())
}

async fn require_ours(connection: &mut SqliteConnection, path: &Path) -> Result<(), StartError> {
    let failed = |error: sqlx::Error| store_error(path, &failure::at_open(&error));
    let id: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *connection).await.map_err(failed)?;
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(connection).await.map_err(failed)?;
    if id == APPLICATION_ID || (id == 0 && tables == 0) {
        return Ok(());
    }
    Err(store_error(
        path,
        "it is a database of something else, or damaged; move it away, name another data directory, or restore a backup",
    ))
}

/// The settings that the promise rests on are read back: a file system without shared memory refuses WAL silently.
async fn require_promise(connection: &mut SqliteConnection, path: &Path) -> Result<(), StartError> {
    let failed = |error: sqlx::Error| store_error(path, &failure::at_open(&error));
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await.map_err(failed)?;
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(connection).await.map_err(failed)?;
    if mode == "wal" && synchronous == 2 {
        return Ok(());
    }
    Err(store_error(path, "its file system does not take a WAL; put the data directory on a local disk"))
}

/// Asks for what a damaged page of an index would hide: heads and blocks that no read would find or miss. What a record says
/// is judged when its day is read.
async fn require_sound(connection: &mut SqliteConnection, path: &Path) -> Result<(), StartError> {
    let failed = |error: sqlx::Error| store_error(path, &failure::at_open(&error));
    for row in sqlx::query(HEADS).fetch_all(&mut *connection).await.map_err(failed)? {
        let (what, told): (String, i64) = (row.try_get("what").map_err(failed)?, row.try_get("told").map_err(failed)?);
        let known: i64 = row.try_get("known").map_err(failed)?;
        if told != known {
            return Err(store_error(path, &format!("{what} says {told}, the table of heads {known}. {ADVICE}")));
        }
    }
    let Some(row) = sqlx::query(SOUND).fetch_optional(connection).await.map_err(failed)? else {
        return Ok(());
    };
    let number = |column: &'static str| row.try_get::<Option<i64>, _>(column).map_err(failed);
    if number("position")? == number("head_position")? && number("sequence")? == number("last_sequence")? {
        return Ok(());
    }
    let position = number("position")?.unwrap_or_default();
    Err(store_error(
        path,
        &format!("the last block (position {position}) and the head of its day do not agree. {ADVICE}"),
    ))
}

async fn empty_wal(connection: &mut SqliteConnection, path: &Path) -> Result<(), StartError> {
    match checkpoint::whole(connection).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(store_error(path, "another program reads it; end that program and start again")),
        Err(error) if failure::is_damage(&error) => {
            Err(store_error(path, &format!("its WAL cannot be brought in: {error}. {ADVICE}")))
        }
        Err(error) => {
            let advice = format!("make room beside it for as much as the files {FILE_NAME}* take, and start again");
            Err(store_error(path, &format!("its WAL cannot be brought in ({error}); {advice}")))
        }
    }
}

fn migration_error(path: &Path, error: &MigrateError) -> StartError {
    match error {
        MigrateError::VersionMissing(version) => store_error(
            path,
            &format!("it was brought to version {version} by a newer program; start that one, or restore a backup"),
        ),
        other => {
            store_error(path, &format!("its schema cannot be brought up to date: {}", failure::at_migration(other)))
        }
    }
}

fn store_error(path: &Path, reason: &str) -> StartError {
    StartError::Store(format!("the journal {}: {reason}", path.display()))
}
