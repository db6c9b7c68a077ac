//! A ledger and a registry in memory, for tests and simulation: the same contract, with faults that are set from outside.
//! Must not know: files, threads, time.
//!
//! Deterministic: it never waits by itself, iterates in the order of keys, and fails only as it was told to. A question
//! looks at every row: meant for some ten thousand appointments, not for load.

mod registry;
mod reminders;
mod store;
mod table;

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use booking_core::{Appointment, AppointmentId, Date, DayKey, DayVersion, Status, UtcMillis};
use parking_lot::{Mutex, MutexGuard};

use self::registry::RegistryStore;
pub use self::reminders::KeptReminder;
use self::reminders::Telling;
use self::store::Store;
pub use self::store::{Contents, DayRow, StepRow};
use super::won_keys::{KeyDigest, LiveAppointment};
use super::{
    AppliedRecord, ApplyError, AppointmentQuery, AppointmentScope, HistoryItem, Ledger, ParkedDay, PlacedAppointment,
};
use crate::config::ReminderSettings;
use crate::journal::{ReadError, ShardCursor, StoredRecord};
use crate::ownership::ShardSet;
use crate::reminders::plan::Planner;

/// What happens to one write of the ledger: an apply, a park, an unpark, or a forgetting of keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nothing is written, and it says that the store is away.
    Unavailable,
    /// It is written, and it says that the store is away. What the contract refuses is refused.
    UnavailableAfter,
    /// Nothing is written, and it says that the batch is at fault.
    Refused,
}

/// A [`Ledger`] and a [`Registry`](super::registry::Registry) in memory. Clones share everything.
#[derive(Clone)]
pub struct MemoryLedger {
    store: Arc<Mutex<Stores>>,
    faults: Arc<Mutex<Faults>>,
    opening: u64,
    planner: Arc<Planner>,
}

#[derive(Default)]
struct Stores {
    /// How often it was opened: only the newest opening writes.
    openings: u64,
    ledger: Store,
    registry: RegistryStore,
}

/// Something that a test has happen once.
type Event = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Faults {
    writes: VecDeque<Option<Fault>>,
    away: bool,
    missed: VecDeque<Event>,
}

impl Default for MemoryLedger {
    fn default() -> Self {
        Self::over(Arc::default(), Arc::new(Planner::new(&ReminderSettings::default())))
    }
}

impl MemoryLedger {
    /// Opens the same store again, as the next process would: no faults, not away, every row still there. The process
    /// before is dead: whatever it still tries to write, in the ledger or the registry, is told that the store is away.
    pub fn reopen(&self) -> Self {
        Self::over(Arc::clone(&self.store), Arc::clone(&self.planner))
    }

    /// The same with the reminders that `settings` say, instead of the usual ones.
    #[must_use]
    pub fn with_reminders(self, settings: &ReminderSettings) -> Self {
        Self { planner: Arc::new(Planner::new(settings)), ..self }
    }

    fn over(store: Arc<Mutex<Stores>>, planner: Arc<Planner>) -> Self {
        let opening = {
            let mut stores = store.lock();
            stores.openings += 1;
            stores.openings
        };
        Self { store, faults: Arc::default(), opening, planner }
    }

    /// The next write of the ledger that has no fault yet has this one. Writes of the registry have none.
    pub fn fail_next(&self, fault: Fault) {
        self.faults.lock().writes.push_back(Some(fault));
    }

    /// The next write of the ledger that has no fault yet is spared.
    pub fn spare_next(&self) {
        self.faults.lock().writes.push_back(None);
    }

    /// Has every call, reads and the registry included, say that the store is away, or answer again. Meanwhile no fault is
    /// used up.
    pub fn away(&self, away: bool) {
        self.faults.lock().away = away;
    }

    /// The next question for appointments that misses nothing yet is answered as if nothing had been applied, and `event` happens before
    /// that is told: who asked did so long before.
    pub fn miss_next(&self, event: impl FnOnce() + Send + 'static) {
        self.faults.lock().missed.push_back(Box::new(event));
    }

    /// Whether a question misses everything.
    fn misses(&self) -> bool {
        let event = self.faults.lock().missed.pop_front();
        event.map(|event| event()).is_some()
    }

