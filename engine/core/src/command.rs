//! What the outside may ask of one doctor-day, and who asks.
//! Must not know: tokens, HTTP, other days.

use std::sync::Arc;

use crate::appointment::{Appointment, PersonalText};
use crate::day::DayVersion;
use crate::definition::DayDefinition;
use crate::event::{Home, Seat};
use crate::id::{AppointmentId, DayKey, MoveId, PatientId, RequestId, SubjectId};
use crate::time::UtcMillis;

/// In which capacity somebody acts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Role {
    /// For itself.
    Patient,
    /// For its own days.
    Doctor,
    /// For everyone.
    Admin,
    /// The engine itself: expiries, recoveries.
    System,
}

/// Who acts, and under which request: kept in every record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Envelope {
    /// The caller; for [`Role::System`] the nil UUID.
    pub subject: SubjectId,
    /// In which capacity.
    pub role: Role,
    /// The request that caused this, for the audit and the logs.
    pub request: RequestId,
}

/// A digest of route, path ids and the parsed body with its defaults: the same fingerprint means the same request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Fingerprint(pub [u8; 16]);

/// An `Idempotency-Key` in the scope of its subject, bound to a request.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RequestKey {
    /// Whose key. Keys of different subjects never meet.
    pub subject: SubjectId,
    /// 1 to 255 visible ASCII characters, opaque.
    pub key: Box<str>,
    /// What was asked under it.
    pub fingerprint: Fingerprint,
}

/// The first answer to a request, to be repeated whatever has happened since.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The appointment as it was then, on this day.
    Appointment(Appointment),
    /// The appointment as it was when it left for another day.
    Moved {
        /// The appointment, as it stood there.
        row: Appointment,
        /// Where.
        to: Home,
    },
    /// The day as it was closed then: version and instant are all that can differ later (a closed day keeps its
    /// definition).
    Closed {
        /// The version that the answer named.
        version: DayVersion,
        /// When it was answered.
        at: UtcMillis,
    },
}

/// One request to a doctor-day. `at` is the engine's time when it is decided, recorded in the event.
#[derive(Clone, Debug)]
pub struct Command {
    /// Who asks.
    pub envelope: Envelope,
    /// The idempotency key, if one came with the request.
    pub key: Option<RequestKey>,
    /// What is asked.
    pub action: Action,
}

impl Command {
    /// The engine's own: record every hold whose time has come.
    pub fn expire() -> Self {
        let nil = uuid::Uuid::nil();
        let envelope = Envelope { subject: SubjectId(nil), role: Role::System, request: RequestId(nil) };
        Self { envelope, key: None, action: Action::Expire }
    }
}

/// What is asked of a doctor-day.
#[derive(Clone, Debug)]
pub enum Action {
    /// Create or replace the whole day. The definition has been validated ([`DayDefinition::validate`]).
    Publish {
        /// The new definition.
        definition: Arc<DayDefinition>,
        /// `If-Match`, if given.
        precondition: Option<Precondition>,
    },
    /// Nothing more can be booked; what is booked stays.
    Close {
        /// Why, if said.
        reason: Option<PersonalText>,
    },
    /// Take a place.
    Book(Booking),
    /// Turn a hold into a booking.
    Confirm {
        /// Which.
        appointment: AppointmentId,
    },
    /// Give a place back.
    Cancel {
        /// Which.
        appointment: AppointmentId,
        /// Why, if said.
        reason: Option<PersonalText>,
    },
    /// The patient did not come.
    NoShow {
        /// Which.
        appointment: AppointmentId,
    },
    /// Record every hold whose time has come. Submitted by a timer, or by whoever meets a due hold.
    Expire,
    /// Give an appointment of this day another place of it.
    Move(Relocation),
    /// Whether an appointment of this day may leave it. Changes and remembers nothing.
    PrepareMove {
        /// Which attempt.
        move_id: MoveId,
        /// Which.
        appointment: AppointmentId,
    },
    /// Keep a place for an appointment of another day.
    HoldForMove(Arriving),
    /// Let an appointment go to the place that another day keeps for it.
    CommitMove(Leaving),
    /// Take in the appointment for which a place is kept. Of one that is here, or was: unchanged.
    AcceptMove {
        /// Which attempt.
        move_id: MoveId,
        /// As the other day let it go.
        row: Appointment,
    },
    /// Give back the place that is kept for an appointment which does not come. If none is kept: unchanged.
    DropMove {
        /// Which attempt.
        move_id: MoveId,
    },
}

/// A wish for a place.
#[derive(Clone, Debug)]
pub struct Booking {
    /// The id the appointment will have if it wins.
    pub appointment: AppointmentId,
    /// For whom.
    pub patient: PatientId,
    /// The slot; `None`: the earliest free one.
    pub start: Option<UtcMillis>,
    /// `None`: book at once. `Some`: hold for so many milliseconds, cut at the slot's start.
    pub hold_millis: Option<i64>,
    /// Audiences whose releases the caller may use, beyond those for everyone.
    pub audiences: Arc<[Box<str>]>,
    /// When the patient is elsewhere: slots that overlap do not suit.
    pub busy: Vec<Busy>,
}

/// A wish for another place for an appointment.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Relocation {
    /// Which.
    pub appointment: AppointmentId,
    /// The slot; `None`: the earliest free one (within the day: if it is earlier than the present one).
    pub start: Option<UtcMillis>,
    /// As in [`Booking`].
    pub audiences: Arc<[Box<str>]>,
    /// As in [`Booking`], without the appointment itself.
    pub busy: Vec<Busy>,
}

/// An appointment that is to come in from another day.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Arriving {
    /// Which attempt.
    pub move_id: MoveId,
    /// Where it is.
    pub from: DayKey,
    /// As it stands there.
    pub row: Appointment,
    /// Where it is to go; its appointment is that of `row`.
    pub wish: Relocation,
}

/// An appointment that is to leave for another day, which keeps a place for it.
#[derive(Clone, Debug)]
pub struct Leaving {
    /// Which attempt.
    pub move_id: MoveId,
    /// Which appointment.
    pub appointment: AppointmentId,
    /// Its version when the move was prepared: if it has changed since, the move is off.
    pub version: u32,
    /// Where to.
    pub to: Home,
    /// The place that is kept there.
    pub seat: Seat,
    /// End of that slot.
    pub end: UtcMillis,
}

/// A time at which a patient has another appointment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Busy {
    /// Which.
    pub appointment: AppointmentId,
    /// From.
    pub start: UtcMillis,
    /// Until, exclusive.
    pub end: UtcMillis,
}

impl Busy {
    /// Whether it overlaps `[start, end)`.
    pub fn overlaps(&self, start: UtcMillis, end: UtcMillis) -> bool {
        self.start < end && start < self.end
    }
}

/// A condition on the day's version (`If-Match`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Precondition {
    /// The day must exist.
    Exists,
    /// The day must be at this version.
    Version(DayVersion),
    /// A tag was given that no version of a day can have.
    Never,
}
