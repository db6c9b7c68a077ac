//! The committer's work, one batch a turn.
//! Must not know: which task drives it, what a record means.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use booking_core::planted;
use futures_util::FutureExt;
use futures_util::future::join;
use metrics::{Counter, Gauge, Histogram};
use tracing::Instrument;

use super::batch::{Batch, Group, verdict};
use super::claiming::Claimer;
use super::queue::{Queue, Work};
use super::{CommitFailure, Submission};
use crate::claims::guarded::Guard;
use crate::clock::Clock;
use crate::journal::{AppendError, DayOutcome, Journal};
use crate::telemetry::catalogue;

/// First wait between two tries to raise the barrier; doubled each time up to [`BARRIER_PAUSE_MAX`].
const BARRIER_PAUSE_MIN: Duration = Duration::from_millis(5);
/// A store that comes back is noticed within this time; nothing can be answered before.
const BARRIER_PAUSE_MAX: Duration = Duration::from_secs(1);

/// What a turn did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Settled a batch; there may be more.
    Settled,
    /// There was nothing to do.
    Idle,
    /// There was nothing to do and nothing will come: the committer was stopped.
    Ended,
}

/// The committer without a task of its own. Dropped before it has ended, it fails what still waits.
pub struct CommitLoop {
    queue: Arc<Queue>,
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    poison: Option<Arc<str>>,
    /// Where several processes decide.
    claimer: Option<Claimer>,
    meters: Meters,
}

struct Meters {
    records: Histogram,
    duration: Histogram,
    position: Gauge,
    failed: Counter,
    unknown: Counter,
    poisoned: Counter,
    conflict: Counter,
    stale_epoch: Counter,
    blocked: Counter,
}

impl Meters {
    fn new() -> Self {
        let failure = |kind: &'static str| metrics::counter!(catalogue::JOURNAL_FAILURE, "kind" => kind);
        Self {
            records: metrics::histogram!(catalogue::COMMIT_RECORDS),
            duration: metrics::histogram!(catalogue::COMMIT_DURATION),
            position: metrics::gauge!(catalogue::JOURNAL_POSITION),
            failed: failure("failed"),
            unknown: failure("unknown"),
            poisoned: failure("poisoned"),
            conflict: failure("conflict"),
            stale_epoch: failure("stale_epoch"),
            blocked: failure("blocked"),
        }
    }

    /// The counter of `failure`: one a batch, or one a day where days fail alone.
    fn of(&self, failure: &CommitFailure) -> &Counter {
        match failure {
            CommitFailure::Failed(_) => &self.failed,
            CommitFailure::Unknown(_) => &self.unknown,
            CommitFailure::Poisoned(_) => &self.poisoned,
            CommitFailure::Conflict { .. } => &self.conflict,
            CommitFailure::StaleEpoch => &self.stale_epoch,
            CommitFailure::Blocked(_) => &self.blocked,
        }
    }
}

impl CommitLoop {
    pub(super) fn new(
        queue: Arc<Queue>,
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        guard: Option<Arc<Guard>>,
    ) -> Self {
        let claimer = guard.map(|guard| Claimer::new(guard, Arc::clone(&clock)));
        Self { queue, journal, clock, poison: None, claimer, meters: Meters::new() }
    }

    /// Turns until the committer is stopped.
    pub async fn run(mut self) {
        loop {
            match self.turn().await {
                Turn::Settled => {}
                Turn::Idle => self.queue.wait_filled().await,
                Turn::Ended => return,
            }
        }
    }

    /// Makes what waits durable, as one append, and tells everybody what became of it. Must not be cancelled. Waits for
    /// nothing but the journal, and for time only between two tries of the barrier.
    pub async fn turn(&mut self) -> Turn {
        let batch = match self.queue.take() {
            Work::Batch(batch) => batch,
            Work::Nothing => return Turn::Idle,
            Work::End => return Turn::Ended,
        };
        match self.claimer.take() {
            None => self.write(&batch).await,
            Some(mut claimer) => {
                self.write_claimed(&mut claimer, batch).await;
                self.claimer = Some(claimer);
            }
        }
        self.queue.settle();
        Turn::Settled
    }

    async fn write(&mut self, batch: &Batch) {
        crash_point!(CommitterBeforeAppend);
        match self.append(batch).instrument(batch.span()).await {
            Ok(outcomes) => self.tell_outcomes(&batch.groups, &outcomes),
            Err(failure) => {
                self.meters.of(&failure).increment(1);
                self.fail(batch.groups.iter(), &failure);
            }
        }
    }

