//! Why a doctor-day says no: typed, in the contract's order of refusals, without HTTP words.
//! Must not know: status codes, JSON, who reads it.

use crate::id::{AppointmentId, DayKey};
use crate::time::{Date, UtcMillis};

/// A refusal. The order of the variants is the order in which they are tested (contract section 3).
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Rejection {
    /// The day was never published.
    #[error("there is no such day")]
    UnknownDay,
    /// No appointment with that id on this day.
    #[error("there is no such appointment")]
    UnknownAppointment,
    /// The appointment is on another day now: ask there. Never told to a caller.
    #[error("the appointment is on another day")]
    MovedAway {
        /// Which.
        to: DayKey,
    },
    /// A place is kept for the appointment (or for another one of the patient), and whether it comes is not settled: ask
    /// again when it is. Never told to a caller.
    #[error("an appointment is on its way to this day")]
    Arriving,
    /// The move was given up, or the appointment has changed since it was prepared. Never told to a caller.
    #[error("the move was given up")]
    MoveGivenUp,
    /// The key is remembered with another request.
    #[error("this idempotency key was used for another request")]
    KeyReused,
    /// The caller has as many remembered successes on this day as are kept.
    #[error("too many remembered keys of one subject on one day")]
    TooManyKeys,
    /// `If-Match` does not hold.
    #[error("the day has changed")]
    PreconditionFailed,
    /// A hold that was to be confirmed has expired.
    #[error("the hold has expired")]
    HoldExpired,
    /// The appointment's status, or the time, does not allow this.
    #[error("the appointment cannot be changed in this way any more")]
    NotChangeable,
    /// The day is closed, or the slot has begun.
    #[error("the day is closed")]
    Closed,
    /// Before the release that would admit this caller.
    #[error("not released yet")]
    NotReleased {
        /// The next release that opens something for this caller.
        release_at: UtcMillis,
    },
    /// The day has no slot with that start.
    #[error("there is no such slot")]
    UnknownSlot,
    /// The given slot is full.
    #[error("the slot is taken")]
    SlotTaken,
    /// No slot is free.
    #[error("the day is sold out")]
    SoldOut,
    /// The patient has a live appointment already.
    #[error("the patient already has an appointment")]
    AlreadyBooked {
        /// Which.
        appointment: AppointmentId,
    },
    /// Slots overlap those of another day of the doctor. Found by the engine, which sees more than one day.
    #[error("slots overlap another day of the doctor")]
    OverlapsOtherDay {
        /// The other day's date.
        date: Date,
    },
    /// Removing, moving or shortening a slot with places taken, or a capacity below them.
    #[error("a slot with places taken cannot be removed, moved or made smaller")]
    SlotHasBookings {
        /// The slot.
        start: UtcMillis,
    },
}

impl Rejection {
    /// Whether it only says where or when to ask again: never told to a caller.
    pub const fn is_internal(&self) -> bool {
        matches!(self, Self::MovedAway { .. } | Self::Arriving | Self::MoveGivenUp)
    }
}
