//! Was a day never written, or does the journal not find it any more? A journal that asks the ledger before it says so.
//! Must not know: how either is stored.
//!
//! The ledger follows the journal, so that it never has a record that the journal has not. A day that the ledger knows and the
//! journal does not is one that a damaged index hides: taken for a new one it could be published, and sold, a second time.
//! Whoever loads a day owns it, so that nothing is appended between the two questions. A day that is found is checked by its
//! own chain and head, and the ledger is not asked.

use std::sync::Arc;

use async_trait::async_trait;
use booking_core::{Date, DayKey, DoctorId, UtcMillis};

use super::Ledger;
use crate::journal::sqlite::failure::ADVICE;
use crate::journal::{
    AppendError, DayAppend, DayOutcome, Journal, LoadedDay, LogKind, ReadError, ShardCursor, StoredRecord,
    StoredSnapshot,
};
use crate::ownership::ShardSet;

/// A [`Journal`] that knows from the ledger which days were written.
pub struct AgreedJournal {
    journal: Arc<dyn Journal>,
    ledger: Arc<dyn Ledger>,
}

impl AgreedJournal {
    /// `ledger` follows `journal`.
    pub fn new(journal: Arc<dyn Journal>, ledger: Arc<dyn Ledger>) -> Self {
        Self { journal, ledger }
    }

    /// The sequence up to which the ledger has `day`. 0 if it does not answer: days are booked without it.
    async fn applied(&self, day: DayKey) -> u64 {
        self.ledger.applied_sequence(day).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "a day is taken for a new one without asking the ledger");
            0
        })
    }
}

#[async_trait]
impl Journal for AgreedJournal {
    async fn load(&self, day: DayKey) -> Result<Option<LoadedDay>, ReadError> {
        if let Some(loaded) = self.journal.load(day).await? {
            return Ok(Some(loaded));
        }
        match self.applied(day).await {
            0 => Ok(None),
            applied => Err(ReadError::Damaged(format!(
                "{day}: ledger.db has applied sequence {applied}, journal.db does not find the day. {ADVICE}"
            ))),
        }
    }

    async fn append(&self, batch: &[DayAppend]) -> Result<Vec<DayOutcome>, AppendError> {
        self.journal.append(batch).await
    }

    async fn barrier(&self) -> Result<(), AppendError> {
        self.journal.barrier().await
    }

    async fn save_snapshots(&self, snapshots: &[StoredSnapshot]) -> Result<(), AppendError> {
        self.journal.save_snapshots(snapshots).await
    }

    async fn read_after(&self, position: u64, limit: usize) -> Result<Vec<StoredRecord>, ReadError> {
        self.journal.read_after(position, limit).await
    }

    async fn last_position(&self) -> Result<u64, ReadError> {
        self.journal.last_position().await
    }

    async fn days_of(&self, doctor: DoctorId, from: Date, to: Date) -> Result<Vec<DayKey>, ReadError> {
        self.journal.days_of(doctor, from, to).await
    }

    async fn open_work(&self, until: UtcMillis, limit: usize) -> Result<Vec<(DayKey, UtcMillis)>, ReadError> {
        self.journal.open_work(until, limit).await
    }

    fn epoch(&self) -> u32 {
        self.journal.epoch()
    }

    fn epoch_of(&self, shard: u16) -> u32 {
        self.journal.epoch_of(shard)
    }

    fn log(&self) -> LogKind {
        self.journal.log()
    }

    async fn install(&self, shards: &[(u16, u32)]) -> Result<Vec<(u16, u32)>, AppendError> {
        self.journal.install(shards).await
    }

    async fn read_shard(&self, shard: u16, after: ShardCursor, limit: usize) -> Result<Vec<StoredRecord>, ReadError> {
        self.journal.read_shard(shard, after, limit).await
    }

    async fn ahead_of(&self, cursors: &[(u16, ShardCursor)]) -> Result<Vec<u16>, ReadError> {
        self.journal.ahead_of(cursors).await
    }

    fn in_doubt(&self, shards: &[u16]) -> ShardSet {
        self.journal.in_doubt(shards)
    }

    fn memory_of(&self, shards: &ShardSet, position: u64, limit: usize) -> Vec<StoredRecord> {
        self.journal.memory_of(shards, position, limit)
    }

    fn forget_memory(&self, positions: &[u64]) {
        self.journal.forget_memory(positions);
    }

    async fn repair(&self, shards: &[u16], ledger: &dyn Ledger, memory: &[StoredRecord]) -> Result<(), ReadError> {
        self.journal.repair(shards, ledger, memory).await
    }

    fn take_lost(&self) -> Vec<u16> {
        self.journal.take_lost()
    }

    fn applied(&self, position: u64) {
        self.journal.applied(position);
    }

    fn feed_has(&self, sink: &'static str, cursors: &[(u16, ShardCursor)]) {
        self.journal.feed_has(sink, cursors);
    }

    fn promise(&self) -> String {
        self.journal.promise()
    }

    async fn poisoned(&self) -> String {
        self.journal.poisoned().await
    }

    async fn close(&self) {
        self.journal.close().await;
    }
}
