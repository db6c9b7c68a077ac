//! How records of a day are chained: each link covers its predecessor.
//! Must not know: where links are stored.

use booking_core::{DayKey, DayVersion};
use sha2::{Digest, Sha256};

use super::{ChainHash, Head, LoadedDay, NewRecord, StoredRecord, StoredSnapshot};

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

/// Why a record does not continue the log before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ChainBreak {
    /// Its number is not the next one.
    #[error("sequence {found} stands where {expected} belongs")]
    Gap {
        /// The next number.
        expected: u64,
        /// The record's number.
        found: u64,
    },
    /// It was written under an older epoch than its predecessor.
    #[error("the epoch falls back at sequence {sequence}")]
    EpochFallsBack {
        /// The record's number.
        sequence: u64,
    },
    /// Its link does not cover its predecessor, its version and its body.
    #[error("the chain breaks at sequence {sequence}")]
    WrongLink {
        /// The record's number.
        sequence: u64,
    },
    /// The records end elsewhere than the head says.
    #[error("the log ends at sequence {found}, its head says {expected}")]
    WrongEnd {
        /// Sequence of the head.
        expected: u64,
        /// Sequence of the last record.
        found: u64,
    },
}

/// Where the log of `day` ends after one more record; an error if the record does not continue `head`.
pub fn follow(head: Head, day: DayKey, version: DayVersion, hash: ChainHash, body: &[u8]) -> Result<Head, ChainBreak> {
    if version.sequence != head.version.sequence.saturating_add(1) {
        return Err(ChainBreak::Gap { expected: head.version.sequence.saturating_add(1), found: version.sequence });
    }
    if version.epoch < head.version.epoch {
        return Err(ChainBreak::EpochFallsBack { sequence: version.sequence });
    }
    if link(head.hash, day, version, body) != hash {
        return Err(ChainBreak::WrongLink { sequence: version.sequence });
    }
    Ok(Head { version, hash })
}

/// Where the log ends after `tail`; the first break, with the position of the record, if it does not continue `head`.
pub fn follow_all(head: Head, tail: &[StoredRecord]) -> Result<Head, (ChainBreak, u64)> {
    tail.iter().try_fold(head, |head, record| {
        follow(head, record.day, record.version, record.hash, &record.body).map_err(|broken| (broken, record.position))
    })
}

/// Whether `loaded` is whole: the tail continues the snapshot (or the empty log) and ends at the head. Says where the
/// first break is, in words.
pub fn verify(loaded: &LoadedDay) -> Result<(), String> {
    let start = loaded.snapshot.as_ref().map(|snapshot| snapshot.head).unwrap_or_default();
    let end = follow_all(start, &loaded.tail).map_err(|(broken, position)| format!("position {position}: {broken}"))?;
    if end == loaded.head {
        return Ok(());
    }
    let broken = if end.version.sequence == loaded.head.version.sequence {
        ChainBreak::WrongLink { sequence: end.version.sequence }
    } else {
        ChainBreak::WrongEnd { expected: loaded.head.version.sequence, found: end.version.sequence }
    };
    Err(broken.to_string())
}

/// What protects a stored snapshot: covers its day, its head and its bytes.
pub fn snapshot_checksum(snapshot: &StoredSnapshot) -> ChainHash {
    link(snapshot.head.hash, snapshot.day, snapshot.head.version, &snapshot.bytes)
}

/// The next record of `day` after `head`, written under `epoch`, with its link.
pub fn next_record(head: Head, day: DayKey, epoch: u32, body: std::sync::Arc<[u8]>) -> NewRecord {
    let version = DayVersion { epoch, sequence: head.version.sequence.saturating_add(1) };
    NewRecord { version, hash: link(head.hash, day, version, &body), body }
}

#[cfg(test)]
mod tests {
    use booking_core::{Date, DoctorId};

    use super::*;

    fn day() -> DayKey {
        DayKey { doctor: DoctorId::from_bytes([7; 16]), date: Date::from_civil(2026, 3, 2).expect("a date") }
    }

    fn stored(head: Head, position: u64) -> StoredRecord {
        let record = next_record(head, day(), 1, position.to_be_bytes().to_vec().into());
        let NewRecord { version, hash, body } = record;
        StoredRecord { day: day(), shard: day().shard(), position, version, hash, body }
    }

    fn chain(length: u64) -> Vec<StoredRecord> {
        let mut head = Head::default();
        (1..=length)
            .map(|position| {
                let record = stored(head, position);
                head = Head { version: record.version, hash: record.hash };
                record
            })
            .collect()
    }

    #[test]
    fn a_chain_continues_its_head() {
        let records = chain(4);
        let end = follow_all(Head::default(), &records).expect("it continues");
        assert_eq!(end, Head { version: records[3].version, hash: records[3].hash });
        let middle = Head { version: records[1].version, hash: records[1].hash };
        assert_eq!(follow_all(middle, &records[2..]), Ok(end));
    }

    #[test]
    fn every_break_is_found_where_it_is() {
        let whole = chain(4);
        let mut gap = whole.clone();
        gap.remove(2);
        assert_eq!(follow_all(Head::default(), &gap), Err((ChainBreak::Gap { expected: 3, found: 4 }, 4)));

        let mut flipped = whole.clone();
        flipped[1].body = vec![9].into();
        assert_eq!(follow_all(Head::default(), &flipped), Err((ChainBreak::WrongLink { sequence: 2 }, 2)));

        let mut renamed = whole.clone();
        renamed[3].version.epoch = 0;
        assert_eq!(follow_all(Head::default(), &renamed), Err((ChainBreak::EpochFallsBack { sequence: 4 }, 4)));

        let cut = LoadedDay { snapshot: None, tail: whole[..3].to_vec(), head: Head::default() };
        assert!(verify(&cut).is_err());
    }
}
