//! What has happened to a doctor-day: facts that are journaled. One command = one event = one record.
//! Must not know: how records are framed, hashed or stored.

use std::sync::Arc;

use crate::appointment::{Appointment, PersonalText, Status};
use crate::command::{Answer, Envelope, RequestKey};
use crate::definition::DayDefinition;
use crate::id::{AppointmentId, DayKey, MoveId};
use crate::time::UtcMillis;

/// Everything one command did, all or nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// When it was decided: the only time that replay knows.
    pub at: UtcMillis,
    /// Who did it, under which request.
    pub envelope: Envelope,
    /// What it was.
    pub fact: Fact,
    /// Every appointment that changed, in order: holds that had expired first, then the command's own.
    pub changes: Vec<Change>,
    /// The key and first answer to remember, of a success under a key.
    pub remembered: Option<(RequestKey, Answer)>,
}

/// The kind of an event. Appointments live in [`Event::changes`]; a fact carries only what they do not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact {
    /// The day was created or replaced.
    Published(Arc<DayDefinition>),
    /// The day was closed.
    Closed {
        /// Why, if said.
        reason: Option<PersonalText>,
    },
    /// A place was taken, held or booked: the last change.
    Taken,
    /// A hold became a booking: the last change.
    Confirmed,
    /// A place was given back: the last change.
    Cancelled,
    /// A patient did not come: the last change.
    NoShow,
    /// Nothing but holds that had expired.
    Expired,
    /// A success under a key that changed nothing else (a confirm of a booked appointment, say): only the key is
    /// remembered, with any holds that had expired.
    Remembered,
    /// An appointment left one place of the day for another: the last change.
    Moved {
        /// The place that it left.
        from: Seat,
    },
    /// A place is kept for an appointment that is on its way in from another day, and not here yet (`protocols.md` A 3).
    MoveHeld {
        /// Which attempt.
        move_id: MoveId,
        /// Where the appointment still is.
        from: DayKey,
        /// As it is to be here.
        row: Box<Appointment>,
    },
    /// An appointment has come in. Its other day has recorded the change and told the reader: here it is no change.
    MovedIn {
        /// Which attempt.
        move_id: MoveId,
        /// As the other day let it go.
        row: Box<Appointment>,
    },
    /// An appointment does not come in: the place that was kept for it is free.
    MoveDropped {
        /// Which attempt.
        move_id: MoveId,
        /// As it was to be here.
        row: Box<Appointment>,
    },
    /// An appointment left for another day, where a place is kept for it: the commit point of a move. The last change is
    /// the appointment as it stands there.
    MovedOut {
        /// Which attempt.
        move_id: MoveId,
        /// Where it is now.
        to: Home,
        /// The place that it left here.
        from: Seat,
    },
}

/// One place of one slot of a day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Seat {
    /// Start of the slot.
    pub start: UtcMillis,
    /// Number of the place.
    pub place: u32,
}

impl Seat {
    /// Where `row` sits.
    pub const fn of(row: &Appointment) -> Self {
        Self { start: row.start, place: row.place }
    }
}

/// The day on which an appointment stands, with what its readers are told of that day.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Home {
    /// Which day.
    pub day: DayKey,
    /// The zone of its definition.
    pub time_zone: Arc<str>,
}

impl Event {
    /// The seats of this day that the event gives back, with who had them. Within one record they come before those that
    /// are taken.
    pub fn seats_left(&self) -> impl Iterator<Item = (Seat, AppointmentId)> {
        let given_back = |change: &&Change| took(change) && !change.row.status.takes_place();
        let by_status = self.changes.iter().filter(given_back).map(|change| (Seat::of(&change.row), change.row.id));
        let by_fact = match &self.fact {
            Fact::Moved { from } | Fact::MovedOut { from, .. } => self.changes.last().map(|last| (*from, last.row.id)),
            Fact::MoveDropped { row, .. } => Some((Seat::of(row), row.id)),
            _ => None,
        };
        by_status.chain(by_fact)
    }

    /// The seats of this day that the event takes, with who has them now.
    pub fn seats_taken(&self) -> impl Iterator<Item = (Seat, AppointmentId)> {
        let taken = |change: &&Change| !took(change) && change.row.status.takes_place();
        let by_status = self.changes.iter().filter(taken).map(|change| (Seat::of(&change.row), change.row.id));
        let by_fact = match &self.fact {
            Fact::Moved { .. } => self.changes.last().map(|last| (Seat::of(&last.row), last.row.id)),
            Fact::MoveHeld { row, .. } => Some((Seat::of(row), row.id)),
            _ => None,
        };
        by_status.chain(by_fact)
    }

    /// The home of the appointment of the last change, if that is another day than the one which records this.
    pub fn moved_to(&self) -> Option<&Home> {
        match &self.fact {
            Fact::MovedOut { to, .. } => Some(to),
            _ => None,
        }
    }
}

/// Whether the appointment had a place before.
fn took(change: &Change) -> bool {
    change.from.is_some_and(Status::takes_place)
}

/// One appointment before and after.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The stored status before; `None` for a new appointment.
    pub from: Option<Status>,
    /// The appointment after, whole.
    pub row: Appointment,
}
