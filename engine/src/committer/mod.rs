//! Group commit: one task a journal that makes everything that waits durable at once, and starts the next batch as soon
//! as the last has returned.
//! Must not know: what a record means, who is answered when it is durable.

mod batch;
mod claiming;
mod commit_loop;
#[cfg(test)]
mod guarded_tests;
mod health;
mod queue;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use booking_core::{DayKey, DayVersion};

use crate::claims::guard::{Lost, RecordClaims};
use crate::claims::guarded::Guard;
use crate::clock::Clock;
use crate::journal::{DayAppend, Head, Journal};
use crate::telemetry::trace::Trace;

pub use commit_loop::{CommitLoop, Turn};
pub use queue::Undurable;

/// Why a submission was not made durable (as far as is known).
#[derive(Clone, Debug)]
pub enum CommitFailure {
    /// Certainly not written.
    Failed(Arc<str>),
    /// Perhaps written; the barrier has been raised already, or the journal refuses to read the day until it is: a re-read tells the
    /// truth.
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
    /// Not written: claims of other days stand in the way of some of the records. Everything submitted before is durable, and whoever was
    /// told so has been told before this.
    Blocked(Arc<[Lost]>),
}

/// Told what became of a submission, in the order of submissions of its day. Called on the committer's task, without any
/// lock of the committer's: must only note the fact and wake somebody.
pub trait CommitListener: Send + Sync + 'static {
    /// Everything up to and including `last` is durable; `position` is its last record's.
    fn committed(&self, generation: u64, last: DayVersion, position: u64);

    /// The submission has failed; later submissions of the same day and generation are dropped without a word.
    fn failed(&self, generation: u64, failure: CommitFailure);
}

/// Records of one day on their way to the journal.
pub struct Submission {
    /// The incarnation of the day's state that decided them, as [`Committer::new_generation`] named it. After a failure the day continues
    /// under another one.
    pub generation: u64,
    /// What to append.
    pub append: DayAppend,
    /// What the records claim across days, where several processes decide: all of it is claimed before anything is appended.
    pub claims: Vec<RecordClaims>,
    /// The requests that are looked at among those that became the records.
    pub traces: Vec<Trace>,
    /// Who is told.
    pub listener: Arc<dyn CommitListener>,
}

/// The way to the committer. Cheap to clone.
#[derive(Clone)]
pub struct Committer {
    queue: Arc<queue::Queue>,
    guard: Option<Arc<Guard>>,
}

impl Committer {
    /// Starts the committer's task on the present tokio runtime. It is never cancelled: it ends by [`Committer::stop`].
    pub fn start(journal: Arc<dyn Journal>, clock: Arc<dyn Clock>) -> Self {
        Self::start_guarded(journal, clock, None)
    }

    /// As [`Committer::start`], for a process that is one of several: records claim in `guard` first.
    pub fn start_guarded(journal: Arc<dyn Journal>, clock: Arc<dyn Clock>, guard: Option<Arc<Guard>>) -> Self {
        let (committer, commit_loop) = Self::with_guarded_loop(journal, clock, guard);
        tokio::spawn(commit_loop.run());
        committer
    }

    /// As [`Committer::start`], on a thread of its own: between two batches the loop sleeps and is woken several times, which a
    /// runtime with other workers pays for with a search for work each time.
    pub fn start_thread(journal: Arc<dyn Journal>, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        Self::start_guarded_thread(journal, clock, None)
    }

    /// As [`Committer::start_thread`], for a process that is one of several: records claim in `guard` first. Then the stores are
    /// servers, to which the loop connects again when a connection was lost: its thread lends itself to the present runtime, whose
    /// sockets outlive the loop.
    pub fn start_guarded_thread(
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        guard: Option<Arc<Guard>>,
    ) -> std::io::Result<Self> {
        let (committer, commit_loop) = Self::with_guarded_loop(journal, clock, guard);
        let thread = std::thread::Builder::new().name("committer".to_owned());
        if committer.guard.is_some() {
            let runtime = tokio::runtime::Handle::current();
            thread.spawn(move || runtime.block_on(commit_loop.run()))?;
        } else {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
            thread.spawn(move || runtime.block_on(commit_loop.run()))?;
        }
        Ok(committer)
    }

    /// As [`Committer::start`], but the caller drives the loop, turn by turn: for simulation.
    pub fn with_loop(journal: Arc<dyn Journal>, clock: Arc<dyn Clock>) -> (Self, CommitLoop) {
        Self::with_guarded_loop(journal, clock, None)
    }

    /// As [`Committer::with_loop`], for a process that is one of several.
    pub fn with_guarded_loop(
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        guard: Option<Arc<Guard>>,
    ) -> (Self, CommitLoop) {
        let queue = Arc::new(queue::Queue::new());
        let commit_loop = CommitLoop::new(Arc::clone(&queue), journal, clock, guard.clone());
        (Self { queue, guard }, commit_loop)
    }

    /// Where records claim first, in a process that is one of several.
    pub fn guard(&self) -> Option<&Arc<Guard>> {
        self.guard.as_ref()
    }

    /// Which of the stores that are written to does not answer, and in words how; `now_micros` is monotonic.
    pub fn trouble(&self, now_micros: u64) -> Option<(&'static str, &'static str)> {
        let journal = self.queue.journal.trouble(now_micros).map(|words| ("journal", words));
        journal.or_else(|| self.queue.claims.trouble(now_micros).map(|words| ("claims", words)))
    }

    /// How much is not durable yet, at `now_micros`.
    pub fn waiting(&self, now_micros: u64) -> Undurable {
        self.queue.undurable(now_micros)
    }

    /// A name for a new incarnation of a day's state: greater than all before. One counter serves every day, because a day that goes to
    /// sleep forgets its own names, and a name that was closed by a failure stays closed.
    pub fn new_generation(&self) -> u64 {
        self.queue.new_generation()
    }

    /// Queues `submission`. Never blocks. The queue is bounded by admission: see `limits::ADMITTED_MAX`. After
    /// [`Committer::stop`] the submission fails on the spot, on the caller's thread.
    pub fn submit(&self, submission: Submission) {
        if let Err(refused) = self.queue.push(submission) {
            refused.listener.failed(refused.generation, CommitFailure::Failed("the committer has stopped".into()));
        }
    }

    /// Removes what is queued for (`day`, any generation up to `generation`) and waits for what is in flight. After this
    /// no submission of that generation can become durable any more, and a load sees all that did.
    pub async fn fence(&self, day: DayKey, generation: u64) {
        self.queue.close_generation(day, generation);
        self.queue.wait_until(|state| !state.is_in_flight(day, generation)).await;
    }

    /// Waits until everything submitted before is settled, then ends the task.
    pub async fn stop(&self) {
        self.queue.stop();
        self.queue.wait_until(|state| state.has_ended()).await;
    }
}
