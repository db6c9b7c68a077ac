//! The ledger of a simulated machine.
//! Must not know: what the rows mean, who reads them.

use std::sync::Arc;

use async_trait::async_trait;
use booking_core::{AppointmentId, Date, DayKey, DayVersion, UtcMillis};
use engine::journal::{ReadError, ShardCursor, StoredRecord};
use engine::ledger::memory::{Fault as WriteFault, MemoryLedger};
use engine::ledger::won_keys::{KeyDigest, LiveAppointment};
use engine::ledger::{AppliedRecord, ApplyError, AppointmentQuery, HistoryItem, Ledger, ParkedDay, PlacedAppointment};
use engine::ownership::ShardSet;

use crate::kernel::Domain;
use crate::stage::Stage;
use crate::weather::Fault;

/// A ledger that takes time and fails as the weather has it.
pub struct DiskLedger {
    stage: Stage,
    domain: Domain,
    disk: MemoryLedger,
}

const WRITE_FAULTS: [(Fault, WriteFault); 3] = [
    (Fault::LedgerUnavailable, WriteFault::Unavailable),
    (Fault::LedgerUnavailableAfter, WriteFault::UnavailableAfter),
    (Fault::LedgerRefused, WriteFault::Refused),
];

impl DiskLedger {
    /// The ledger of the process `domain`, over a store that it has opened.
    pub fn over(stage: &Stage, domain: Domain, disk: MemoryLedger) -> Self {
        Self { stage: stage.clone(), domain, disk }
    }

    async fn take_time(&self) {
        let mut micros = self.stage.between(50, 3_000);
        if self.stage.draws(Fault::LedgerSlow, 0) {
            micros = self.stage.between(100_000, 5_000_000);
        }
        self.stage.kernel.sleep(self.domain, micros).await;
    }

    /// Before a write: time, and perhaps a fault.
    async fn write(&self) {
        self.take_time().await;
        let fault = WRITE_FAULTS.into_iter().find(|(fault, _)| self.stage.draws(*fault, 0));
        if let Some((_, fault)) = fault {
            self.disk.fail_next(fault);
        }
    }
}

#[async_trait]
impl Ledger for DiskLedger {
    async fn apply(&self, records: &[AppliedRecord], position: u64) -> Result<(), ApplyError> {
        self.write().await;
        let outcome = self.disk.apply(records, position).await;
        self.take_time().await;
        outcome
    }

    async fn park(&self, day: DayKey, version: DayVersion, reason: &str) -> Result<(), ApplyError> {
        self.write().await;
        let outcome = self.disk.park(day, version, reason).await;
        self.take_time().await;
        outcome
    }

    async fn parked(&self) -> Result<Vec<ParkedDay>, ReadError> {
        self.take_time().await;
        self.disk.parked().await
    }

    async fn unpark(&self, day: DayKey, records: &[AppliedRecord]) -> Result<(), ApplyError> {
        self.write().await;
        self.disk.unpark(day, records).await
    }

    async fn time_zone(&self, day: DayKey) -> Result<Option<Arc<str>>, ReadError> {
        self.take_time().await;
        self.disk.time_zone(day).await
    }

    async fn applied_sequence(&self, day: DayKey) -> Result<u64, ReadError> {
        self.take_time().await;
        self.disk.applied_sequence(day).await
    }

    async fn applied_position(&self) -> Result<u64, ReadError> {
        self.take_time().await;
        self.disk.applied_position().await
    }

    async fn appointment(&self, id: AppointmentId) -> Result<Option<PlacedAppointment>, ReadError> {
        self.take_time().await;
        let found = self.disk.appointment(id).await;
        self.take_time().await;
        found
    }

    async fn history(&self, id: AppointmentId) -> Result<Vec<HistoryItem>, ReadError> {
        self.take_time().await;
        let found = self.disk.history(id).await;
        self.take_time().await;
        found
    }

    async fn appointments(&self, query: &AppointmentQuery) -> Result<Vec<PlacedAppointment>, ReadError> {
        self.take_time().await;
        let found = self.disk.appointments(query).await;
        self.take_time().await;
        found
    }

    async fn shard_cursor(&self, shard: u16) -> Result<ShardCursor, ReadError> {
        self.disk.shard_cursor(shard).await
    }

    async fn apply_shard(&self, shard: u16, records: &[AppliedRecord], cursor: ShardCursor) -> Result<(), ApplyError> {
        self.disk.apply_shard(shard, records, cursor).await
    }

    async fn raw_records(&self, day: DayKey, sequence: u64) -> Result<Vec<StoredRecord>, ReadError> {
        self.disk.raw_records(day, sequence).await
    }

    async fn live_appointments(
        &self,
        shards: &ShardSet,
        now: UtcMillis,
        visit: &mut (dyn FnMut(LiveAppointment) + Send),
    ) -> Result<(), ReadError> {
        self.take_time().await;
        self.disk.live_appointments(shards, now, visit).await
    }

    async fn won_keys(
        &self,
        shards: &ShardSet,
        from: Date,
        visit: &mut (dyn FnMut(KeyDigest, DayKey, Date) + Send),
    ) -> Result<(), ReadError> {
        self.take_time().await;
        self.disk.won_keys(shards, from, visit).await
    }

    async fn forget_won_keys(&self, before: Date) -> Result<u64, ApplyError> {
        self.write().await;
        self.disk.forget_won_keys(before).await
    }

    async fn close(&self) {
        self.disk.close().await;
    }
}
