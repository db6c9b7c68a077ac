//! What a patient's place in a slot is, and which states it passes through.
//! Must not know: how a place was found, who may see it, how it is stored.

use crate::id::{AppointmentId, PatientId};
use crate::time::UtcMillis;

/// Where an appointment stands. `Completed` is never stored: it follows from `Booked` and the clock
/// (see [`Appointment::status_at`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Status {
    /// Keeps its place until `hold_expires_at` unless it is confirmed (FHIR `pending`).
    Held,
    /// Confirmed (FHIR `booked`).
    Booked,
    /// Taken back by the patient, the doctor or an admin; its place is free again.
    Cancelled,
    /// A hold that was not confirmed in time; its place is free again.
    Expired,
    /// The patient did not come; the place stays taken.
    NoShow,
    /// Booked, and its end has passed. Derived, never stored.
    Completed,
}

impl Status {
    /// Every status, in the order of declaration.
    pub const ALL: [Self; 6] =
        [Self::Held, Self::Booked, Self::Cancelled, Self::Expired, Self::NoShow, Self::Completed];

    /// The one word for it, the same in every store and every answer.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Booked => "booked",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::NoShow => "no_show",
            Self::Completed => "completed",
        }
    }

    /// Whether an appointment in this status occupies its place.
    pub const fn takes_place(self) -> bool {
        matches!(self, Self::Held | Self::Booked | Self::NoShow | Self::Completed)
    }

    /// Whether the visit is still to come: it blocks another booking of the same patient.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Held | Self::Booked)
    }
}

/// Text that a person wrote about a person. Kept apart from everything else so that it can be erased by
/// throwing a key away: `key` names the key that `bytes` is sealed with, 0 means plain UTF-8.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PersonalText {
    /// Number of the sealing key; 0 = not sealed.
    pub key: u32,
    /// The text, sealed or plain UTF-8.
    pub bytes: Box<[u8]>,
}

impl PersonalText {
    /// `text` unsealed (key 0).
    pub fn plain(text: &str) -> Self {
        Self { key: 0, bytes: text.as_bytes().into() }
    }

    /// The text, if it is not sealed.
    pub fn as_plain(&self) -> Option<&str> {
        if self.key == 0 { std::str::from_utf8(&self.bytes).ok() } else { None }
    }
}

/// One appointment, whole. Records carry it after every change, so that readers behind the journal need no
/// other state to know it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Appointment {
    /// Stays the same for ever.
    pub id: AppointmentId,
    /// Whose visit.
    pub patient: PatientId,
    /// Start of the slot: its identity within the day. A whole second.
    pub start: UtcMillis,
    /// End of the slot, exclusive.
    pub end: UtcMillis,
    /// Which of the slot's places, counted from 0; never renumbered.
    pub place: u32,
    /// The stored status; ask [`Appointment::status_at`] for what a reader is told.
    pub status: Status,
    /// Of a held or expired one: when the hold ends. `None` otherwise.
    pub hold_expires_at: Option<UtcMillis>,
    /// Of a cancelled one: why, if somebody said so.
    pub cancellation_reason: Option<PersonalText>,
    /// When it was held or booked first.
    pub created_at: UtcMillis,
    /// When it changed last.
    pub updated_at: UtcMillis,
    /// 1 at birth, one more at every change.
    pub version: u32,
}

impl Appointment {
    /// The status a reader is told at `now`: `Completed` once the end of a booked visit has passed. A hold that
    /// is due is **not** told as expired here: its expiry is made durable first (`protocols.md` rule 4).
    pub fn status_at(&self, now: UtcMillis) -> Status {
        if self.status == Status::Booked && now >= self.end { Status::Completed } else { self.status }
    }

    /// Whether this is a hold whose time has come at `now` (now ≥ `hold_expires_at`).
    pub fn is_due(&self, now: UtcMillis) -> bool {
        self.status == Status::Held && self.hold_expires_at.is_some_and(|due| now >= due)
    }

    /// Whether the visit is still to come at `now`.
    pub fn is_live_at(&self, now: UtcMillis) -> bool {
        self.status_at(now).is_live() && !self.is_due(now)
    }
}
