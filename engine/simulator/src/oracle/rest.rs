//! What must hold in the end: the ledger is the fold of the journal, and nothing is left undone.
//! Must not know: replies.

use std::collections::BTreeMap;

use booking_core::{AppointmentId, UtcMillis};
use engine::view::{HistoryItem, PlacedAppointment};

use super::Oracle;
use super::day::is_due;
use super::judge_read::history;
use super::violation::{Violation, ensure};

/// The ledger as plain rows.
#[derive(Clone, Debug, Default)]
pub struct LedgerRows {
    /// The journal position up to which it has applied everything.
    pub cursor: u64,
    /// Every appointment, in any order.
    pub appointments: Vec<PlacedAppointment>,
    /// The steps of every appointment, oldest first.
    pub histories: BTreeMap<AppointmentId, Vec<HistoryItem>>,
}

impl Oracle {
    /// The ledger is what the records up to its cursor make of it: every appointment once, as it stands, with its whole life.
    ///
    /// # Errors
    /// `ledger-differs`.
    pub fn compare_ledger(&self, ledger: &LedgerRows) -> Result<(), Violation> {
        let (world, cursor) = (&self.world, ledger.cursor);
        let last = world.last_position();
        ensure!(cursor <= last, LedgerDiffers, "its cursor {cursor} is past the last record {last}");
        let mut rows = BTreeMap::new();
        for placed in &ledger.appointments {
            let id = placed.appointment.id;
            ensure!(rows.insert(id, placed).is_none(), LedgerDiffers, "{id} is there twice");
        }
        for id in world.appointments() {
            let Some(standing) = world.standing_at(id, cursor) else { continue };
            let row = rows.remove(&id);
            let is_same = row.is_some_and(|placed| {
                let mut zones = world.zones(standing.day, cursor);
                placed.appointment == *standing.row
                    && placed.day == standing.day
                    && zones.any(|zone| zone == &*placed.time_zone)
            });
            ensure!(is_same, LedgerDiffers, "{id} is {row:?}, position {} says {:?}", standing.position, standing.row);
            let steps: Vec<HistoryItem> = history(world, id, cursor).into_iter().map(|(_, item)| item).collect();
            let kept = ledger.histories.get(&id);
            ensure!(kept == Some(&steps), LedgerDiffers, "the life of {id} is {kept:?}, not {steps:?}");
        }
        ensure!(rows.is_empty(), LedgerDiffers, "nobody recorded {:?}", rows.keys());
        Ok(())
    }

    /// At rest, after every day was asked at `now`: no move is without an end, no hold is left that is due.
    ///
    /// # Errors
    /// `move-without-end` or `due-hold-left`.
    pub fn rest_check(&self, now: UtcMillis) -> Result<(), Violation> {
        for (day, state) in self.world.days_now() {
            let coming = state.coming.iter().next().map(|(move_id, coming)| (move_id, &coming.row, coming.position));
            ensure!(coming.is_none(), MoveWithoutEnd, "{day} still keeps a place: {coming:?}");
            let due = state.rows.values().find(|row| is_due(row, now));
            ensure!(due.is_none(), DueHoldLeft, "{day} keeps a hold that is due: {due:?}");
        }
        Ok(())
    }
}