    /// Days that claim nothing go on meanwhile; those whose claims are all granted follow, and of the others nothing is written.
    async fn write_claimed(&mut self, claimer: &mut Claimer, batch: Batch) {
        let (claiming, plain) = batch.split(|group| !group.claims.is_empty());
        if !claiming.groups.is_empty() {
            self.queue.claims.began(self.clock.monotonic_micros());
        }
        let claims = claimer.claim(&claiming);
        let lost = if plain.groups.is_empty() { claims.await } else { join(claims, self.write(&plain)).await.0 };
        match &lost {
            Ok(_) => self.queue.claims.answered(),
            Err(_) => self.queue.claims.failed(self.clock.monotonic_micros()),
        }
        let granted = match lost {
            Ok(mut lost) => {
                let (blocked, granted) = claiming.split(|group| lost.contains_key(&group.day));
                for group in &blocked.groups {
                    let failure = CommitFailure::Blocked(lost.remove(&group.day).unwrap_or_default().into());
                    self.meters.of(&failure).increment(1);
                    claimer.give_back(group);
                    self.fail(std::iter::once(group), &failure);
                }
                granted
            }
            Err(failure) => {
                self.meters.of(&failure).increment(1);
                claiming.groups.iter().for_each(|group| claimer.give_back(group));
                return self.fail(claiming.groups.iter(), &failure);
            }
        };
        if !granted.groups.is_empty() {
            self.write(&granted).await;
        }
    }

    /// Outcomes in the order of the batch, or why the whole batch has none; then a re-read tells the truth.
    async fn append(&mut self, batch: &Batch) -> Result<Vec<DayOutcome>, CommitFailure> {
        if let Some(reason) = &self.poison {
            return Err(CommitFailure::Poisoned(Arc::clone(reason)));
        }
        let started = self.clock.monotonic_micros();
        self.queue.journal.began(started);
        // A panic says nothing about what was written before it.
        let appended = AssertUnwindSafe(self.journal.append(&batch.appends))
            .catch_unwind()
            .await
            .unwrap_or_else(|_| Err(AppendError::Unknown("the journal panicked".to_owned())));
        let micros = self.clock.monotonic_micros().saturating_sub(started);
        self.meters.duration.record(micros as f64 / 1e6);
        self.meters.records.record(batch.record_count as f64);
        let settled = self.settled(appended, batch).await;
        match &settled {
            Ok(_) => self.queue.journal.answered(),
            Err(_) => self.queue.journal.failed(self.clock.monotonic_micros()),
        }
        settled
    }

    /// What the journal answered, once nothing about it is unknown.
    async fn settled(
        &mut self,
        appended: Result<Vec<DayOutcome>, AppendError>,
        batch: &Batch,
    ) -> Result<Vec<DayOutcome>, CommitFailure> {
        match appended {
            Ok(outcomes) if outcomes.len() == batch.groups.len() => Ok(outcomes),
            Ok(_) => Err(self.settle_unknown("the journal answered for other entries than it was asked").await),
            Err(AppendError::Unknown(reason)) => Err(self.settle_unknown(&reason).await),
            Err(AppendError::Failed(reason)) => {
                tracing::warn!(%reason, records = batch.record_count, "the journal did not write");
                Err(CommitFailure::Failed(reason.into()))
            }
            Err(AppendError::Poisoned(reason)) => Err(self.poisoned(reason)),
        }
    }

    /// Raises the barrier, as often as it takes: until then nobody may be told anything (`protocols.md` rule 5).
    async fn settle_unknown(&mut self, reason: &str) -> CommitFailure {
        if planted!(UnknownWithoutBarrier) {
            return CommitFailure::Unknown(reason.into());
        }
        let mut pause = BARRIER_PAUSE_MIN;
        loop {
            tracing::warn!(%reason, "it is unknown if the journal wrote; raising the barrier");
            let raised = AssertUnwindSafe(self.journal.barrier()).catch_unwind().await;
            match raised {
                Ok(Ok(())) => return CommitFailure::Unknown(reason.into()),
                Ok(Err(AppendError::Poisoned(reason))) => return self.poisoned(reason),
                Ok(Err(error)) => tracing::warn!(%error, "the barrier is not raised yet"),
                Err(_) => tracing::error!("the journal panicked at the barrier"),
            }
            self.clock.sleep(pause).await;
            pause = (pause * 2).min(BARRIER_PAUSE_MAX);
        }
    }

    fn poisoned(&mut self, reason: String) -> CommitFailure {
        let reason: Arc<str> = reason.into();
        self.poison = Some(Arc::clone(&reason));
        CommitFailure::Poisoned(reason)
    }

    fn tell_outcomes(&self, groups: &[Group], outcomes: &[DayOutcome]) {
        crash_point!(CommitterBeforeTell);
        let mut last_position = 0;
        for (group, outcome) in groups.iter().zip(outcomes) {
            match verdict(*outcome) {
                Ok(position) => {
                    last_position = position.max(last_position);
                    group.committed(position);
                    crash_point!(CommitterToldDay);
                }
                Err(failure) => {
                    self.meters.of(&failure).increment(1);
                    self.fail(std::iter::once(group), &failure);
                }
            }
        }
        if last_position > 0 {
            self.meters.position.set(last_position as f64);
        }
    }

    /// What is queued behind a failure is dropped before anybody hears of it, so that nothing of it can slip in after.
    fn fail<'a>(&self, groups: impl Iterator<Item = &'a Group> + Clone, failure: &CommitFailure) {
        self.queue.close_generations(groups.clone().map(|group| (group.day, group.generation)));
        groups.for_each(|group| group.failed(failure));
    }
}

impl Drop for CommitLoop {
    fn drop(&mut self) {
        let failure = CommitFailure::Failed("the committer's task has ended".into());
        for Submission { generation, listener, .. } in self.queue.end() {
            listener.failed(generation, failure.clone());
        }
    }
}
