//! Group commit: one task a journal that makes everything that waits durable at once, and starts the next batch as soon
//! as the last has returned.
//! Must not know: what a record means, who is answered when it is durable.

mod batch;
mod queue;

use std::sync::Arc;
use std::time::Duration;

use booking_core::{DayKey, DayVersion};
use metrics::{counter, gauge, histogram};

use crate::clock::Clock;
use crate::journal::{AppendError, DayAppend, DayOutcome, Head, Journal};
use crate::telemetry::catalogue as names;
use batch::Batch;
use queue::Queue;

/// Most records of one batch: enough that the cost of a sync is spread thin, few enough that a batch stays a few milliseconds and
/// does not make its first record wait for its last.
pub const BATCH_RECORDS_MAX: usize = 2_048;

/// Pause between two tries of a barrier that does not work: long enough not to burden a store in trouble.
const BARRIER_PAUSE: Duration = Duration::from_millis(100);

/// Why a submission was not made durable (as far as is known).
#[derive(Clone, Debug)]
pub enum CommitFailure {
    /// Certainly not written.
    Failed(Arc<str>),
    /// Perhaps written; the committer has raised the barrier already: a re-read now tells the truth.
    Unknown(Arc<str>),
    /// The journal is poisoned; the process is about to end.
    Poisoned(Arc<str>),
    /// The day's log ends elsewhere than expected.
    Conflict {
        /// Where.
        actual: Head,
    },
    /// A newer owner exists.
    StaleEpoch,
}

/// Told what became of a submission, in the order of submissions of its day. Called on the committer's task: must only
/// note the fact and wake somebody.
pub trait CommitListener: Send + Sync + 'static {
    /// Everything up to and including `last` is durable; `position` is at or after the position of each of these records.
    fn committed(&self, generation: u64, last: DayVersion, position: u64);

    /// The submission has failed; later submissions of the same day and generation are dropped without a word.
    fn failed(&self, generation: u64, failure: CommitFailure);
}

/// Records of one day on their way to the journal.
pub struct Submission {
    /// The incarnation of the day's state that decided them. After a failure the day continues under another.
    pub generation: u64,
    /// What to append.
    pub append: DayAppend,
    /// Who is told.
    pub listener: Arc<dyn CommitListener>,
}

/// The way to the committer. Cheap to clone.
#[derive(Clone)]
pub struct Committer {
    queue: Arc<Queue>,
}

impl Committer {
    /// Starts the committer of `journal` on the present runtime. Its task is never cancelled.
    pub fn start(journal: Arc<dyn Journal>, clock: Arc<dyn Clock>) -> Self {
        let (committer, mut commits) = Self::unstarted(journal, clock);
        drop(tokio::spawn(async move { while commits.turn().await {} }));
        committer
    }

    /// A committer whose loop somebody else drives, turn by turn.
    pub fn unstarted(journal: Arc<dyn Journal>, clock: Arc<dyn Clock>) -> (Self, CommitLoop) {
        let queue = Arc::new(Queue::default());
        let commits = CommitLoop { queue: Arc::clone(&queue), journal, clock };
        (Self { queue }, commits)
    }

    /// Queues `submission`. Never blocks. The queue is bounded by admission (`limits::ADMITTED_HARD_MAX`) and by what a day may have
    /// undurable (`limits::UNDURABLE_RECORDS_MAX`).
    pub fn submit(&self, submission: Submission) {
        self.queue.push(submission);
    }

    /// Removes what is queued for (`day`, any generation up to `generation`) and waits for what is in flight. After this
    /// no submission of that generation can become durable any more, and a load sees all that did.
    pub async fn fence(&self, day: DayKey, generation: u64) {
        let batch = self.queue.fence(day, generation);
        self.queue.settled(batch).await;
    }

    /// Waits until everything submitted before is settled, then ends the task. Later submissions are never written.
    pub async fn stop(&self) {
        self.queue.close();
        self.queue.ended().await;
    }
}

