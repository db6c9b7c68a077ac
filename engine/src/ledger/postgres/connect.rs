//! How the ledger connects to PostgreSQL, and how its schema comes up to date.
//! Must not know: tables, what is written.
//!
//! The server sets the limits, since a client that breaks off leaves a statement running there. Nothing breaks off a
//! transaction from here: with this version of sqlx a `begin` that is dropped leaves an open transaction in the pool.

use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};

use super::failure::words;
use crate::config::StartError;

/// Compiled in, see `migrations/README.md`.
static MIGRATOR: Migrator = sqlx::migrate!("../migrations/postgres");

/// `server_version_num` of the oldest server that the tests have seen.
const SERVER_VERSION_MIN: i32 = 150_000;

/// Longest wait for a connection, a new one or a free one.
const ACQUIRE_DEADLINE: Duration = Duration::from_secs(2);

/// How long the first connection of a start may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// How long the server works for one question. A page of a start, of some thousand rows, takes a hundredth of it.
const STATEMENT_MILLIS: u64 = 10_000;

/// What a client waits for an answer beyond the server's own limit, before it takes the connection for dead.
const GRACE_MILLIS: u64 = 1_000;

/// The deadline of a question, as the client counts it.
pub(super) const QUESTION_DEADLINE: Duration = Duration::from_millis(STATEMENT_MILLIS + GRACE_MILLIS);

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// Questions.
    Read,
    /// Transactions. No limit of time of theirs: it could cut a commit's wait for the standby, and the server would call that
    /// a success (`protocols.md` rule 6). They are short, and their waits for locks are limited.
    Write,
}

/// The options of `url`. The error never repeats it: it may hold a password.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, StartError> {
    let malformed = "the address of the database is malformed: it is postgres://user:password@host:port/name";
    let options: PgConnectOptions = url.parse().map_err(|_| StartError::Store(malformed.to_owned()))?;
    Ok(options.disable_statement_logging())
}

/// `options` with the settings of a session. A client that is gone loses its locks after some seconds.
pub(super) fn for_purpose(options: &PgConnectOptions, purpose: Purpose) -> PgConnectOptions {
    let statement_millis = if purpose == Purpose::Read { STATEMENT_MILLIS } else { 0 };
    let read_only = if purpose == Purpose::Read { "on" } else { "off" };
    options.clone().application_name("hotslot").options([
        ("default_transaction_isolation", "read committed".to_owned()),
        ("default_transaction_read_only", read_only.to_owned()),
        ("statement_timeout", statement_millis.to_string()),
        ("lock_timeout", "3000".to_owned()),
        ("idle_in_transaction_session_timeout", "3000".to_owned()),
        ("tcp_user_timeout", "4000".to_owned()),
        ("tcp_keepalives_idle", "2".to_owned()),
        ("tcp_keepalives_interval", "1".to_owned()),
        ("tcp_keepalives_count", "3".to_owned()),
    ])
}

/// At most `connections_max`, made when they are first wanted. A connection is tried before it is lent: after a restart of the
/// server only the wait is longer, and nothing fails.
pub(super) fn pool(options: &PgConnectOptions, connections_max: u32) -> PgPool {
    PgPoolOptions::new()
        .min_connections(0)
        .max_connections(connections_max)
        .acquire_timeout(ACQUIRE_DEADLINE)
        .test_before_acquire(true)
        .connect_lazy_with(options.clone())
}

/// Brings the schema up to date, one process at a time; says in words what was done.
pub(super) async fn migrate(options: &PgConnectOptions) -> Result<String, StartError> {
    let away = |error: sqlx::Error| StartError::Store(format!("the database cannot be reached: {}", words(&error)));
    // The wait for another process that migrates is one for a lock.
    let options = for_purpose(options, Purpose::Write).options([("lock_timeout", "0")]);
    // Dropped while it is made, a connection leaves nothing behind.
    let mut connection = tokio::time::timeout(CONNECT_DEADLINE, options.connect())
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
        .map_err(away)?;
    require_server(&mut connection).await?;
    let before = migrations_run(&mut connection).await;
    MIGRATOR.run_direct(None, &mut connection, false).await.map_err(|error| migration_error(&error))?;
    connection.close().await.map_err(away)?;
    let newest = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0);
    let run = MIGRATOR.iter().count().saturating_sub(before);
    Ok(match run {
        0 => format!("database: the schema is at version {newest}, nothing to do"),
        1 => format!("database: 1 migration run, the schema is at version {newest}"),
        _ => format!("database: {run} migrations run, the schema is at version {newest}"),
    })
}

async fn require_server(connection: &mut PgConnection) -> Result<(), StartError> {
    let asked = sqlx::query_as("SELECT current_setting('server_version_num')::integer, pg_is_in_recovery()");
    let (version, is_standby): (i32, bool) = asked
        .fetch_one(connection)
        .await
        .map_err(|error| StartError::Store(format!("the database does not tell its version: {}", words(&error))))?;
    if version < SERVER_VERSION_MIN {
        return Err(StartError::Store(format!("PostgreSQL {} is too old: 15 or newer is needed", version / 10_000)));
    }
    if is_standby {
        return Err(StartError::Store("the database is a standby, which takes no writes: name the primary".to_owned()));
    }
    Ok(())
}

/// How many migrations the database has seen; 0 for a new one, which has no list of them yet.
async fn migrations_run(connection: &mut PgConnection) -> usize {
    let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM _sqlx_migrations WHERE success");
    count.fetch_one(connection).await.map_or(0, |count| usize::try_from(count).unwrap_or(0))
}

fn migration_error(error: &MigrateError) -> StartError {
    let words = match error {
        MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) => words(cause),
        MigrateError::VersionMissing(version) => format!("version {version} is of a newer program: start that one"),
        other => other.to_string(),
    };
    StartError::Store(format!("the schema of the database cannot be brought up to date: {words}"))
}
