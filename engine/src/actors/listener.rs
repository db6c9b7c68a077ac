//! How a day hears what became of its records, and that something it waited for is settled. A day that is not there any more must not
//! hold the ledger back.
//! Must not know: what the day does about it.

use booking_core::DayVersion;

use super::entry::DayEntry;
use super::intake::Control;
use crate::claims::Waiter;
use crate::committer::{CommitFailure, CommitListener};

impl CommitListener for DayEntry {
    fn committed(&self, generation: u64, last: DayVersion, position: u64) {
        self.publications().durable(self.day(), position);
        if !self.intake().control(Control::Committed { generation, last, position }) {
            // Nobody will publish it here: who speaks for the day now has read it.
            self.publications().settled(self.day(), None);
        }
    }

    fn failed(&self, generation: u64, failure: CommitFailure) {
        // What was blocked never reached the journal.
        if !matches!(failure, CommitFailure::Blocked(_)) {
            self.publications().unknown(self.day());
        }
        if !self.intake().control(Control::Failed { generation, failure }) {
            self.publications().settled(self.day(), None);
        }
    }
}

impl Waiter for DayEntry {
    fn settled(&self) {
        let _ = self.intake().control(Control::Unblocked);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use booking_core::{Date, DayKey, DoctorId, UtcMillis};

    use super::*;
    use crate::actors::publications::Publications;

    #[test]
    fn word_to_a_day_that_is_gone_does_not_hold_the_ledger_back() {
        let told = Arc::new(AtomicU64::new(0));
        let follower = Arc::clone(&told);
        let follow = Box::new(move |position| follower.store(position, Ordering::SeqCst));
        let publications = Arc::new(Publications::starting_at(0, follow));
        let day = |number| DayKey {
            doctor: DoctorId::from_bytes([number; 16]),
            date: Date::from_days(20_000).expect("a date"),
        };
        let gone = DayEntry::new(day(1), &publications, UtcMillis(0));
        assert!(gone.intake().close_if_empty());
        gone.committed(1, DayVersion { epoch: 1, sequence: 1 }, 1);
        assert_eq!(told.load(Ordering::SeqCst), 1, "nobody will publish it here");
        gone.failed(1, CommitFailure::Unknown("told to".into()));
        let there = DayEntry::new(day(2), &publications, UtcMillis(0));
        there.committed(1, DayVersion { epoch: 1, sequence: 1 }, 2);
        assert_eq!(told.load(Ordering::SeqCst), 1, "the other day publishes it");
        publications.published(2);
        assert_eq!(told.load(Ordering::SeqCst), 2, "and what is unknown of the day that is gone is not waited for");
    }
}
