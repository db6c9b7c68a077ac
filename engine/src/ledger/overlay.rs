//! What is durable but not yet in the ledger, so that everyone reads their own writes however far the ledger is behind.
//! Must not know: the journal, SQL, who asks.
//!
//! A reader asks the overlay first and the ledger second, and merges by the highest appointment version; an entry is
//! evicted only after the ledger's commit is visible (`protocols.md` rule 11).
//!
//! Locks: an appointment's shard first, then a shard of an index; never two of a kind, never across an await. What an
//! index says is changed under the appointment's lock, so an id is in the indexes exactly while its appointment is here.

mod index;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use booking_core::{AppointmentId, Change, DayKey, Event, PatientId};
use parking_lot::{Mutex, RwLock};

use self::index::Index;
use super::{AppointmentScope, HistoryItem, PlacedAppointment};

/// A power of two. Publishers and readers of different appointments seldom meet.
const SHARDS: usize = 32;

/// A durable change on its way to the ledger.
#[derive(Clone, Debug)]
pub struct OverlayEntry {
    /// The appointment after the change.
    pub placed: PlacedAppointment,
    /// The step that led there.
    pub step: HistoryItem,
    /// The journal position of the record.
    pub position: u64,
}

impl OverlayEntry {
    /// The entries of the record at `position`: one each change of `event`.
    pub fn of_event<'event>(
        day: DayKey,
        time_zone: &std::sync::Arc<str>,
        event: &'event Event,
        position: u64,
    ) -> impl Iterator<Item = Self> + use<'event> {
        let time_zone = std::sync::Arc::clone(time_zone);
        let last = event.changes.len().saturating_sub(1);
        event.changes.iter().enumerate().map(move |(number, change): (usize, &Change)| {
            // One that left is told of where it is now.
            let (day, time_zone) = match event.moved_to().filter(|_| number == last) {
                Some(to) => (to.day, to.time_zone.clone()),
                None => (day, time_zone.clone()),
            };
            Self {
                placed: PlacedAppointment { day, time_zone, appointment: change.row.clone() },
                step: HistoryItem::of(event, change),
                position,
            }
        })
    }
}

/// The overlay. Bounded by the ledger's lag bound: past it new bookings are shed.
pub struct Overlay {
    shards: Vec<Mutex<Shard>>,
    by_patient: Index<PatientId>,
    by_day: Index<DayKey>,
    hasher: RandomState,
    /// Days whose entries stay: the ledger refuses them. Few, and each a defect.
    pinned: RwLock<HashSet<DayKey>>,
    /// Everything up to here was evicted: the ledger has it.
    evicted: AtomicU64,
    entries: AtomicUsize,
}

/// The appointments of one shard.
#[derive(Default)]
struct Shard {
    appointments: HashMap<AppointmentId, Kept>,
    /// Every entry that can be evicted, by position. Entries of different days arrive slightly out of order.
    queue: BinaryHeap<Reverse<(u64, AppointmentId)>>,
}

/// One appointment: its newest version, and the steps that the ledger may lack.
struct Kept {
    newest: PlacedAppointment,
    /// With their positions, by version.
    steps: Vec<(u64, HistoryItem)>,
}

impl Default for Overlay {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            by_patient: Index::new(SHARDS),
            by_day: Index::new(SHARDS),
            hasher: RandomState::new(),
            pinned: RwLock::default(),
            evicted: AtomicU64::new(0),
            entries: AtomicUsize::new(0),
        }
    }
}

impl Overlay {
    /// Adds durable changes; those that are here already change nothing. Called before any answer that depends on them
    /// leaves. Entries of one day come in the order of their positions.
    pub fn publish(&self, entries: Vec<OverlayEntry>) {
        for entry in entries {
            let id = entry.placed.appointment.id;
            let mut shard = self.shard(id).lock();
            // The pins are read second: a day is pinned before anything of it counts as evicted.
            let is_old = entry.position <= self.evicted.load(Ordering::Acquire);
            if is_old && !self.pinned.read().contains(&entry.placed.day) {
                // The ledger has it already, and everything before it of this appointment: nothing older may stay.
                self.forget(&mut shard, id, entry.position);
            } else if self.keep(&mut shard, id, &entry) {
                shard.queue.push(Reverse((entry.position, id)));
            }
        }
    }

    /// Forgets entries at positions up to `position`, except those of pinned days. Called after the ledger's commit.
    pub fn evict(&self, position: u64) {
        // First told, then swept: whoever publishes an old entry after the sweep of its shard knows that it is old.
        self.evicted.fetch_max(position, Ordering::AcqRel);
        let pinned = self.pinned.read().clone();
        for shard in &self.shards {
            self.sweep(shard, position, &pinned);
        }
    }

    /// Keeps the entries of `day`, those to come too, until the process ends: the ledger does not take them. Called
    /// before any eviction past them.
    pub fn pin_day(&self, day: DayKey) {
        self.pinned.write().insert(day);
    }

    /// The newest version of an appointment here.
    pub fn appointment(&self, id: AppointmentId) -> Option<PlacedAppointment> {
        self.shard(id).lock().appointments.get(&id).map(|kept| kept.newest.clone())
    }

    /// The newest versions of all appointments here in `scope`, in no particular order.
    pub fn appointments(&self, scope: AppointmentScope) -> Vec<PlacedAppointment> {
        let ids = match scope {
            AppointmentScope::Patient(patient) => self.by_patient.get(&patient),
            AppointmentScope::Day(day) => self.by_day.get(&day),
        };
        ids.into_iter().filter_map(|id| self.appointment(id)).collect()
    }

    /// The steps here of one appointment, oldest first.
    pub fn history(&self, id: AppointmentId) -> Vec<HistoryItem> {
        let shard = self.shard(id).lock();
        shard
            .appointments
            .get(&id)
            .map_or_else(Vec::new, |kept| kept.steps.iter().map(|(_, step)| step.clone()).collect())
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
    fn keep(&self, shard: &mut Shard, id: AppointmentId, entry: &OverlayEntry) -> bool {
        let placed = &entry.placed;
        let kept = shard.appointments.entry(id).or_insert_with(|| {
            self.by_patient.insert(placed.appointment.patient, id);
            self.by_day.insert(placed.day, id);
            Kept { newest: placed.clone(), steps: Vec::with_capacity(1) }
        });
        let Err(place) = kept.steps.binary_search_by_key(&entry.step.version, |(_, step)| step.version) else {
            return false;
        };
        if placed.appointment.version > kept.newest.appointment.version {
            if placed.day != kept.newest.day {
                self.by_day.remove(kept.newest.day, id);
                self.by_day.insert(placed.day, id);
            }
            kept.newest = placed.clone();
        }
        kept.steps.insert(place, (entry.position, entry.step.clone()));
        self.entries.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Removes the steps of an appointment up to `position`, and the appointment with its last step.
    fn forget(&self, shard: &mut Shard, id: AppointmentId, position: u64) {
        let Some(kept) = shard.appointments.get_mut(&id) else { return };
        let before = kept.steps.len();
        kept.steps.retain(|(at, _)| *at > position);
        self.entries.fetch_sub(before - kept.steps.len(), Ordering::Relaxed);
        if kept.steps.is_empty() {
            let (patient, day) = (kept.newest.appointment.patient, kept.newest.day);
            shard.appointments.remove(&id);
            self.by_patient.remove(patient, id);
            self.by_day.remove(day, id);
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
                let day = shard.appointments.get(&id).map(|kept| kept.newest.day);
                if day.is_some_and(|day| !pinned.contains(&day)) {
                    self.forget(&mut shard, id, at);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
