//! Brings the WAL into the database file, where its errors are heard.
//! Must not know: what was appended.
//!
//! SQLite's automatic checkpoint runs inside a commit, holds it up, and drops its own errors: a sync of the database file
//! that failed would go unheard, and a later one that falsely succeeds would let the WAL be overwritten. So it is off, and
//! this module checkpoints: first beside the writer, then the small rest while the writer waits, so that the WAL can
//! start again at its beginning under a steady load.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sqlx::{Row, SqliteConnection};
use tokio::sync::Mutex;

use super::failure::{self, WriteFailure};
use crate::journal::poison::Poison;

/// Pages of the WAL after which a checkpoint starts: 32 MiB. Smaller means more writes of the same pages, larger a longer
/// recovery; 32 MiB are recovered in well under a second.
pub(super) const START_PAGES: u64 = 8_192;
/// Pages of the WAL beyond which the checkpoint waits for readers instead of leaving the WAL to grow: 256 MiB.
const FORCE_PAGES: i64 = 65_536;

/// [`START_PAGES`], unless a test asks for less.
fn start_pages() -> u64 {
    #[cfg(feature = "testing")]
    if let Some(pages) = crate::testing::checkpoint_pages() {
        return pages;
    }
    START_PAGES
}

/// Decides when, and keeps two checkpoints from running at once.
#[derive(Debug, Default)]
pub(super) struct Checkpointer {
    pages: AtomicU64,
    running: AtomicBool,
}

impl Checkpointer {
    /// Counts `pages` written; whether the caller must now start [`Checkpointer::run`].
    pub(super) fn is_due_after(&self, pages: u64) -> bool {
        self.pages.fetch_add(pages, Ordering::Relaxed) + pages >= start_pages()
            && !self.running.swap(true, Ordering::AcqRel)
    }

    /// Checkpoints through `connection`, at last with `writer` held.
    pub(super) async fn run(
        &self,
        connection: &Mutex<Option<SqliteConnection>>,
        writer: &Mutex<Option<SqliteConnection>>,
        poison: &Poison,
    ) {
        let mut connection = connection.lock().await;
        if let (Some(connection), None) = (connection.as_mut(), poison.reason()) {
            match in_two_steps(connection, writer).await {
                Ok(()) => {}
                // Somebody's lock, or a full disk: the WAL still has everything, and the next checkpoint starts over.
                Err(error) if failure::of_write(&error) == WriteFailure::Definite => {
                    tracing::warn!(%error, "the checkpoint is put off");
                }
                Err(error) => {
                    poison.set(format!("the checkpoint failed: {error}"));
                }
            }
        }
        self.pages.store(0, Ordering::Relaxed);
        self.running.store(false, Ordering::Release);
    }
}

async fn in_two_steps(
    connection: &mut SqliteConnection,
    writer: &Mutex<Option<SqliteConnection>>,
) -> Result<(), sqlx::Error> {
    crash_point!(CheckpointBegun);
    let row = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(&mut *connection).await?;
    let pages: i64 = row.try_get(1)?;
    let _writer = writer.lock().await;
    crash_point!(CheckpointBesideWriterDone);
    if pages > FORCE_PAGES {
        sqlx::query("PRAGMA wal_checkpoint(RESTART)").fetch_one(connection).await?;
    } else {
        sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(connection).await?;
    }
    crash_point!(CheckpointDone);
    Ok(())
}

/// Brings the whole WAL into the database file and empties it; whether nobody stood in the way.
pub(super) async fn whole(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(connection).await?;
    crash_point!(JournalWalEmptied);
    Ok(row.try_get::<i64, _>(0)? == 0)
}
