//! A journal in memory, for tests and simulation: the same contract, with faults that are set from outside.
//! Must not know: files, threads, time.
//!
//! Deterministic: it never waits by itself, iterates in the order of keys, and fails only as it was told to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use booking_core::{Date, DayKey, DoctorId, UtcMillis};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::poison::Poison;
use super::{
    AppendError, DayAppend, DayOutcome, Head, Journal, LoadedDay, ReadError, ShardCursor, StoredRecord, StoredSnapshot,
    chain,
};

/// What happens to one append.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nothing is written, and it says so.
    Failed,
    /// Nothing is written, and nobody knows.
    UnknownBefore,
    /// It is written, and nobody knows.
    UnknownAfter,
    /// Nobody knows; it is written as late as it can be: at the next barrier. Whoever reads before the barrier is misled.
    UnknownLate,
    /// An I/O error: this and everything later fails.
    Poisoned,
}

/// A [`Journal`] in memory. Clones share everything.
#[derive(Clone)]
pub struct MemoryJournal {
    store: Arc<Mutex<Store>>,
    epoch: u32,
    poison: Poison,
    faults: Arc<Mutex<Faults>>,
    gate: Arc<watch::Sender<Gate>>,
}

#[derive(Default)]
struct Faults {
    appends: VecDeque<Option<Fault>>,
    barriers: usize,
    reads: bool,
}

#[derive(Clone, Copy, Default)]
struct Gate {
    closed: bool,
    /// Appends that stand before the gate.
    waiting: usize,
    /// How many may pass though it is closed.
    passes: usize,
}

#[derive(Default)]
struct Store {
    epoch: u32,
    records: Vec<StoredRecord>,
    days: BTreeMap<DayKey, Day>,
    work: BTreeSet<(UtcMillis, DayKey)>,
    /// Appends whose effect has been put off to the next barrier.
    late: Vec<DayAppend>,
    /// Entries of each append that was asked for, whatever became of it.
    batches: Vec<usize>,
}

#[derive(Default)]
struct Day {
    head: Head,
    /// Indexes into `Store::records`.
    records: Vec<usize>,
    next_work_at: Option<UtcMillis>,
    snapshot: Option<StoredSnapshot>,
}

impl Default for MemoryJournal {
    fn default() -> Self {
        Self::over(Arc::default())
    }
}

impl MemoryJournal {
    /// Opens the same store again, as the next process would: a new epoch, no faults, no poison. What was put off is gone.
    pub fn reopen(&self) -> Self {
        self.store.lock().late.clear();
        Self::over(Arc::clone(&self.store))
    }

    fn over(store: Arc<Mutex<Store>>) -> Self {
        let epoch = {
            let mut store = store.lock();
            store.epoch += 1;
            store.epoch
        };
        let gate = Arc::new(watch::Sender::new(Gate::default()));
        Self { store, epoch, poison: Poison::default(), faults: Arc::default(), gate }
    }

    /// The next append that has no fault yet has this one.
    pub fn fail_next(&self, fault: Fault) {
        self.faults.lock().appends.push_back(Some(fault));
    }

    /// The next append that has no fault yet is spared.
    pub fn spare_next(&self) {
        self.faults.lock().appends.push_back(None);
    }

    /// The next `count` barriers say that the store does not answer.
    pub fn fail_barriers(&self, count: usize) {
        self.faults.lock().barriers += count;
    }

    /// Has every load say that the store does not answer, or answer again.
    pub fn fail_reads(&self, fail: bool) {
        self.faults.lock().reads = fail;
    }

    /// Appends wait before they do anything, until [`MemoryJournal::release`].
    pub fn hold(&self) {
        self.gate.send_modify(|gate| gate.closed = true);
    }

    /// Lets waiting appends go on.
    pub fn release(&self) {
        self.gate.send_modify(|gate| gate.closed = false);
    }

    /// Lets one waiting append, or the next to come, pass the closed gate.
    pub fn pass(&self) {
        self.gate.send_modify(|gate| gate.passes += 1);
    }

    /// Whether somebody may still pass the closed gate.
    pub fn is_passing(&self) -> bool {
        self.gate.borrow().passes > 0
    }

