//! Keeps the newest packed state of each day.
//! Must not know: how a state is packed, when it is worth keeping.

use std::collections::BTreeMap;

use booking_core::DayKey;
use sqlx::PgPool;
use uuid::Uuid;

use crate::journal::{AppendError, StoredSnapshot, chain};
use crate::postgres::{self, WriteFailure};

/// Most bytes of one statement: bounds the memory on both sides.
const CHUNK_BYTES_MAX: usize = 4 << 20;

/// In the order of keys, so that two of these never wait for each other in a circle.
const SAVE: &str = "
    INSERT INTO journal_snapshot (doctor, date, epoch, sequence, hash, checksum, body)
    SELECT doctor, '1970-01-01'::date + day, epoch, sequence, hash, checksum, body
    FROM unnest($1::uuid[], $2::integer[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bytea[], $7::bytea[])
        AS item(doctor, day, epoch, sequence, hash, checksum, body)
    ORDER BY doctor, day
    ON CONFLICT (doctor, date) DO UPDATE SET epoch = excluded.epoch, sequence = excluded.sequence, hash = excluded.hash,
        checksum = excluded.checksum, body = excluded.body
    WHERE (excluded.epoch, excluded.sequence) > (journal_snapshot.epoch, journal_snapshot.sequence)";

/// See [`crate::journal::Journal::save_snapshots`]. Each chunk commits by itself.
pub(super) async fn save(pool: &PgPool, snapshots: &[StoredSnapshot]) -> Result<(), AppendError> {
    // Of one day the newest: a statement cannot change a row twice.
    let mut newest: BTreeMap<DayKey, &StoredSnapshot> = BTreeMap::new();
    for snapshot in snapshots {
        let kept = newest.entry(snapshot.day).or_insert(snapshot);
        if kept.head.version < snapshot.head.version {
            *kept = snapshot;
        }
    }
    let mut chunk = Vec::new();
    let mut bytes = 0;
    for snapshot in newest.into_values() {
        if bytes + snapshot.bytes.len() > CHUNK_BYTES_MAX && !chunk.is_empty() {
            save_chunk(pool, &chunk).await?;
            chunk.clear();
            bytes = 0;
        }
        bytes += snapshot.bytes.len();
        chunk.push(snapshot);
    }
    if chunk.is_empty() { Ok(()) } else { save_chunk(pool, &chunk).await }
}

async fn save_chunk(pool: &PgPool, chunk: &[&StoredSnapshot]) -> Result<(), AppendError> {
    let doctors: Vec<Uuid> = chunk.iter().map(|snapshot| snapshot.day.doctor.0).collect();
    let days: Vec<i32> = chunk.iter().map(|snapshot| snapshot.day.date.days()).collect();
    let epochs: Vec<i64> = chunk.iter().map(|snapshot| snapshot.head.version.epoch.into()).collect();
    let sequences: Vec<i64> =
        chunk.iter().map(|snapshot| i64::try_from(snapshot.head.version.sequence).unwrap_or(i64::MAX)).collect();
    let hashes: Vec<&[u8]> = chunk.iter().map(|snapshot| &snapshot.head.hash.0[..]).collect();
    let checksums: Vec<_> = chunk.iter().map(|snapshot| chain::snapshot_checksum(snapshot)).collect();
    let checksums: Vec<&[u8]> = checksums.iter().map(|checksum| &checksum.0[..]).collect();
    let bodies: Vec<&[u8]> = chunk.iter().map(|snapshot| &snapshot.bytes[..]).collect();
    let query = sqlx::query(SAVE).bind(doctors).bind(days).bind(epochs).bind(sequences);
    let query = query.bind(hashes).bind(checksums).bind(bodies);
    match postgres::within_deadline(query.execute(pool)).await {
        Ok(_) => Ok(()),
        Err(error) => Err(match postgres::of_write(&error) {
            WriteFailure::Definite => AppendError::Failed(error.to_string()),
            WriteFailure::Unknown => AppendError::Unknown(error.to_string()),
        }),
    }
}
