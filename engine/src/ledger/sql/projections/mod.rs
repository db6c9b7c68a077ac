//! What is written for a batch of records: a list of projections, all in the batch's one transaction.
//! Must not know: which records were applied before, cursors, parked days.

mod appointments;
mod days;
mod history;
mod reminders;
mod seats;
mod won_keys;

use super::Dialect;
use crate::ledger::{AppliedRecord, ApplyError, changes_with_homes};
use crate::reminders::plan::Planner;
use async_trait::async_trait;
use booking_core::{Change, DayKey};

/// Records that are new to the ledger, in the order of positions; those of one day follow each other without a gap.
pub(super) struct Batch<'records> {
    /// The records.
    pub(super) records: Vec<&'records AppliedRecord>,
    /// Makes reminders of changes.
    pub(super) planner: &'records Planner,
}

impl<'records> Batch<'records> {
    /// Every change of every record, in order, with the day on which the appointment stands from then on.
    pub(super) fn changes(&self) -> impl Iterator<Item = (&'records AppliedRecord, DayKey, &'records Change)> {
        self.records.iter().flat_map(|record| {
            let changes = changes_with_homes(&record.event);
            changes.map(move |(change, home)| (*record, home.map_or(record.day, |home| home.day), change))
        })
    }
}

/// One view of what has happened, kept as rows.
#[async_trait]
pub(super) trait Projection<D: Dialect>: Send + Sync {
    /// Brings the rows up to the batch. Called once for every record, ever.
    async fn apply(&self, batch: &Batch<'_>, connection: &mut D::Connection) -> Result<(), ApplyError>;
}

/// Every projection. Reminders come after the days and the appointments, whose rows they look at.
pub(super) fn projections<D: Dialect>() -> [&'static dyn Projection<D>; 6] {
    [
        &days::Days,
        &appointments::Appointments,
        &history::History,
        &seats::Seats,
        &won_keys::WonKeys,
        &reminders::Reminders,
    ]
}

/// Those that look for rows, for the test of their plans.
#[cfg(test)]
pub(in crate::ledger) use {reminders::STATEMENTS as REMINDER_STATEMENTS, seats::STATEMENTS};