    /// Becomes ready when `count` appends wait at the gate.
    pub async fn held(&self, count: usize) {
        self.wait_gate(|gate| gate.waiting >= count).await;
    }

    /// How many entries each append had, oldest first.
    pub fn batches(&self) -> Vec<usize> {
        self.store.lock().batches.clone()
    }

    /// Changes the body of the record at `position`, or nothing if there is none, as a bad disk would.
    pub fn damage(&self, position: u64) {
        let mut store = self.store.lock();
        if let Some(record) = store.records.iter_mut().find(|record| record.position == position) {
            record.body = record.body.iter().map(|byte| byte ^ 1).chain([0]).collect();
        }
    }

    async fn wait_gate(&self, condition: impl FnMut(&Gate) -> bool) {
        // An error would say that the sender is gone, but `self` holds it.
        let _ = self.gate.subscribe().wait_for(condition).await;
    }

    async fn pass_gate(&self) {
        if !self.gate.borrow().closed {
            return;
        }
        self.gate.send_modify(|gate| gate.waiting += 1);
        self.wait_gate(|gate| !gate.closed || gate.passes > 0).await;
        self.gate.send_modify(|gate| {
            gate.waiting -= 1;
            gate.passes = if gate.closed { gate.passes.saturating_sub(1) } else { 0 };
        });
    }

    fn require_clean(&self) -> Result<(), AppendError> {
        self.poison.reason().map_or(Ok(()), |reason| Err(AppendError::Poisoned(reason)))
    }

    fn require_readable(&self) -> Result<(), ReadError> {
        self.poison.reason().map_or(Ok(()), |reason| Err(ReadError::Unavailable(reason)))
    }
}

impl Store {
    fn append(&mut self, epoch: u32, batch: &[DayAppend]) -> Vec<DayOutcome> {
        batch.iter().map(|append| self.append_day(epoch, append)).collect()
    }

    fn append_day(&mut self, epoch: u32, append: &DayAppend) -> DayOutcome {
        if append.epoch != epoch || epoch != self.epoch {
            return DayOutcome::StaleEpoch { current: self.epoch };
        }
        let actual = self.days.get(&append.day).map(|day| day.head).unwrap_or_default();
        if actual != append.expected {
            return DayOutcome::Conflict { actual };
        }
        let day = self.days.entry(append.day).or_default();
        for record in &append.records {
            day.records.push(self.records.len());
            day.head = Head { version: record.version, hash: record.hash };
            self.records.push(StoredRecord {
                day: append.day,
                shard: append.day.shard(),
                position: self.records.len() as u64 + 1,
                version: record.version,
                hash: record.hash,
                body: Arc::clone(&record.body),
            });
        }
        if let Some(at) = day.next_work_at {
            self.work.remove(&(at, append.day));
        }
        day.next_work_at = append.next_work_at;
        if let Some(at) = day.next_work_at {
            self.work.insert((at, append.day));
        }
        DayOutcome::Appended { position: self.records.len() as u64 }
    }

    fn load(&self, key: DayKey) -> Option<LoadedDay> {
        let day = self.days.get(&key)?;
        let known = day.snapshot.as_ref().map_or(0, |snapshot| snapshot.head.version.sequence);
        let records = day.records.iter().map(|index| &self.records[*index]);
        let tail = records.filter(|record| record.version.sequence > known).cloned().collect();
        Some(LoadedDay { snapshot: day.snapshot.clone(), tail, head: day.head })
    }
}

