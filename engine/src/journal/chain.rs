//! How records of a day are chained: each link covers its predecessor.
//! Must not know: where links are stored.

use booking_core::{DayKey, DayVersion};
use sha2::{Digest, Sha256};

use super::ChainHash;

/// The link of the record `version` of `day` with `body`, after a record whose link is `previous`: SHA-256 over
/// previous (16 bytes), day (20), epoch (4, big-endian), sequence (8, big-endian) and body, cut to 16 bytes.
pub fn link(previous: ChainHash, day: DayKey, version: DayVersion, body: &[u8]) -> ChainHash {
    let mut digest = Sha256::new();
    digest.update(previous.0);
    digest.update(day.to_bytes());
    digest.update(version.epoch.to_be_bytes());
    digest.update(version.sequence.to_be_bytes());
    digest.update(body);
    let full = digest.finalize();
    let mut cut = [0; 16];
    cut.copy_from_slice(&full[..16]);
    ChainHash(cut)
}
