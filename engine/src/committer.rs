//! Group commit: one task a journal that makes everything that waits durable at once, and starts the next batch as soon
//! as the last has returned.
//! Must not know: what a record means, who is answered when it is durable.

use std::sync::Arc;

use booking_core::{DayKey, DayVersion};

use crate::journal::{DayAppend, Head};

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
    /// Everything up to and including `last` is durable; `position` is its last record's.
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
pub struct Committer {}

impl Committer {
    /// Queues `submission`. Never blocks. The queue is bounded by admission: see `limits::ADMITTED_MAX`.
    pub fn submit(&self, submission: Submission) {
        let _ = submission;
        todo!("storage helper")
    }

    /// Removes what is queued for (`day`, any generation up to `generation`) and waits for what is in flight. After this
    /// no submission of that generation can become durable any more, and a load sees all that did.
    pub async fn fence(&self, day: DayKey, generation: u64) {
        let _ = (day, generation);
        todo!("storage helper")
    }

    /// Waits until everything submitted before is settled, then ends the task.
    pub async fn stop(&self) {
        todo!("storage helper")
    }
}
