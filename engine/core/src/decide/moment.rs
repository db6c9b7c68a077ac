//! A day as it is at one instant: like the stored one, but with the holds that are due expired.
//! Must not know: what is asked of the day.

use std::borrow::Cow;
use std::sync::Arc;

use crate::admission::Admission;
use crate::appointment::{Appointment, Status};
use crate::day::DoctorDay;
use crate::definition::DayDefinition;
use crate::event::Change;
use crate::id::AppointmentId;
use crate::places::{Places, Taking};
use crate::rejection::Rejection;
use crate::time::UtcMillis;

/// A published day at an instant.
pub(super) struct Moment<'day> {
    pub(super) day: &'day DoctorDay,
    pub(super) definition: &'day Arc<DayDefinition>,
    pub(super) at: UtcMillis,
    /// The expiries that are due.
    pub(super) due: &'day [Change],
}

/// A hold whose time has come, as expired at `at`.
pub(super) fn expiry_of(row: &Appointment, at: UtcMillis) -> Change {
    Change { from: Some(row.status), row: changed(row, Status::Expired, at) }
}

/// `row` in another status, one version later.
pub(super) fn changed(row: &Appointment, status: Status, at: UtcMillis) -> Appointment {
    Appointment { status, updated_at: at, version: row.version.saturating_add(1), ..row.clone() }
}

impl<'day> Moment<'day> {
    pub(super) fn admission(&self) -> Admission<'day> {
        Admission {
            definition: self.definition,
            layout: &self.day.layout,
            closed: self.day.closure.is_some(),
            at: self.at,
        }
    }

    /// What is taken. Due holds take nothing; if there are any, the slots they lie in are copied, and only those.
    pub(super) fn places(&self) -> Cow<'day, Places> {
        let mut places = Cow::Borrowed(&self.day.places);
        for change in self.due {
            if let Some(slot) = self.day.slot_of(&change.row) {
                places.to_mut().free(slot, change.row.place, Taking::Held);
            }
        }
        places
    }

    /// An appointment, whose hold has expired if it is due. One that is on its way in or has left is not told of here.
    pub(super) fn row(&self, id: AppointmentId) -> Result<Cow<'day, Appointment>, Rejection> {
        let row = self.day.appointments.get(id).ok_or_else(|| self.whereabouts(id))?;
        Ok(if row.is_due(self.at) && !planted!(ConfirmedAfterExpiry) {
            Cow::Owned(changed(row, Status::Expired, self.at))
        } else {
            Cow::Borrowed(row)
        })
    }

    /// What is known of an appointment that is not here. That it may be about to come goes before that it once left.
    fn whereabouts(&self, id: AppointmentId) -> Rejection {
        if self.day.arrivals.values().any(|arrival| arrival.row.id == id) {
            return Rejection::Arriving;
        }
        match self.day.departures.get(&id) {
            Some(departure) => Rejection::MovedAway { to: departure.to.day },
            None => Rejection::UnknownAppointment,
        }
    }
}
