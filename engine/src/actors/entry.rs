//! What everyone shares of one day that is in memory: the way in, the keys in flight, and the published durable view.
//! Must not know: the rules, undecided or undurable state.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use booking_core::{DayKey, DaySnapshot, DoctorDay, RememberedKey, RequestKey, SubjectId, UtcMillis, planted};
use foldhash::HashMap;
use parking_lot::RwLock;

use super::activity::Activity;
use super::in_flight::InFlightKeys;
use super::intake::Intake;
use super::publications::Publications;

/// The durable picture of a day, as far as it is known here.
#[derive(Clone, Debug)]
pub enum Published {
    /// Not read yet.
    Loading,
    /// The day was never published.
    Absent,
    /// Durable state.
    Present {
        /// The picture.
        snapshot: Arc<DaySnapshot>,
        /// The zone of its definition, shared.
        time_zone: Arc<str>,
    },
}

/// One day in memory. Cheap to share; lives as long as somebody asks it.
pub struct DayEntry {
    day: DayKey,
    publications: Arc<Publications>,
    intake: Intake,
    in_flight: InFlightKeys,
    published: ArcSwap<Published>,
    /// Keys that have won, durable ones only. Filled before the snapshot that depends on them is swapped in.
    won: RwLock<HashMap<SubjectId, Vec<Arc<RememberedKey>>>>,
    last_used_millis: AtomicI64,
    activity: Activity,
}

/// What the won keys say of a request.
pub enum KeyState {
    /// Not remembered.
    Unknown,
    /// Remembered with the same request.
    Won(Arc<RememberedKey>),
    /// Remembered with another request.
    Reused,
}

impl DayEntry {
    /// A day that is not read yet.
    pub fn new(day: DayKey, publications: &Arc<Publications>, now: UtcMillis) -> Self {
        Self {
            day,
            publications: Arc::clone(publications),
            intake: Intake::default(),
            in_flight: InFlightKeys::default(),
            published: ArcSwap::from_pointee(Published::Loading),
            won: RwLock::default(),
            last_used_millis: AtomicI64::new(now.0),
            activity: Activity::default(),
        }
    }

    /// Which day.
    pub fn day(&self) -> DayKey {
        self.day
    }

    /// How far everything durable is published.
    pub fn publications(&self) -> &Publications {
        &self.publications
    }

    /// The way in.
    pub fn intake(&self) -> &Intake {
        &self.intake
    }

    /// How much it is asked.
    pub fn activity(&self) -> &Activity {
        &self.activity
    }

    /// Keys that the day is working on. Look here first, then load the published picture.
    pub fn in_flight(&self) -> &InFlightKeys {
        &self.in_flight
    }

    /// The published picture, without counting a reference.
    pub fn published_guard(&self) -> arc_swap::Guard<Arc<Published>> {
        self.published.load()
    }

    /// What the won keys say of `key`.
    pub fn key_state(&self, key: &RequestKey) -> KeyState {
        let won = self.won.read();
        let remembered = won.get(&key.subject).and_then(|keys| keys.iter().find(|known| known.key == key.key));
        match remembered {
            None => KeyState::Unknown,
            Some(known) if known.fingerprint == key.fingerprint || planted!(FingerprintIgnored) => {
                KeyState::Won(Arc::clone(known))
            }
            Some(_) => KeyState::Reused,
        }
    }

    /// Notes that somebody asked.
    pub fn touch(&self, now: UtcMillis) {
        self.last_used_millis.store(now.0, Ordering::Relaxed);
    }

    /// When somebody asked last.
    pub fn last_used(&self) -> UtcMillis {
        UtcMillis(self.last_used_millis.load(Ordering::Relaxed))
    }

    /// Adds keys that have become durable. Before [`DayEntry::publish`] of the state that goes with them.
    pub fn add_won(&self, keys: impl Iterator<Item = (SubjectId, Arc<RememberedKey>)>) {
        let mut won = self.won.write();
        for (subject, key) in keys {
            // Most subjects use one key a day: no room for more in advance.
            won.entry(subject).or_insert_with(|| Vec::with_capacity(1)).push(key);
        }
    }

    /// Replaces the won keys by those of a freshly read state.
    pub fn reset_won(&self, durable: &DoctorDay) {
        let mut fresh: HashMap<SubjectId, Vec<Arc<RememberedKey>>> = HashMap::default();
        for (subject, key) in durable.remembered() {
            fresh.entry(subject).or_insert_with(|| Vec::with_capacity(1)).push(Arc::clone(key));
        }
        *self.won.write() = fresh;
    }

    /// Swaps the published picture in.
    pub fn publish(&self, published: Published) {
        self.published.store(Arc::new(published));
    }
}
