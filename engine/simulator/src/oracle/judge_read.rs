//! Reads of appointments: one, a list, a history.
//! Must not know: commands.

use booking_core::{AppointmentId, Rejection, Role, Status, SubjectId, UtcMillis};
use engine::view::{AppointmentQuery, AppointmentScope, HistoryItem, PlacedAppointment};
use uuid::Uuid;

use super::judge::{Finding, Judge};
use super::violation::{Violation, ensure};
use super::world::{Standing, World};

/// The steps of an appointment up to `position`, with the place of each in the journal.
pub(super) fn history(world: &World, id: AppointmentId, position: u64) -> Vec<(&Standing, HistoryItem)> {
    let mut items: Vec<(&Standing, HistoryItem)> = Vec::new();
    for standing in world.standings(id).iter().take_while(|standing| standing.position <= position) {
        let Some(record) = world.record(standing.position) else { continue };
        let (row, envelope) = (&standing.row, record.event.envelope);
        let is_expiry = row.status == Status::Expired;
        let item = HistoryItem {
            at: record.event.at,
            actor: if is_expiry { SubjectId(Uuid::nil()) } else { envelope.subject },
            role: if is_expiry { Role::System } else { envelope.role },
            from: items.last().map(|(_, before)| before.to),
            to: row.status,
            reason: if row.status == Status::Cancelled { row.cancellation_reason.clone() } else { None },
            version: row.version,
        };
        items.push((standing, item));
    }
    items
}

/// Whether the standing belongs into the answer to `query`, as the contract words it.
fn is_asked_for(query: &AppointmentQuery, standing: &Standing) -> bool {
    let row = &standing.row;
    let is_over = row.status == Status::Booked && row.end <= query.now;
    let status = if is_over { Status::Completed } else { row.status };
    let is_in_scope = match query.scope {
        AppointmentScope::Patient(patient) => row.patient == patient,
        AppointmentScope::Day(day) => standing.day == day,
    };
    let is_after = query.after.is_none_or(|after| after < (row.start, row.id));
    let is_within = query.from.is_none_or(|from| from <= row.start) && query.to.is_none_or(|to| row.start < to);
    is_in_scope && is_after && is_within && (query.statuses.is_empty() || query.statuses.contains(&status))
}

impl Judge<'_> {
    pub(super) fn seen(&self, id: AppointmentId, placed: &PlacedAppointment) -> Result<Finding, Violation> {
        ensure!(placed.appointment.id == id, ReplyDiffers, "{} is told, {id} was asked for", placed.appointment.id);
        let standing = self.standing_of(placed)?;
        self.check_not_due(placed)?;
        Ok(Finding::read(self.shown(standing)))
    }

    pub(super) fn not_seen(&self, id: AppointmentId, told: &Rejection) -> Result<Finding, Violation> {
        let (seen, may_be_unknown) = self.oracle.world.seen(id, &self.window.from, self.window.to_position);
        let mut outcomes: Vec<_> = seen.iter().map(|_| Ok(())).collect();
        if may_be_unknown {
            outcomes.push(Err(Rejection::UnknownAppointment));
        }
        self.refusal(told, None, &[], &outcomes)
    }

    pub(super) fn listed(&self, query: &AppointmentQuery, told: &[PlacedAppointment]) -> Result<Finding, Violation> {
        ensure!(told.len() <= query.limit, ReplyDiffers, "{} rows, {} were asked for", told.len(), query.limit);
        let place = |placed: &PlacedAppointment| (placed.appointment.start, placed.appointment.id);
        let is_sorted = told.windows(2).all(|pair| place(&pair[0]) < place(&pair[1]));
        ensure!(is_sorted, ReplyDiffers, "rows are not in the order of start and id");
        let mut shown = Vec::new();
        for placed in told {
            let standing = self.standing_of(placed)?;
            ensure!(is_asked_for(query, standing), ReplyDiffers, "{} was not asked for", standing.row.id);
            self.check_not_due(placed)?;
            shown.extend(self.shown(standing));
        }
        let page_end = told.last().filter(|_| told.len() == query.limit).map(place);
        for id in self.in_scope(query) {
            let is_told = told.iter().any(|placed| placed.appointment.id == id);
            ensure!(is_told || self.may_be_missing(query, id, page_end), StaleRead, "{id} is missing in a list");
        }
        Ok(Finding::read(shown))
    }

    fn in_scope(&self, query: &AppointmentQuery) -> Vec<AppointmentId> {
        match query.scope {
            AppointmentScope::Patient(patient) => self.oracle.world.of_patient(patient).collect(),
            AppointmentScope::Day(_) => self.oracle.world.appointments().collect(),
        }
    }

    /// Whether at some instant of the window the appointment did not belong on the page.
    fn may_be_missing(
        &self,
        query: &AppointmentQuery,
        id: AppointmentId,
        page_end: Option<(UtcMillis, AppointmentId)>,
    ) -> bool {
        let (seen, may_be_unknown) = self.oracle.world.seen(id, &self.window.from, self.window.to_position);
        let is_beyond = |standing: &Standing| page_end.is_some_and(|end| (standing.row.start, id) > end);
        may_be_unknown || seen.iter().any(|standing| !is_asked_for(query, standing) || is_beyond(standing))
    }

    pub(super) fn lived(&self, id: AppointmentId, told: &[HistoryItem]) -> Result<Finding, Violation> {
        let known = history(&self.oracle.world, id, self.window.to_position);
        ensure!(
            told.len() <= known.len(),
            ReplyBeforeDurable,
            "{id} has {} steps, {} are told",
            known.len(),
            told.len()
        );
        for (told, (standing, item)) in told.iter().zip(&known) {
            ensure!(told == item, ReplyDiffers, "step at {} of {id}: {told:?}, not {item:?}", standing.position);
        }
        let is_certain = |standing: &Standing| standing.position <= self.window.from.of(standing.recorder);
        let certain = known.iter().rposition(|(standing, _)| is_certain(standing)).map_or(0, |last| last + 1);
        ensure!(told.len() >= certain, StaleRead, "{certain} steps of {id} were known, {} are told", told.len());
        let last = known[..told.len()].last().map(|(standing, _)| self.shown(standing));
        ensure!(last.is_some(), ReplyDiffers, "the history of {id} is empty");
        Ok(Finding::read(last.unwrap_or_default()))
    }
}
