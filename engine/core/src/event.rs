//! What has happened to a doctor-day: facts that are journaled. One command = one event = one record.
//! Must not know: how records are framed, hashed or stored.

use std::sync::Arc;

use crate::appointment::{Appointment, PersonalText, Status};
use crate::command::{Answer, Envelope, RequestKey};
use crate::definition::DayDefinition;
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
}

/// One appointment before and after.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The stored status before; `None` for a new appointment.
    pub from: Option<Status>,
    /// The appointment after, whole.
    pub row: Appointment,
}
