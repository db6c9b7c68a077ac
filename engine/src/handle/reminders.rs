//! What was told, or is to be told, of an appointment; own writes included.
//! Must not know: HTTP, who may see what, how messages leave.
//!
//! The applier writes reminders with the appointment, and may be behind. What a step gives that the ledger has not applied is planned
//! here once more by the same rules; only of a version before a move that waits too is nothing known until then.

use std::collections::BTreeSet;

use booking_core::{Appointment, AppointmentId, Role, Status};
use uuid::Uuid;

use super::{EngineHandle, unreadable};
use crate::error::EngineError;
use crate::ledger::ApplyError;
use crate::ledger::reminders::{ReminderRow, ReminderStatus, ReminderStore};
use crate::reminders::plan::{Occasion, Preferences, Wishes};
use crate::view::{HistoryItem, PlacedAppointment};

impl EngineHandle {
    /// Where reminders are kept.
    pub fn reminder_store(&self) -> &dyn ReminderStore {
        &*self.parts.reminders
    }

    /// Makes dead messages due again, the one with this id or all, and says how many. Whoever owns their days looks for overdue ones
    /// every few seconds.
    pub async fn redrive_reminders(&self, message: Option<Uuid>) -> Result<u64, ApplyError> {
        self.parts.reminders.redrive(message, self.parts.clock.now()).await
    }

    /// Every message of one appointment, by (version, due instant, key); `UnknownAppointment` if there is none. `NotHere` names the
    /// shard of the day on which it stands.
    pub async fn reminders(&self, id: AppointmentId) -> Result<Vec<ReminderRow>, EngineError> {
        let placed = self.appointment(id).await?;
        let steps = self.history(id).await?;
        // What the ledger has first, its rows second: a step that it applies in between is planned, and then found.
        let applied = self.parts.reader.applied_versions(id).await.map_err(unreadable)?;
        let mut rows = self.parts.reminders.of_appointment(id).await.map_err(unreadable)?;
        let waiting: Vec<&HistoryItem> = steps.iter().filter(|step| !applied.contains(&step.version)).collect();
        if !waiting.is_empty() {
            self.plan(&placed, &steps, &waiting, &mut rows).await?;
        }
        let newest = steps.last().map_or(0, |step| step.version).max(placed.appointment.version);
        for row in rows.iter_mut().filter(|row| row.key.version < newest) {
            if matches!(row.status, ReminderStatus::Pending | ReminderStatus::Dead) {
                row.status = ReminderStatus::Cancelled;
            }
        }
        rows.sort_unstable_by_key(|row| (row.key.version, row.due_at, row.key));
        // Looked at last: another node may know of more since (`protocols.md` rule 9).
        self.parts.territory.require(placed.day).map(|()| rows)
    }

    /// Adds the rows of the steps that wait.
    async fn plan(
        &self,
        placed: &PlacedAppointment,
        steps: &[HistoryItem],
        waiting: &[&HistoryItem],
        rows: &mut Vec<ReminderRow>,
    ) -> Result<(), EngineError> {
        let registry = &self.parts.registry;
        let policy = registry.policy_for(placed.day.doctor).await.map_err(unreadable)?;
        let patient = registry.patient(placed.appointment.patient).await.map_err(unreadable)?;
        let patient = patient.map(|patient| Preferences::of(&patient.profile));
        let wishes = Wishes { policy: policy.as_ref(), patient: patient.as_ref(), time_zone: &placed.time_zone };
        let known: BTreeSet<_> = rows.iter().map(|row| row.key).collect();
        for step in waiting.iter().filter(|step| stands_where_it_stood(step, steps, placed)) {
            let row = Appointment { status: step.to, version: step.version, ..placed.appointment.clone() };
            let by_patient = step.role == Role::Patient;
            let occasion = Occasion { day: placed.day, row: &row, from: step.from, at: step.at, by_patient };
            let planned = self.parts.planner.rows(&occasion, &wishes);
            rows.extend(planned.into_iter().filter(|row| !known.contains(&row.key)));
        }
        Ok(())
    }
}

/// Whether the appointment has not moved since `step`: only a move leaves the status as it was.
fn stands_where_it_stood(step: &HistoryItem, steps: &[HistoryItem], placed: &PlacedAppointment) -> bool {
    let is_move = |later: &HistoryItem| later.from == Some(Status::Booked) && later.to == Status::Booked;
    let mut later = steps.iter().filter(|later| later.version > step.version);
    step.version <= placed.appointment.version && !later.any(is_move)
}
