//! The name of an idempotency key in every index across days: a digest, so that none says what a caller wrote.
//! Must not know: who keeps it.

use booking_core::SubjectId;
use sha2::{Digest, Sha256};

/// SHA-256 over subject and key, cut to 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyDigest(pub [u8; 16]);

impl KeyDigest {
    /// Of the key of `subject`.
    pub fn of(subject: SubjectId, key: &str) -> Self {
        let digest = Sha256::new().chain_update(subject.as_bytes()).chain_update(key.as_bytes()).finalize();
        let mut cut = [0; 16];
        cut.copy_from_slice(&digest[..16]);
        Self(cut)
    }
}