/// Whether each entry is one that a journal can take.
fn require_well_formed(batch: &[DayAppend]) -> Result<(), AppendError> {
    let mut days = BTreeSet::new();
    for append in batch {
        let mut numbered = append.records.iter().zip(append.expected.version.sequence + 1..);
        let gapless = numbered.all(|(record, sequence)| record.version.sequence == sequence);
        if append.records.is_empty() || !gapless || !days.insert(append.day) {
            return Err(AppendError::Failed(format!("{} cannot be appended so", append.day)));
        }
    }
    Ok(())
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn append(&self, batch: &[DayAppend]) -> Result<Vec<DayOutcome>, AppendError> {
        self.require_clean()?;
        require_well_formed(batch)?;
        self.store.lock().batches.push(batch.len());
        self.pass_gate().await;
        let fault = self.faults.lock().appends.pop_front().flatten();
        let mut store = self.store.lock();
        let unknown = || AppendError::Unknown("told to".to_owned());
        match fault {
            None => Ok(store.append(self.epoch, batch)),
            Some(Fault::Failed) => Err(AppendError::Failed("told to".to_owned())),
            Some(Fault::UnknownBefore) => Err(unknown()),
            Some(Fault::UnknownAfter) => {
                store.append(self.epoch, batch);
                Err(unknown())
            }
            Some(Fault::UnknownLate) => {
                store.late.extend_from_slice(batch);
                Err(unknown())
            }
            Some(Fault::Poisoned) => Err(AppendError::Poisoned(self.poison.set("told to".to_owned()))),
        }
    }

    async fn barrier(&self) -> Result<(), AppendError> {
        self.require_clean()?;
        let mut faults = self.faults.lock();
        if faults.barriers > 0 {
            faults.barriers -= 1;
            return Err(AppendError::Unknown("the store does not answer, as told".to_owned()));
        }
        let mut store = self.store.lock();
        let late = std::mem::take(&mut store.late);
        store.append(self.epoch, &late);
        Ok(())
    }

    async fn load(&self, day: DayKey) -> Result<Option<LoadedDay>, ReadError> {
        self.require_readable()?;
        if self.faults.lock().reads {
            return Err(ReadError::Unavailable("planned".to_owned()));
        }
        let Some(loaded) = self.store.lock().load(day) else { return Ok(None) };
        chain::verify(&loaded).map_err(|reason| ReadError::Damaged(format!("{day}: {reason}")))?;
        Ok(Some(loaded))
    }

    async fn save_snapshots(&self, snapshots: &[StoredSnapshot]) -> Result<(), AppendError> {
        self.require_clean()?;
        let mut store = self.store.lock();
        for snapshot in snapshots {
            let Some(day) = store.days.get_mut(&snapshot.day) else { continue };
            if day.snapshot.as_ref().is_none_or(|stored| stored.head.version < snapshot.head.version) {
                day.snapshot = Some(snapshot.clone());
            }
        }
        Ok(())
    }

    async fn read_after(&self, position: u64, limit: usize) -> Result<Vec<StoredRecord>, ReadError> {
        self.require_readable()?;
        let store = self.store.lock();
        let start = usize::try_from(position).map_or(store.records.len(), |start| start.min(store.records.len()));
        Ok(store.records[start..].iter().take(limit).cloned().collect())
    }

    async fn last_position(&self) -> Result<u64, ReadError> {
        self.require_readable()?;
        Ok(self.store.lock().records.len() as u64)
    }

    async fn days_of(&self, doctor: DoctorId, from: Date, to: Date) -> Result<Vec<DayKey>, ReadError> {
        self.require_readable()?;
        if from > to {
            return Ok(Vec::new());
        }
        let range = DayKey { doctor, date: from }..=DayKey { doctor, date: to };
        Ok(self.store.lock().days.range(range).map(|(key, _)| *key).collect())
    }

    async fn open_work(&self, until: UtcMillis, limit: usize) -> Result<Vec<(DayKey, UtcMillis)>, ReadError> {
        self.require_readable()?;
        let store = self.store.lock();
        Ok(store.work.iter().take_while(|(at, _)| *at <= until).take(limit).map(|(at, day)| (*day, *at)).collect())
    }

    async fn read_shard(&self, shard: u16, after: ShardCursor, limit: usize) -> Result<Vec<StoredRecord>, ReadError> {
        let all = self.read_after(0, usize::MAX).await?;
        let is_wanted = |record: &StoredRecord| record.shard == shard && record.cursor() > after;
        Ok(all.into_iter().filter(is_wanted).take(limit).collect())
    }

    fn promise(&self) -> String {
        "nothing outlives the process".to_owned()
    }

    fn epoch(&self) -> u32 {
        self.epoch
    }

    async fn poisoned(&self) -> String {
        self.poison.wait().await
    }

    async fn close(&self) {}
}

#[cfg(test)]
mod tests;
