//! What this process has written and the ledger may not have yet, kept in memory in the order of positions.
//! Must not know: where records are stored, who applies them.

use std::collections::VecDeque;

use super::StoredRecord;

/// A bounded run of a process's own records. What it had to drop, or never had, its owner reads from the store.
#[derive(Debug)]
pub struct RecentRecords {
    /// Positions without a gap, ending with `last`.
    records: VecDeque<StoredRecord>,
    /// Bounds the memory: about 150 bytes a record, as bodies are shared with who wrote them until these let go.
    records_max: usize,
    last: u64,
}

/// What [`RecentRecords::after`] has.
#[derive(Debug)]
pub enum Recent {
    /// All there is after the position, up to the limit.
    Held(Vec<StoredRecord>),
    /// Records after the position are not held any more: the store has them. The first position that is held.
    Dropped {
        /// One after the last position if nothing is held.
        first_held: u64,
    },
}

impl RecentRecords {
    /// Nothing, with room for `records_max` records.
    pub fn new(records_max: usize) -> Self {
        Self { records: VecDeque::new(), records_max, last: 0 }
    }

    /// Position of the last record that was ever pushed; 0 at the start.
    pub fn last_position(&self) -> u64 {
        self.last
    }

    /// How many are held.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Takes the next records, in the order of positions. Those that were pushed already are left out. When there is no room,
    /// the oldest go. A gap (there should be none) drops what is held before it, so that it can be asked for in the store.
    pub fn push(&mut self, records: impl IntoIterator<Item = StoredRecord>) {
        for record in records {
            if record.position <= self.last {
                continue;
            }
            if record.position != self.last + 1 {
                self.records.clear();
            }
            self.last = record.position;
            self.records.push_back(record);
            if self.records.len() > self.records_max {
                self.records.pop_front();
            }
        }
    }

    /// At most `limit` records after `position`.
    pub fn after(&self, position: u64, limit: usize) -> Recent {
        let first_held = self.first_held();
        if position >= self.last {
            return Recent::Held(Vec::new());
        }
        let Some(skipped) = position.checked_add(1).and_then(|next| next.checked_sub(first_held)) else {
            return Recent::Dropped { first_held };
        };
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX).min(self.records.len());
        Recent::Held(self.records.range(skipped..).take(limit).cloned().collect())
    }

    /// Lets everything go up to `position`.
    pub fn forget_up_to(&mut self, position: u64) {
        let count = position.saturating_add(1).saturating_sub(self.first_held());
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(self.records.len());
        self.records.drain(..count);
        if self.records.is_empty() {
            self.records.shrink_to_fit();
        }
    }

    fn first_held(&self) -> u64 {
        self.records.front().map_or(self.last + 1, |record| record.position)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use booking_core::{Date, DayKey, DayVersion, DoctorId};

    use super::*;
    use crate::journal::ChainHash;

    fn record(position: u64) -> StoredRecord {
        let day = DayKey { doctor: DoctorId::from_bytes([1; 16]), date: Date::from_days(20_000).expect("a date") };
        let version = DayVersion { epoch: 1, sequence: position };
        StoredRecord { day, shard: day.shard(), position, version, hash: ChainHash::default(), body: Arc::from([]) }
    }

    fn held(recent: &RecentRecords, position: u64, limit: usize) -> Vec<u64> {
        match recent.after(position, limit) {
            Recent::Held(records) => records.iter().map(|record| record.position).collect(),
            Recent::Dropped { first_held } => panic!("dropped before {first_held}"),
        }
    }

    #[test]
    fn it_gives_what_it_has_in_the_order_of_positions() {
        let mut recent = RecentRecords::new(100);
        assert!(held(&recent, 0, 5).is_empty());
        recent.push((1..=6).map(record));
        recent.push((5..=8).map(record));
        assert_eq!(held(&recent, 0, 100), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(held(&recent, 3, 2), [4, 5]);
        assert!(held(&recent, 8, 9).is_empty() && held(&recent, u64::MAX, 9).is_empty());
        assert_eq!(recent.last_position(), 8);
    }

    #[test]
    fn what_was_let_go_is_said_to_be_dropped() {
        let mut recent = RecentRecords::new(4);
        recent.push((1..=6).map(record));
        assert_eq!(recent.len(), 4);
        assert!(matches!(recent.after(1, 9), Recent::Dropped { first_held: 3 }));
        assert_eq!(held(&recent, 2, 9), [3, 4, 5, 6]);
        recent.forget_up_to(4);
        assert!(matches!(recent.after(3, 9), Recent::Dropped { first_held: 5 }));
        assert_eq!(held(&recent, 4, 9), [5, 6]);
        recent.forget_up_to(2);
        recent.forget_up_to(u64::MAX);
        assert!(recent.is_empty() && held(&recent, 6, 9).is_empty());
        assert!(matches!(recent.after(5, 9), Recent::Dropped { first_held: 7 }));
        recent.push([record(7)]);
        assert_eq!(held(&recent, 6, 9), [7]);
    }

    #[test]
    fn nothing_before_a_gap_is_held() {
        let mut recent = RecentRecords::new(9);
        recent.push([record(1), record(2), record(4)]);
        assert!(matches!(recent.after(0, 9), Recent::Dropped { first_held: 4 }));
        assert_eq!(held(&recent, 3, 9), [4]);
    }
}
