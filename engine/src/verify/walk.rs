//! Walks through the journal's file day by day, and compares each day's records with what is kept beside them.
//! Must not know: the ledger's rows, the rules of booking.

use booking_core::DayKey;
use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::VerifyError;
use super::finding::{Findings, Kind};
use super::fold::Fold;
use super::whole::Whole;
use crate::journal::sqlite::audit::{self, BlockRow, HeadRow};
use crate::journal::{StoredRecord, StoredSnapshot};
use crate::ledger::sqlite::audit::WonKeyBounds;

/// Where the findings about the whole file are.
const JOURNAL: &str = "journal";

/// Adds a finding wherever a block does not begin right after the one before: positions are given out without a gap.
pub(super) async fn positions(connection: &mut SqliteConnection, findings: &mut Findings) -> Result<(), VerifyError> {
    let mut rows = audit::spans(connection);
    let mut last = 0_u64;
    while let Some(row) = rows.try_next().await.map_err(audit::failed)? {
        let Ok((position, count)) = audit::span(&row) else { continue };
        let (first, due) = (position.saturating_add(1).saturating_sub(count), last + 1);
        if first != due {
            let what = format!("position {first} begins a block where {due} belongs");
            findings.add(Kind::PositionGap, JOURNAL, what);
        }
        last = position;
    }
    Ok(())
}

/// All blocks by day, each day's by position.
pub(super) struct Blocks<'connection> {
    rows: BoxStream<'connection, Result<SqliteRow, sqlx::Error>>,
    /// Read, and of a day that is still to come.
    next: Option<BlockRow>,
}

impl<'connection> Blocks<'connection> {
    /// From the first block on.
    pub(super) fn open(connection: &'connection mut SqliteConnection) -> Self {
        Self { rows: audit::blocks(connection), next: None }
    }

    /// The next block of `day`; `None` when there is none left. Days must be asked for in order, none left out.
    async fn of(&mut self, day: DayKey, findings: &mut Findings) -> Result<Option<BlockRow>, VerifyError> {
        if self.next.is_none() {
            self.next = self.read(findings).await?;
        }
        Ok(self.next.take_if(|block| block.day == day))
    }

    /// Adds what is left, which no day has asked for.
    pub(super) async fn finish(mut self, findings: &mut Findings) -> Result<(), VerifyError> {
        while let Some(block) = self.read(findings).await? {
            let what = format!("position {}: the block is of no day that the audit knows", block.position);
            findings.add(Kind::RowMalformed, JOURNAL, what);
        }
        Ok(())
    }

    async fn read(&mut self, findings: &mut Findings) -> Result<Option<BlockRow>, VerifyError> {
        while let Some(row) = self.rows.try_next().await.map_err(audit::failed)? {
            match audit::block_row(&row) {
                Ok(block) => return Ok(Some(block)),
                Err(what) => findings.add(Kind::RowMalformed, JOURNAL, what),
            }
        }
        Ok(None)
    }
}

/// What holds for all days.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// The highest epoch that was given out.
    pub(super) epoch: u32,
    /// Up to where the ledger has applied the journal.
    pub(super) applied_position: u64,
    /// Which won keys the ledger has; `None` if it keeps none.
    pub(super) won_keys: Option<WonKeyBounds>,
}

/// One day while it is followed, and what was seen.
pub(super) struct FollowedDay {
    day: DayKey,
    bounds: Bounds,
    applied_sequence: u64,
    is_parked: bool,
    pub(super) fold: Fold,
    pub(super) records: u64,
    pub(super) lag_records: u64,
    /// How many records the ledger went past, and the first of them.
    skipped: (u64, u64),
    last_position: u64,
}

impl FollowedDay {
    /// Before the first record.
    pub(super) fn new(day: DayKey, applied_sequence: u64, bounds: Bounds, is_parked: bool) -> Self {
        let fold = Fold::new(day, applied_sequence);
        let (records, lag_records, skipped, last_position) = (0, 0, (0, 0), 0);
        Self { day, bounds, applied_sequence, is_parked, fold, records, lag_records, skipped, last_position }
    }

    /// Reads all records of the day and what is kept beside them.
    pub(super) async fn follow(
        &mut self,
        blocks: &mut Blocks<'_>,
        connection: &mut SqliteConnection,
        whole: &mut Whole,
        findings: &mut Findings,
    ) -> Result<(), VerifyError> {
        whole.begin(self.day);
        let snapshot = match audit::snapshot(connection, self.day).await? {
            Some(Ok(snapshot)) => Some(snapshot),
            Some(Err(what)) => {
                findings.add(Kind::SnapshotMismatch, self.day, what);
                None
            }
            None => None,
        };
        while let Some(block) = blocks.of(self.day, findings).await? {
            self.block(&block, connection, snapshot.as_ref(), whole, findings).await?;
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
                "{count} records from sequence {first} on are not applied, and lie before position {}",
                self.bounds.applied_position
            );
            findings.add(Kind::RecordSkipped, self.day, what);
        }
        if end.epoch > self.bounds.epoch {
            let what = format!("epoch {} was written, {} was given out", end.epoch, self.bounds.epoch);
            findings.add(Kind::EpochAhead, self.day, what);
        }
        let head = audit::head(connection, self.day).await?;
        self.compare_head(head, findings);
        Ok(())
    }

    async fn block(
        &mut self,
        block: &BlockRow,
        connection: &mut SqliteConnection,
        snapshot: Option<&StoredSnapshot>,
        whole: &mut Whole,
        findings: &mut Findings,
    ) -> Result<(), VerifyError> {
        if block.previous_position != self.last_position {
            let what = format!(
                "the block at position {} names {} as the one before, which is {}",
                block.position, block.previous_position, self.last_position
            );
            findings.add(Kind::BlockPointer, self.day, what);
        }
        self.last_position = block.position;
        self.records += block.record_count;
        match audit::records(connection, block.position).await? {
            Ok(records) => records.iter().for_each(|record| self.record(record, snapshot, whole, findings)),
            Err(what) => {
                if !self.fold.is_broken() {
                    findings.add(Kind::BlockDamaged, self.day, what);
                }
                self.fold.break_off();
            }
        }
        Ok(())
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
            whole.record(record.version.epoch, &event);
        }
        if let Some(snapshot) = snapshot.filter(|snapshot| snapshot.head.version.sequence == sequence) {
            self.fold.compare_snapshot(snapshot, findings);
        }
        if sequence <= self.applied_sequence || self.is_parked {
            return;
        }
        if record.position > self.bounds.applied_position {
            self.lag_records += 1;
        } else {
            let (count, first) = self.skipped;
            self.skipped = (count + 1, if count == 0 { sequence } else { first });
        }
    }

    fn compare_head(&self, head: Option<Result<HeadRow, String>>, findings: &mut Findings) {
        let row = match head {
            Some(Ok(row)) => row,
            Some(Err(what)) => return findings.add(Kind::RowMalformed, self.day, what),
            None if self.records > 0 => {
                return findings.add(Kind::HeadMismatch, self.day, "it has records and no head");
            }
            None => return,
        };
        if row.position != self.last_position {
            let what = format!("its last block is at position {}, its head says {}", self.last_position, row.position);
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
        if row.next_work_at != due {
            let words = |at: Option<booking_core::UtcMillis>| at.map_or("none".to_owned(), |at| format!("{} ms", at.0));
            let what = format!("it must next act at: {}; its head says: {}", words(due), words(row.next_work_at));
            findings.add(Kind::NextWorkMismatch, self.day, what);
        }
    }
}
