//! The journal of a simulated machine.
//! Must not know: what a record means, who waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use booking_core::{Date, DayKey, DoctorId, UtcMillis};
use engine::clock::Clock;
use engine::journal::memory::{Fault as AppendFault, MemoryJournal};
use engine::journal::{
    AppendError, DayAppend, DayOutcome, Journal, LoadedDay, ReadError, ShardCursor, StoredRecord, StoredSnapshot,
};
use futures_util::FutureExt;

use crate::kernel::Domain;
use crate::stage::Stage;
use crate::weather::Fault;

/// How far records were told to the stage: outlives the processes.
#[derive(Clone, Default)]
pub struct Told(Arc<AtomicU64>);

/// A journal that takes time and fails as the weather has it, and tells the stage of each record at the instant at which it is durable.
pub struct DiskJournal {
    stage: Stage,
    domain: Domain,
    clock: Arc<dyn Clock>,
    disk: MemoryJournal,
    told: Told,
}

/// What an append meets.
const APPEND_FAULTS: [(Fault, AppendFault); 5] = [
    (Fault::AppendFailed, AppendFault::Failed),
    (Fault::AppendUnknownBefore, AppendFault::UnknownBefore),
    (Fault::AppendUnknownAfter, AppendFault::UnknownAfter),
    (Fault::AppendUnknownLate, AppendFault::UnknownLate),
    (Fault::JournalPoisoned, AppendFault::Poisoned),
];

impl DiskJournal {
    /// The journal of the process `domain`, which opens it now.
    pub fn open(stage: &Stage, domain: Domain, clock: &Arc<dyn Clock>, disk: &MemoryJournal, told: &Told) -> Self {
        let (clock, disk) = (Arc::clone(clock), disk.reopen());
        Self { stage: stage.clone(), domain, clock, disk, told: told.clone() }
    }

    /// The store itself, for the next process.
    pub fn disk(&self) -> &MemoryJournal {
        &self.disk
    }

    /// Takes as long as a disk takes: mostly a millisecond, sometimes as the weather has it.
    async fn take_time(&self) {
        let mut micros = self.stage.between(50, 2_000);
        if self.stage.draws(Fault::JournalSlow, 3_000_000) {
            micros = self.stage.between(100_000, 3_000_000);
        }
        if self.stage.draws(Fault::JournalStuck, 60_000_000) {
            micros = self.stage.between(5_000_000, 60_000_000);
        }
        self.stage.kernel.sleep(self.domain, micros).await;
    }

    async fn read(&self) -> Result<(), ReadError> {
        self.take_time().await;
        if self.stage.draws(Fault::JournalReadFailed, 0) {
            return Err(ReadError::Unavailable("as the weather has it".to_owned()));
        }
        Ok(())
    }

    /// Tells the stage of every record that has become durable.
    pub fn tell(&self) {
        let known = self.told.0.load(Ordering::Relaxed);
        let read = self.disk.read_after(known, usize::MAX).now_or_never();
        let Some(Ok(records)) = read else { return };
        for record in records {
            self.told.0.store(record.position, Ordering::Relaxed);
            self.stage.recorded(&record, self.clock.now());
        }
    }

    /// What was put off lands by itself after a while, unless a barrier is raised, or the process dies, before.
    fn land_soon(&self) {
        let (stage, clock) = (self.stage.clone(), Arc::clone(&self.clock));
        let late = Self { stage, domain: self.domain, clock, disk: self.disk.clone(), told: self.told.clone() };
        let longest = if self.stage.between(0, 1) == 0 { 100_000 } else { 30_000_000 };
        let at = self.stage.kernel.now_micros() + self.stage.between(0, longest);
        self.stage.kernel.call_at(self.domain, at, move || late.land_late());
    }

    /// What was put off lands after all, though nobody waits for it any more.
    pub fn land_late(&self) {
        let _ = self.disk.barrier().now_or_never();
        self.tell();
    }
}

#[async_trait]
impl Journal for DiskJournal {
    async fn append(&self, batch: &[DayAppend]) -> Result<Vec<DayOutcome>, AppendError> {
        self.take_time().await;
        let fault = APPEND_FAULTS.into_iter().find(|(fault, _)| self.stage.draws(*fault, 0));
        if let Some((_, fault)) = fault {
            self.disk.fail_next(fault);
            if self.stage.draws(Fault::BarrierFailed, 5_000_000) {
                let count = self.stage.between(1, 6);
                self.disk.fail_barriers(usize::try_from(count).unwrap_or(1));
            }
        }
        let outcome = self.disk.append(batch).await;
        if matches!(fault, Some((Fault::AppendUnknownLate, _))) {
            self.land_soon();
        }
        self.tell();
        self.take_time().await;
        outcome
    }

    async fn barrier(&self) -> Result<(), AppendError> {
        self.take_time().await;
        let outcome = self.disk.barrier().await;
        self.tell();
        outcome
    }

    async fn load(&self, day: DayKey) -> Result<Option<LoadedDay>, ReadError> {
        self.read().await?;
        self.stage.tell(format!("read {day}"));
        let loaded = self.disk.load(day).await;
        // What was read is on its way for a while: more may be written meanwhile.
        self.take_time().await;
        loaded
    }

    async fn save_snapshots(&self, snapshots: &[StoredSnapshot]) -> Result<(), AppendError> {
        self.take_time().await;
        if self.stage.draws(Fault::SnapshotFailed, 0) {
            return Err(AppendError::Failed("as the weather has it".to_owned()));
        }
        self.disk.save_snapshots(snapshots).await
    }

    async fn read_after(&self, position: u64, limit: usize) -> Result<Vec<StoredRecord>, ReadError> {
        self.read().await?;
        let records = self.disk.read_after(position, limit).await?;
        let shared = self.stage.lock();
        match records.iter().find(|record| shared.damaged_positions.contains(&record.position)) {
            Some(record) => Err(ReadError::Damaged(format!("the chain breaks at position {}", record.position))),
            None => Ok(records),
        }
    }

    async fn last_position(&self) -> Result<u64, ReadError> {
        self.read().await?;
        self.disk.last_position().await
    }

    async fn days_of(&self, doctor: DoctorId, from: Date, to: Date) -> Result<Vec<DayKey>, ReadError> {
        self.read().await?;
        self.disk.days_of(doctor, from, to).await
    }

    async fn open_work(&self, until: UtcMillis, limit: usize) -> Result<Vec<(DayKey, UtcMillis)>, ReadError> {
        self.read().await?;
        self.disk.open_work(until, limit).await
    }

    async fn read_shard(&self, shard: u16, after: ShardCursor, limit: usize) -> Result<Vec<StoredRecord>, ReadError> {
        self.disk.read_shard(shard, after, limit).await
    }

    fn promise(&self) -> String {
        self.disk.promise()
    }

    fn epoch(&self) -> u32 {
        self.disk.epoch()
    }

    async fn poisoned(&self) -> String {
        self.disk.poisoned().await
    }

    async fn close(&self) {
        self.disk.close().await;
    }
}
