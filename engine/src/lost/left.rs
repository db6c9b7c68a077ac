//! What this process remembers of shards that others have now: it may be the only one who knows. What stands in the ledger is forgotten; the
//! rest is noted as lost, so that whoever has the day asks for it again.
//! Must not know: what a record means, who has the shard.
//!
//! The next owner has asked for it (`crate::ownership::memory`) unless this process was paused, cut off or too slow. It is given the
//! time from one look to the next: what it puts back is in the ledger by then.

use std::collections::BTreeMap;
use std::time::Duration;

use booking_core::{DayKey, SHARD_COUNT};

use crate::handle::EngineHandle;
use crate::journal::{ReadError, StoredRecord};
use crate::ledger::Ledger;
use crate::ownership::{Place, ShardSet};
use crate::telemetry::events::EngineEvent;

/// From one look to the next. A takeover, with two seconds of waiting for those who remember, is done in less.
const LOOK: Duration = Duration::from_secs(4);
/// Records of one look. The others wait for the next.
const AT_ONCE: usize = 4_096;

/// See the module.
#[derive(Default)]
pub(super) struct LeftBehind {
    /// The position of the last record that was there at the last look.
    seen: u64,
    next_look_micros: u64,
}

impl LeftBehind {
    /// Looks, if it is time.
    pub(super) async fn look(&mut self, handle: &EngineHandle, ledger: &dyn Ledger) -> Result<(), ReadError> {
        let parts = &handle.parts;
        let now_micros = parts.clock.monotonic_micros();
        if parts.peers.is_none() || now_micros < self.next_look_micros {
            return Ok(());
        }
        let left = parts.journal.memory_of(&shards_of_others(handle), 0, AT_ONCE);
        let mut by_day: BTreeMap<DayKey, Vec<StoredRecord>> = BTreeMap::new();
        for record in left.iter().filter(|record| record.position <= self.seen) {
            by_day.entry(record.day).or_default().push(record.clone());
        }
        for records in by_day.into_values() {
            settle(handle, ledger, &records).await?;
        }
        self.seen = left.last().map_or(self.seen, |last| last.position.max(self.seen));
        self.next_look_micros = now_micros + u64::try_from(LOOK.as_micros()).unwrap_or(u64::MAX);
        Ok(())
    }
}

/// Those that another live node has. What nobody has yet waits: its next owner asks.
fn shards_of_others(handle: &EngineHandle) -> ShardSet {
    let territory = &handle.parts.territory;
    let is_elsewhere = |shard: &u16| {
        territory.tenures().epoch(*shard) == 0 && matches!(territory.place_of(*shard), Place::There { .. })
    };
    (0..SHARD_COUNT).filter(is_elsewhere).collect()
}

/// Notes those of `records`, all of one day, that the ledger has not; then none of them need be remembered.
async fn settle(handle: &EngineHandle, ledger: &dyn Ledger, records: &[StoredRecord]) -> Result<(), ReadError> {
    let Some(first) = records.iter().min_by_key(|record| record.version.sequence) else { return Ok(()) };
    let (day, shard) = (first.day, first.shard);
    let kept = ledger.raw_records(day, first.version.sequence.saturating_sub(1)).await?;
    let is_kept = |record: &&StoredRecord| kept.iter().any(|it| it.version == record.version && it.hash == record.hash);
    let lost: Vec<StoredRecord> = records.iter().filter(|record| !is_kept(record)).cloned().collect();
    if !lost.is_empty() {
        let noted = ledger.note_lost(&lost).await.map_err(|error| ReadError::Unavailable(error.to_string()))?;
        let news: &[StoredRecord] = if noted > 0 { &lost } else { &[] };
        EngineEvent::JournalRepaired { shard, day, sequence: 0, records: 0, lost: news }.emit();
    }
    let mut positions: Vec<u64> = records.iter().map(|record| record.position).collect();
    positions.sort_unstable();
    handle.parts.journal.forget_memory(&positions);
    Ok(())
}
