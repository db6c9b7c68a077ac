//! A connection that writes: known by its backend, so that it can be ended from another one, and watched for warnings.
//! Must not know: what is written.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{PgConnection, Row};

use crate::postgres::notices::Notices;
use crate::postgres::{self, Purpose, WriteFailure};

/// Sets what the promise rests on for the whole session, so that a reload of the server's settings does not change it behind
/// our back. The names of a session's own row in the list of activities are always visible.
const PIN: &str = "
    SELECT set_config('synchronous_commit', $1, false), pg_backend_pid(), pg_is_in_recovery(),
        (SELECT backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid())";

/// Waits a second for it to be gone. The start of the process tells it from a later one with the same number.
const TERMINATE: &str = "
    SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE pid = $1 AND backend_start::text = $2";

/// One process of the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Backend {
    pid: i32,
    started: String,
}

/// See the module.
pub(super) struct Link {
    pub(super) connection: PgConnection,
    pub(super) backend: Backend,
    pub(super) notices: Notices,
}

/// Why a statement has no outcome.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: WriteFailure,
    pub(super) words: String,
    /// Whether the connection can be used again.
    pub(super) is_usable: bool,
}

impl Link {
    /// Connects, and proves that warnings are seen.
    pub(super) async fn open(options: &PgConnectOptions, synchronous_commit: &str) -> Result<Self, sqlx::Error> {
        let mut connection = postgres::connect(options).await?;
        let row =
            postgres::within_deadline(sqlx::query(PIN).bind(synchronous_commit).fetch_one(&mut connection)).await?;
        if row.try_get::<bool, _>(2)? {
            return Err(sqlx::Error::Protocol("the server is a standby now".to_owned()));
        }
        let backend = Backend { pid: row.try_get(1)?, started: row.try_get(3)? };
        let notices = Notices::default();
        postgres::within_deadline(notices.require_sight(&mut connection)).await?;
        Ok(Self { connection, backend, notices })
    }

    /// The options of such a connection.
    pub(super) fn options(url: &PgConnectOptions, name: &str) -> PgConnectOptions {
        // The tables are always reached by key: a plan that was made while they were small must not scan them later.
        postgres::for_purpose(url, name, Purpose::Write).options([
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
            ("plan_cache_mode", "force_generic_plan"),
            ("jit", "off"),
        ])
    }

    /// Ends a process of the server, through this connection.
    pub(super) async fn terminate(&mut self, backend: &Backend) -> Result<(), sqlx::Error> {
        let query = sqlx::query(TERMINATE).bind(backend.pid).bind(&backend.started);
        postgres::within_deadline(query.fetch_all(&mut self.connection)).await.map(drop)
    }
}

/// The end of one statement that commits by itself, judged: a warning makes it unknown, whatever else was said. After `deadline`
/// it is unknown too; then the connection must be dropped and its backend ended.
pub(super) async fn judge<T>(
    notices: &Notices,
    deadline: Duration,
    statement: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Failure> {
    let Ok((outcome, warning)) = tokio::time::timeout(deadline, notices.watch(statement)).await else {
        let words = format!("no answer within {deadline:?}");
        return Err(Failure { kind: WriteFailure::Unknown, words, is_usable: false });
    };
    match (outcome, warning) {
        (Ok(value), None) => Ok(value),
        (Ok(_), Some(words)) => Err(Failure { kind: WriteFailure::Unknown, words, is_usable: true }),
        (Err(error), Some(words)) => {
            Err(Failure { kind: WriteFailure::Unknown, words: format!("{error}; {words}"), is_usable: false })
        }
        (Err(error), None) => {
            let kind = postgres::of_write(&error);
            Err(Failure { kind, words: error.to_string(), is_usable: kind == WriteFailure::Definite })
        }
    }
}
