//! How events and whole days are written as bytes: versioned, compact, checked on the way in.
//! Must not know: checksums and framing of the journal, what an event means.

mod bytes;
mod days;
mod events;
mod keys;
mod moves;
mod rows;

use bytes::Reader;
pub use events::{decode_event, encode_event};

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

fn read_version(reader: &mut Reader<'_>, known: u8) -> Result<(), DecodeError> {
    match reader.byte("version")? {
        found if found == known => Ok(()),
        found => Err(DecodeError::UnknownVersion { found }),
    }
}