    /// Every row of the ledger as it is now, whatever faults are set and whichever opening is asked: for a test's oracle.
    pub fn contents(&self) -> Contents {
        self.store.lock().ledger.contents()
    }

    /// The store, for a write that has passed the first two faults; or the reason why there is none.
    fn writable(&self) -> Result<MutexGuard<'_, Stores>, String> {
        if self.faults.lock().away {
            return Err("away, as told".to_owned());
        }
        let stores = self.store.lock();
        if stores.openings == self.opening { Ok(stores) } else { Err("the store was opened again".to_owned()) }
    }

    fn readable(&self) -> Result<MutexGuard<'_, Stores>, ReadError> {
        if self.faults.lock().away {
            return Err(ReadError::Unavailable("away, as told".to_owned()));
        }
        Ok(self.store.lock())
    }

    /// `work` on the ledger, with the next fault.
    fn write<T>(&self, work: impl FnOnce(&mut Store, &Telling<'_>) -> Result<T, ApplyError>) -> Result<T, ApplyError> {
        let mut stores = self.writable().map_err(ApplyError::Unavailable)?;
        let fault = self.faults.lock().writes.pop_front().flatten();
        let Stores { ledger, registry, .. } = &mut *stores;
        let telling = Telling { planner: &self.planner, registry };
        match fault {
            None => work(ledger, &telling),
            Some(Fault::Unavailable) => Err(ApplyError::Unavailable("told to, before".to_owned())),
            Some(Fault::UnavailableAfter) => {
                work(ledger, &telling)?;
                Err(ApplyError::Unavailable("told to, after".to_owned()))
            }
            Some(Fault::Refused) => Err(ApplyError::Refused("told to".to_owned())),
        }
    }
}

/// The row with the zone of its day. A parked day may have no definition here; then the zone is told as UTC. Nor may a day that another
/// process has yet to apply, to which an appointment has moved: its zone is the doctor's.
fn placed(stores: &Stores, day: DayKey, row: &Appointment) -> Result<PlacedAppointment, ReadError> {
    let doctors_zone = || stores.registry.time_zone_of(day.doctor);
    let time_zone: Arc<str> = match stores.ledger.days.get(&day) {
        Some(known) => Arc::from(&*known.definition.time_zone),
        None if stores.ledger.parked.get(&day).is_some() => "UTC".into(),
        None => {
            doctors_zone().ok_or_else(|| ReadError::Damaged(format!("{day} has appointments but no definition")))?
        }
    };
    Ok(PlacedAppointment { day, time_zone, appointment: row.clone() })
}

/// Whether a row that stands on `day` is asked for, the page aside.
fn is_asked_for(query: &AppointmentQuery, day: DayKey, row: &Appointment) -> bool {
    let scope = match query.scope {
        AppointmentScope::Patient(patient) => patient == row.patient,
        AppointmentScope::Day(asked) => asked == day,
    };
    let is_over = row.end <= query.now;
    let status = if row.status == Status::Booked && is_over { Status::Completed } else { row.status };
    let is_early = query.from.is_some_and(|from| row.start < from);
    let is_late = query.to.is_some_and(|to| row.start >= to);
    scope && !is_early && !is_late && (query.statuses.is_empty() || query.statuses.contains(&status))
}

