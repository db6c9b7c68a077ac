//! A journal in memory, for tests and simulation: the same contract, with faults that are set from outside.
//! Must not know: disks, threads, time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use booking_core::{Date, DayKey, DoctorId, UtcMillis};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{AppendError, DayAppend, DayOutcome, Head, Journal, LoadedDay, ReadError, StoredRecord, StoredSnapshot};

/// What is to happen to one append to come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Certainly not written.
    Fail,
    /// Unknown; it was not written.
    UnknownBefore,
    /// Unknown; it was written.
    UnknownAfter,
    /// The journal breaks for good.
    Poison,
}

/// See the module.
pub struct MemoryJournal {
    epoch: u32,
    state: Mutex<State>,
    /// False while appends are held at the gate.
    open: watch::Sender<bool>,
    /// Number of appends that stand at the gate or have passed it.
    arrived: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    log: Vec<StoredRecord>,
    heads: BTreeMap<DayKey, (Head, Option<UtcMillis>)>,
    snapshots: BTreeMap<DayKey, StoredSnapshot>,
    faults: VecDeque<Option<Fault>>,
    poisoned: bool,
    reads_fail: bool,
}

impl MemoryJournal {
    /// An empty journal that is written under `epoch`.
    pub fn new(epoch: u32) -> Self {
        Self { epoch, state: Mutex::default(), open: watch::Sender::new(true), arrived: watch::Sender::new(0) }
    }

    /// A fault (or none) for each append to come, in order; after them, none.
    pub fn plan_faults(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.state.lock().faults.extend(faults);
    }

    /// Has every load fail as unavailable, or work again.
    pub fn fail_reads(&self, fail: bool) {
        self.state.lock().reads_fail = fail;
    }

    /// Holds appends at the gate from now on.
    pub fn close_gate(&self) {
        self.open.send_replace(false);
    }

    /// Lets them pass.
    pub fn open_gate(&self) {
        self.open.send_replace(true);
    }

    /// Waits until `count` appends have come to the gate since the beginning.
    pub async fn arrived(&self, count: u64) {
        let mut arrived = self.arrived.subscribe();
        // The sender lives as long as this journal.
        let _ = arrived.wait_for(|number| *number >= count).await;
    }

    /// All records, in the order of positions.
    pub fn log(&self) -> Vec<StoredRecord> {
        self.state.lock().log.clone()
    }
}

impl State {
    fn append_day(&mut self, epoch: u32, append: &DayAppend) -> DayOutcome {
        let (head, _) = self.heads.get(&append.day).copied().unwrap_or_default();
        if append.epoch != epoch {
            return DayOutcome::StaleEpoch { current: epoch };
        }
        if head != append.expected {
            return DayOutcome::Conflict { actual: head };
        }
        let mut last = head;
        for record in &append.records {
            let position = self.log.len() as u64 + 1;
            self.log.push(StoredRecord {
                day: append.day,
                shard: append.day.shard(),
                position,
                version: record.version,
                hash: record.hash,
                body: Arc::clone(&record.body),
            });
            last = Head { version: record.version, hash: record.hash };
        }
        self.heads.insert(append.day, (last, append.next_work_at));
        DayOutcome::Appended { position: self.log.len() as u64 }
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn append(&self, batch: &[DayAppend]) -> Result<Vec<DayOutcome>, AppendError> {
        self.arrived.send_modify(|count| *count += 1);
        let mut open = self.open.subscribe();
        // The sender lives as long as this journal.
        let _ = open.wait_for(|open| *open).await;
        let mut state = self.state.lock();
        if state.poisoned {
            return Err(AppendError::Poisoned("planted earlier".to_owned()));
        }
        match state.faults.pop_front().flatten() {
            Some(Fault::Fail) => return Err(AppendError::Failed("planted".to_owned())),
            Some(Fault::UnknownBefore) => return Err(AppendError::Unknown("planted".to_owned())),
            Some(Fault::Poison) => {
                state.poisoned = true;
                return Err(AppendError::Poisoned("planted".to_owned()));
            }
            Some(Fault::UnknownAfter) => {
                for append in batch {
                    state.append_day(self.epoch, append);
                }
                return Err(AppendError::Unknown("planted".to_owned()));
            }
            None => {}
        }
        Ok(batch.iter().map(|append| state.append_day(self.epoch, append)).collect())
    }

    async fn barrier(&self) -> Result<(), AppendError> {
        Ok(())
    }

    async fn load(&self, day: DayKey) -> Result<Option<LoadedDay>, ReadError> {
        let state = self.state.lock();
        if state.reads_fail {
            return Err(ReadError::Unavailable("planted".to_owned()));
        }
        let Some((head, _)) = state.heads.get(&day).copied() else { return Ok(None) };
        let snapshot = state.snapshots.get(&day).cloned();
        let after = snapshot.as_ref().map_or(0, |snapshot| snapshot.head.version.sequence);
        let tail = state.log.iter().filter(|record| record.day == day && record.version.sequence > after);
        Ok(Some(LoadedDay { tail: tail.cloned().collect(), snapshot, head }))
    }

    async fn save_snapshots(&self, snapshots: &[StoredSnapshot]) -> Result<(), AppendError> {
        let mut state = self.state.lock();
        for snapshot in snapshots {
            let newer = state.snapshots.get(&snapshot.day).is_none_or(|kept| kept.head.version < snapshot.head.version);
            if newer {
                state.snapshots.insert(snapshot.day, snapshot.clone());
            }
        }
        Ok(())
    }

    async fn read_after(&self, position: u64, limit: usize) -> Result<Vec<StoredRecord>, ReadError> {
        let state = self.state.lock();
        let from = usize::try_from(position).unwrap_or(usize::MAX).min(state.log.len());
        Ok(state.log[from..].iter().take(limit).cloned().collect())
    }

    async fn last_position(&self) -> Result<u64, ReadError> {
        Ok(self.state.lock().log.len() as u64)
    }

    async fn days_of(&self, doctor: DoctorId, from: Date, to: Date) -> Result<Vec<DayKey>, ReadError> {
        let range = DayKey { doctor, date: from }..=DayKey { doctor, date: to };
        Ok(if from > to { Vec::new() } else { self.state.lock().heads.range(range).map(|(day, _)| *day).collect() })
    }

    async fn open_work(&self, until: UtcMillis, limit: usize) -> Result<Vec<(DayKey, UtcMillis)>, ReadError> {
        let state = self.state.lock();
        let mut work: Vec<(DayKey, UtcMillis)> = state
            .heads
            .iter()
            .filter_map(|(day, (_, at))| at.map(|at| (*day, at)))
            .filter(|(_, at)| *at <= until)
            .collect();
        work.sort_by_key(|(day, at)| (*at, *day));
        work.truncate(limit);
        Ok(work)
    }

    fn epoch(&self) -> u32 {
        self.epoch
    }

    async fn close(&self) {}
}
