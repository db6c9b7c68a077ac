//! One batch: the submissions of each day, in order, merged into one append a day.
//! Must not know: stores, queues.

use std::collections::HashMap;
use std::sync::Arc;

use booking_core::{DayKey, DayVersion};

use super::{CommitFailure, CommitListener, Submission};
use crate::journal::{DayAppend, Head};

/// What one day has in a batch.
struct Share {
    generation: u64,
    /// Whom to tell, and the last record that each submitted, in order.
    listeners: Vec<(Arc<dyn CommitListener>, DayVersion)>,
}

/// See the module.
pub(super) struct Batch {
    appends: Vec<DayAppend>,
    shares: Vec<Share>,
}

impl Batch {
    /// Merges what follows on; a submission that does not continue its day's chain stands alone nowhere: it is a defect of its day, and the
    /// store answers it with a conflict, because the day's append keeps the first expectation.
    pub(super) fn merge(submissions: Vec<Submission>) -> Self {
        let mut batch = Self { appends: Vec::with_capacity(submissions.len()), shares: Vec::new() };
        let mut numbers: HashMap<DayKey, usize> = HashMap::with_capacity(submissions.len());
        for submission in submissions {
            let Some(last) = submission.append.records.last().map(|record| record.version) else { continue };
            match numbers.get(&submission.append.day) {
                Some(&number) => batch.extend(number, submission, last),
                None => {
                    numbers.insert(submission.append.day, batch.appends.len());
                    batch.shares.push(Share {
                        generation: submission.generation,
                        listeners: vec![(submission.listener, last)],
                    });
                    batch.appends.push(submission.append);
                }
            }
        }
        batch
    }

    fn extend(&mut self, number: usize, submission: Submission, last: DayVersion) {
        let append = &mut self.appends[number];
        let end = append.records.last().map(|record| Head { version: record.version, hash: record.hash });
        debug_assert_eq!(end, Some(submission.append.expected), "submissions of a day follow each other");
        append.records.extend(submission.append.records);
        append.next_work_at = submission.append.next_work_at;
        let share = &mut self.shares[number];
        share.generation = share.generation.max(submission.generation);
        share.listeners.push((submission.listener, last));
    }

    pub(super) fn appends(&self) -> &[DayAppend] {
        &self.appends
    }

    pub(super) fn records(&self) -> usize {
        self.appends.iter().map(|append| append.records.len()).sum()
    }

    pub(super) fn day(&self, number: usize) -> DayKey {
        self.appends[number].day
    }

    pub(super) fn generation(&self, number: usize) -> u64 {
        self.shares[number].generation
    }

    /// Tells each submission of a day, in order.
    pub(super) fn committed(&self, number: usize, position: u64) {
        let share = &self.shares[number];
        for (listener, last) in &share.listeners {
            listener.committed(share.generation, *last, position);
        }
    }

    /// Tells the day once: its later submissions depend on its earlier ones.
    pub(super) fn failed(&self, number: usize, failure: &CommitFailure) {
        let share = &self.shares[number];
        if let Some((listener, _)) = share.listeners.first() {
            listener.failed(share.generation, failure.clone());
        }
    }
}
