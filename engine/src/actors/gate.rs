//! The output gate of one day: answers wait here until every event they depend on is durable.
//! Must not know: the rules, the journal.

use std::collections::VecDeque;
use std::sync::Arc;

use booking_core::{DayVersion, Event, UtcMillis};

use super::request::{CommandResult, Request};
use crate::journal::ChainHash;
use crate::telemetry::trace::{self, Trace};

/// A decided event that is not known to be durable.
pub struct UndurableRecord {
    /// Its place in the day's log.
    pub version: DayVersion,
    /// Its link of the chain: tells after an unknown outcome whether exactly this record landed.
    pub hash: ChainHash,
    /// What happened.
    pub event: Arc<Event>,
}

/// A request that was decided, and not told.
pub struct Decided {
    /// When it began to wait for its decision.
    pub since: UtcMillis,
    /// Itself.
    pub request: Request,
    /// The answer that it would have had.
    pub result: CommandResult,
}

/// An answer and the record it waits for.
struct Waiting {
    version: DayVersion,
    decided: Decided,
}

/// See the module. Versions never fall from one entry to the next, so both queues are popped from the front.
#[derive(Default)]
pub struct Gate {
    records: VecDeque<UndurableRecord>,
    waiting: VecDeque<Waiting>,
    /// The last record of each submission, and when it was submitted, on the clock's monotonic scale.
    submitted: VecDeque<(DayVersion, u64)>,
}

impl Gate {
    /// Adds a decided event.
    pub fn push_record(&mut self, record: UndurableRecord) {
        self.records.push_back(record);
    }

    /// Everything up to the record `last` was submitted at `micros`.
    pub fn note_submitted(&mut self, last: DayVersion, micros: u64) {
        self.submitted.push_back((last, micros));
    }

    /// When the submissions were made whose last record is not later than `version`; they are forgotten.
    pub fn take_submitted(&mut self, version: DayVersion) -> impl Iterator<Item = u64> + '_ {
        let count = self.submitted.iter().take_while(|(last, _)| *last <= version).count();
        self.submitted.drain(..count).map(|(_, micros)| micros)
    }

    /// Holds `result` back until the record `version` is durable.
    pub fn hold(&mut self, version: DayVersion, since: UtcMillis, request: Request, result: CommandResult) {
        debug_assert!(self.waiting.back().is_none_or(|last| last.version <= version));
        self.waiting.push_back(Waiting { version, decided: Decided { since, request, result } });
    }

    /// Takes everything: the events, and the requests in the order in which they were decided.
    pub fn take_all(&mut self) -> (Vec<Arc<Event>>, Vec<Decided>) {
        self.submitted.clear();
        let events = self.records.drain(..).map(|record| record.event).collect();
        (events, self.waiting.drain(..).map(|waiting| waiting.decided).collect())
    }

    /// Takes the events up to `version`, oldest first.
    pub fn take_records(&mut self, version: DayVersion) -> Vec<UndurableRecord> {
        let count = self.records.iter().take_while(|record| record.version <= version).count();
        self.records.drain(..count).collect()
    }

    /// Shows the traces of the requests whose answers wait for nothing later than `version`.
    pub fn durable_up_to(&self, version: DayVersion, mut show: impl FnMut(&Trace)) {
        if !trace::is_wanted() {
            return;
        }
        let durable = self.waiting.iter().take_while(|waiting| waiting.version <= version);
        durable.map(|waiting| &waiting.decided.request.trace).filter(|trace| trace.is_on()).for_each(&mut show);
    }

    /// Takes the answers that wait for nothing later than `version`, oldest first.
    pub fn take_answers(&mut self, version: DayVersion) -> Vec<(Request, CommandResult)> {
        let count = self.waiting.iter().take_while(|waiting| waiting.version <= version).count();
        self.waiting.drain(..count).map(|waiting| (waiting.decided.request, waiting.decided.result)).collect()
    }

    /// The last event whose chain link is one of `links`: after a re-read, everything up to it has landed.
    pub fn last_landed(&self, landed: impl Fn(&UndurableRecord) -> bool) -> Option<DayVersion> {
        self.records.iter().rev().find(|record| landed(record)).map(|record| record.version)
    }

    /// The events that are not known to be durable, oldest first.
    pub fn events(&self) -> impl Iterator<Item = Arc<Event>> {
        self.records.iter().map(|record| Arc::clone(&record.event))
    }

    /// Throws everything away: the answers are dropped, with word to their callers. Returns the events.
    pub fn clear(&mut self) -> Vec<Arc<Event>> {
        self.waiting.clear();
        self.submitted.clear();
        self.records.drain(..).map(|record| record.event).collect()
    }

    /// Number of events that are not known to be durable.
    pub fn undurable(&self) -> usize {
        self.records.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.waiting.is_empty()
    }
}
