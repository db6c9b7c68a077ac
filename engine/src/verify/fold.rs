//! Follows the records of one day from the first: is the chain whole, and does every event follow from the state before?
//! Must not know: SQL, the ledger's rows.
//!
//! The rules are asked twice: by the audit's own books, and by the core's own check of the state after the last record.

use booking_core::{DayKey, DoctorDay, Event, UtcMillis, decode_event, invariant};

use super::books::Books;
use super::finding::{Findings, Kind};
use super::rows::DayRows;
use crate::journal::chain::{self, ChainBreak};
use crate::journal::{Head, StoredRecord, StoredSnapshot};

/// One day, as far as its records can be followed.
pub(crate) struct Fold {
    day: DayKey,
    state: DoctorDay,
    head: Head,
    last_at: UtcMillis,
    books: Books,
    /// The ledger's rows stand after this sequence.
    applied_sequence: u64,
    /// What they should be.
    expected: DayRows,
    /// A record could not be followed: nothing after it is judged.
    is_broken: bool,
}

impl Fold {
    /// Before the first record of `day`, which the ledger has applied up to `applied_sequence`.
    pub(crate) fn new(day: DayKey, applied_sequence: u64) -> Self {
        Self {
            day,
            state: DoctorDay::default(),
            head: Head::default(),
            last_at: UtcMillis(0),
            books: Books::new(day),
            applied_sequence,
            expected: DayRows::default(),
            is_broken: false,
        }
    }

    /// Where the followed records end.
    pub(crate) fn head(&self) -> Head {
        self.head
    }

    /// Whether a record could not be followed.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// When the day must next do something unasked.
    pub(crate) fn next_work_at(&self) -> Option<UtcMillis> {
        self.state.next_work_at()
    }

    /// When its last slot ends.
    pub(crate) fn end(&self) -> Option<UtcMillis> {
        self.state.definition()?.slots.last().map(|slot| slot.end)
    }

    /// The audit's own books of it.
    pub(crate) fn books(&self) -> &Books {
        &self.books
    }

    /// What the ledger's rows should be; `None` if the records cannot be followed that far.
    pub(crate) fn take_expected(&mut self) -> Option<DayRows> {
        let is_known = !self.is_broken || self.applied_sequence <= self.head.version.sequence;
        is_known.then(|| std::mem::take(&mut self.expected))
    }

    /// From here on nothing can be judged.
    pub(crate) fn break_off(&mut self) {
        self.is_broken = true;
    }

    /// The next record; returns its event. Ignored after a break.
    pub(crate) fn record(&mut self, record: &StoredRecord, findings: &mut Findings) -> Option<Event> {
        if self.is_broken {
            return None;
        }
        let followed = chain::follow(self.head, self.day, record.version, record.hash, &record.body);
        let head = match followed {
            Ok(head) => head,
            Err(broken) => {
                let kind = match broken {
                    ChainBreak::Gap { .. } | ChainBreak::WrongEnd { .. } => Kind::SequenceGap,
                    ChainBreak::EpochFallsBack { .. } | ChainBreak::WrongLink { .. } => Kind::ChainBroken,
                };
                findings.add(kind, self.day, format_args!("position {}: {broken}", record.position));
                self.break_off();
                return None;
            }
        };
        let event = match decode_event(&record.body) {
            Ok(event) => event,
            Err(error) => {
                let what = format!("position {}, sequence {}: {error}", record.position, record.version.sequence);
                findings.add(Kind::EventDamaged, self.day, what);
                self.break_off();
                return None;
            }
        };
        self.judge(record.version.sequence, &event, findings);
        self.state.apply(record.version, &event);
        (self.head, self.last_at) = (head, event.at);
        if record.version.sequence <= self.applied_sequence {
            self.expected.apply(self.day, record.version, record.position, &event);
        }
        Some(event)
    }

    fn judge(&mut self, sequence: u64, event: &Event, findings: &mut Findings) {
        self.books.judge(sequence, event, &self.state, findings);
        if let Some((key, _)) = &event.remembered
            && self.state.remembered_key(key.subject, &key.key).is_some()
        {
            let what = format!("sequence {sequence}: a key of subject {} wins a second time", key.subject);
            findings.add(Kind::KeyDuplicated, self.day, what);
        }
    }

    /// Whether `snapshot` is this state; to be asked when its record has just been followed.
    pub(crate) fn compare_snapshot(&self, snapshot: &StoredSnapshot, findings: &mut Findings) {
        if self.is_broken {
            return;
        }
        let sequence = snapshot.head.version.sequence;
        if snapshot.head != self.head {
            findings.add(Kind::SnapshotMismatch, self.day, format_args!("it stands after another record {sequence}"));
        } else if *snapshot.bytes != *self.state.pack() {
            let what = format!("the records up to sequence {sequence} lead to another state");
            findings.add(Kind::SnapshotMismatch, self.day, what);
        }
    }

    /// The core's own check of the state after the last record.
    pub(crate) fn finish(&self, findings: &mut Findings) {
        if self.is_broken || self.head == Head::default() {
            return;
        }
        if let Err(what) = invariant::check(&self.state, self.last_at) {
            findings.add(Kind::InvariantBroken, self.day, what);
        }
    }
}
