//! What can go wrong when the engine is asked something: typed, without HTTP words.
//! Must not know: status codes, JSON.

use booking_core::Rejection;

/// Why the engine gave no success.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub enum EngineError {
    /// The rules say no.
    #[error("{0}")]
    Rejected(#[from] Rejection),
    /// Shed on purpose: nothing was done. Try again after about this long.
    #[error("overloaded")]
    Overloaded {
        /// A hint for the caller.
        retry_after_millis: u64,
    },
    /// The storage is away, or this day is parked: nothing was done, or the same key tells what happened.
    #[error("storage unavailable: {0}")]
    Unavailable(String),
    /// This process does not speak for the shard: nothing was done. Whoever does may be known ([`crate::ownership::Territory`]).
    #[error("shard {shard} is not here")]
    NotHere {
        /// Which.
        shard: u16,
    },
    /// The refusal that a twin in flight was given, repeated to this caller.
    #[error("{0}")]
    Repeated(Box<EngineError>),
    /// A defect of this program; the cause is in the log.
    #[error("internal error: {0}")]
    Internal(String),
}
