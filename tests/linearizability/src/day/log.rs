//! What a client notes of its calls: what was asked, what was answered, and when. The form in which a history is kept.
//! Must not know: how a day decides, how calls are sent.

use serde::{Deserialize, Serialize};

pub use crate::search::OPEN;

/// Everything that was recorded of one run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Log {
    /// Of each day, by number: the capacity of each of its slots, in order of time.
    pub days: Vec<Vec<u16>>,
    /// The calls, in any order.
    pub records: Vec<Record>,
    /// When the recording ended, in microseconds of its own scale.
    pub ended_micros: u64,
}

/// One call. Instants are microseconds on the recording's own monotonic scale.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Who called.
    pub client: u32,
    /// Before the first byte was sent.
    pub invoked_micros: u64,
    /// After the last byte of the answer came. Without an answer: the instant after which the call can have no effect any more
    /// (the end of the process that it was sent to), or [`OPEN`].
    pub settled_micros: u64,
    /// What was asked.
    pub call: Call,
    /// What came back.
    pub answer: Answer,
}

/// What was asked. Days, slots, patients, keys and appointments are numbers of the recording.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Call {
    /// Book, or hold for so long.
    Take {
        /// Of which day.
        day: u32,
        /// Which slot; `None`: the earliest free one.
        slot: Option<u8>,
        /// For whom.
        patient: u32,
        /// Idempotency key.
        key: u32,
        /// How long the place is to be kept; `None`: book.
        hold_millis: Option<u32>,
    },
    /// Confirm a held appointment.
    Confirm {
        /// Which.
        appointment: u32,
        /// Where it stands.
        day: u32,
        /// Idempotency key.
        key: Option<u32>,
    },
    /// Cancel an appointment.
    Cancel {
        /// Which.
        appointment: u32,
        /// Where it stands.
        day: u32,
        /// Idempotency key.
        key: Option<u32>,
    },
    /// Give an appointment another place.
    Move {
        /// Which.
        appointment: u32,
        /// Where it stands.
        from: u32,
        /// Where it is to go.
        to: u32,
        /// To which slot; `None`: the earliest free one.
        slot: Option<u8>,
        /// Idempotency key.
        key: Option<u32>,
    },
    /// Read how many places are left.
    ReadDay {
        /// Of which day.
        day: u32,
    },
    /// Read an appointment.
    ReadAppointment {
        /// Which.
        appointment: u32,
    },
}

/// What came back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// An appointment.
    Row {
        /// As it was told.
        row: Row,
        /// A digest of the whole body: two answers with the same one are the same.
        digest: u64,
        /// Whether it said that it repeats an earlier answer.
        replayed: bool,
    },
    /// A day.
    Day {
        /// Places left of each slot.
        remaining: Vec<u16>,
        /// Whether its state was `sold_out`.
        sold_out: bool,
    },
    /// A refusal.
    Refused(Code),
    /// Nothing, or a word that the outcome is not known: it may or may not have happened.
    Unknown,
}

/// An appointment as an answer tells of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Which.
    pub appointment: u32,
    /// Whose.
    pub patient: u32,
    /// On which day.
    pub day: u32,
    /// In which slot.
    pub slot: u8,
    /// Its status.
    pub status: Status,
    /// Its version.
    pub version: u16,
    /// Until when it is held, on the recording's scale.
    pub expires_at_micros: Option<u64>,
    /// When it last changed, on the recording's scale: believed only as a hint.
    pub updated_at_micros: u64,
}

/// The contract's status, of visits that are still to come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Status {
    /// Keeps a place until it is confirmed.
    Held,
    /// Has a place.
    Booked,
    /// Gave it back.
    Cancelled,
    /// Was not confirmed in time.
    Expired,
}

/// Why something was refused: the contract's codes that say something of a day's state.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the contract's")]
pub enum Code {
    SlotTaken,
    SoldOut,
    AlreadyBooked,
    NotChangeable,
    HoldExpired,
}

impl Call {
    /// The key it was sent under.
    pub fn key(&self) -> Option<u32> {
        match self {
            Self::Take { key, .. } => Some(*key),
            Self::Confirm { key, .. } | Self::Cancel { key, .. } | Self::Move { key, .. } => *key,
            Self::ReadDay { .. } | Self::ReadAppointment { .. } => None,
        }
    }
}
