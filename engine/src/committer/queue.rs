//! What waits for the committer, what it has in hand, and which generations may not write any more.
//! Must not know: the journal, batches' outcomes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use booking_core::DayKey;
use foldhash::HashMap;
use metrics::Gauge;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Submission;
use super::batch::Batch;
use super::health::Health;
use crate::telemetry::catalogue;

/// Most days whose closed generations are remembered. Only who submits after its own fence needs it; if that is forgotten,
/// the journal's check of the expected head still keeps two histories apart. 100,000 days are some 8 MB, and more than can
/// be awake.
const CLOSED_MAX: usize = 100_000;

/// Shared by the committer's handles and its task.
pub(super) struct Queue {
    state: Mutex<State>,
    generations: AtomicU64,
    /// Wakes the task.
    filled: Notify,
    /// Wakes who waits for the task.
    settled: Notify,
    depth: Gauge,
    /// Of the journal.
    pub(super) journal: Health,
    /// Of the store of claims.
    pub(super) claims: Health,
}

/// The queue is bounded by admission: every submission answers for commands that were admitted.
#[derive(Default)]
pub(super) struct State {
    waiting: VecDeque<Submission>,
    waiting_records: usize,
    /// Records of the batch that is being written.
    writing_records: usize,
    /// The generation of each day of the batch that is being written.
    in_flight: HashMap<DayKey, u64>,
    closed: ClosedGenerations,
    stopping: bool,
    ended: bool,
}

/// For some days: up to which generation submissions are dropped.
#[derive(Default)]
struct ClosedGenerations {
    up_to: HashMap<DayKey, u64>,
    /// In the order in which they were closed; may name days that have been forgotten since.
    order: VecDeque<DayKey>,
}

/// What is submitted and not durable yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Undurable {
    /// Records that wait for the next group commit.
    pub queued_records: usize,
    /// Records of the group commit under way.
    pub writing_records: usize,
    /// How long that takes already.
    pub writing_micros: u64,
}

/// What the task finds.
pub(super) enum Work {
    /// Something to append.
    Batch(Batch),
    /// Nothing at present.
    Nothing,
    /// Nothing, and nothing will come.
    End,
}

impl State {
    /// Whether a batch with `day` under `generation` or an older one is being written.
    pub(super) fn is_in_flight(&self, day: DayKey, generation: u64) -> bool {
        self.in_flight.get(&day).is_some_and(|flying| *flying <= generation)
    }

    /// Whether the task has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Drops what waits under a closed generation.
    fn drop_closed(&mut self) {
        let Self { waiting, closed, waiting_records, .. } = self;
        waiting.retain(|submission| {
            let keep = !closed.is_closed(submission.append.day, submission.generation);
            if !keep {
                *waiting_records -= submission.append.records.len();
            }
            keep
        });
    }
}

impl ClosedGenerations {
    fn close(&mut self, day: DayKey, generation: u64) {
        match self.up_to.get_mut(&day) {
            Some(closed) => *closed = generation.max(*closed),
            None => {
                self.up_to.insert(day, generation);
                self.order.push_back(day);
            }
        }
        while self.order.len() > CLOSED_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.up_to.remove(&oldest);
            }
        }
    }

    fn is_closed(&self, day: DayKey, generation: u64) -> bool {
        self.up_to.get(&day).is_some_and(|closed| generation <= *closed)
    }
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            generations: AtomicU64::new(0),
            filled: Notify::new(),
            settled: Notify::new(),
            depth: metrics::gauge!(catalogue::COMMIT_QUEUE),
            journal: Health::default(),
            claims: Health::default(),
        }
    }

    /// See [`super::Committer::new_generation`].
    pub(super) fn new_generation(&self) -> u64 {
        self.generations.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Queues `submission`, or drops it if its generation is closed; gives it back if the task has ended.
    pub(super) fn push(&self, submission: Submission) -> Result<(), Box<Submission>> {
        {
            let mut state = self.state.lock();
            if state.ended {
                return Err(Box::new(submission));
            }
            if state.closed.is_closed(submission.append.day, submission.generation) {
                return Ok(());
            }
            state.waiting_records += submission.append.records.len();
            state.waiting.push_back(submission);
            self.depth.set(state.waiting_records as f64);
        }
        self.filled.notify_one();
        Ok(())
    }

    /// The next batch; from then on its days are in flight.
    pub(super) fn take(&self) -> Work {
        let mut state = self.state.lock();
        if state.waiting.is_empty() {
            state.ended = state.stopping;
            let work = if state.ended { Work::End } else { Work::Nothing };
            drop(state);
            self.settled.notify_waiters();
            return work;
        }
        let batch = Batch::take_from(&mut state.waiting);
        state.waiting_records -= batch.record_count;
        self.depth.set(state.waiting_records as f64);
        state.writing_records = batch.record_count;
        state.in_flight = batch.groups.iter().map(|group| (group.day, group.generation)).collect();
        Work::Batch(batch)
    }

    /// Drops what is queued for `day` up to `generation`, and everything of it that comes later.
    pub(super) fn close_generation(&self, day: DayKey, generation: u64) {
        self.close_generations(std::iter::once((day, generation)));
    }

    /// As [`Queue::close_generation`], for many days.
    pub(super) fn close_generations(&self, days: impl Iterator<Item = (DayKey, u64)>) {
        let mut state = self.state.lock();
        for (day, generation) in days {
            state.closed.close(day, generation);
        }
        state.drop_closed();
        self.depth.set(state.waiting_records as f64);
    }

    /// Nothing is in flight any more; everybody concerned has been told.
    pub(super) fn settle(&self) {
        {
            let mut state = self.state.lock();
            state.in_flight.clear();
            state.writing_records = 0;
        }
        self.settled.notify_waiters();
    }

    /// How much is not durable yet, at `now_micros`.
    pub(super) fn undurable(&self, now_micros: u64) -> Undurable {
        let (queued_records, writing_records) = {
            let state = self.state.lock();
            (state.waiting_records, state.writing_records)
        };
        let busy = [&self.journal, &self.claims].into_iter().map(|health| health.busy_micros(now_micros));
        Undurable { queued_records, writing_records, writing_micros: busy.max().unwrap_or_default() }
    }

    /// Lets the task end when nothing waits.
    pub(super) fn stop(&self) {
        self.state.lock().stopping = true;
        self.filled.notify_one();
    }

    /// The task is gone, however it ended; gives back what nobody will write any more.
    pub(super) fn end(&self) -> Vec<Submission> {
        let left = {
            let mut state = self.state.lock();
            state.ended = true;
            state.in_flight.clear();
            (state.waiting_records, state.writing_records) = (0, 0);
            state.waiting.drain(..).collect()
        };
        self.settled.notify_waiters();
        left
    }

    /// Becomes ready when there may be work.
    pub(super) async fn wait_filled(&self) {
        self.filled.notified().await;
    }

    /// Becomes ready when `condition` holds.
    pub(super) async fn wait_until(&self, condition: impl Fn(&State) -> bool) {
        loop {
            // Created before the look, so that a change in between wakes it.
            let settled = self.settled.notified();
            if condition(&self.state.lock()) {
                return;
            }
            settled.await;
        }
    }
}
