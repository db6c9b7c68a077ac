//! Which appointments of the overlay belong to a key: a patient or a day.
//! Must not know: what an appointment is.

use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, Hash};

use booking_core::AppointmentId;
use foldhash::fast::RandomState;
use foldhash::{HashMap, HashSet};
use parking_lot::Mutex;

/// Sets of ids by key, in shards with a lock each.
pub(super) struct Index<K> {
    shards: Vec<Mutex<HashMap<K, Ids>>>,
    hasher: RandomState,
}

/// The ids of a key. Of a patient it is nearly always one, and a table for one would cost more than all else here.
enum Ids {
    One(AppointmentId),
    Many(HashSet<AppointmentId>),
}

impl<K: Copy + Eq + Hash> Index<K> {
    /// `shards` is at least 1.
    pub(super) fn new(shards: usize) -> Self {
        Self { shards: (0..shards).map(|_| Mutex::default()).collect(), hasher: RandomState::default() }
    }

    pub(super) fn insert(&self, key: K, id: AppointmentId) {
        match self.shard(&key).lock().entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(Ids::One(id));
            }
            Entry::Occupied(mut occupied) => match occupied.get_mut() {
                Ids::One(first) if *first == id => {}
                Ids::One(first) => {
                    let ids = [*first, id].into_iter().collect();
                    *occupied.get_mut() = Ids::Many(ids);
                }
                Ids::Many(ids) => {
                    ids.insert(id);
                }
            },
        }
    }

    pub(super) fn remove(&self, key: K, id: AppointmentId) {
        let mut shard = self.shard(&key).lock();
        let is_last = match shard.get_mut(&key) {
            Some(Ids::One(first)) => *first == id,
            Some(Ids::Many(ids)) => {
                ids.remove(&id);
                ids.is_empty()
            }
            None => false,
        };
        if is_last {
            shard.remove(&key);
        }
    }

    pub(super) fn get(&self, key: &K) -> Vec<AppointmentId> {
        match self.shard(key).lock().get(key) {
            Some(Ids::One(id)) => vec![*id],
            Some(Ids::Many(ids)) => ids.iter().copied().collect(),
            None => Vec::new(),
        }
    }

    fn shard(&self, key: &K) -> &Mutex<HashMap<K, Ids>> {
        &self.shards[self.hasher.hash_one(key) as usize % self.shards.len()]
    }
}
