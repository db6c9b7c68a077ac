//! Opens a store's file so that nothing in it can change.
//! Must not know: what is in it.
//!
//! Who opens a file here holds the lock of its directory. A file without a log beside it is opened as immutable: not even
//! an empty log is made. A log that a killed process has left is read with the file, through a connection that may only
//! read: SQLite then builds its index of the log anew (`-shm`, which is no data), and changes neither file nor log. Such a
//! connection cannot checkpoint, so the log is still there for the next start.

use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};

use crate::config::StartError;
use crate::journal::sqlite::failure;
use crate::journal::wal;

/// Memory for pages of a file, in KiB.
const CACHE_KIB: u32 = 32_768;

/// A connection to the file at `path`, which must exist, with what SQLite finds wrong with it left to the first question.
pub(super) async fn open(path: &Path) -> Result<SqliteConnection, StartError> {
    if !path.is_file() {
        return Err(StartError::Store(format!("there is no {}", path.display())));
    }
    wal::require_whole(path)?;
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let has_log = std::fs::metadata(Path::new(&log)).is_ok_and(|found| found.len() > 0);
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .read_only(true)
        .immutable(!has_log)
        .pragma("query_only", "ON")
        .pragma("cache_size", format!("-{CACHE_KIB}"))
        .disable_statement_logging()
        .connect()
        .await
        .map_err(|error| {
            StartError::Store(format!("{} cannot be opened: {}", path.display(), failure::at_open(&error)))
        })
}
