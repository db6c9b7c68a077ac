//! Who gets a place, and which one: bookings and holds.
//! Must not know: keys, the patient's appointments on other days.

use super::Effect;
use super::moment::Moment;
use crate::appointment::{Appointment, Status};
use crate::command::Booking;
use crate::event::Fact;
use crate::id::{AppointmentId, PatientId};
use crate::rejection::Rejection;

impl Moment<'_> {
    /// Takes a place. Places that are open to the caller only through an audience go first, so that those for everyone
    /// last longer; within that the lowest number.
    pub(super) fn book(&self, booking: &Booking) -> Result<Effect, Rejection> {
        let admission = self.admission();
        let wish = admission.admit(booking.start, &booking.audiences)?;
        let places = self.places();
        let slot = admission.find(&wish, &*places)?;
        if let Some(appointment) = self.live_appointment_of(booking.patient) {
            return Err(Rejection::AlreadyBooked { appointment });
        }
        let reserved = wish.open.without(admission.open_to_everyone());
        let place = places.lowest_free(slot, reserved).or_else(|| places.lowest_free(slot, wish.open));
        let place = place.ok_or(Rejection::SlotTaken)?;
        let slot = &self.definition.slots[slot];
        let hold_expires_at = booking.hold_millis.map(|millis| self.at.plus_millis(millis).min(slot.start));
        let row = Appointment {
            id: booking.appointment,
            patient: booking.patient,
            start: slot.start,
            end: slot.end,
            place,
            status: if hold_expires_at.is_some() { Status::Held } else { Status::Booked },
            hold_expires_at,
            cancellation_reason: None,
            created_at: self.at,
            updated_at: self.at,
            version: 1,
        };
        Ok(Effect::Row { fact: Some(Fact::Taken), from: None, row })
    }

    /// The earliest appointment of the patient whose visit is still to come.
    fn live_appointment_of(&self, patient: PatientId) -> Option<AppointmentId> {
        let rows = self.day.patients.of(patient).filter_map(|id| self.day.appointments.get(id));
        let live = rows.filter(|row| row.is_live_at(self.at));
        live.min_by_key(|row| (row.start, row.id)).map(|row| row.id)
    }
}
