//! What everything on PostgreSQL shares: how to connect, how the schema comes up to date, what an error says about a write.
//! Must not know: tables, what is written.

pub mod notices;
pub(crate) mod snapshot;

use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgConnectOptions, PgDatabaseError, PgSeverity};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool, Postgres, Row};

use crate::config::StartError;

static MIGRATOR: Migrator = sqlx::migrate!("../migrations/postgres");

/// The oldest server whose behaviour the tests have shown.
const SERVER_MIN: u32 = 150_000;
/// Longest wait for a new connection.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Longest wait for one read; the server gives up first, so that no connection is left in the middle of an answer.
pub const READ_DEADLINE: Duration = Duration::from_secs(5);
/// What a client waits beyond the server's own limit.
const GRACE: Duration = Duration::from_secs(1);

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Reads, and writes that may be cut off: no statement takes longer than [`READ_DEADLINE`].
    Read,
    /// Writes whose outcome matters: no limit of the server cuts a commit (`protocols.md` rule 6); who waits has its own.
    Write,
}

/// The options of a URL, and why it is none. The error never repeats the URL, which may hold a password.
pub fn options(url: &str) -> Result<PgConnectOptions, StartError> {
    let parsed: PgConnectOptions = url.parse().map_err(|_| {
        StartError::Store(
            "the URL of the database is malformed; it is postgres://user:password@host:port/name".to_owned(),
        )
    })?;
    Ok(parsed.disable_statement_logging())
}

/// `options` with the settings of a session for `purpose`. A dead client loses its locks after some seconds, not hours.
pub fn for_purpose(options: &PgConnectOptions, name: &str, purpose: Purpose) -> PgConnectOptions {
    let common = [
        ("default_transaction_isolation", "read committed"),
        ("client_min_messages", "warning"),
        ("idle_in_transaction_session_timeout", "3000"),
        ("tcp_user_timeout", "4000"),
        ("tcp_keepalives_idle", "2"),
        ("tcp_keepalives_interval", "1"),
        ("tcp_keepalives_count", "3"),
        ("lock_timeout", "3000"),
        ("statement_timeout", if purpose == Purpose::Read { "5000" } else { "0" }),
    ];
    options.clone().application_name(&format!("hotslot {name}")).options(common)
}

/// One connection, within [`CONNECT_DEADLINE`].
pub async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    // A connection that is dropped while it is made leaves nothing behind.
    tokio::time::timeout(CONNECT_DEADLINE, options.connect())
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
}

/// A pool of at most `connections_max`, which connects when it is first asked.
pub fn pool(options: &PgConnectOptions, connections_max: u32) -> PgPool {
    PoolOptions::<Postgres>::new()
        .min_connections(0)
        .max_connections(connections_max)
        .acquire_timeout(READ_DEADLINE)
        .test_before_acquire(false)
        .connect_lazy_with(options.clone())
}

/// `read` if it answers within [`READ_DEADLINE`] and some grace; otherwise an error of its connection.
pub async fn within_deadline<T>(read: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    tokio::time::timeout(READ_DEADLINE + GRACE, read)
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
}

/// What the error of a single statement says about what it was to write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriteFailure {
    /// The server said that it did nothing, or was never asked.
    Definite,
    /// It may have been written, or may be still.
    Unknown,
}

/// Judges the error of one statement that commits by itself. Only an answer of severity ERROR is one that the transaction was
/// rolled back with; FATAL and a lost connection may follow a commit.
pub fn of_write(error: &sqlx::Error) -> WriteFailure {
    match error {
        sqlx::Error::Database(answer) => {
            match answer.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::severity) {
                Some(PgSeverity::Error) => WriteFailure::Definite,
                _ => WriteFailure::Unknown,
            }
        }
        sqlx::Error::Encode(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => WriteFailure::Definite,
        _ => WriteFailure::Unknown,
    }
}

/// Whether the error says that what is stored cannot be: damaged pages, indexes or values.
pub fn is_damage(error: &sqlx::Error) -> bool {
    match error {
        // XX: internal error, data_corrupted, index_corrupted.
        sqlx::Error::Database(answer) => answer.code().is_some_and(|code| code.starts_with("XX")),
        sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => true,
        _ => false,
    }
}

/// Brings the whole schema (journal, ownership, ledger) up to date, one process at a time, and says in words what it is now.
pub async fn migrate(options: &PgConnectOptions) -> Result<String, StartError> {
    let failed = |error: &dyn std::fmt::Display| StartError::Store(format!("the database cannot be reached: {error}"));
    let options = for_purpose(options, "migrate", Purpose::Write).options([("lock_timeout", "0")]);
    let mut connection = connect(&options).await.map_err(|error| failed(&error))?;
    require_server(&mut connection).await?;
    // Takes an advisory lock of its own.
    MIGRATOR.run_direct(None, &mut connection, false).await.map_err(|error| migration_error(&error))?;
    connection.close().await.map_err(|error| failed(&error))?;
    let version = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or_default();
    Ok(format!("the database is at version {version}"))
}

/// Whose data the database at `url` holds; its schema is up to date.
pub async fn installation(url: &str) -> Result<uuid::Uuid, StartError> {
    let read = async {
        let mut connection =
            connect(&for_purpose(&options(url)?, "installation", Purpose::Read)).await.map_err(untold)?;
        let id = sqlx::query_scalar("SELECT id FROM installation").fetch_one(&mut connection).await.map_err(untold)?;
        // Its only work is done.
        let _ = connection.close().await;
        Ok(id)
    };
    read.await
}

fn untold(error: sqlx::Error) -> StartError {
    StartError::Store(format!("the database does not say whose data it holds: {error}"))
}

async fn require_server(connection: &mut PgConnection) -> Result<(), StartError> {
    let row = sqlx::query("SELECT current_setting('server_version_num')::bigint, pg_is_in_recovery()")
        .fetch_one(connection)
        .await
        .map_err(|error| StartError::Store(format!("the database does not say its version: {error}")))?;
    let read = |error: sqlx::Error| StartError::Store(format!("the database does not say its version: {error}"));
    let version: i64 = row.try_get(0).map_err(read)?;
    if version < i64::from(SERVER_MIN) {
        return Err(StartError::Store(format!("PostgreSQL 15 is the oldest that is supported; this is {version}")));
    }
    if row.try_get(1).map_err(read)? {
        return Err(StartError::Store("the database is a standby; name the primary".to_owned()));
    }
    Ok(())
}

fn migration_error(error: &MigrateError) -> StartError {
    StartError::Store(match error {
        MigrateError::VersionMissing(version) => format!(
            "the database was brought to version {version} by a newer program; start that one, or restore a backup"
        ),
        other => format!("the schema of the database cannot be brought up to date: {other}"),
    })
}
