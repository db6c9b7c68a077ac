//! One turn of the applier: read a bulk, apply it, evict it. A plain struct, so that a simulation can turn it by hand.
//! Must not know: when the next turn comes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use booking_core::{DayKey, DayVersion, decode_event, planted};

use super::Progress;
use super::parked::PARKED_SWEEP_MICROS;
use crate::clock::Clock;
use crate::journal::{Journal, LogKind, ReadError, StoredRecord};
use crate::ledger::overlay::Overlay;
use crate::ledger::{AppliedRecord, ApplyError, Ledger};
use crate::telemetry::catalogue;
use crate::telemetry::events::EngineEvent;

/// Records of a whole bulk: as many as gather before a transaction begins. Larger ones keep the registry waiting longer.
pub(super) const BULK_RECORDS: usize = 4_096;

/// Most records read and applied at once, when so many wait: the more rows of an index are written together, the fewer pages
/// each of them costs. About a third of a second, within the patience of the registry.
const BULK_RECORDS_MAX: usize = 4 * BULK_RECORDS;

/// The longest pause after a failure.
const BACKOFF_MILLIS_MAX: u64 = 1_000;

/// What a turn did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TurnOutcome {
    /// So many records were applied; there may be more.
    Applied {
        /// Number read from the journal.
        records: usize,
    },
    /// The ledger is as far as the journal was told to be.
    Idle,
    /// A store did not answer, and nothing is lost: turn again after a while.
    Retry {
        /// After so long: longer with each failure in a row, a second at most.
        after_millis: u64,
        /// Failures in a row.
        failures: u32,
        /// In words.
        reason: String,
    },
}

/// The applier's state.
pub struct ApplyLoop {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) overlay: Arc<Overlay>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) progress: Arc<Progress>,
    /// Read from the journal and not applied yet.
    pending: Option<Bulk>,
    /// Days that the ledger does not take, with their zones.
    pub(super) parked: HashMap<DayKey, Arc<str>>,
    /// When parked days are tried again where shards change hands, on the monotonic scale.
    pub(super) sweep_at_micros: u64,
    failures: u32,
}

/// Records read at once.
pub(super) struct Bulk {
    /// What could be decoded, in the order of positions.
    pub(super) records: Vec<AppliedRecord>,
    /// What could not.
    pub(super) undecodable: Vec<Fault>,
    /// The position of the last record read.
    pub(super) last: u64,
    /// Number of records read.
    count: usize,
}

/// The first record of a day that cannot be applied.
pub(super) struct Fault {
    pub(super) day: DayKey,
    pub(super) version: DayVersion,
    pub(super) reason: String,
}

impl Bulk {
    /// Decodes what was read; `stored` is not empty, or the bulk is.
    pub(super) fn decode(stored: &[StoredRecord]) -> Self {
        let mut records = Vec::with_capacity(stored.len());
        let mut undecodable = Vec::new();
        for record in stored {
            let (day, version, position) = (record.day, record.version, record.position);
            match decode_event(&record.body) {
                Ok(event) => {
                    let (hash, body) = (record.hash, Arc::clone(&record.body));
                    records.push(AppliedRecord { day, version, position, hash, body, event });
                }
                Err(error) => {
                    let reason = format!("the record at position {position} cannot be decoded: {error}");
                    undecodable.push(Fault { day, version, reason });
                }
            }
        }
        Self { records, undecodable, last: stored.last().map_or(0, |record| record.position), count: stored.len() }
    }
}

impl ApplyLoop {
    /// Finds where the ledger is and tries again what it refused before.
    pub async fn open(
        journal: Arc<dyn Journal>,
        ledger: Arc<dyn Ledger>,
        overlay: Arc<Overlay>,
        clock: Arc<dyn Clock>,
        progress: Arc<Progress>,
    ) -> Result<Self, ReadError> {
        let head = journal.last_position().await?;
        let is_lasting = journal.log() == LogKind::Lasting;
        // What others have written is applied when their shards are taken over.
        let applied = if is_lasting { ledger.applied_position().await? } else { head };
        if applied > head {
            return Err(ReadError::Damaged(format!(
                "ledger.db has records up to position {applied}, journal.db ends at {head}: the journal has lost its end, or one \
                 of the two files was replaced by an older copy; put both back from the same moment"
            )));
        }
        progress.applied.store(applied, Ordering::Release);
        progress.advanced(head);
        let (pending, parked) = (None, HashMap::new());
        let sweep_at_micros = clock.monotonic_micros().saturating_add(PARKED_SWEEP_MICROS);
        let mut this =
            Self { journal, ledger, overlay, clock, progress, pending, parked, sweep_at_micros, failures: 0 };
        if is_lasting {
            this.try_parked_again().await?;
        }
        Ok(this)
    }

