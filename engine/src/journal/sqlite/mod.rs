//! The embedded journal: one SQLite file, one writer, group commit through `synchronous=FULL`.
//! Must not know: what a record means, who waits for it.
//!
//! Promise: what an append has returned as appended survives the end of the process at any point, and a loss of power if
//! the disk keeps what it has acknowledged as synced.

mod append;
pub(crate) mod audit;
mod block;
mod checkpoint;
pub(crate) mod failure;
mod open;
mod read;
mod schema;
mod snapshots;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use booking_core::{Date, DayKey, DoctorId, UtcMillis};
use sqlx::{Connection, SqliteConnection, SqlitePool};
use tokio::sync::Mutex;

use super::lock::DirectoryLock;
use super::poison::Poison;
use super::{
    AppendError, DayAppend, DayOutcome, Journal, LoadedDay, ReadError, ShardCursor, StoredRecord, StoredSnapshot,
};
use crate::config::StartError;
use append::Encoded;
use checkpoint::Checkpointer;

/// Records looked at at once by whoever reads by shard.
const SHARD_PAGE_RECORDS: usize = 1_024;

/// Below the data directory.
const FILE_NAME: &str = "journal.db";

/// A [`Journal`] in one file of a locked data directory. Cheap to clone.
#[derive(Clone)]
pub struct SqliteJournal {
    shared: Arc<Shared>,
}

struct Shared {
    /// The only connection that appends. Its mutex is tokio's: held while the connection's thread works.
    /// `None` when the journal is closed.
    writer: Mutex<Option<SqliteConnection>>,
    checkpointing: Mutex<Option<SqliteConnection>>,
    readers: SqlitePool,
    epoch: u32,
    poison: Poison,
    checkpointer: Checkpointer,
    /// Where a checkpoint runs: whoever appends may end before it does.
    runtime: tokio::runtime::Handle,
    /// Released last, when no connection is left. Its mutex is never held across a wait.
    lock: parking_lot::Mutex<Option<Arc<DirectoryLock>>>,
}

impl SqliteJournal {
    /// Locks `directory` (created if absent, mode 0700) and opens the journal in it, under an epoch of its own.
    pub async fn open(directory: &Path) -> Result<Self, StartError> {
        Self::open_locked(Arc::new(DirectoryLock::acquire(directory)?)).await
    }

    /// As [`SqliteJournal::open`], in a directory that is locked already.
    pub async fn open_locked(lock: Arc<DirectoryLock>) -> Result<Self, StartError> {
        let opened = open::open(&lock).await?;
        Ok(Self {
            shared: Arc::new(Shared {
                writer: Mutex::new(Some(opened.writer)),
                checkpointing: Mutex::new(Some(opened.checkpointer)),
                readers: opened.readers,
                epoch: opened.epoch,
                poison: Poison::default(),
                checkpointer: Checkpointer::default(),
                runtime: tokio::runtime::Handle::current(),
                lock: parking_lot::Mutex::new(Some(lock)),
            }),
        })
    }

    /// Brings the schema in a locked directory up to date; says in words what it is now.
    pub async fn migrate(lock: &DirectoryLock) -> Result<String, StartError> {
        open::migrate(lock).await
    }

    fn require_clean(&self) -> Result<(), AppendError> {
        self.shared.poison.reason().map_or(Ok(()), |reason| Err(AppendError::Poisoned(reason)))
    }

    /// The readers, unless what they would show proves nothing any more.
    fn readers(&self) -> Result<&SqlitePool, ReadError> {
        match self.shared.poison.reason() {
            None => Ok(&self.shared.readers),
            Some(reason) => Err(ReadError::Unavailable(format!("the journal is poisoned by an I/O error: {reason}"))),
        }
    }

