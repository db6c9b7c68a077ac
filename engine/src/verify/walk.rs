//! Follows the journal day by day, and compares each day's records with what is kept beside them.
//! Must not know: the ledger's rows, the rules of booking, what the journal is kept in.

use std::collections::BTreeMap;

use booking_core::{DayKey, UtcMillis};

use super::VerifyError;
use super::finding::{Findings, Kind};
use super::fold::Fold;
use super::source::{Block, Bounds, Checked, HeadRow, JournalSource, LedgerSource, NextWork, Progress, WonKeyBounds};
use super::whole::Whole;
use crate::journal::{StoredRecord, StoredSnapshot};

/// What holds for all days.
pub(super) struct Limits {
    pub(super) journal: Bounds,
    /// Up to where the ledger has applied the journal.
    pub(super) applied: Progress,
    /// Which won keys the ledger has; `None` if it keeps none.
    pub(super) won_keys: Option<WonKeyBounds>,
}

/// One day while it is followed, and what was seen.
pub(super) struct FollowedDay<'limits> {
    day: DayKey,
    limits: &'limits Limits,
    applied_sequence: u64,
    is_parked: bool,
    pub(super) fold: Fold,
    pub(super) records: u64,
    pub(super) lag_records: u64,
    /// How many records the ledger went past, and the first of them.
    skipped: (u64, u64),
    last_position: u64,
    /// The journal has cut off the day's first records, and nobody else has them: it cannot be followed from the first.
    pub(super) is_cut: bool,
}

impl<'limits> FollowedDay<'limits> {
    /// Before the first record.
    pub(super) fn new(day: DayKey, applied_sequence: u64, limits: &'limits Limits, is_parked: bool) -> Self {
        let fold = Fold::new(day, applied_sequence);
        let (records, lag_records, skipped, last_position, is_cut) = (0, 0, (0, 0), 0, false);
        Self { day, limits, applied_sequence, is_parked, fold, records, lag_records, skipped, last_position, is_cut }
    }

    /// Reads all records of the day and what is kept beside them.
    pub(super) async fn follow(
        &mut self,
        journal: &mut dyn JournalSource,
        ledger: &mut dyn LedgerSource,
        whole: &mut Whole,
        findings: &mut Findings,
    ) -> Result<(), VerifyError> {
        whole.begin(self.day);
        let beside = journal.open(self.day).await?;
        let snapshot = match beside.snapshot {
            Some(Ok(snapshot)) => Some(snapshot),
            Some(Err(what)) => {
                findings.add(Kind::SnapshotMismatch, self.day, what);
                None
            }
            None => None,
        };
        let mut kept = ledger.raw_records(self.day).await?;
        while let Some(mut block) = journal.next(findings).await? {
            if self.records == 0 {
                self.begin(&mut block, &mut kept, snapshot.as_ref(), findings);
            }
            self.block(&block, snapshot.as_ref(), whole, findings);
        }
        self.fold.finish(findings);
        let end = self.fold.head().version;
        if let Some(snapshot) = snapshot
            && snapshot.head.version.sequence > end.sequence
            && !self.fold.is_broken()
        {
            let (stands, last) = (snapshot.head.version.sequence, end.sequence);
            let what = format!("it stands after sequence {stands}, the records end at {last}");
            findings.add(Kind::SnapshotMismatch, self.day, what);
        }
        if self.skipped.0 > 0 {
            let (count, first) = self.skipped;
            let what = format!(
                "{count} records from sequence {first} on are not applied, and lie before {}",
                self.limits.applied.words(self.day)
            );
            findings.add(Kind::RecordSkipped, self.day, what);
        }
        let given_out = self.limits.journal.epoch_of(self.day.shard());
        if end.epoch > given_out {
            let what = format!("epoch {} was written, {given_out} was given out", end.epoch);
            findings.add(Kind::EpochAhead, self.day, what);
        }
        self.compare_head(beside.head, findings);
        Ok(())
    }

