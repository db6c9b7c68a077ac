//! A bulk with something in it that the ledger refuses: find the day at fault, park it, and let the others go on.
//! Must not know: why a record is refused.

use std::collections::BTreeMap;

use booking_core::DayKey;

use super::turn::{ApplyLoop, Bulk, Fault};
use crate::ledger::{AppliedRecord, ApplyError};

/// Why a bulk is not settled now: the store is away.
type Away = String;

impl ApplyLoop {
    /// Applies `bulk` and moves the cursor to its end, parking what cannot be applied. May be called again after a failure:
    /// what was applied before is skipped then.
    pub(super) async fn settle(&mut self, bulk: &Bulk) -> Result<(), Away> {
        for fault in &bulk.undecodable {
            self.park_undecodable(bulk, fault).await?;
        }
        self.publish_parked(&bulk.records);
        match self.apply(&bulk.records, bulk.last).await {
            Ok(()) => return Ok(()),
            Err(ApplyError::Unavailable(reason)) => return Err(reason),
            Err(ApplyError::Refused(reason)) => {
                tracing::warn!(reason, "the ledger refused a bulk: looking for the day")
            }
        }
        self.park_refused(&bulk.records).await?;
        self.apply(&bulk.records, bulk.last).await.map_err(|error| error.to_string())
    }

    /// Applies what comes before the broken record, then parks its day from there.
    async fn park_undecodable(&mut self, bulk: &Bulk, fault: &Fault) -> Result<(), Away> {
        if self.parked.contains_key(&fault.day) {
            return Ok(());
        }
        let of_day = bulk.records.iter().filter(|record| record.day == fault.day);
        let before: Vec<AppliedRecord> = of_day.clone().filter(|it| it.version < fault.version).cloned().collect();
        let after: Vec<AppliedRecord> = of_day.filter(|it| it.version > fault.version).cloned().collect();
        match self.first_refused(fault.day, &before).await? {
            Some((at, refused)) => self.park(&refused, &[&before[at..], &after].concat()).await,
            None => self.park(fault, &after).await,
        }
    }

    /// Halves the days until those at fault stand alone, and parks them. The cursor stays.
    async fn park_refused(&mut self, records: &[AppliedRecord]) -> Result<(), Away> {
        let mut by_day: BTreeMap<DayKey, Vec<AppliedRecord>> = BTreeMap::new();
        for record in records.iter().filter(|record| !self.parked.contains_key(&record.day)) {
            by_day.entry(record.day).or_default().push(record.clone());
        }
        let days: Vec<(DayKey, Vec<AppliedRecord>)> = by_day.into_iter().collect();
        let mut suspects = vec![days.as_slice()];
        while let Some(days) = suspects.pop() {
            match days {
                [] => {}
                [(day, records)] => {
                    if let Some((at, fault)) = self.first_refused(*day, records).await? {
                        self.park(&fault, &records[at..]).await?;
                    }
                }
                _ => {
                    let together: Vec<AppliedRecord> =
                        days.iter().flat_map(|(_, records)| records.iter().cloned()).collect();
                    if self.is_refused(&together).await?.is_some() {
                        let (left, right) = days.split_at(days.len() / 2);
                        suspects.extend([right, left]);
                    }
                }
            }
        }
        Ok(())
    }

    /// Applies the longest beginning of one day's `records` that the ledger takes; tells which record it refuses, and
    /// where that stands in `records`.
    async fn first_refused(&self, day: DayKey, records: &[AppliedRecord]) -> Result<Option<(usize, Fault)>, Away> {
        let Some(mut reason) = self.is_refused(records).await? else { return Ok(None) };
        // `records[..taken]` is applied, `records[..refused]` is refused.
        let (mut taken, mut refused) = (0, records.len());
        while refused - taken > 1 {
            let middle = taken.midpoint(refused);
            match self.is_refused(&records[..middle]).await? {
                None => taken = middle,
                Some(why) => (refused, reason) = (middle, why),
            }
        }
        Ok(Some((taken, Fault { day, version: records[taken].version, reason })))
    }

    /// Applies `records` without moving the cursor; the reason, if the ledger refuses them.
    async fn is_refused(&self, records: &[AppliedRecord]) -> Result<Option<String>, Away> {
        match self.apply(records, self.progress.applied()).await {
            Ok(()) => Ok(None),
            Err(ApplyError::Refused(reason)) => Ok(Some(reason)),
            Err(ApplyError::Unavailable(reason)) => Err(reason),
        }
    }
}
