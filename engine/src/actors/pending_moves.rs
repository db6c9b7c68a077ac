//! Which moves out of a day are prepared and neither committed nor given up: in memory only, so a lost one can never commit
//! (`protocols.md` A 2, 5 and 9).
//! Must not know: the rules, the day of arrival.

use std::collections::HashMap;

use booking_core::{AppointmentId, MoveId, UtcMillis};

/// How long an attempt that nobody ends is remembered: whoever drives a move gives it up long before.
const FORGOTTEN_MILLIS: i64 = 30_000;

/// See the module. Bounded by the day's live appointments: one each.
#[derive(Default)]
pub struct PendingMoves {
    attempts: HashMap<AppointmentId, (MoveId, UtcMillis)>,
}

impl PendingMoves {
    /// From now on only this attempt can commit a move of the appointment.
    pub fn prepare(&mut self, appointment: AppointmentId, move_id: MoveId, now: UtcMillis) {
        self.attempts.insert(appointment, (move_id, now));
    }

    /// Ends the attempt; false if it was not pending.
    pub fn end(&mut self, appointment: AppointmentId, move_id: MoveId) -> bool {
        let known = self.is_pending(appointment, move_id);
        if known {
            self.attempts.remove(&appointment);
        }
        known
    }

    /// Whether the attempt can still commit.
    pub fn is_pending(&self, appointment: AppointmentId, move_id: MoveId) -> bool {
        self.attempts.get(&appointment).is_some_and(|(pending, _)| *pending == move_id)
    }

    /// Whether an attempt is pending at `now`, those that were forgotten aside.
    pub fn is_busy(&self, now: UtcMillis) -> bool {
        self.attempts.values().any(|(_, since)| now.millis_since(*since) < FORGOTTEN_MILLIS)
    }
}
