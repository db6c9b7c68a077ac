//! How shards, days and records are named and packed in Redis.
//! Must not know: connections, owners. `library.lua` reads and writes the same bytes.

use std::sync::Arc;

use booking_core::{DayKey, DayVersion};

use crate::journal::{ChainHash, Head, StoredRecord, StoredSnapshot, chain};

/// Sequence (8), epoch (4), link (16), all big-endian.
pub(super) const HEAD_BYTES: usize = 28;
/// A head and a position (8).
const ENTRY_BYTES: usize = 36;
/// A head and a checksum (16).
const SNAPSHOT_BYTES: usize = 44;
/// A day (20), the first sequence (8), the number of records (4).
const ORDER_BYTES: usize = 32;

/// Slots of a Redis Cluster.
const SLOTS: u16 = 16_384;

/// The slot of everything of `shard`: CRC16 (XMODEM) of the hash tag, as the specification of Redis Cluster says
/// (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model>).
pub(super) fn slot_of(shard: u16) -> u16 {
    let step = |sum: u16| if sum & 0x8000 != 0 { (sum << 1) ^ 0x1021 } else { sum << 1 };
    let sum = shard
        .to_string()
        .bytes()
        .fold(0_u16, |sum, byte| (0..8).fold(sum ^ (u16::from(byte) << 8), |sum, _| step(sum)));
    sum % SLOTS
}

/// The hash of a shard's header and heads.
pub(super) fn shard_key(shard: u16) -> String {
    format!("hotslot:{{{shard}}}:shard")
}

/// The stream of a shard's records by (epoch, position).
pub(super) fn order_key(shard: u16) -> String {
    format!("hotslot:{{{shard}}}:order")
}

/// The sorted set of a shard's open work.
pub(super) fn work_key(shard: u16) -> String {
    format!("hotslot:{{{shard}}}:work")
}

/// The hash of a shard's snapshots.
pub(super) fn snapshots_key(shard: u16) -> String {
    format!("hotslot:{{{shard}}}:snapshots")
}

/// The list of a day's records.
pub(super) fn log_key(day: DayKey) -> Vec<u8> {
    let mut key = format!("hotslot:{{{}}}:log:", day.shard()).into_bytes();
    key.extend_from_slice(&day.to_bytes());
    key
}

pub(super) fn pack_head(head: Head) -> [u8; HEAD_BYTES] {
    let mut bytes = [0; HEAD_BYTES];
    bytes[..8].copy_from_slice(&head.version.sequence.to_be_bytes());
    bytes[8..12].copy_from_slice(&head.version.epoch.to_be_bytes());
    bytes[12..].copy_from_slice(&head.hash.0);
    bytes
}

/// The head that `bytes` begin with.
pub(super) fn unpack_head(bytes: &[u8]) -> Option<Head> {
    let (sequence, rest) = bytes.split_first_chunk::<8>()?;
    let (epoch, rest) = rest.split_first_chunk::<4>()?;
    let (hash, _) = rest.split_first_chunk::<16>()?;
    let version = DayVersion { epoch: u32::from_be_bytes(*epoch), sequence: u64::from_be_bytes(*sequence) };
    Some(Head { version, hash: ChainHash(*hash) })
}

/// A record as its day's log has it.
pub(super) fn pack_entry(head: Head, position: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ENTRY_BYTES + body.len());
    bytes.extend_from_slice(&pack_head(head));
    bytes.extend_from_slice(&position.to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

pub(super) fn unpack_entry(day: DayKey, bytes: &[u8]) -> Option<StoredRecord> {
    let Head { version, hash } = unpack_head(bytes)?;
    let (position, body) = bytes.get(HEAD_BYTES..)?.split_first_chunk::<8>()?;
    let position = u64::from_be_bytes(*position);
    Some(StoredRecord { day, shard: day.shard(), position, version, hash, body: Arc::from(body) })
}

pub(super) fn pack_snapshot(snapshot: &StoredSnapshot) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(SNAPSHOT_BYTES + snapshot.bytes.len());
    bytes.extend_from_slice(&pack_head(snapshot.head));
    bytes.extend_from_slice(&chain::snapshot_checksum(snapshot).0);
    bytes.extend_from_slice(&snapshot.bytes);
    bytes
}

/// What is wrong with it, in words, if it is not whole.
pub(super) fn unpack_snapshot(day: DayKey, bytes: &[u8]) -> Result<StoredSnapshot, String> {
    let parts = unpack_head(bytes).zip(bytes.get(HEAD_BYTES..SNAPSHOT_BYTES)).zip(bytes.get(SNAPSHOT_BYTES..));
    let Some(((head, checksum), state)) = parts else { return Err("its snapshot is cut off".to_owned()) };
    let snapshot = StoredSnapshot { day, head, bytes: Arc::from(state) };
    if chain::snapshot_checksum(&snapshot).0 == checksum {
        Ok(snapshot)
    } else {
        Err(format!("its snapshot at sequence {} does not fit its checksum", head.version.sequence))
    }
}

/// Records of one append, as the order of a shard has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct OrderEntry {
    pub(super) day: DayKey,
    pub(super) first_sequence: u64,
    pub(super) last_sequence: u64,
}

pub(super) fn unpack_order(bytes: &[u8]) -> Option<OrderEntry> {
    let bytes: &[u8; ORDER_BYTES] = bytes.try_into().ok()?;
    let first_sequence = u64::from_be_bytes(*bytes[20..].first_chunk()?);
    let count = u32::from_be_bytes(*bytes.last_chunk()?);
    let last_sequence = first_sequence.checked_add(u64::from(count))?.checked_sub(1)?;
    Some(OrderEntry { day: DayKey::from_bytes(&bytes[..20])?, first_sequence, last_sequence })
}

#[cfg(test)]
mod tests {
    use booking_core::{Date, DoctorId};

    use super::*;

    #[test]
    fn slots_are_those_of_redis() {
        // As `CLUSTER KEYSLOT` answers.
        assert_eq!([0, 7, 1_023].map(slot_of), [13_907, 1_716, 14_911]);
    }

    #[test]
    fn what_is_packed_comes_back_and_what_is_cut_does_not() {
        let day = DayKey { doctor: DoctorId::from_bytes([5; 16]), date: Date::from_days(20_000).expect("a date") };
        let head = Head { version: DayVersion { epoch: 3, sequence: 9 }, hash: ChainHash([8; 16]) };
        let entry = pack_entry(head, 77, b"body");
        let record = unpack_entry(day, &entry).expect("it is whole");
        assert_eq!(
            (record.version, record.hash, record.position, &*record.body),
            (head.version, head.hash, 77, &b"body"[..])
        );
        assert!(unpack_entry(day, &entry[..ENTRY_BYTES - 1]).is_none());
        let snapshot = pack_snapshot(&StoredSnapshot { day, head, bytes: Arc::from(&b"state"[..]) });
        assert_eq!(&*unpack_snapshot(day, &snapshot).expect("it is whole").bytes, b"state");
        assert!((0..snapshot.len()).all(|length| unpack_snapshot(day, &snapshot[..length]).is_err()));
    }
}
