//! Days that the ledger does not take: kept whole in the overlay, so that readers are right, and tried again at each start; where shards
//! change hands, also once a minute, since no start of this process need follow.
//! Must not know: how a day at fault is found.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use booking_core::{DayKey, Fact};

use super::turn::{ApplyLoop, BULK_RECORDS, Bulk, Fault};
use crate::journal::{LogKind, ReadError, ShardCursor, StoredRecord};
use crate::ledger::overlay::OverlayEntry;
use crate::ledger::{AppliedRecord, ApplyError, ParkedDay};

/// What is told of a day whose definition is not known to the ledger, because already its publication was refused, and
/// cannot be read from the journal either.
const ZONE_UNKNOWN: &str = "UTC";

/// How often parked days are tried again where shards change hands. Each is a defect that somebody has to mend first: of the program,
/// which means another start, or of the database.
pub(super) const PARKED_SWEEP_MICROS: u64 = 60_000_000;

impl ApplyLoop {
    /// Parks the day of `fault`; `records` are those of the day that the ledger so misses.
    pub(super) async fn park(&mut self, fault: &Fault, records: &[AppliedRecord]) -> Result<(), String> {
        let (day, version) = (fault.day, fault.version);
        let zone = self.ledger.time_zone(day).await.map_err(|error| error.to_string())?;
        // Pinned before the mark, marked before anything counts as evicted: readers never miss the day.
        self.overlay.pin_day(day);
        self.parked.insert(day, zone.unwrap_or_else(|| Arc::from(ZONE_UNKNOWN)));
        self.publish_parked(records);
        if let Err(error) = self.ledger.park(day, version, &fault.reason).await {
            self.parked.remove(&day);
            return Err(error.to_string());
        }
        tracing::error!(
            %day, epoch = version.epoch, sequence = version.sequence, reason = fault.reason,
            "a day is parked: the ledger does not take its records from here on; it is tried again at the next start, where \
             nodes share a database also each minute; if it is refused then too, run `hotslot verify`, and restore the \
             ledger from a backup"
        );
        Ok(())
    }

    /// Gives those of `records` that belong to parked days to the overlay. While the engine runs they are there already;
    /// at a start nobody else does it.
    pub(super) fn publish_parked(&mut self, records: &[AppliedRecord]) {
        if self.parked.is_empty() {
            return;
        }
        for record in records {
            let Some(zone) = self.parked.get_mut(&record.day) else { continue };
            if let Fact::Published(definition) = &record.event.fact {
                *zone = Arc::from(&*definition.time_zone);
            }
            let entries = OverlayEntry::of_event(record.day, zone, &record.event, record.position);
            self.overlay.publish(entries.collect());
        }
    }

    /// At a start: applies every parked day from where it stopped, or keeps it parked.
    pub(super) async fn try_parked_again(&mut self) -> Result<(), ReadError> {
        let parked = self.ledger.parked().await?;
        let mut missing = self.missing_of(&parked).await?;
        for mark in parked {
            let (records, is_whole) = missing.remove(&mark.day).unwrap_or_default();
            let outcome =
                if is_whole { self.ledger.unpark(mark.day, &records).await } else { Err(still_broken(&mark)) };
            match outcome {
                Ok(()) => tracing::info!(day = %mark.day, records = records.len(), "a parked day is applied now"),
                Err(ApplyError::Unavailable(reason)) => return Err(ReadError::Unavailable(reason)),
                Err(ApplyError::Refused(reason)) => {
                    tracing::error!(day = %mark.day, reason, "a day stays parked");
                    let zone = self.ledger.time_zone(mark.day).await?;
                    self.overlay.pin_day(mark.day);
                    self.parked.insert(mark.day, zone.unwrap_or_else(|| Arc::from(ZONE_UNKNOWN)));
                    let begin = records.partition_point(|record| record.version.sequence < mark.version.sequence);
                    self.publish_parked(&records[begin..]);
                }
            }
        }
        Ok(())
    }

    /// How long until parked days are to be tried again; `None` behind a journal of one process, which does so when it starts.
    pub(super) fn sweep_in(&self) -> Option<Duration> {
        let left = self.sweep_at_micros.saturating_sub(self.clock.monotonic_micros());
        (self.journal.log() == LogKind::OfThisProcess).then_some(Duration::from_micros(left))
    }