fn page_of(stores: &Stores, query: &AppointmentQuery) -> Result<Vec<PlacedAppointment>, ReadError> {
    let all = stores.ledger.appointments.rows().values();
    let mut rows: Vec<_> = all.filter(|(day, row)| is_asked_for(query, *day, row)).collect();
    rows.sort_by_key(|(_, row)| (row.start, row.id));
    let ended = |row: &Appointment| query.after.is_some_and(|after| (row.start, row.id) <= after);
    let page = rows.into_iter().skip_while(|(_, row)| ended(row)).take(query.limit);
    page.map(|(day, row)| placed(stores, *day, row)).collect()
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn apply(&self, records: &[AppliedRecord], position: u64) -> Result<(), ApplyError> {
        self.write(|store, telling| store.apply(records, position, telling))
    }

    async fn park(&self, day: DayKey, version: DayVersion, reason: &str) -> Result<(), ApplyError> {
        self.write(|store, _| {
            store.park(day, version, reason);
            Ok(())
        })
    }

    async fn parked(&self) -> Result<Vec<ParkedDay>, ReadError> {
        Ok(self.readable()?.ledger.parked.rows().values().cloned().collect())
    }

    async fn unpark(&self, day: DayKey, records: &[AppliedRecord]) -> Result<(), ApplyError> {
        self.write(|store, telling| store.unpark(day, records, telling))
    }

    async fn time_zone(&self, day: DayKey) -> Result<Option<Arc<str>>, ReadError> {
        let stores = self.readable()?;
        Ok(stores.ledger.days.get(&day).map(|known| Arc::from(&*known.definition.time_zone)))
    }

    async fn applied_sequence(&self, day: DayKey) -> Result<u64, ReadError> {
        Ok(self.readable()?.ledger.applied.get(&day).map_or(0, |version| version.sequence))
    }

    async fn applied_position(&self) -> Result<u64, ReadError> {
        Ok(self.readable()?.ledger.cursor)
    }

    async fn appointment(&self, id: AppointmentId) -> Result<Option<PlacedAppointment>, ReadError> {
        if self.misses() {
            return Ok(None);
        }
        let stores = self.readable()?;
        stores.ledger.appointments.get(&id).map(|(day, row)| placed(&stores, *day, row)).transpose()
    }

    async fn history(&self, id: AppointmentId) -> Result<Vec<HistoryItem>, ReadError> {
        let stores = self.readable()?;
        let steps = stores.ledger.history.rows().range((id, 0)..=(id, u32::MAX));
        Ok(steps.map(|(_, row)| row.step.clone()).collect())
    }

    async fn appointments(&self, query: &AppointmentQuery) -> Result<Vec<PlacedAppointment>, ReadError> {
        if self.misses() {
            return Ok(Vec::new());
        }
        page_of(&*self.readable()?, query)
    }

    async fn shard_cursor(&self, shard: u16) -> Result<ShardCursor, ReadError> {
        Ok(self.readable()?.ledger.shard_cursors.get(&shard).copied().unwrap_or_default())
    }

    async fn apply_shard(&self, shard: u16, records: &[AppliedRecord], cursor: ShardCursor) -> Result<(), ApplyError> {
        self.write(|store, telling| store.apply_shard(shard, records, cursor, telling))
    }

    async fn raw_records(&self, _day: DayKey, _sequence: u64) -> Result<Vec<StoredRecord>, ReadError> {
        Ok(Vec::new())
    }

    async fn live_appointments(
        &self,
        shards: &ShardSet,
        now: UtcMillis,
        visit: &mut (dyn FnMut(LiveAppointment) + Send),
    ) -> Result<(), ReadError> {
        // Collected first: a visitor may ask the ledger.
        let rows: Vec<_> = self.readable()?.ledger.appointments.rows().values().cloned().collect();
        for (day, row) in rows {
            let is_live = matches!(row.status, Status::Held | Status::Booked) && row.end > now;
            if is_live && shards.contains(day.shard()) {
                let Appointment { id, patient, start, end, hold_expires_at, version, .. } = row;
                visit(LiveAppointment { id, patient, day, start, end, hold_expires_at, version });
            }
        }
        Ok(())
    }

    async fn won_keys(
        &self,
        shards: &ShardSet,
        from: Date,
        visit: &mut (dyn FnMut(KeyDigest, DayKey, Date) + Send),
    ) -> Result<(), ReadError> {
        let rows: Vec<_> = self.readable()?.ledger.won_keys.rows().keys().copied().collect();
        for (until, day, digest) in rows {
            if until >= from && shards.contains(day.shard()) {
                visit(digest, day, until);
            }
        }
        Ok(())
    }

    async fn forget_won_keys(&self, before: Date) -> Result<u64, ApplyError> {
        self.write(|store, _| Ok(store.forget_won_keys(before)))
    }

    async fn close(&self) {}
}

#[cfg(test)]
mod tests;
