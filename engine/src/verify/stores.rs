//! Opens the stores of each profile for an audit, so that nothing in them changes.
//! Must not know: what is looked for in them.

use std::path::Path;
use std::sync::Arc;

use sqlx::{Connection, SqliteConnection};

use super::{Report, VerifyError, audit, file};
use crate::clock::Clock;
use crate::config::{EngineConfig, StartError, StoreSettings};
use crate::engine::stores::{INSTALLATION_FILE, read_id, redis_settings};
use crate::journal::lock::DirectoryLock;
use crate::journal::postgres::audit::PostgresBooks;
use crate::journal::redis::audit::RedisBooks;
use crate::journal::sqlite::audit as journal;
use crate::ledger::postgres::audit::PostgresRows;
use crate::ledger::sqlite::audit as ledger;
use crate::postgres::{self, snapshot};

/// Audits the stores that `config` names. Embedded stores, and a ledger in a file, may not be in use meanwhile; servers may: what the
/// ledger has not come to yet is lag.
///
/// # Errors
/// A store does not exist, is in use, or cannot be read.
pub async fn verify_stores(config: &EngineConfig, clock: &Arc<dyn Clock>) -> Result<Report, VerifyError> {
    match &config.stores {
        StoreSettings::Embedded => verify(&config.data_dir).await,
        StoreSettings::Redis { redis } => {
            require_files(&config.data_dir, &[ledger::FILE])?;
            let _lock = DirectoryLock::acquire(&config.data_dir)?;
            let installation = read_id(&config.data_dir.join(INSTALLATION_FILE))?;
            let installation = installation.ok_or_else(|| {
                StartError::Store("the data directory does not say whose data Redis holds".to_owned())
            })?;
            let path = config.data_dir.join(ledger::FILE);
            let (mut rows, mut won_keys, mut orphans) =
                (file::open(&path).await?, file::open(&path).await?, file::open(&path).await?);
            let mut source = ledger::SqliteRows::new(&mut rows, &mut won_keys, &mut orphans);
            let mut books = RedisBooks::open(redis_settings(redis, installation), clock).await?;
            let report = audit(&mut books, &mut source).await;
            books.close().await;
            drop(source);
            close([rows, won_keys, orphans]).await;
            report
        }
        StoreSettings::RedisPostgres { redis, database } => {
            let url = database.url.reveal();
            let settings = redis_settings(redis, postgres::installation(url).await?);
            let mut report = redis_and_postgres(settings.clone(), url, clock).await?;
            if !report.is_clean() {
                // The days were read one after another, while others may have written: what is wrong is still so.
                let again = redis_and_postgres(settings, url, clock).await?;
                report = again.confirming(&report);
            }
            Ok(report)
        }
        StoreSettings::Postgres { database } => {
            // One state of the whole database, for both.
            let mut connections = snapshot::connections(database.url.reveal(), 2).await?.into_iter();
            let (Some(of_journal), Some(of_ledger)) = (connections.next(), connections.next()) else {
                return Err(StartError::Store("the database gave no connection".to_owned()).into());
            };
            let mut books = PostgresBooks::new(of_journal);
            let mut rows = PostgresRows::new(of_ledger, false);
            let report = audit(&mut books, &mut rows).await;
            books.close().await;
            rows.close().await;
            report
        }
    }
}

/// The ledger as it is at one instant, and then the journal, which can only be further.
async fn redis_and_postgres(
    settings: crate::journal::redis::RedisSettings,
    url: &str,
    clock: &Arc<dyn Clock>,
) -> Result<Report, VerifyError> {
    let Some(connection) = snapshot::connections(url, 1).await?.pop() else {
        return Err(StartError::Store("the database gave no connection".to_owned()).into());
    };
    let mut rows = PostgresRows::new(connection, true);
    let mut books = RedisBooks::open(settings, clock).await?;
    let report = audit(&mut books, &mut rows).await;
    books.close().await;
    rows.close().await;
    report
}

/// Audits the stores in `directory`, which nobody may use meanwhile. Writes nothing but its process id into the lock file:
/// no epoch is taken, no log is brought in, no schema is changed. The same files give the same report.
///
/// # Errors
/// The directory or a store does not exist, is in use, or cannot be read.
pub async fn verify(directory: &Path) -> Result<Report, VerifyError> {
    // Looked for before the lock, which would make a directory.
    require_files(directory, &[journal::FILE, ledger::FILE])?;
    let _lock = DirectoryLock::acquire(directory)?;
    let (journal_path, ledger_path) = (directory.join(journal::FILE), directory.join(ledger::FILE));
    let (mut blocks, mut records) = (file::open(&journal_path).await?, file::open(&journal_path).await?);
    let (mut rows, mut won_keys) = (file::open(&ledger_path).await?, file::open(&ledger_path).await?);
    let mut orphans = file::open(&ledger_path).await?;
    let report = {
        let mut books = journal::SqliteBooks::new(&mut blocks, &mut records);
        let mut source = ledger::SqliteRows::new(&mut rows, &mut won_keys, &mut orphans);
        audit(&mut books, &mut source).await
    };
    close([blocks, records, rows, won_keys, orphans]).await;
    report
}

fn require_files(directory: &Path, names: &[&str]) -> Result<(), StartError> {
    match names.iter().map(|name| directory.join(name)).find(|path| !path.is_file()) {
        Some(path) => Err(StartError::Store(format!("there is no {} to verify", path.display()))),
        None => Ok(()),
    }
}

async fn close<const COUNT: usize>(connections: [SqliteConnection; COUNT]) {
    for connection in connections {
        if let Err(error) = connection.close().await {
            tracing::warn!(%error, "a connection did not close");
        }
    }
}
