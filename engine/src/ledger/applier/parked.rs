//! Days that the ledger does not take: kept whole in the overlay, so that readers are right, and tried again at each start.
//! Must not know: how a day at fault is found.

use std::collections::HashMap;
use std::sync::Arc;

use booking_core::{DayKey, Fact};

use super::turn::{ApplyLoop, BULK_RECORDS, Bulk, Fault};
use crate::journal::ReadError;
use crate::ledger::overlay::OverlayEntry;
use crate::ledger::{AppliedRecord, ApplyError, ParkedDay};

/// What is told of a day whose definition is not known to the ledger, because already its publication was refused, and
/// cannot be read from the journal either.
const ZONE_UNKNOWN: &str = "UTC";

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
            "a day is parked: ledger.db does not take its records from here on; it is tried again at the next start; \
             if it is refused then too, run `hotslot verify`, and restore ledger.db from a backup"
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
