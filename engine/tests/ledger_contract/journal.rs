//! A journal and a ledger that the tests hold in their hands: one is a list, the other fails when told to.
//! Must not know: what is tested with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;
use booking_core::{AppointmentId, Date, DayKey, DayVersion, DoctorId, UtcMillis, encode_event};
use engine::clock::Clock;
use engine::journal::StoredSnapshot;
use engine::journal::{
    AppendError, ChainHash, DayAppend, DayOutcome, Journal, LoadedDay, LogKind, ReadError, ShardCursor, StoredRecord,
};
use engine::ledger::overlay::Overlay;
use engine::ledger::won_keys::{KeyDigest, LiveAppointment};
use engine::ledger::{AppliedRecord, ApplyError, AppointmentQuery, HistoryItem, Ledger, ParkedDay, PlacedAppointment};
use engine::ownership::ShardSet;
use parking_lot::Mutex;

/// A journal that only the applier reads: a list of records.
#[derive(Default)]
pub(crate) struct ListJournal {
    records: Mutex<Vec<StoredRecord>>,
    /// Whether shards can change hands.
    pub(crate) is_shared: AtomicBool,
}

impl ListJournal {
    /// Makes `records` durable.
    pub(crate) fn push(&self, records: &[AppliedRecord]) {
        self.records.lock().extend(records.iter().map(stored));
    }

    /// Replaces the body of the record at `position`.
    pub(crate) fn replace_body(&self, position: u64, body: &[u8]) {
        let mut records = self.records.lock();
        let record = records.iter_mut().find(|record| record.position == position).expect("the record");
        record.body = Arc::from(body);
    }
}

fn stored(record: &AppliedRecord) -> StoredRecord {
    StoredRecord {
        day: record.day,
        shard: record.day.shard(),
        position: record.position,
        version: record.version,
        hash: ChainHash::default(),
        body: encode_event(&record.event).into(),
    }
}

#[async_trait]
impl Journal for ListJournal {
    async fn append(&self, _: &[DayAppend]) -> Result<Vec<DayOutcome>, AppendError> {
        Err(AppendError::Failed("a list is pushed to".into()))
    }

    async fn barrier(&self) -> Result<(), AppendError> {
        Ok(())
    }

    async fn load(&self, _: DayKey) -> Result<Option<LoadedDay>, ReadError> {
        Err(ReadError::Unavailable("the applier loads no day".into()))
    }

    async fn save_snapshots(&self, _: &[StoredSnapshot]) -> Result<(), AppendError> {
        Ok(())
    }

    async fn read_after(&self, position: u64, limit: usize) -> Result<Vec<StoredRecord>, ReadError> {
        let records = self.records.lock();
        Ok(records.iter().filter(|record| record.position > position).take(limit).cloned().collect())
    }

    async fn last_position(&self) -> Result<u64, ReadError> {
        Ok(self.records.lock().last().map_or(0, |record| record.position))
    }

    async fn days_of(&self, _: DoctorId, _: Date, _: Date) -> Result<Vec<DayKey>, ReadError> {
        Ok(Vec::new())
    }

    async fn open_work(&self, _: UtcMillis, _: usize) -> Result<Vec<(DayKey, UtcMillis)>, ReadError> {
        Ok(Vec::new())
    }

    async fn read_shard(&self, shard: u16, after: ShardCursor, limit: usize) -> Result<Vec<StoredRecord>, ReadError> {
        let all = self.read_after(0, usize::MAX).await?;
        Ok(all.into_iter().filter(|record| record.shard == shard && record.cursor() > after).take(limit).collect())
    }

    fn log(&self) -> LogKind {
        if self.is_shared.load(Ordering::SeqCst) { LogKind::OfThisProcess } else { LogKind::Lasting }
    }

    fn promise(&self) -> String {
        "nothing".to_owned()
    }

    fn epoch(&self) -> u32 {
        1
    }

    async fn poisoned(&self) -> String {
        std::future::pending().await
    }

    async fn close(&self) {}
}

/// A ledger that can be away, and can dislike a day.
pub(crate) struct MoodyLedger {
    pub(crate) inner: Arc<dyn Ledger>,
    /// So many applications fail as if the store were away.
    pub(crate) away: AtomicUsize,
    /// Records of this day from this sequence on are refused.
    pub(crate) dislikes: Mutex<Option<(DayKey, u64)>>,
    /// What the applier does right after the next read has looked.
    pub(crate) meanwhile: Mutex<Option<Meanwhile>>,
}

/// These records are applied, then evicted.
pub(crate) struct Meanwhile {
    pub(crate) records: Vec<AppliedRecord>,
    pub(crate) overlay: Arc<Overlay>,
}