/// The committer's loop, one batch a turn.
pub struct CommitLoop {
    queue: Arc<Queue>,
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
}

impl CommitLoop {
    /// Waits for work and settles one batch; false when the committer was stopped and nothing is left.
    pub async fn turn(&mut self) -> bool {
        let Some(submissions) = self.queue.take(BATCH_RECORDS_MAX).await else {
            self.queue.end();
            return false;
        };
        let batch = Batch::merge(submissions);
        gauge!(names::COMMIT_QUEUE).set(self.queue.records() as f64);
        let started = self.clock.monotonic_micros();
        let outcome = self.journal.append(batch.appends()).await;
        let micros = self.clock.monotonic_micros().saturating_sub(started);
        histogram!(names::COMMIT_DURATION).record(micros as f64 / 1e6);
        histogram!(names::COMMIT_RECORDS).record(batch.records() as f64);
        self.settle(batch, outcome).await;
        self.queue.settle_batch();
        true
    }

    async fn settle(&self, batch: Batch, outcome: Result<Vec<DayOutcome>, AppendError>) {
        match outcome {
            Ok(outcomes) => self.settle_days(&batch, &outcomes),
            Err(AppendError::Failed(what)) => self.fail_all(&batch, &CommitFailure::Failed(what.into())),
            Err(AppendError::Poisoned(what)) => self.fail_all(&batch, &CommitFailure::Poisoned(what.into())),
            Err(AppendError::Unknown(what)) => {
                let failure = match self.barrier().await {
                    Ok(()) => CommitFailure::Unknown(what.into()),
                    Err(poison) => CommitFailure::Poisoned(poison),
                };
                self.fail_all(&batch, &failure);
            }
        }
    }

    /// Raises the barrier, however often it takes: nobody may be told anything before it stands.
    async fn barrier(&self) -> Result<(), Arc<str>> {
        loop {
            match self.journal.barrier().await {
                Ok(()) => return Ok(()),
                Err(AppendError::Poisoned(what)) => return Err(what.into()),
                Err(error) => tracing::warn!(%error, "the journal's barrier does not stand yet"),
            }
            tokio::time::sleep(BARRIER_PAUSE).await;
        }
    }

    fn settle_days(&self, batch: &Batch, outcomes: &[DayOutcome]) {
        let mut last_position = 0;
        for (number, outcome) in outcomes.iter().enumerate() {
            match outcome {
                DayOutcome::Appended { position } => {
                    last_position = last_position.max(*position);
                    batch.committed(number, *position);
                }
                DayOutcome::Conflict { actual } => {
                    self.fail(batch, number, &CommitFailure::Conflict { actual: *actual })
                }
                DayOutcome::StaleEpoch { .. } => self.fail(batch, number, &CommitFailure::StaleEpoch),
            }
        }
        if last_position > 0 {
            gauge!(names::JOURNAL_POSITION).set(last_position as f64);
        }
    }

    fn fail_all(&self, batch: &Batch, failure: &CommitFailure) {
        for number in 0..batch.appends().len() {
            self.fail(batch, number, failure);
        }
    }

    fn fail(&self, batch: &Batch, number: usize, failure: &CommitFailure) {
        counter!(names::JOURNAL_FAILURE, "kind" => kind_of(failure)).increment(1);
        // First what is queued, then the word: the day's next incarnation may submit as soon as it hears.
        self.queue.drop_failed(batch.day(number), batch.generation(number));
        batch.failed(number, failure);
    }
}

fn kind_of(failure: &CommitFailure) -> &'static str {
    match failure {
        CommitFailure::Failed(_) => "failed",
        CommitFailure::Unknown(_) => "unknown",
        CommitFailure::Poisoned(_) => "poisoned",
        CommitFailure::Conflict { .. } => "conflict",
        CommitFailure::StaleEpoch => "stale_epoch",
    }
}
