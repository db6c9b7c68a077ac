//! Which appointments of the overlay belong to a key: a patient or a day.
//! Must not know: what an appointment is.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash, RandomState};

use booking_core::AppointmentId;
use parking_lot::Mutex;

/// Sets of ids by key, in shards with a lock each.
pub(super) struct Index<K> {
    shards: Vec<Mutex<HashMap<K, HashSet<AppointmentId>>>>,
    hasher: RandomState,
}

impl<K: Copy + Eq + Hash> Index<K> {
    /// `shards` is at least 1.
    pub(super) fn new(shards: usize) -> Self {
        Self { shards: (0..shards).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }

    pub(super) fn insert(&self, key: K, id: AppointmentId) {
        self.shard(&key).lock().entry(key).or_default().insert(id);
    }

    pub(super) fn remove(&self, key: K, id: AppointmentId) {
        let mut shard = self.shard(&key).lock();
        if let Some(ids) = shard.get_mut(&key) {
            ids.remove(&id);
            if ids.is_empty() {
                shard.remove(&key);
            }
        }
    }

    pub(super) fn get(&self, key: &K) -> Vec<AppointmentId> {
        self.shard(key).lock().get(key).map_or_else(Vec::new, |ids| ids.iter().copied().collect())
    }

    fn shard(&self, key: &K) -> &Mutex<HashMap<K, HashSet<AppointmentId>>> {
        &self.shards[self.hasher.hash_one(key) as usize % self.shards.len()]
    }
}
