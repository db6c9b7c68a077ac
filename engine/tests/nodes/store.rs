//! The journal as one node has it: that of all, behind a gate of its own. A node that is dead never gets through.
//! Must not know: what is written.

use async_trait::async_trait;
use booking_core::{Date, DayKey, DoctorId, UtcMillis};
use engine::journal::memory::MemoryJournal;
use engine::journal::{
    AppendError, DayAppend, DayOutcome, Journal, LoadedDay, ReadError, ShardCursor, StoredRecord, StoredSnapshot,
};
use tokio::sync::watch;

/// See the module.
pub struct NodeJournal {
    inner: MemoryJournal,
    /// How many appends may still pass.
    passes: watch::Sender<usize>,
}

impl NodeJournal {
    pub fn over(inner: MemoryJournal) -> Self {
        Self { inner, passes: watch::Sender::new(usize::MAX) }
    }

    /// From now on so many appends pass, and the others wait.
    pub fn allow(&self, appends: usize) {
        self.passes.send_replace(appends);
    }

    async fn pass(&self) {
        let mut passes = self.passes.subscribe();
        loop {
            // An error would say that the sender is gone, but `self` holds it.
            let _ = passes.wait_for(|passes| *passes > 0).await;
            let mut passed = false;
            self.passes.send_if_modified(|passes| {
                passed = *passes > 0;
                *passes = passes.saturating_sub(1);
                passed
            });
            if passed {
                return;
            }
        }
    }
}

#[async_trait]
impl Journal for NodeJournal {
    async fn append(&self, batch: &[DayAppend]) -> Result<Vec<DayOutcome>, AppendError> {
        self.pass().await;
        self.inner.append(batch).await
    }

    async fn barrier(&self) -> Result<(), AppendError> {
        self.inner.barrier().await
    }

    async fn load(&self, day: DayKey) -> Result<Option<LoadedDay>, ReadError> {
        self.inner.load(day).await
    }

    async fn save_snapshots(&self, snapshots: &[StoredSnapshot]) -> Result<(), AppendError> {
        self.inner.save_snapshots(snapshots).await
    }

    async fn read_after(&self, position: u64, limit: usize) -> Result<Vec<StoredRecord>, ReadError> {
        self.inner.read_after(position, limit).await
    }

    async fn last_position(&self) -> Result<u64, ReadError> {
        self.inner.last_position().await
    }

    async fn days_of(&self, doctor: DoctorId, from: Date, to: Date) -> Result<Vec<DayKey>, ReadError> {
        self.inner.days_of(doctor, from, to).await
    }

    async fn open_work(&self, until: UtcMillis, limit: usize) -> Result<Vec<(DayKey, UtcMillis)>, ReadError> {
        self.inner.open_work(until, limit).await
    }

    async fn read_shard(&self, shard: u16, after: ShardCursor, limit: usize) -> Result<Vec<StoredRecord>, ReadError> {
        self.inner.read_shard(shard, after, limit).await
    }

    fn epoch(&self) -> u32 {
        self.inner.epoch()
    }

    fn promise(&self) -> String {
        self.inner.promise()
    }

    async fn poisoned(&self) -> String {
        self.inner.poisoned().await
    }

    async fn close(&self) {}
}