impl MoodyLedger {
    pub(crate) fn new(inner: Arc<dyn Ledger>) -> Arc<Self> {
        Arc::new(Self { inner, away: AtomicUsize::new(0), dislikes: Mutex::new(None), meanwhile: Mutex::new(None) })
    }

    async fn meanwhile(&self) {
        let meanwhile = self.meanwhile.lock().take();
        if let Some(Meanwhile { records, overlay }) = meanwhile {
            let position = records.last().expect("records").position;
            self.inner.apply(&records, position).await.expect("applied");
            overlay.evict(position);
        }
    }

    fn mood(&self, records: &[AppliedRecord]) -> Result<(), ApplyError> {
        let count_down = |left: usize| left.checked_sub(1);
        if self.away.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count_down).is_ok() {
            return Err(ApplyError::Unavailable("away, as the test wants it".into()));
        }
        let dislikes = *self.dislikes.lock();
        let disliked =
            |it: &&AppliedRecord| dislikes.is_some_and(|(day, from)| it.day == day && it.version.sequence >= from);
        match records.iter().find(disliked) {
            Some(_) => Err(ApplyError::Refused("disliked, as the test wants it".into())),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Ledger for MoodyLedger {
    async fn apply(&self, records: &[AppliedRecord], position: u64) -> Result<(), ApplyError> {
        let parked = self.inner.parked().await.map_err(|error| ApplyError::Unavailable(error.to_string()))?;
        let others = records.iter().filter(|record| parked.iter().all(|it| it.day != record.day));
        self.mood(&others.cloned().collect::<Vec<_>>())?;
        self.inner.apply(records, position).await
    }

    async fn park(&self, day: DayKey, version: DayVersion, reason: &str) -> Result<(), ApplyError> {
        self.inner.park(day, version, reason).await
    }

    async fn parked(&self) -> Result<Vec<ParkedDay>, ReadError> {
        self.inner.parked().await
    }

    async fn unpark(&self, day: DayKey, records: &[AppliedRecord]) -> Result<(), ApplyError> {
        self.mood(records)?;
        self.inner.unpark(day, records).await
    }

    async fn time_zone(&self, day: DayKey) -> Result<Option<Arc<str>>, ReadError> {
        self.inner.time_zone(day).await
    }

    async fn applied_sequence(&self, day: DayKey) -> Result<u64, ReadError> {
        self.inner.applied_sequence(day).await
    }

    async fn applied_position(&self) -> Result<u64, ReadError> {
        self.inner.applied_position().await
    }

    async fn appointment(&self, id: AppointmentId) -> Result<Option<PlacedAppointment>, ReadError> {
        let answer = self.inner.appointment(id).await;
        self.meanwhile().await;
        answer
    }

    async fn history(&self, id: AppointmentId) -> Result<Vec<HistoryItem>, ReadError> {
        let answer = self.inner.history(id).await;
        self.meanwhile().await;
        answer
    }

    async fn appointments(&self, query: &AppointmentQuery) -> Result<Vec<PlacedAppointment>, ReadError> {
        let answer = self.inner.appointments(query).await;
        self.meanwhile().await;
        answer
    }

    async fn shard_cursor(&self, shard: u16) -> Result<ShardCursor, ReadError> {
        self.inner.shard_cursor(shard).await
    }

    async fn apply_shard(&self, shard: u16, records: &[AppliedRecord], cursor: ShardCursor) -> Result<(), ApplyError> {
        self.inner.apply_shard(shard, records, cursor).await
    }

    async fn raw_records(&self, day: DayKey, sequence: u64) -> Result<Vec<StoredRecord>, ReadError> {
        self.inner.raw_records(day, sequence).await
    }

    async fn live_appointments(
        &self,
        shards: &ShardSet,
        now: UtcMillis,
        visit: &mut (dyn FnMut(LiveAppointment) + Send),
    ) -> Result<(), ReadError> {
        self.inner.live_appointments(shards, now, visit).await
    }

    async fn won_keys(
        &self,
        shards: &ShardSet,
        from: Date,
        visit: &mut (dyn FnMut(KeyDigest, DayKey, Date) + Send),
    ) -> Result<(), ReadError> {
        self.inner.won_keys(shards, from, visit).await
    }

    async fn forget_won_keys(&self, before: Date) -> Result<u64, ApplyError> {
        self.inner.forget_won_keys(before).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

/// A clock that moves a millisecond each time somebody looks.
#[derive(Default)]
pub(crate) struct TickingClock {
    micros: AtomicU64,
}

impl Clock for TickingClock {
    fn now(&self) -> UtcMillis {
        UtcMillis((self.monotonic_micros() / 1_000) as i64)
    }

    fn monotonic_micros(&self) -> u64 {
        self.micros.fetch_add(1_000, Ordering::SeqCst)
    }

    fn is_steady(&self) -> bool {
        true
    }

    fn discipline(&self) {}
}