    /// Where shards change hands: applies the parked days of the shards that are ours from where they stopped, if it is time. Between
    /// two turns: nothing else of these days is applied meanwhile. What the overlay has of them stays there.
    pub async fn sweep_parked(&mut self) {
        if self.sweep_in().is_none_or(|left| !left.is_zero()) {
            return;
        }
        self.sweep_at_micros = self.clock.monotonic_micros().saturating_add(PARKED_SWEEP_MICROS);
        let marks = match self.ledger.parked().await {
            Ok(marks) => marks,
            Err(error) => return tracing::warn!(%error, "the parked days could not be read; trying again in a minute"),
        };
        self.parked.retain(|day, _| marks.iter().any(|mark| mark.day == *day));
        for mark in marks.iter().filter(|mark| self.journal.epoch_of(mark.day.shard()) != 0) {
            match self.apply_parked(mark).await {
                Ok(records) => {
                    self.parked.remove(&mark.day);
                    tracing::info!(day = %mark.day, records, "a parked day is applied now");
                }
                Err(reason) => tracing::error!(day = %mark.day, reason, "a day stays parked"),
            }
        }
    }

    /// Applies what the ledger misses of a day whose shard is ours; returns how many records that were.
    async fn apply_parked(&self, mark: &ParkedDay) -> Result<usize, String> {
        let before = mark.version.sequence.saturating_sub(1);
        // A journal that may forget its end keeps old records there; every other one has them all itself.
        let mut stored = self.ledger.raw_records(mark.day, before).await.map_err(|error| error.to_string())?;
        if stored.is_empty() {
            stored = self.logged_of(mark).await.map_err(|error| error.to_string())?;
        }
        let bulk = Bulk::decode(&stored);
        match bulk.undecodable.first() {
            Some(fault) => Err(fault.reason.clone()),
            None => {
                let outcome = self.ledger.unpark(mark.day, &bulk.records).await;
                outcome.map(|()| bulk.records.len()).map_err(|error| error.to_string())
            }
        }
    }

    /// The records of a day in the log of its shard, from the first that the ledger misses.
    async fn logged_of(&self, mark: &ParkedDay) -> Result<Vec<StoredRecord>, ReadError> {
        // Epochs of a shard only rise, so what is missing was written under this one or a later one.
        let mut cursor = ShardCursor { epoch: mark.version.epoch, position: 0 };
        let mut found = Vec::new();
        loop {
            let stored = self.journal.read_shard(mark.day.shard(), cursor, BULK_RECORDS).await?;
            let Some(last) = stored.last() else { return Ok(found) };
            cursor = last.cursor();
            let is_missing = |record: &StoredRecord| record.day == mark.day && record.version >= mark.version;
            found.extend(stored.into_iter().filter(is_missing));
        }
    }

    /// The records of the parked days that the ledger misses, and whether all could be decoded. Reads the journal from
    /// the first mark on: a snapshot of a day has no history, so a load of the day would not do.
    async fn missing_of(&self, parked: &[ParkedDay]) -> Result<HashMap<DayKey, (Vec<AppliedRecord>, bool)>, ReadError> {
        let mut missing: HashMap<DayKey, (Vec<AppliedRecord>, bool)> =
            parked.iter().map(|mark| (mark.day, (Vec::new(), true))).collect();
        let Some(mut position) = parked.iter().map(|mark| mark.position).min() else { return Ok(missing) };
        loop {
            let mut stored = self.journal.read_after(position, BULK_RECORDS).await?;
            let Some(last) = stored.last() else { return Ok(missing) };
            position = last.position;
            stored.retain(|record| missing.contains_key(&record.day));
            let bulk = Bulk::decode(&stored);
            for fault in bulk.undecodable {
                missing.entry(fault.day).or_default().1 = false;
            }
            for record in bulk.records {
                missing.entry(record.day).or_default().0.push(record);
            }
        }
    }
}

fn still_broken(mark: &ParkedDay) -> ApplyError {
    ApplyError::Refused(mark.reason.clone())
}
