//! How an appointment passes from one status to another: confirm, cancel, no-show.
//! Must not know: how it came to its place, keys.

use super::Effect;
use super::moment::{Moment, changed};
use crate::appointment::{Appointment, PersonalText, Status};
use crate::event::Fact;
use crate::id::AppointmentId;
use crate::rejection::Rejection;

impl Moment<'_> {
    /// Held → booked. Of a booked one, even after its end: unchanged.
    pub(super) fn confirm(&self, id: AppointmentId) -> Result<Effect, Rejection> {
        let row = self.row(id)?;
        match row.status {
            Status::Held => {
                let confirmed = Appointment { hold_expires_at: None, ..changed(&row, Status::Booked, self.at) };
                Ok(replaced(&row, Fact::Confirmed, confirmed))
            }
            Status::Booked | Status::Completed => Ok(unchanged(&row)),
            Status::Expired => Err(Rejection::HoldExpired),
            Status::Cancelled | Status::NoShow => Err(Rejection::NotChangeable),
        }
    }

    /// Held or booked → cancelled, before the start. Of a cancelled one: unchanged.
    pub(super) fn cancel(&self, id: AppointmentId, reason: Option<&PersonalText>) -> Result<Effect, Rejection> {
        let row = self.row(id)?;
        match row.status {
            Status::Held | Status::Booked if self.at < row.start => {
                let cancelled = Appointment {
                    hold_expires_at: None,
                    cancellation_reason: reason.cloned(),
                    ..changed(&row, Status::Cancelled, self.at)
                };
                Ok(replaced(&row, Fact::Cancelled, cancelled))
            }
            Status::Cancelled => Ok(unchanged(&row)),
            Status::Held | Status::Booked | Status::Completed | Status::Expired | Status::NoShow => {
                Err(Rejection::NotChangeable)
            }
        }
    }

    /// Booked → no-show, from the start on (also after the end: a doctor may say so in the evening). Of a no-show:
    /// unchanged.
    pub(super) fn no_show(&self, id: AppointmentId) -> Result<Effect, Rejection> {
        let row = self.row(id)?;
        match row.status {
            Status::Booked if self.at >= row.start => {
                Ok(replaced(&row, Fact::NoShow, changed(&row, Status::NoShow, self.at)))
            }
            Status::NoShow => Ok(unchanged(&row)),
            Status::Held | Status::Booked | Status::Completed | Status::Expired | Status::Cancelled => {
                Err(Rejection::NotChangeable)
            }
        }
    }
}

fn replaced(before: &Appointment, fact: Fact, row: Appointment) -> Effect {
    Effect::Row { fact: Some(fact), from: Some(before.status), row }
}

fn unchanged(row: &Appointment) -> Effect {
    Effect::Row { fact: None, from: Some(row.status), row: row.clone() }
}
