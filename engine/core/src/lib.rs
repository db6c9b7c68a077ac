//! The rules of booking: a pure state machine of one doctor-day.
//!
//! The contract in one page: `decide(&day, &command, at)` says what a command leads to and changes nothing;
//! `apply(&mut day, version, &event)` adopts what was decided and cannot fail. Time is an argument and is recorded in
//! the event, so that a replay needs no clock. One command = one event = one record, with all its effects inside.
//!
//! Must not know: async, IO, the clock, randomness, HTTP, SQL, time-zone rules.

/// Whether the named [`planted::Bug`] is planted on this thread.
#[cfg(feature = "testing")]
#[macro_export]
macro_rules! planted {
    ($bug:ident) => {
        $crate::planted::is_planted($crate::planted::Bug::$bug)
    };
}

/// Whether the named bug is planted: never, in a build without the feature `testing`.
#[cfg(not(feature = "testing"))]
#[macro_export]
macro_rules! planted {
    ($bug:ident) => {
        false
    };
}

mod admission;
mod apply;
pub mod appointment;
pub mod codec;
pub mod command;
pub mod day;
pub mod decide;
pub mod definition;
pub mod event;
mod hash;
pub mod id;
pub mod invariant;
mod layout;
mod patients;
mod places;
#[cfg(feature = "testing")]
pub mod planted;
mod register;
pub mod rejection;
pub mod snapshot;
pub mod time;
mod validate;

pub use appointment::{Appointment, PersonalText, Status};
pub use codec::{DecodeError, decode_event, encode_event};
pub use command::{
    Action, Answer, Arriving, Booking, Busy, Command, Envelope, Fingerprint, Leaving, Precondition, Relocation,
    RequestKey, Role,
};
pub use day::{
    ARRIVAL_PATIENCE_MILLIS, Arrival, Closure, DayVersion, Departure, DoctorDay, KEYS_PER_SUBJECT_MAX, RememberedKey,
};
pub use decide::{Decision, Success};
pub use definition::{DayDefinition, DefinitionError, Release, SlotDefinition};
pub use event::{Change, Event, Fact, Home, Seat};
pub use id::{AppointmentId, DayKey, DoctorId, MoveId, PatientId, RequestId, SHARD_COUNT, SubjectId};
pub use rejection::Rejection;
pub use snapshot::{DaySnapshot, DayState, PlaceTotals, SlotCounts};
pub use time::{Date, UtcMillis};
