//! Records that a journal has on no branch that counts, as the ledger keeps them.
//! Must not know: SQL, what they promised.

use crate::journal::StoredRecord;

/// What became of a record of a branch that is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LostOutcome {
    /// What it promised holds, or is owed no longer.
    Settled,
    /// It cannot hold any more, and an operator has to look. Why, in words without a value.
    Broken(String),
}

/// A record whose promise is broken.
#[derive(Clone, Debug)]
pub struct BrokenRecord {
    /// As it was in the journal.
    pub record: StoredRecord,
    /// Why, in words.
    pub reason: String,
}
