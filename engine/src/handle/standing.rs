//! Whether messages are still true, asked at the engine's own door: what is durable and published here, not what the
//! ledger has of it.
//! Must not know: how messages are sent.

use async_trait::async_trait;
use booking_core::AppointmentId;

use super::{EngineHandle, HOPS_MAX};
use crate::ledger::reminders::ReminderRow;
use crate::reminders::check::{Check, Verdict, judge};

#[async_trait]
impl Check for EngineHandle {
    /// An appointment that stands on a day of ours can only have changed by a record of that day, which is in the
    /// overlay or the ledger
    /// here. Whether the day is ours is looked at after reading (`protocols.md` rule 9).
    async fn check(&self, rows: &[ReminderRow]) -> Vec<Verdict> {
        let unknown = |reason: &str| rows.iter().map(|_| Verdict::Unknown(reason.to_owned())).collect();
        let ids: Vec<AppointmentId> = rows.iter().map(|row| row.key.appointment).collect();
        let territory = &self.parts.territory;
        for _ in 0..HOPS_MAX {
            let before = territory.tenures().changes();
            let newest = match self.parts.reader.appointments_of(&ids).await {
                Ok(newest) => newest,
                Err(error) => return unknown(&error.to_string()),
            };
            // While a shard changes hands, what was recorded before may be neither in the overlay nor in the ledger.
            if territory.tenures().changes() != before {
                continue;
            }
            let verdict = |row: &ReminderRow| match territory.is_here(row.day) {
                true => judge(row, newest.get(&row.key.appointment).cloned()),
                false => Verdict::Unknown("another node speaks for the day".to_owned()),
            };
            return rows.iter().map(verdict).collect();
        }
        unknown("shards change hands")
    }
}
