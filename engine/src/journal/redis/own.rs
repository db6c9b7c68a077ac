//! What this process has written and the ledger may not have yet: the memory from which a failover that forgot is repaired.
//! Must not know: where records are stored, who applies them.
//!
//! Positions may have gaps: a number is given before it is known whether its record will be written.

use std::collections::VecDeque;

use foldhash::HashMap;

use crate::journal::{ShardCursor, StoredRecord};
use crate::ownership::ShardSet;

/// See the module. Bounded by whoever lets new records in: past so many that the ledger does not have, bookings are shed.
#[derive(Debug, Default)]
pub(super) struct OwnRecords {
    records: VecDeque<StoredRecord>,
    last: u64,
}

impl OwnRecords {
    /// Takes durable records; nearly always those with the next positions.
    pub(super) fn push(&mut self, records: impl IntoIterator<Item = StoredRecord>) {
        for record in records {
            let place = self.records.partition_point(|held| held.position < record.position);
            if self.records.get(place).is_some_and(|held| held.position == record.position) {
                continue;
            }
            self.last = self.last.max(record.position);
            self.records.insert(place, record);
        }
    }

    /// Of the last durable record; 0 at the start.
    pub(super) fn last_position(&self) -> u64 {
        self.last
    }

    /// At most `limit` records after `position`.
    pub(super) fn after(&self, position: u64, limit: usize) -> Vec<StoredRecord> {
        let from = self.records.partition_point(|held| held.position <= position);
        self.records.range(from..).take(limit).cloned().collect()
    }

    /// Those of `shard`.
    pub(super) fn of_shard(&self, shard: u16) -> Vec<StoredRecord> {
        self.records.iter().filter(|held| held.shard == shard).cloned().collect()
    }

    /// At most `limit` records of `shards` after `position`.
    pub(super) fn of_shards(&self, shards: &ShardSet, position: u64, limit: usize) -> Vec<StoredRecord> {
        let from = self.records.partition_point(|held| held.position <= position);
        self.records.range(from..).filter(|held| shards.contains(held.shard)).take(limit).cloned().collect()
    }

    /// Lets those at `positions` go, which are sorted.
    pub(super) fn forget(&mut self, positions: &[u64]) {
        self.records.retain(|held| positions.binary_search(&held.position).is_err());
    }

    /// Lets everything go up to `position` of the shards that are settled; the last of each shard that went. The ledger need not have
    /// what was written of a shard that is being taken over: its records stay until a later call finds it settled.
    pub(super) fn forget_up_to(
        &mut self,
        position: u64,
        is_settled: impl Fn(u16) -> bool,
    ) -> HashMap<u16, ShardCursor> {
        let count = self.records.partition_point(|held| held.position <= position);
        let (gone, kept): (Vec<StoredRecord>, Vec<StoredRecord>) =
            self.records.drain(..count).partition(|record| is_settled(record.shard));
        kept.into_iter().rev().for_each(|record| self.records.push_front(record));
        let gone = gone.into_iter().map(|record| (record.shard, record.cursor())).collect();
        if self.records.is_empty() {
            self.records.shrink_to_fit();
        }
        gone
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

    #[test]
    fn gaps_and_late_ones_are_kept_in_order_until_they_are_forgotten() {
        let mut own = OwnRecords::default();
        own.push([1, 2, 5, 9].map(record));
        own.push([4, 5].map(record));
        let positions = |records: Vec<StoredRecord>| records.iter().map(|record| record.position).collect::<Vec<_>>();
        assert_eq!(positions(own.after(0, 9)), [1, 2, 4, 5, 9]);
        assert_eq!(positions(own.after(2, 2)), [4, 5]);
        assert_eq!(own.last_position(), 9);
        assert!(own.forget_up_to(9, |_| false).is_empty(), "a shard that is being repaired");
        assert_eq!((positions(own.of_shard(record(1).shard)), own.after(9, 9).len()), (vec![1, 2, 4, 5, 9], 0));
        let gone = own.forget_up_to(4, |_| true);
        assert_eq!(gone.values().collect::<Vec<_>>(), [&ShardCursor { epoch: 1, position: 4 }]);
        assert_eq!(positions(own.of_shard(record(1).shard)), [5, 9]);
        let shards = std::iter::once(record(1).shard).collect();
        assert_eq!(positions(own.of_shards(&shards, 5, 9)), [9]);
        assert_eq!(positions(own.of_shards(&shards, 0, 1)), [5]);
        assert!(own.of_shards(&ShardSet::default(), 0, 9).is_empty());
        own.forget(&[4, 5]);
        assert_eq!(positions(own.of_shard(record(1).shard)), [9]);
        own.forget_up_to(100, |_| true);
        assert_eq!((own.after(0, 9).len(), own.last_position()), (0, 9));
    }
}