    /// Counts what was written; starts a checkpoint beside the writer when it is time. Its task is left to end by itself.
    fn after_write(&self, pages: u64) {
        if self.shared.checkpointer.is_due_after(pages) {
            let shared = Arc::clone(&self.shared);
            let runtime = shared.runtime.clone();
            runtime.spawn(async move {
                shared.checkpointer.run(&shared.checkpointing, &shared.writer, &shared.poison).await;
            });
        }
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn append(&self, batch: &[DayAppend]) -> Result<Vec<DayOutcome>, AppendError> {
        self.require_clean()?;
        let shared = &*self.shared;
        let encoded = Encoded::of(batch, |entry| batch[entry].epoch == shared.epoch).map_err(AppendError::Failed)?;
        let pages = encoded.pages();
        let mut writer = shared.writer.lock().await;
        // Whoever held the writer before may have met the error.
        self.require_clean()?;
        let connection = still_open(&mut writer)?;
        let appended = append::append(connection, &shared.poison, shared.epoch, batch, encoded).await;
        drop(writer);
        // A full disk often has room in the WAL once its pages are in the database file.
        self.after_write(if appended.is_ok() { pages } else { checkpoint::START_PAGES });
        appended
    }

    /// There is one writer, whose transactions end before its mutex is given back: whoever holds it knows that no older
    /// append is under way. An append whose future was dropped has left its transaction open at worst; the next append
    /// meets it and rolls it back, so this does the same.
    async fn barrier(&self) -> Result<(), AppendError> {
        self.require_clean()?;
        let mut writer = self.shared.writer.lock().await;
        self.require_clean()?;
        match append::settle(still_open(&mut writer)?, &self.shared.poison, None, "barrier").await {
            AppendError::Poisoned(reason) => Err(AppendError::Poisoned(reason)),
            AppendError::Failed(_) | AppendError::Unknown(_) => Ok(()),
        }
    }

    async fn load(&self, day: DayKey) -> Result<Option<LoadedDay>, ReadError> {
        read::load(self.readers()?, day).await
    }

    async fn save_snapshots(&self, snapshots: &[StoredSnapshot]) -> Result<(), AppendError> {
        self.require_clean()?;
        let pages = snapshots::save(&self.shared.writer, &self.shared.poison, snapshots).await?;
        self.after_write(pages);
        Ok(())
    }

    async fn read_after(&self, position: u64, limit: usize) -> Result<Vec<StoredRecord>, ReadError> {
        read::read_after(self.readers()?, position, limit).await
    }

    async fn last_position(&self) -> Result<u64, ReadError> {
        read::last_position(self.readers()?).await
    }

    async fn days_of(&self, doctor: DoctorId, from: Date, to: Date) -> Result<Vec<DayKey>, ReadError> {
        read::days_of(self.readers()?, doctor, from, to).await
    }

    async fn open_work(&self, until: UtcMillis, limit: usize) -> Result<Vec<(DayKey, UtcMillis)>, ReadError> {
        read::open_work(self.readers()?, until, limit).await
    }

    /// There is one owner of everything here, so that nobody reads by shard but whoever looks at a store: a walk through the log.
    async fn read_shard(&self, shard: u16, after: ShardCursor, limit: usize) -> Result<Vec<StoredRecord>, ReadError> {
        let (mut found, mut position) = (Vec::new(), 0);
        while found.len() < limit {
            let page = self.read_after(position, SHARD_PAGE_RECORDS).await?;
            let Some(last) = page.last() else { break };
            position = last.position;
            found.extend(page.into_iter().filter(|record| record.shard == shard && record.cursor() > after));
        }
        found.truncate(limit);
        Ok(found)
    }

    fn promise(&self) -> String {
        "an acknowledged booking survives SIGKILL and the loss of power of an honest disk (SQLite, WAL, synchronous=FULL)".to_owned()
    }

    fn epoch(&self) -> u32 {
        self.shared.epoch
    }

    async fn poisoned(&self) -> String {
        self.shared.poison.wait().await
    }

    /// Empties the WAL into the database file, closes it and releases the lock. A poisoned journal is not written to
    /// any more: the next process recovers it.
    async fn close(&self) {
        self.shared.readers.close().await;
        let checkpointing = self.shared.checkpointing.lock().await.take();
        let mut writer = self.shared.writer.lock().await;
        let poisoned = self.shared.poison.reason().is_some();
        crash_point!(JournalCloseBegun);
        if let (Some(connection), false) = (writer.as_mut(), poisoned) {
            match checkpoint::whole(connection).await {
                Ok(true) => {}
                Ok(false) => tracing::warn!("the journal is closed with a WAL: something still reads it"),
                Err(error) => tracing::warn!(%error, "the journal is closed with a WAL; the next start brings it in"),
            }
        }
        for connection in checkpointing.into_iter().chain(writer.take()) {
            if let Err(error) = connection.close().await {
                tracing::warn!(%error, "a connection of the journal did not close");
            }
        }
        crash_point!(JournalClosed);
        self.shared.lock.lock().take();
    }
}

/// The connection, unless the journal is closed.
fn still_open(connection: &mut Option<SqliteConnection>) -> Result<&mut SqliteConnection, AppendError> {
    connection.as_mut().ok_or_else(|| AppendError::Failed("the journal is closed".to_owned()))
}
