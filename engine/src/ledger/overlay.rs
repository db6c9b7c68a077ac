//! What is durable but not yet in the ledger, so that everyone reads their own writes however far the ledger is behind.
//! Must not know: the journal, SQL, who asks.
//!
//! A reader asks the overlay first and the ledger second, and merges by the highest appointment version; an entry is
//! evicted only after the ledger's commit is visible (`protocols.md` rule 11).
//!
//! A day shows a change here first and in its picture a moment later. Who has found something here must not be able to read an older
//! picture next, so it waits until the publication of the day that recorded it is over ([`Overlay::publication`]).
//!
//! Locks: a day's publication first (readers take it alone, last), then an appointment's shard, then a shard of an index; never two of a kind, never across an await. What an
//! index says is changed under the appointment's lock, so an id is in the indexes exactly while its appointment is here.

mod index;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use booking_core::{AppointmentId, DayKey, Event, PatientId};
use foldhash::HashMap;
use foldhash::fast::RandomState;
use parking_lot::{Mutex, MutexGuard, RwLock};
use smallvec::SmallVec;

use self::index::Index;
use super::{AppointmentScope, HistoryItem, PlacedAppointment, changes_with_homes};
use crate::telemetry::trace::AwaitingLedger;

/// A power of two. Publishers and readers of different appointments seldom meet.
const SHARDS: usize = 32;

/// A durable change on its way to the ledger.
#[derive(Clone, Debug)]
pub struct OverlayEntry {
    /// The appointment after the change, at its home from then on.
    pub placed: PlacedAppointment,
    /// The day whose record it is: another one than the home if the appointment has just left it.
    pub recorded_by: DayKey,
    /// The step that led there.
    pub step: HistoryItem,
    /// The journal position of the record.
    pub position: u64,
}

impl OverlayEntry {
    /// The entries of the record of `day` at `position`: one each change of `event`. An appointment that leaves is at its
    /// new home from here on, and nowhere else.
    pub fn of_event<'event>(
        day: DayKey,
        time_zone: &Arc<str>,
        event: &'event Event,
        position: u64,
    ) -> impl Iterator<Item = Self> + use<'event> {
        let time_zone = Arc::clone(time_zone);
        changes_with_homes(event).map(move |(change, home)| {
            let (home, time_zone) = home.map_or((day, &time_zone), |home| (home.day, &home.time_zone));
            let (time_zone, appointment) = (Arc::clone(time_zone), change.row.clone());
            Self {
                placed: PlacedAppointment { day: home, time_zone, appointment },
                recorded_by: day,
                step: HistoryItem::of(event, change),
                position,
            }
        })
    }
}

/// The overlay. Bounded by the ledger's lag bound: past it new bookings are shed.
pub struct Overlay {
    shards: Vec<Mutex<Shard>>,
    /// By day: held while something is shown here that the day's picture does not show yet.
    publications: Vec<Mutex<()>>,
    by_patient: Index<PatientId>,
    by_day: Index<DayKey>,
    hasher: RandomState,
    /// Days whose records stay: the ledger refuses them. Few, and each a defect.
    pinned: RwLock<HashSet<DayKey>>,
    /// Everything up to here was evicted: the ledger has it.
    evicted: AtomicU64,
    entries: AtomicUsize,
    /// Requests whose records wait for the ledger, of those that are looked at.
    pub(crate) awaiting: AwaitingLedger,
}

/// The appointments of one shard.
#[derive(Default)]
struct Shard {
    /// Boxed: a growing table moves pointers and not rows.
    appointments: HashMap<AppointmentId, Box<Kept>>,
    /// Every entry that can be evicted, by position. Entries of different days arrive slightly out of order.
    queue: BinaryHeap<Reverse<(u64, AppointmentId)>>,
}

/// One appointment: its newest version, and the steps that the ledger may lack.
struct Kept {
    newest: PlacedAppointment,
    /// Every day in whose index it is: those that recorded a step of it, and those where it stood after one. On a day that
    /// it has left, the ledger may have it still.
    days: SmallVec<[DayKey; 1]>,
    /// By version.
    steps: SmallVec<[KeptStep; 1]>,
}

