//! Connections that see one state of the database, whoever writes meanwhile.
//! Must not know: what is read.

use sqlx::{AssertSqlSafe, Executor, PgConnection};

use super::{Purpose, connect, for_purpose, options};
use crate::config::StartError;

/// What a session of ours is called on the server.
const NAME: &str = "audit";

/// So many connections (at least one), each in a transaction that only reads, and all of the same state. They are read for as long as it
/// takes: no limit of the server ends them, and while they are open it keeps old versions of rows.
pub(crate) async fn connections(url: &str, count: usize) -> Result<Vec<PgConnection>, StartError> {
    let options = for_purpose(&options(url)?, NAME, Purpose::Write).options([
        ("default_transaction_read_only", "on"),
        ("default_transaction_isolation", "repeatable read"),
        ("idle_in_transaction_session_timeout", "0"),
    ]);
    let failed = |error: sqlx::Error| StartError::Store(format!("the database cannot be read: {error}"));
    let mut connections = Vec::new();
    let mut state: Option<String> = None;
    for _ in 0..count {
        let mut connection = connect(&options).await.map_err(failed)?;
        connection.execute("BEGIN").await.map_err(failed)?;
        match &state {
            None => {
                let exported = sqlx::query_scalar("SELECT pg_export_snapshot()").fetch_one(&mut connection).await;
                state = Some(exported.map_err(failed)?);
            }
            Some(state) => {
                // The server's own word for it: letters, digits and dashes.
                let same = format!("SET TRANSACTION SNAPSHOT '{}'", state.replace('\'', ""));
                connection.execute(AssertSqlSafe(same)).await.map_err(failed)?;
            }
        }
        connections.push(connection);
    }
    Ok(connections)
}
