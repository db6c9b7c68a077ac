//! How records that were appended together lie in one block.
//! Must not know: SQL, and what a record means.

use std::sync::Arc;

use booking_core::{DayKey, DayVersion};

use crate::journal::{ChainHash, NewRecord, StoredRecord};

/// Epoch (4 bytes), length of the body (4 bytes) and link (16 bytes) precede each body.
const HEADER_BYTES: usize = 24;

/// A block as read.
pub(super) struct Block {
    pub(super) day: DayKey,
    /// Of its last record.
    pub(super) position: u64,
    pub(super) first_sequence: u64,
    pub(super) record_count: u64,
    pub(super) body: Vec<u8>,
}

/// Appends `records` to `buffer`. `None` if a body is 4 GiB or longer.
pub(super) fn encode(records: &[NewRecord], buffer: &mut Vec<u8>) -> Option<()> {
    for record in records {
        buffer.extend_from_slice(&record.version.epoch.to_be_bytes());
        buffer.extend_from_slice(&u32::try_from(record.body.len()).ok()?.to_be_bytes());
        buffer.extend_from_slice(&record.hash.0);
        buffer.extend_from_slice(&record.body);
    }
    Some(())
}

/// The records of `block`, in order; what is wrong, in words, if it is not whole.
pub(super) fn decode(block: &Block) -> Result<Vec<StoredRecord>, String> {
    // A block holds at most a batch; a damaged count must not reserve memory.
    let mut records = Vec::with_capacity(usize::try_from(block.record_count).unwrap_or(0).min(1024));
    let shard = block.day.shard();
    let mut rest = block.body.as_slice();
    while !rest.is_empty() {
        let index = records.len() as u64;
        let sequence = block.first_sequence.saturating_add(index);
        let (epoch, hash, body, after) = split(rest).ok_or_else(|| {
            format!("the block that ends at position {} is cut short at sequence {sequence}", block.position)
        })?;
        let position = (block.position + index + 1).saturating_sub(block.record_count);
        let version = DayVersion { epoch, sequence };
        records.push(StoredRecord { day: block.day, shard, position, version, hash, body: Arc::from(body) });
        rest = after;
    }
    if records.len() as u64 != block.record_count {
        return Err(format!(
            "the block that ends at position {} holds {} records, its row says {}",
            block.position,
            records.len(),
            block.record_count
        ));
    }
    Ok(records)
}

/// Epoch and link of the last record in the body of a block; `None` if it is not whole, or empty.
pub(super) fn last(body: &[u8]) -> Option<(u32, ChainHash)> {
    let (mut rest, mut last) = (body, None);
    while !rest.is_empty() {
        let (epoch, hash, _, after) = split(rest)?;
        (last, rest) = (Some((epoch, hash)), after);
    }
    last
}

/// Epoch, link and body of the first record, and the bytes after it; `None` if there are too few bytes.
fn split(bytes: &[u8]) -> Option<(u32, ChainHash, &[u8], &[u8])> {
    let (header, rest) = bytes.split_at_checked(HEADER_BYTES)?;
    let epoch = u32::from_be_bytes(header[..4].try_into().ok()?);
    let length = u32::from_be_bytes(header[4..8].try_into().ok()?);
    let (body, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((epoch, ChainHash(header[8..].try_into().ok()?), body, after))
}

#[cfg(test)]
mod tests {
    use booking_core::{Date, DoctorId};

    use super::*;

    fn block(bodies: &[&[u8]]) -> Block {
        let records: Vec<_> = bodies
            .iter()
            .zip(5..)
            .map(|(body, sequence)| NewRecord {
                version: DayVersion { epoch: 3, sequence },
                hash: ChainHash([sequence as u8; 16]),
                body: Arc::from(*body),
            })
            .collect();
        let mut body = Vec::new();
        encode(&records, &mut body).expect("short bodies");
        let day = DayKey { doctor: DoctorId::from_bytes([1; 16]), date: Date::from_days(1).expect("a date") };
        Block { day, position: 100, first_sequence: 5, record_count: bodies.len() as u64, body }
    }

    #[test]
    fn records_come_back_with_positions_and_versions() {
        let records = decode(&block(&[b"one", b"", b"three"])).expect("whole");
        assert_eq!(records.iter().map(|record| record.position).collect::<Vec<_>>(), [98, 99, 100]);
        assert_eq!(records.iter().map(|record| record.version.sequence).collect::<Vec<_>>(), [5, 6, 7]);
        assert_eq!(
            records.iter().map(|record| &record.body[..]).collect::<Vec<_>>(),
            [b"one".as_slice(), b"", b"three"]
        );
    }

    #[test]
    fn a_block_that_is_not_whole_is_refused() {
        for cut in 1..block(&[b"one", b"two"]).body.len() {
            let mut damaged = block(&[b"one", b"two"]);
            damaged.body.truncate(cut);
            assert!(decode(&damaged).is_err(), "cut at {cut}");
        }
        let mut longer = block(&[b"one"]);
        longer.record_count = u64::MAX;
        assert!(decode(&longer).is_err());
    }
}
