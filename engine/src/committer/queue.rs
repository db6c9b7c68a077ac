//! What waits for the next batch, and which batch is being written.
//! Must not know: stores, what a batch does.

use std::collections::VecDeque;

use booking_core::DayKey;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::Submission;

/// See the module.
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Notify,
    /// Number of batches that are settled.
    settled: watch::Sender<u64>,
    ended: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Submission>,
    records: usize,
    /// Number of batches that were taken.
    taken: u64,
    closed: bool,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            filled: Notify::new(),
            settled: watch::Sender::new(0),
            ended: watch::Sender::new(false),
        }
    }
}

impl State {
    fn remove(&mut self, unwanted: impl Fn(&Submission) -> bool) {
        self.waiting.retain(|submission| !unwanted(submission));
        self.records = self.waiting.iter().map(|submission| submission.append.records.len()).sum();
    }
}

impl Queue {
    pub(super) fn push(&self, submission: Submission) {
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        state.records += submission.append.records.len();
        state.waiting.push_back(submission);
        drop(state);
        self.filled.notify_one();
    }

    /// Waits for work, and takes whole submissions up to about `limit` records (at least one); `None` when closed and empty.
    pub(super) async fn take(&self, limit: usize) -> Option<Vec<Submission>> {
        loop {
            let filled = self.filled.notified();
            {
                let mut state = self.state.lock();
                if let Some(batch) = state.take(limit) {
                    return Some(batch);
                }
                if state.closed {
                    return None;
                }
            }
            filled.await;
        }
    }

    pub(super) fn records(&self) -> usize {
        self.state.lock().records
    }

    /// Drops what is queued of this day and exactly this generation.
    pub(super) fn drop_failed(&self, day: DayKey, generation: u64) {
        self.state.lock().remove(|queued| queued.append.day == day && queued.generation == generation);
    }

    /// Drops what is queued of this day up to this generation; returns the number of the last batch that was taken, which may hold
    /// more of it.
    pub(super) fn fence(&self, day: DayKey, generation: u64) -> u64 {
        let mut state = self.state.lock();
        state.remove(|queued| queued.append.day == day && queued.generation <= generation);
        state.taken
    }

    /// Waits until batch number `batch` is settled.
    pub(super) async fn settled(&self, batch: u64) {
        let mut settled = self.settled.subscribe();
        // The sender lives as long as this queue, so the wait cannot fail.
        let _ = settled.wait_for(|count| *count >= batch).await;
    }

    pub(super) fn settle_batch(&self) {
        self.settled.send_modify(|count| *count += 1);
    }

    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.filled.notify_one();
    }

    pub(super) fn end(&self) {
        self.ended.send_replace(true);
    }

    pub(super) async fn ended(&self) {
        let mut ended = self.ended.subscribe();
        let _ = ended.wait_for(|ended| *ended).await;
    }
}

impl State {
    fn take(&mut self, limit: usize) -> Option<Vec<Submission>> {
        let mut batch = Vec::new();
        let mut records = 0;
        while let Some(next) = self.waiting.front() {
            let count = next.append.records.len();
            if !batch.is_empty() && records + count > limit {
                break;
            }
            records += count;
            batch.extend(self.waiting.pop_front());
        }
        self.records -= records;
        if batch.is_empty() {
            return None;
        }
        self.taken += 1;
        Some(batch)
    }
}
