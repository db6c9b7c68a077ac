//! An append that is under way, as it must be remembered until its outcome is known.
//! Must not know: connections, SQL.

use super::link::Backend;
use crate::journal::{DayAppend, DayOutcome, StoredRecord};

/// See the module. Bodies are shared with the batch.
#[derive(Debug)]
pub(super) struct Sent {
    /// Which process of the server has it.
    pub(super) backend: Backend,
    /// Entry after entry; positions are not known yet.
    pub(super) records: Vec<StoredRecord>,
    /// How many records each entry has.
    counts: Vec<usize>,
}

impl Sent {
    pub(super) fn of(batch: &[DayAppend], backend: Backend) -> Self {
        let records = batch.iter().flat_map(|append| {
            let (day, shard) = (append.day, append.day.shard());
            append.records.iter().map(move |record| StoredRecord {
                day,
                shard,
                position: 0,
                version: record.version,
                hash: record.hash,
                body: std::sync::Arc::clone(&record.body),
            })
        });
        Self { backend, records: records.collect(), counts: batch.iter().map(|append| append.records.len()).collect() }
    }

    /// The shards and epochs under which it writes; some of them more than once.
    pub(super) fn logs(&self) -> impl Iterator<Item = (u16, u32)> + '_ {
        self.records.iter().map(|record| (record.shard, record.version.epoch))
    }

    /// What is stored of it, with positions, if `outcomes` is what became of its entries.
    pub(super) fn stored(&self, outcomes: &[DayOutcome]) -> impl Iterator<Item = StoredRecord> {
        let mut rest = self.records.iter();
        self.counts.iter().zip(outcomes).flat_map(move |(count, outcome)| {
            let entry: Vec<_> = rest.by_ref().take(*count).collect();
            let first = match outcome {
                DayOutcome::Appended { position } => position.checked_sub(*count as u64 - 1),
                DayOutcome::Conflict { .. } | DayOutcome::StaleEpoch { .. } => None,
                DayOutcome::Failed | DayOutcome::Unsettled => None,
            };
            let stored = first.map(|first| {
                entry.into_iter().zip(first..).map(|(record, position)| StoredRecord { position, ..record.clone() })
            });
            stored.into_iter().flatten().collect::<Vec<_>>()
        })
    }
}
