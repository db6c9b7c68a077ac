//! Keeps the newest packed state of each day.
//! Must not know: how a state is packed, when it is worth keeping.

use std::io::Write as _;

use sqlx::SqliteConnection;
use tokio::sync::Mutex;

use super::append::settle;
use super::failure::{self, WriteFailure};
use crate::journal::poison::Poison;
use crate::journal::{AppendError, StoredSnapshot, chain};

/// Most bytes of one statement: bounds how long appends wait for the connection (some milliseconds).
const CHUNK_BYTES_MAX: usize = 4 << 20;

// A row of `fields` is four numbers of twenty characters. From byte 1: epoch; 21: sequence; 41: where the payload
// starts, from 1; 61: length of the body. The payload is day (20 bytes), link (16), checksum (16) and body.
const SAVE: &str = "
    WITH RECURSIVE entry(at) AS (SELECT 0 UNION ALL SELECT at + 80 FROM entry WHERE at + 80 < length(?1)),
    named(at, start) AS (SELECT at, CAST(substr(?1, at + 41, 20) AS INTEGER) FROM entry)
    INSERT INTO snapshot (day, epoch, sequence, hash, checksum, body)
    SELECT substr(?2, start, 20),
        CAST(substr(?1, at + 1, 20) AS INTEGER),
        CAST(substr(?1, at + 21, 20) AS INTEGER),
        substr(?2, start + 20, 16),
        substr(?2, start + 36, 16),
        substr(?2, start + 52, CAST(substr(?1, at + 61, 20) AS INTEGER))
    FROM named WHERE true
    ON CONFLICT (day) DO UPDATE SET epoch = excluded.epoch, sequence = excluded.sequence, hash = excluded.hash,
        checksum = excluded.checksum, body = excluded.body
    WHERE (excluded.epoch, excluded.sequence) > (snapshot.epoch, snapshot.sequence)";

/// See [`crate::journal::Journal::save_snapshots`]. Each chunk is one statement and so one transaction of its own.
/// Returns about how many pages of the WAL it took.
pub(super) async fn save(
    writer: &Mutex<Option<SqliteConnection>>,
    poison: &Poison,
    snapshots: &[StoredSnapshot],
) -> Result<u64, AppendError> {
    let mut rest = snapshots;
    let mut bytes = 0;
    while !rest.is_empty() {
        let (fields, payload, taken) = encode(rest)?;
        rest = &rest[taken..];
        bytes += payload.len() as u64;
        let mut writer = writer.lock().await;
        let connection = super::still_open(&mut writer)?;
        crash_point!(SnapshotBeforeSave);
        if let Err(error) = sqlx::query(SAVE).bind(fields).bind(payload).execute(&mut *connection).await {
            return Err(match failure::of_write(&error) {
                WriteFailure::Poisoning => AppendError::Poisoned(poison.set(error.to_string())),
                WriteFailure::Definite => settle(connection, poison, None, &error.to_string()).await,
            });
        }
        crash_point!(SnapshotAfterSave);
    }
    Ok(bytes / 4000 + snapshots.len() as u64)
}

/// As many of `snapshots` as one statement takes, at least one, and how many these are.
fn encode(snapshots: &[StoredSnapshot]) -> Result<(Vec<u8>, Vec<u8>, usize), AppendError> {
    let (mut fields, mut payload, mut taken) = (Vec::new(), Vec::new(), 0);
    for snapshot in snapshots {
        if taken > 0 && payload.len() + snapshot.bytes.len() > CHUNK_BYTES_MAX {
            break;
        }
        let (version, start) = (snapshot.head.version, payload.len() + 1);
        write!(fields, "{:>20}{:>20}{start:>20}{:>20}", version.epoch, version.sequence, snapshot.bytes.len())
            .map_err(|error| AppendError::Failed(error.to_string()))?;
        payload.extend_from_slice(&snapshot.day.to_bytes());
        payload.extend_from_slice(&snapshot.head.hash.0);
        payload.extend_from_slice(&chain::snapshot_checksum(snapshot).0);
        payload.extend_from_slice(&snapshot.bytes);
        taken += 1;
    }
    Ok((fields, payload, taken))
}
