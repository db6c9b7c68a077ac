//! How events and whole days are written as bytes: versioned, compact, checked on the way in.
//! Must not know: checksums and framing of the journal, what an event means.

use crate::day::DoctorDay;
use crate::event::Event;

/// Bytes that are no event or no day.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// Written by a program that this one does not know.
    #[error("format version {found} is not known to this program")]
    UnknownVersion {
        /// The version byte.
        found: u8,
    },
    /// The bytes end too early.
    #[error("the bytes end at offset {offset}, inside {what}")]
    Truncated {
        /// Where.
        offset: usize,
        /// What was being read.
        what: &'static str,
    },
    /// A value that cannot be.
    #[error("{what} at offset {offset} is not valid")]
    Invalid {
        /// Where.
        offset: usize,
        /// What was being read.
        what: &'static str,
    },
    /// Bytes are left over.
    #[error("{count} bytes are left over")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
}

/// `event` as bytes, version byte first.
pub fn encode_event(event: &Event) -> Vec<u8> {
    let _ = event;
    todo!("core helper")
}

/// The inverse of [`encode_event`]. Never panics, never allocates more than a small multiple of `bytes.len()`.
pub fn decode_event(bytes: &[u8]) -> Result<Event, DecodeError> {
    let _ = bytes;
    todo!("core helper")
}

impl DoctorDay {
    /// This state as bytes: the form of a sleeping day and of a journal snapshot. Deterministic: equal states give
    /// equal bytes.
    pub fn pack(&self) -> Vec<u8> {
        todo!("core helper")
    }

    /// The inverse of [`DoctorDay::pack`]. Never panics on any input.
    pub fn unpack(bytes: &[u8]) -> Result<Self, DecodeError> {
        let _ = bytes;
        todo!("core helper")
    }
}
