//! What the engine tells its callers: questions and answers as plain values.
//! Must not know: JSON, HTTP, who may see what.

use std::sync::Arc;

use booking_core::{
    AppointmentId, Booking, Date, DayDefinition, DayKey, DaySnapshot, DayVersion, DoctorId, Envelope, PersonalText,
    Precondition, RequestKey, UtcMillis,
};

pub use crate::ledger::{AppointmentQuery, AppointmentScope, HistoryItem, PlacedAppointment};

/// A day as everyone may see it.
#[derive(Clone, Debug)]
pub struct DayView {
    /// Which day.
    pub day: DayKey,
    /// Durable state.
    pub snapshot: Arc<DaySnapshot>,
    /// The engine's time at which `snapshot` is to be read.
    pub now: UtcMillis,
}

/// Days of a doctor, by date.
#[derive(Clone, Debug)]
pub struct DaysReply {
    /// Those that this process speaks for.
    pub views: Vec<DayView>,
    /// Those that it does not, published or not: whoever does knows them.
    pub elsewhere: Vec<DayKey>,
}

/// Who asks, under which key: common to all commands.
#[derive(Clone, Debug)]
pub struct Caller {
    /// For the record.
    pub envelope: Envelope,
    /// The idempotency key, if one was given.
    pub key: Option<RequestKey>,
}

/// Take a place on `day`. `booking.appointment` is replaced by an id that the engine makes.
#[derive(Clone, Debug)]
pub struct BookRequest {
    /// Which day.
    pub day: DayKey,
    /// The wish.
    pub booking: Booking,
    /// Who asks.
    pub caller: Caller,
}

/// Change one appointment.
#[derive(Clone, Debug)]
pub enum AppointmentAction {
    /// Hold → booked.
    Confirm,
    /// Give the place back.
    Cancel {
        /// Why, if said.
        reason: Option<PersonalText>,
    },
    /// The patient did not come.
    NoShow,
}

/// Give an appointment another place, on whatever day.
#[derive(Clone, Debug)]
pub struct RescheduleRequest {
    /// Which.
    pub id: AppointmentId,
    /// The doctor to go to; `None`: the one that it is with.
    pub doctor: Option<DoctorId>,
    /// The date to go to.
    pub date: Date,
    /// The slot; `None`: the earliest free one that suits.
    pub start: Option<UtcMillis>,
    /// Audiences whose releases the caller may use.
    pub audiences: Arc<[Box<str>]>,
    /// Who asks.
    pub caller: Caller,
}

/// The answer to a command on an appointment.
#[derive(Clone, Debug)]
pub struct AppointmentReply {
    /// The appointment as answered (the first answer, if `replayed`).
    pub placed: PlacedAppointment,
    /// Another request under the same key was answered first: this is its answer again.
    pub replayed: bool,
    /// The engine's time of the answer.
    pub now: UtcMillis,
}

/// Create or replace a day.
#[derive(Clone, Debug)]
pub struct PublishRequest {
    /// Which day.
    pub day: DayKey,
    /// Validated.
    pub definition: Arc<DayDefinition>,
    /// `If-Match`, if given.
    pub precondition: Option<Precondition>,
    /// Who asks.
    pub caller: Caller,
}

/// The answer to a command on a day.
#[derive(Clone, Debug)]
pub struct DayReply {
    /// The day after the command.
    pub view: DayView,
    /// The version that the answer names: that of `view`, except in a replay.
    pub version: DayVersion,
    /// The day did not exist before.
    pub created: bool,
    /// Another request under the same key was answered first: this is its answer again (`view.now` is its instant).
    pub replayed: bool,
}

/// Which appointment, on which day: what a command on an appointment needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AppointmentAddress {
    /// The day it stands on.
    pub day: DayKey,
    /// The appointment.
    pub id: AppointmentId,
}

/// Whether the engine can take bookings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Readiness {
    /// Yes.
    Ready,
    /// No: the named part is why.
    NotReady {
        /// Such as `journal`, `claims`, `ownership`, `ledger_lag`, `clock`, `starting`, `stopping`.
        part: &'static str,
        /// In words.
        detail: String,
    },
}
