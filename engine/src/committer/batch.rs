//! Which submissions go into one append, and what each of them is told.
//! Must not know: the journal, time, tasks.

use std::collections::VecDeque;
use std::sync::Arc;

use booking_core::{DayKey, DayVersion};
use foldhash::{HashMap, HashSet};
use tracing::Span;

use super::{CommitFailure, CommitListener, Submission};
use crate::claims::guard::RecordClaims;
use crate::journal::{DayAppend, DayOutcome, Head};
use crate::telemetry::trace::{self, Trace};

/// Most records of one append. The gain of a larger batch ends where a sync is a small part of its cost; beyond it only
/// the wait of the first in the batch grows (about 5 ms for as many days).
pub(super) const BATCH_RECORDS_MAX: usize = 1_024;

/// Who is told about which part of an entry.
pub(super) struct Waiter {
    listener: Arc<dyn CommitListener>,
    last: DayVersion,
    /// Records of the entry after `last`.
    records_after: u64,
}

/// The submissions of one day that go together, as one entry of the append.
pub(super) struct Group {
    pub(super) day: DayKey,
    pub(super) generation: u64,
    /// What the records claim.
    pub(super) claims: Vec<RecordClaims>,
    traces: Vec<Trace>,
    waiters: Vec<Waiter>,
}

/// One append: `appends` and `groups` have the same order.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) appends: Vec<DayAppend>,
    pub(super) groups: Vec<Group>,
    pub(super) record_count: usize,
}

impl Batch {
    /// Takes from the front of `waiting` what fits. A day comes at most once: later submissions of it are joined if they
    /// continue the ones before, and else stay, with all that follow them, for the next batch. Order within a day is kept.
    pub(super) fn take_from(waiting: &mut VecDeque<Submission>) -> Self {
        let mut batch = Self::default();
        let mut places: HashMap<DayKey, usize> = HashMap::default();
        let mut passed_over: VecDeque<Submission> = VecDeque::new();
        let mut closed: HashSet<DayKey> = HashSet::default();
        while let Some(submission) = waiting.pop_front() {
            let records = submission.append.records.len();
            if batch.record_count > 0 && batch.record_count + records > BATCH_RECORDS_MAX {
                waiting.push_front(submission);
                break;
            }
            let day = submission.append.day;
            match places.get(&day) {
                _ if closed.contains(&day) => passed_over.push_back(submission),
                None => {
                    places.insert(day, batch.groups.len());
                    batch.open_group(submission);
                }
                Some(&place) if batch.continues(place, &submission) => batch.join(place, submission),
                Some(_) => {
                    closed.insert(day);
                    passed_over.push_back(submission);
                }
            }
        }
        while let Some(submission) = passed_over.pop_back() {
            waiting.push_front(submission);
        }
        batch
    }

    /// Those of its days that `is_first` says, and the others, each in order.
    pub(super) fn split(self, is_first: impl Fn(&Group) -> bool) -> (Self, Self) {
        let (mut first, mut second) = (Self::default(), Self::default());
        for (group, append) in self.groups.into_iter().zip(self.appends) {
            let part = if is_first(&group) { &mut first } else { &mut second };
            part.record_count += append.records.len();
            part.groups.push(group);
            part.appends.push(append);
        }
        (first, second)
    }

    /// A span that names the requests that are looked at; none without any.
    pub(super) fn span(&self) -> Span {
        trace::batch_span(self.groups.iter().flat_map(|group| &group.traces), self.record_count)
    }

    fn open_group(&mut self, submission: Submission) {
        let Submission { generation, append, claims, traces, listener } = submission;
        let last = last_of(&append).version;
        self.record_count += append.records.len();
        self.groups.push(Group {
            day: append.day,
            generation,
            claims,
            traces,
            waiters: vec![Waiter { listener, last, records_after: 0 }],
        });
        self.appends.push(append);
    }

    fn continues(&self, place: usize, submission: &Submission) -> bool {
        self.groups[place].generation == submission.generation
            && self.appends[place].epoch == submission.append.epoch
            && last_of(&self.appends[place]) == submission.append.expected
    }

    fn join(&mut self, place: usize, submission: Submission) {
        let Submission { append: later, claims, traces, listener, .. } = submission;
        let (append, group) = (&mut self.appends[place], &mut self.groups[place]);
        let added = later.records.len();
        for waiter in &mut group.waiters {
            waiter.records_after += added as u64;
        }
        let last = last_of(&later).version;
        group.waiters.push(Waiter { listener, last, records_after: 0 });
        group.claims.extend(claims);
        group.traces.extend(traces);
        append.records.extend(later.records);
        append.next_work_at = later.next_work_at;
        self.record_count += added;
    }
}

impl Group {
    /// Tells everybody that everything is durable, in the order of submission.
    pub(super) fn committed(&self, last_position: u64) {
        for waiter in &self.waiters {
            let position = last_position.saturating_sub(waiter.records_after);
            waiter.listener.committed(self.generation, waiter.last, position);
        }
    }

    /// Tells everybody that nothing is durable, in the order of submission.
    pub(super) fn failed(&self, failure: &CommitFailure) {
        for waiter in &self.waiters {
            waiter.listener.failed(self.generation, failure.clone());
        }
    }
}

/// Where the day's log ends after `append`.
fn last_of(append: &DayAppend) -> Head {
    append.records.last().map_or(append.expected, |record| Head { version: record.version, hash: record.hash })
}

/// The failure in an outcome, or the position of what was appended.
pub(super) fn verdict(outcome: DayOutcome) -> Result<u64, CommitFailure> {
    match outcome {
        DayOutcome::Appended { position } => Ok(position),
        DayOutcome::Conflict { actual } => Err(CommitFailure::Conflict { actual }),
        DayOutcome::Failed => Err(CommitFailure::Failed("the day's server does not answer".into())),
        DayOutcome::Unsettled => Err(CommitFailure::Unknown("the day's server does not answer".into())),
        DayOutcome::StaleEpoch { .. } => Err(CommitFailure::StaleEpoch),
    }
}
