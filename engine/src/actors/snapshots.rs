//! Packed states on their way to the journal, saved in bulk by the maintenance task.
//! Must not know: when a snapshot is worth saving. Losing one costs time only, so a full queue drops the newcomer.

use std::collections::BTreeMap;

use booking_core::DayKey;
use parking_lot::Mutex;

use crate::journal::StoredSnapshot;

/// Most days that wait: some seconds of the saver's work. A day whose snapshot is dropped offers a newer one later.
pub const WAITING_MAX: usize = 8_192;

/// The newest packed state of each day that waits to be saved.
#[derive(Default)]
pub struct SnapshotQueue {
    waiting: Mutex<BTreeMap<DayKey, StoredSnapshot>>,
}

impl SnapshotQueue {
    /// Queues `snapshot`, in place of an older one of the same day.
    pub fn push(&self, snapshot: StoredSnapshot) {
        let mut waiting = self.waiting.lock();
        if waiting.len() < WAITING_MAX || waiting.contains_key(&snapshot.day) {
            waiting.insert(snapshot.day, snapshot);
        }
    }

    /// Days that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.lock().len()
    }

    /// Takes at most `limit` of them.
    pub fn take(&self, limit: usize) -> Vec<StoredSnapshot> {
        let mut waiting = self.waiting.lock();
        let days: Vec<DayKey> = waiting.keys().take(limit).copied().collect();
        days.iter().filter_map(|day| waiting.remove(day)).collect()
    }
}
