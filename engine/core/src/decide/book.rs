//! Who gets a place, and which one: bookings and holds.
//! Must not know: keys, other days (only when the patient is busy there).

use super::Effect;
use super::moment::Moment;
use crate::admission::Stock;
use crate::appointment::{Appointment, Status};
use crate::command::{Booking, Busy};
use crate::event::{Fact, Seat};
use crate::id::{AppointmentId, PatientId};
use crate::layout::ClassSet;
use crate::places::Places;
use crate::rejection::Rejection;
use crate::time::UtcMillis;

/// Who wants a place, and which one would do.
pub(super) struct Wish<'wish> {
    pub(super) patient: PatientId,
    /// The appointment that is to sit there: it never stands in its own way.
    pub(super) appointment: AppointmentId,
    pub(super) start: Option<UtcMillis>,
    pub(super) audiences: &'wish [Box<str>],
    pub(super) busy: &'wish [Busy],
}

impl Moment<'_> {
    /// Takes a place.
    pub(super) fn book(&self, booking: &Booking) -> Result<Effect, Rejection> {
        let wish = Wish {
            patient: booking.patient,
            appointment: booking.appointment,
            start: booking.start,
            audiences: &booking.audiences,
            busy: &booking.busy,
        };
        let (seat, end) = self.find_seat(&wish)?;
        let hold_expires_at = booking.hold_millis.map(|millis| self.at.plus_millis(millis).min(seat.start));
        let row = Appointment {
            id: booking.appointment,
            patient: booking.patient,
            start: seat.start,
            end,
            place: seat.place,
            status: if hold_expires_at.is_some() { Status::Held } else { Status::Booked },
            hold_expires_at,
            cancellation_reason: None,
            created_at: self.at,
            updated_at: self.at,
            version: 1,
        };
        Ok(Effect::Row { fact: Some(Fact::Taken), from: None, row })
    }

    /// The seat that fulfils `wish`, and the end of its slot. Places that are open to the caller only through an audience
    /// go first, so that those for everyone last longer; within that the lowest number.
    pub(super) fn find_seat(&self, wish: &Wish<'_>) -> Result<(Seat, UtcMillis), Rejection> {
        let admission = self.admission();
        let admitted = admission.admit(wish.start, wish.audiences)?;
        let places = self.places();
        let first = admission.find(&admitted, &*places)?;
        let slot = self.suitable(wish, admitted.open, first, &places)?;
        let reserved = admitted.open.without(admission.open_to_everyone());
        let place = places.lowest_free(slot, reserved).or_else(|| places.lowest_free(slot, admitted.open));
        let place = place.ok_or(Rejection::SlotTaken)?;
        let slot = &self.definition.slots[slot];
        Ok((Seat { start: slot.start, place }, slot.end))
    }

    /// The first slot from `first` on that has a place in `open` and at which the patient is nowhere else; only `first`
    /// itself if a start was named.
    fn suitable(&self, wish: &Wish<'_>, open: ClassSet, first: usize, places: &Places) -> Result<usize, Rejection> {
        let here = self.live_appointment_of(wish)?;
        if here.is_none() && wish.busy.is_empty() {
            return Ok(first);
        }
        let last = if wish.start.is_some() { first + 1 } else { self.definition.slots.len() };
        let mut in_the_way = here;
        for slot in (first..last).filter(|slot| open.iter().any(|class| places.untaken(*slot, class) > 0)) {
            let offered = &self.definition.slots[slot];
            let overlapping = wish.busy.iter().filter(|busy| busy.overlaps(offered.start, offered.end));
            let elsewhere = overlapping.map(|busy| (busy.start, busy.appointment)).min();
            if here.is_none() && elsewhere.is_none() {
                return Ok(slot);
            }
            in_the_way = in_the_way.into_iter().chain(elsewhere).min();
        }
        Err(in_the_way.map_or(Rejection::SoldOut, |(_, appointment)| Rejection::AlreadyBooked { appointment }))
    }

    /// The earliest other appointment of the patient on this day whose visit is still to come; `Arriving` if it is not
    /// settled whether there is one.
    fn live_appointment_of(&self, wish: &Wish<'_>) -> Result<Option<(UtcMillis, AppointmentId)>, Rejection> {
        let is_other = |row: &Appointment| row.patient == wish.patient && row.id != wish.appointment;
        if self.day.arrivals.values().any(|arrival| is_other(&arrival.row)) {
            return Err(Rejection::Arriving);
        }
        let rows = self.day.patients.of(wish.patient).filter_map(|id| self.day.appointments.get(id));
        let counts = |row: &Appointment| !planted!(HeldPlaceNotCounted) || row.status == Status::Booked;
        let live = rows.filter(|row| is_other(row) && row.is_live_at(self.at) && counts(row));
        Ok(live.map(|row| (row.start, row.id)).min())
    }
}