    /// How far it is.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Reads at most one bulk and applies it. Never to be cancelled: a transaction may be open.
    pub async fn turn(&mut self) -> TurnOutcome {
        self.progress.mark(self.clock.monotonic_micros());
        metrics::gauge!(catalogue::LEDGER_LAG).set(self.progress.lag_records() as f64);
        metrics::gauge!(catalogue::LEDGER_PARKED).set(self.parked.len() as f64);
        metrics::gauge!(catalogue::OVERLAY_ENTRIES).set(self.overlay.len() as f64);
        let bulk = match self.pending.take() {
            Some(bulk) => bulk,
            None if self.progress.lag_records() == 0 => return TurnOutcome::Idle,
            None => match self.read().await {
                Ok(bulk) => bulk,
                Err(reason) => return self.retry(reason),
            },
        };
        if planted!(OverlayEvictedEarly) {
            self.overlay.evict(bulk.last);
        }
        crash_point!(LedgerBulkRead);
        let bulk = self.ours(bulk);
        match self.settle(&bulk).await {
            Ok(()) => {
                crash_point!(LedgerBeforeEvict);
                self.failures = 0;
                self.progress.applied.store(bulk.last, Ordering::Release);
                self.progress.passed(bulk.last, self.clock.monotonic_micros());
                self.overlay.evict(bulk.last);
                self.journal.applied(bulk.last);
                let changes = bulk.records.iter().flat_map(|record| &record.event.changes);
                self.progress.applied_to(changes.map(|change| change.row.id));
                crash_point!(LedgerEvicted);
                metrics::gauge!(catalogue::LEDGER_LAG).set(self.progress.lag_records() as f64);
                metrics::gauge!(catalogue::OVERLAY_ENTRIES).set(self.overlay.len() as f64);
                TurnOutcome::Applied { records: bulk.count }
            }
            Err(reason) => {
                if planted!(CursorMovedOnFailure) {
                    self.progress.applied.store(bulk.last, Ordering::Release);
                    return self.retry(reason);
                }
                self.pending = Some(bulk);
                self.retry(reason)
            }
        }
    }

    /// `bulk` without what this process has written under an epoch that is over: whoever has that shard now applies it.
    fn ours(&self, mut bulk: Bulk) -> Bulk {
        if self.journal.log() == LogKind::OfThisProcess {
            let is_ours = |day: DayKey, version: DayVersion| self.journal.epoch_of(day.shard()) == version.epoch;
            bulk.records.retain(|record| is_ours(record.day, record.version));
            bulk.undecodable.retain(|fault| is_ours(fault.day, fault.version));
        }
        bulk
    }

    async fn read(&self) -> Result<Bulk, String> {
        let position = self.progress.applied();
        let mut stored =
            self.journal.read_after(position, BULK_RECORDS_MAX).await.map_err(|error| error.to_string())?;
        let head = self.progress.head();
        // What lies beyond is durable, but its day has not told anybody.
        stored.truncate(stored.partition_point(|record| record.position <= head));
        if stored.is_empty() {
            return Err(format!("the journal should reach to {head} but shows nothing after {position}"));
        }
        Ok(Bulk::decode(&stored))
    }

    /// One transaction of the ledger, measured.
    pub(super) async fn apply(&self, records: &[AppliedRecord], position: u64) -> Result<(), ApplyError> {
        let began = self.clock.monotonic_micros();
        let outcome = self.ledger.apply(records, position).await;
        let took = self.clock.monotonic_micros().saturating_sub(began);
        metrics::histogram!(catalogue::LEDGER_DURATION).record(took as f64 / 1e6);
        metrics::histogram!(catalogue::LEDGER_BATCH).record(records.len() as f64);
        outcome
    }

    fn retry(&mut self, reason: String) -> TurnOutcome {
        let after_millis = 10_u64.saturating_mul(1 << self.failures.min(10)).min(BACKOFF_MILLIS_MAX);
        self.failures = self.failures.saturating_add(1);
        let (lag, is_told) = (self.progress.lag_records(), self.failures == 1 || after_millis == BACKOFF_MILLIS_MAX);
        EngineEvent::LedgerRetries { reason: &reason, lag, is_told }.emit();
        TurnOutcome::Retry { after_millis, failures: self.failures, reason }
    }
}
