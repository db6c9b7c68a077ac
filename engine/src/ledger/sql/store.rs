//! A ledger and a registry in one relational database: the ports, by way of what every dialect shares.
//! Must not know: which database it is.

use std::sync::Arc;

use async_trait::async_trait;
use booking_core::{AppointmentId, Date, DayKey, DayVersion, UtcMillis};
use sqlx::Pool;

use super::{Dialect, Writer, apply, forget, lost, raw, read};
use crate::config::ReminderSettings;
use crate::journal::{Head, ReadError, ShardCursor, StoredRecord};
use crate::ledger::lost::LostOutcome;
use crate::ledger::won_keys::{KeyDigest, LiveAppointment};
use crate::ledger::{AppliedRecord, ApplyError, AppointmentQuery, HistoryItem, Ledger, ParkedDay, PlacedAppointment};
use crate::ownership::ShardSet;
use crate::reminders::plan::Planner;
use crate::telemetry::pools::{self, Watched};

/// The connections of a ledger. Cheap to clone.
pub(in crate::ledger) struct Store<D: Dialect> {
    /// The applier's.
    pub(in crate::ledger) writer: Writer<D>,
    /// The registry's.
    pub(in crate::ledger) registry: Pool<D>,
    /// Those of the questions.
    pub(in crate::ledger) readers: Pool<D>,
    /// Says how much of them is in use.
    watched: Arc<[Watched]>,
}

impl<D: Dialect> Store<D> {
    /// Of these pools.
    pub(in crate::ledger) fn new(writer: Writer<D>, registry: Pool<D>, readers: Pool<D>) -> Self {
        let pools = [("ledger_write", &writer.pool), ("registry", &registry), ("ledger_read", &readers)];
        let watched = pools.into_iter().map(|(name, pool)| pools::watch(name, pool)).collect();
        Self { writer, registry, readers, watched }
    }
}

impl<D: Dialect> Clone for Store<D> {
    fn clone(&self) -> Self {
        let (writer, registry, readers) = (self.writer.clone(), self.registry.clone(), self.readers.clone());
        Self { writer, registry, readers, watched: Arc::clone(&self.watched) }
    }
}

impl<D: Dialect> Store<D> {
    /// Over these connections, with the reminders that `settings` say.
    pub(in crate::ledger) fn with_reminders(mut self, settings: &ReminderSettings) -> Self {
        self.writer.planner = Arc::new(Planner::new(settings));
        self
    }

    /// Writes under the applier's fence, over the registry's connections, so that the applier never waits for one.
    pub(in crate::ledger) fn beside_the_applier(&self) -> Writer<D> {
        Writer { pool: self.registry.clone(), ..self.writer.clone() }
    }
}

/// A ledger, and a registry, whose connections are these.
pub(in crate::ledger) trait Stored: Send + Sync + 'static {
    /// The database.
    type Dialect: Dialect;

    /// The connections.
    fn store(&self) -> &Store<Self::Dialect>;
}

#[async_trait]
impl<L: Stored> Ledger for L {
    async fn apply(&self, records: &[AppliedRecord], position: u64) -> Result<(), ApplyError> {
        apply::apply(&self.store().writer, records, position).await
    }

    async fn park(&self, day: DayKey, version: DayVersion, reason: &str) -> Result<(), ApplyError> {
        apply::park(&self.store().writer, day, version, reason).await
    }

    async fn parked(&self) -> Result<Vec<ParkedDay>, ReadError> {
        read::parked(&self.store().readers).await
    }

    async fn unpark(&self, day: DayKey, records: &[AppliedRecord]) -> Result<(), ApplyError> {
        apply::unpark(&self.store().writer, day, records).await
    }

    async fn time_zone(&self, day: DayKey) -> Result<Option<Arc<str>>, ReadError> {
        read::time_zone(&self.store().readers, day).await
    }

    async fn applied_sequence(&self, day: DayKey) -> Result<u64, ReadError> {
        read::applied_sequence(&self.store().readers, day).await
    }

    async fn applied_position(&self) -> Result<u64, ReadError> {
        read::applied_position(&self.store().readers).await
    }

    async fn shard_cursor(&self, shard: u16) -> Result<ShardCursor, ReadError> {
        read::shard_cursor(&self.store().readers, shard).await
    }

    async fn apply_shard(&self, shard: u16, records: &[AppliedRecord], cursor: ShardCursor) -> Result<(), ApplyError> {
        apply::apply_shard(&self.store().writer, shard, records, cursor).await
    }

    async fn raw_records(&self, day: DayKey, sequence: u64) -> Result<Vec<StoredRecord>, ReadError> {
        raw::of_day(&self.store().readers, day, sequence).await
    }

    async fn raw_heads(&self, shard: u16) -> Result<Vec<(DayKey, Head)>, ReadError> {
        raw::heads(&self.store().readers, shard, shard).await
    }

    async fn raw_heads_between(&self, first: u16, last: u16) -> Result<Vec<(DayKey, Head)>, ReadError> {
        raw::heads(&self.store().readers, first, last).await
    }

    async fn note_lost(&self, records: &[StoredRecord]) -> Result<u64, ApplyError> {
        match records.is_empty() {
            true => Ok(0),
            false => lost::note(&self.store().beside_the_applier(), records).await,
        }
    }

    async fn lost_days(&self) -> Result<Vec<DayKey>, ReadError> {
        lost::days(&self.store().readers).await
    }

    async fn lost_records(&self, day: DayKey) -> Result<Vec<StoredRecord>, ReadError> {
        lost::of_day(&self.store().readers, day).await
    }

    async fn settle_lost(&self, records: &[StoredRecord], outcome: &LostOutcome) -> Result<(), ApplyError> {
        lost::settle(&self.store().beside_the_applier(), records, outcome).await
    }

    async fn appointment(&self, id: AppointmentId) -> Result<Option<PlacedAppointment>, ReadError> {
        read::appointment(&self.store().readers, id).await
    }

    async fn appointments_of(&self, ids: &[AppointmentId]) -> Result<Vec<PlacedAppointment>, ReadError> {
        read::appointments_of(&self.store().readers, ids).await
    }

    async fn history(&self, id: AppointmentId) -> Result<Vec<HistoryItem>, ReadError> {
        read::history(&self.store().readers, id).await
    }

    async fn appointments(&self, query: &AppointmentQuery) -> Result<Vec<PlacedAppointment>, ReadError> {
        read::appointments(&self.store().readers, query).await
    }

    async fn live_appointments(
        &self,
        shards: &ShardSet,
        now: UtcMillis,
        visit: &mut (dyn FnMut(LiveAppointment) + Send),
    ) -> Result<(), ReadError> {
        L::Dialect::live_appointments(&self.store().readers, shards, now, visit).await
    }

    async fn won_keys(
        &self,
        shards: &ShardSet,
        from: Date,
        visit: &mut (dyn FnMut(KeyDigest, DayKey, Date) + Send),
    ) -> Result<(), ReadError> {
        L::Dialect::won_keys(&self.store().readers, shards, from, visit).await
    }

    async fn forget_won_keys(&self, before: Date) -> Result<u64, ApplyError> {
        forget::forget(&self.store().writer, before).await
    }

    /// The last connection to close ends what a database does at its end: SQLite writes its log back into the file.
    async fn close(&self) {
        let store = self.store();
        store.readers.close().await;
        store.registry.close().await;
        store.writer.pool.close().await;
    }
}