struct KeptStep {
    position: u64,
    recorded_by: DayKey,
    item: HistoryItem,
}

impl Default for Overlay {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            publications: (0..SHARDS).map(|_| Mutex::default()).collect(),
            by_patient: Index::new(SHARDS),
            by_day: Index::new(SHARDS),
            hasher: RandomState::default(),
            pinned: RwLock::default(),
            evicted: AtomicU64::new(0),
            entries: AtomicUsize::new(0),
            awaiting: AwaitingLedger::default(),
        }
    }
}

impl Overlay {
    /// To be held by `day` from before it publishes changes here until its picture shows them: whoever reads them here is answered
    /// after that. Must not be held while anything is waited for.
    pub fn publication(&self, day: DayKey) -> MutexGuard<'_, ()> {
        self.publications[self.hasher.hash_one(day) as usize % SHARDS].lock()
    }

    /// Waits until what these days were publishing is in their pictures too. A publication takes microseconds.
    fn wait_for(&self, days: impl IntoIterator<Item = DayKey>) {
        days.into_iter().for_each(|day| drop(self.publication(day)));
    }

    /// Adds durable changes; those that are here already change nothing. Called before any answer that depends on them
    /// leaves. Entries of one day come in the order of their positions.
    pub fn publish(&self, entries: Vec<OverlayEntry>) {
        for entry in entries {
            let (id, position) = (entry.placed.appointment.id, entry.position);
            let mut shard = self.shard(id).lock();
            // The pins are read second: a day is pinned before anything of it counts as evicted.
            let is_old = position <= self.evicted.load(Ordering::Acquire);
            let pinned = self.pinned.read();
            if is_old && !pinned.contains(&entry.recorded_by) {
                // The ledger has it already, and everything before it of this appointment: nothing older may stay.
                self.forget(&mut shard, id, position, &pinned);
            } else if self.keep(&mut shard, id, entry) {
                shard.queue.push(Reverse((position, id)));
            }
        }
    }

    /// Forgets entries at positions up to `position`, except those of pinned days. Called after the ledger's commit.
    pub fn evict(&self, position: u64) {
        // First told, then swept: whoever publishes an old entry after the sweep of its shard knows that it is old.
        self.evicted.fetch_max(position, Ordering::AcqRel);
        self.awaiting.applied(position);
        let pinned = self.pinned.read().clone();
        for shard in &self.shards {
            self.sweep(shard, position, &pinned);
        }
    }

    /// Keeps the entries that `day` recorded, those to come too, until the process ends: the ledger does not take them. Called
    /// before any eviction past them.
    pub fn pin_day(&self, day: DayKey) {
        self.pinned.write().insert(day);
    }

    /// Whether a day is kept: then something here can be older than the ledger's version of it.
    pub fn has_pinned_days(&self) -> bool {
        !self.pinned.read().is_empty()
    }

    /// The newest version of an appointment here.
    pub fn appointment(&self, id: AppointmentId) -> Option<PlacedAppointment> {
        let (newest, recorded_by) = self.find(id)?;
        self.wait_for([recorded_by]);
        Some(newest)
    }

    /// The newest versions of all appointments here that are in `scope` or were, in no particular order: the ledger may
    /// show one still on the day that it has left, and whoever merges must know better. The caller filters.
    pub fn appointments(&self, scope: AppointmentScope) -> Vec<PlacedAppointment> {
        let ids = match scope {
            AppointmentScope::Patient(patient) => self.by_patient.get(&patient),
            AppointmentScope::Day(day) => self.by_day.get(&day),
        };
        let found: Vec<(PlacedAppointment, DayKey)> = ids.into_iter().filter_map(|id| self.find(id)).collect();
        self.wait_for(found.iter().map(|(_, recorded_by)| *recorded_by).collect::<HashSet<DayKey>>());
        found.into_iter().map(|(newest, _)| newest).collect()
    }

    /// The newest version of an appointment, and the day that recorded it.
    fn find(&self, id: AppointmentId) -> Option<(PlacedAppointment, DayKey)> {
        let shard = self.shard(id).lock();
        let kept = shard.appointments.get(&id)?;
        Some((kept.newest.clone(), kept.steps.last().map_or(kept.newest.day, |step| step.recorded_by)))
    }

    /// The steps here of one appointment, oldest first.
    pub fn history(&self, id: AppointmentId) -> Vec<HistoryItem> {
        let steps = |kept: &Kept| kept.steps.iter().map(|step| (step.item.clone(), step.recorded_by)).collect();
        let found: Vec<(HistoryItem, DayKey)> =
            self.shard(id).lock().appointments.get(&id).map(|kept| steps(kept)).unwrap_or_default();
        self.wait_for(found.last().map(|(_, recorded_by)| *recorded_by));
        found.into_iter().map(|(step, _)| step).collect()
    }

    /// The newest versions of all appointments here, in no particular order. At a start those are what parked days have
    /// recorded; the ledger may have a newer version of one that has left such a day.
    pub fn newest(&self) -> Vec<PlacedAppointment> {
        let mut newest = Vec::new();
        for shard in &self.shards {
            newest.extend(shard.lock().appointments.values().map(|kept| kept.newest.clone()));
        }
        newest
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }

    /// Whether nothing is waiting for the ledger.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, id: AppointmentId) -> &Mutex<Shard> {
        &self.shards[self.hasher.hash_one(id) as usize % SHARDS]
    }

    /// Whether the entry is new.
    fn keep(&self, shard: &mut Shard, id: AppointmentId, entry: OverlayEntry) -> bool {
        let OverlayEntry { placed, recorded_by, step, position } = entry;
        let kept = shard.appointments.entry(id).or_insert_with(|| {
            self.by_patient.insert(placed.appointment.patient, id);
            Box::new(Kept { newest: placed.clone(), days: SmallVec::new(), steps: SmallVec::new() })
        });
        let Err(place) = kept.steps.binary_search_by_key(&step.version, |step| step.item.version) else {
            return false;
        };
        for day in [placed.day, recorded_by] {
            if !kept.days.contains(&day) {
                self.by_day.insert(day, id);
                kept.days.push(day);
            }
        }
        if placed.appointment.version > kept.newest.appointment.version {
            kept.newest = placed;
        }
        kept.steps.insert(place, KeptStep { position, recorded_by, item: step });
        self.entries.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Removes the steps of an appointment up to `position`, unless a pinned day recorded them, and the appointment with
    /// its last step.
    fn forget(&self, shard: &mut Shard, id: AppointmentId, position: u64, pinned: &HashSet<DayKey>) {
        let Some(kept) = shard.appointments.get_mut(&id) else { return };
        let before = kept.steps.len();
        kept.steps.retain(|step| step.position > position || pinned.contains(&step.recorded_by));
        self.entries.fetch_sub(before - kept.steps.len(), Ordering::Relaxed);
        if kept.steps.is_empty()
            && let Some(kept) = shard.appointments.remove(&id)
        {
            self.by_patient.remove(kept.newest.appointment.patient, id);
            kept.days.into_iter().for_each(|day| self.by_day.remove(day, id));
        }
    }

    /// In small bites, so that no publisher waits long for the lock.
    fn sweep(&self, shard: &Mutex<Shard>, position: u64, pinned: &HashSet<DayKey>) {
        const BITE: usize = 128;
        loop {
            let mut shard = shard.lock();
            for _ in 0..BITE {
                match shard.queue.peek() {
                    Some(Reverse((at, _))) if *at <= position => {}
                    _ => return,
                }
                let Some(Reverse((at, id))) = shard.queue.pop() else { return };
                self.forget(&mut shard, id, at, pinned);
            }
        }
    }
}

#[cfg(test)]
mod tests;