    /// The first records may have gone from the journal: whoever keeps them as they were has them, until the day is over. What both
    /// have must be the same.
    fn begin(
        &mut self,
        block: &mut Block,
        kept: &mut Vec<StoredRecord>,
        snapshot: Option<&StoredSnapshot>,
        findings: &mut Findings,
    ) {
        let Ok(records) = &mut block.records else { return };
        let stored: BTreeMap<u64, &StoredRecord> =
            records.iter().map(|record| (record.version.sequence, record)).collect();
        let is_other = |mine: &&StoredRecord| {
            stored
                .get(&mine.version.sequence)
                .is_some_and(|other| (other.version, other.hash) != (mine.version, mine.hash))
        };
        if let Some(forked) = kept.iter().find(is_other) {
            let what =
                format!("sequence {}: the ledger keeps another record than the journal", forked.version.sequence);
            findings.add(Kind::RecordForked, self.day, what);
        }
        let Some(first) = records.first().map(|record| record.version.sequence) else { return };
        kept.retain(|record| record.version.sequence < first);
        block.record_count += kept.len() as u64;
        let is_whole = kept.first().map_or(first, |record| record.version.sequence) == 1;
        records.splice(..0, kept.drain(..));
        if !is_whole && snapshot.is_some_and(|snapshot| snapshot.head.version.sequence + 1 >= first) {
            self.is_cut = true;
            self.fold.break_off();
        }
    }

    fn block(&mut self, block: &Block, snapshot: Option<&StoredSnapshot>, whole: &mut Whole, findings: &mut Findings) {
        if let Some((position, previous)) = block.chained {
            if previous != self.last_position {
                let what = format!(
                    "the block at position {position} names {previous} as the one before, which is {}",
                    self.last_position
                );
                findings.add(Kind::BlockPointer, self.day, what);
            }
            self.last_position = position;
        }
        self.records += block.record_count;
        match &block.records {
            Ok(records) => records.iter().for_each(|record| self.record(record, snapshot, whole, findings)),
            Err(what) => {
                if !self.fold.is_broken() {
                    findings.add(Kind::BlockDamaged, self.day, what);
                }
                self.fold.break_off();
            }
        }
    }

    fn record(
        &mut self,
        record: &StoredRecord,
        snapshot: Option<&StoredSnapshot>,
        whole: &mut Whole,
        findings: &mut Findings,
    ) {
        let sequence = record.version.sequence;
        if let Some(event) = self.fold.record(record, findings) {
            whole.record(self.limits.journal.run_of(record.shard, record.version.epoch), &event);
        }
        if let Some(snapshot) = snapshot.filter(|snapshot| snapshot.head.version.sequence == sequence) {
            self.fold.compare_snapshot(snapshot, findings);
        }
        if sequence <= self.applied_sequence || self.is_parked {
            return;
        }
        if !self.limits.applied.is_past(record) {
            self.lag_records += 1;
        } else {
            let (count, first) = self.skipped;
            self.skipped = (count + 1, if count == 0 { sequence } else { first });
        }
    }

    fn compare_head(&self, head: Option<Checked<HeadRow>>, findings: &mut Findings) {
        let row = match head {
            Some(Ok(row)) => row,
            Some(Err(what)) => return findings.add(Kind::RowMalformed, self.day, what),
            None if self.records > 0 => {
                return findings.add(Kind::HeadMismatch, self.day, "it has records and no head");
            }
            None => return,
        };
        if let Some(position) = row.position.filter(|position| *position != self.last_position) {
            let what = format!("its last block is at position {}, its head says {position}", self.last_position);
            findings.add(Kind::HeadMismatch, self.day, what);
        }
        if self.fold.is_broken() {
            return;
        }
        let (end, said) = (self.fold.head(), row.head);
        if said.version.sequence > end.version.sequence {
            let (last, expected) = (end.version.sequence, said.version.sequence);
            let what = format!("the records end at sequence {last}, the head says {expected}");
            return findings.add(Kind::SequenceGap, self.day, what);
        }
        if said != end {
            let what = format!(
                "its last record is {} of epoch {}, its head says {} of epoch {}, or another hash",
                end.version.sequence, end.version.epoch, said.version.sequence, said.version.epoch
            );
            findings.add(Kind::HeadMismatch, self.day, what);
        }
        let due = self.fold.next_work_at();
        if let NextWork::At(said) = row.next_work
            && said != due
        {
            let words = |at: Option<UtcMillis>| at.map_or("none".to_owned(), |at| format!("{} ms", at.0));
            let what = format!("it must next act at: {}; its head says: {}", words(due), words(said));
            findings.add(Kind::NextWorkMismatch, self.day, what);
        }
    }
}
