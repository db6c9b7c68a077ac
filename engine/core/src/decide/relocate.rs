//! How an appointment gets another place: within the day in one step, from day to day in the steps of `protocols.md` A.
//! Must not know: who drives a move, which attempts are pending, the other day's state.

use super::Effect;
use super::book::Wish;
use super::moment::{Moment, changed};
use crate::appointment::Appointment;
use crate::command::{Arriving, Leaving, Relocation};
use crate::event::{Fact, Seat};
use crate::id::{AppointmentId, MoveId};
use crate::rejection::Rejection;
use crate::time::UtcMillis;

impl Moment<'_> {
    /// Another place of this day. To its own place, or without a start if no earlier one suits: unchanged.
    pub(super) fn relocate(&self, relocation: &Relocation) -> Result<Effect, Rejection> {
        let row = self.changeable(relocation.appointment)?;
        let stays = || Effect::Row { fact: None, from: Some(row.status), row: row.clone() };
        if relocation.start == Some(row.start) {
            return Ok(stays());
        }
        let (seat, end) = match self.find_seat(&wish_of(&row, relocation)) {
            Ok((seat, _)) if relocation.start.is_none() && seat.start >= row.start => return Ok(stays()),
            Ok(found) => found,
            // Nothing else is free, or suits: so nothing earlier does.
            Err(Rejection::SoldOut | Rejection::AlreadyBooked { .. }) if relocation.start.is_none() => {
                return Ok(stays());
            }
            Err(rejection) => return Err(rejection),
        };
        let moved = seated(&changed(&row, row.status, self.at), seat, end);
        Ok(Effect::Row { fact: Some(Fact::Moved { from: Seat::of(&row) }), from: Some(row.status), row: moved })
    }

    /// Whether it may leave.
    pub(super) fn prepare_move(&self, id: AppointmentId) -> Result<Effect, Rejection> {
        let row = self.changeable(id)?;
        Ok(Effect::Row { fact: None, from: Some(row.status), row })
    }

    /// A place for one that is not here. Asked again for the same attempt: the same place. One that has moved in, and one
    /// that left in a later version, cannot come by this attempt: it is a late echo of one that is settled.
    pub(super) fn hold_for_move(&self, arriving: &Arriving) -> Result<Effect, Rejection> {
        if let Some(arrival) = self.day.arrivals.get(&arriving.move_id) {
            return Ok(Effect::Arrival { fact: None, row: arrival.row.clone() });
        }
        let id = arriving.row.id;
        if self.version_here(id).is_some_and(|version| version > arriving.row.version)
            || self.day.appointments.get(id).is_some()
        {
            return Err(Rejection::MoveGivenUp);
        }
        // Which of two attempts is alive only the other day knows: a second place is kept when the first is settled.
        if self.day.arrivals.values().any(|arrival| arrival.row.id == id) {
            return Err(Rejection::Arriving);
        }
        if !arriving.row.status.is_live() || arriving.row.is_due(self.at) {
            return Err(Rejection::NotChangeable);
        }
        let (seat, end) = self.find_seat(&wish_of(&arriving.row, &arriving.wish))?;
        let row = seated(&changed(&arriving.row, arriving.row.status, self.at), seat, end);
        let (move_id, from) = (arriving.move_id, arriving.from);
        let fact = Fact::MoveHeld { move_id, from, row: Box::new(row.clone()) };
        Ok(Effect::Arrival { fact: Some(fact), row })
    }

    /// The commit point: from here on the appointment stands on the other day.
    pub(super) fn commit_move(&self, leaving: &Leaving) -> Result<Effect, Rejection> {
        let row = self.changeable(leaving.appointment)?;
        if row.version != leaving.version {
            return Err(Rejection::MoveGivenUp);
        }
        if leaving.seat.start <= self.at {
            return Err(Rejection::Closed);
        }
        let fact = Fact::MovedOut { move_id: leaving.move_id, to: leaving.to.clone(), from: Seat::of(&row) };
        let moved = seated(&changed(&row, row.status, self.at), leaving.seat, leaving.end);
        Ok(Effect::Row { fact: Some(fact), from: Some(row.status), row: moved })
    }

    /// It has come in. If no place is kept for it, it is here already in this version or a later one, or was.
    pub(super) fn accept_move(&self, move_id: MoveId, row: &Appointment) -> Result<Effect, Rejection> {
        let fact = match self.day.arrivals.get(&move_id) {
            Some(arrival) if is_as_expected(row, &arrival.row) => {
                Some(Fact::MovedIn { move_id, row: Box::new(row.clone()) })
            }
            Some(_) => return Err(Rejection::MoveGivenUp),
            None if self.version_here(row.id).is_some_and(|version| version >= row.version) => None,
            None => return Err(Rejection::UnknownAppointment),
        };
        Ok(Effect::Arrival { fact, row: row.clone() })
    }

    /// It does not come.
    pub(super) fn drop_move(&self, move_id: MoveId) -> Effect {
        let arrival = self.day.arrivals.get(&move_id);
        Effect::Dropped {
            fact: arrival.map(|arrival| Fact::MoveDropped { move_id, row: Box::new(arrival.row.clone()) }),
        }
    }

    /// The version in which this day knows an appointment that is here, or has been.
    fn version_here(&self, id: AppointmentId) -> Option<u32> {
        let row = self.day.appointments.get(id);
        row.or_else(|| self.day.departures.get(&id).map(|departure| &departure.row)).map(|row| row.version)
    }

    /// An appointment of this day that is held or booked and has not begun.
    fn changeable(&self, id: AppointmentId) -> Result<Appointment, Rejection> {
        let row = self.row(id)?;
        if row.status.is_live() && self.at < row.start { Ok(row.into_owned()) } else { Err(Rejection::NotChangeable) }
    }
}

fn wish_of<'wish>(row: &Appointment, relocation: &'wish Relocation) -> Wish<'wish> {
    Wish {
        patient: row.patient,
        appointment: row.id,
        start: relocation.start,
        audiences: &relocation.audiences,
        busy: &relocation.busy,
    }
}

/// Whether `row` is what the place was kept for. The two days recorded it each at its own time.
fn is_as_expected(row: &Appointment, expected: &Appointment) -> bool {
    *row == Appointment { updated_at: row.updated_at, ..expected.clone() }
}

/// `row` in another seat. A hold keeps its end, but none lasts beyond the start of its slot.
fn seated(row: &Appointment, seat: Seat, end: UtcMillis) -> Appointment {
    Appointment {
        start: seat.start,
        end,
        place: seat.place,
        hold_expires_at: row.hold_expires_at.map(|expiry| expiry.min(seat.start)),
        ..row.clone()
    }
}
