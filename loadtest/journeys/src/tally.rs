//! How often what was done, with which outcome, and what should not have happened. Safe to use from everywhere.
//! Must not know: what is done about it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::contract::Operation;

/// Different unexpected things that are kept word for word; further ones are only counted, so that a server that answers
/// each request with something else does not fill the memory.
const KEPT_WORDS: usize = 50;

/// Locks, also after a panic elsewhere: everything kept here is whole after every step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The counts of one operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// Successes.
    pub(crate) served: u64,
    /// Definite refusals that the rules allow, by code.
    pub(crate) refused: BTreeMap<String, u64>,
    /// Answers that ask to come again (429, 503), by code.
    pub(crate) not_now: BTreeMap<String, u64>,
    /// Everything else.
    pub(crate) unexpected: u64,
}

/// All counts of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Counted {
    /// By operation.
    pub(crate) operations: BTreeMap<Operation, Counts>,
    /// Events read from streams.
    pub(crate) stream_events: u64,
    /// Everything unexpected.
    pub(crate) unexpected: u64,
    /// The first different ones, word for word, and how often each came.
    pub(crate) unexpected_words: BTreeMap<String, u64>,
}

/// Counts.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Counted>);

impl Tally {
    /// One success.
    pub(crate) fn served(&self, operation: Operation) {
        self.count(operation, |counts| counts.served += 1);
    }

    /// One refusal by the rules.
    pub(crate) fn refused(&self, operation: Operation, code: &str) {
        self.count(operation, |counts| *counts.refused.entry(code.to_owned()).or_default() += 1);
    }

    /// One request to come again.
    pub(crate) fn not_now(&self, operation: Operation, code: &str) {
        self.count(operation, |counts| *counts.not_now.entry(code.to_owned()).or_default() += 1);
    }

    /// Something that should not have happened.
    pub(crate) fn unexpected(&self, operation: Operation, what: &str) {
        self.count(operation, |counts| counts.unexpected += 1);
        let mut counted = lock(&self.0);
        counted.unexpected += 1;
        let words = format!("{}: {what}", operation.name());
        let has_room = counted.unexpected_words.len() < KEPT_WORDS;
        if let Some(count) = counted.unexpected_words.get_mut(&words) {
            *count += 1;
        } else if has_room {
            counted.unexpected_words.insert(words, 1);
        }
    }

    /// Events read from a stream.
    pub(crate) fn events(&self, count: u64) {
        lock(&self.0).stream_events += count;
    }

    /// As it stands.
    pub(crate) fn counted(&self) -> Counted {
        lock(&self.0).clone()
    }

    fn count(&self, operation: Operation, add: impl FnOnce(&mut Counts)) {
        add(lock(&self.0).operations.entry(operation).or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_unexpected_is_counted_and_the_first_are_kept() {
        let tally = Tally::default();
        tally.served(Operation::Book);
        tally.refused(Operation::Book, "sold_out");
        tally.not_now(Operation::Book, "overloaded");
        for number in (0..KEPT_WORDS + 5).chain([0]) {
            tally.unexpected(Operation::Move, &format!("number {number}"));
        }
        let counted = tally.counted();
        let book = &counted.operations[&Operation::Book];
        assert_eq!((book.served, book.refused["sold_out"], book.not_now["overloaded"]), (1, 1, 1));
        assert_eq!((counted.unexpected, counted.unexpected_words.len()), (KEPT_WORDS as u64 + 6, KEPT_WORDS));
        assert_eq!(counted.unexpected_words["move: number 0"], 2);
    }
}
