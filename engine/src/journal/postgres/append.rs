//! A batch as the arrays that the database's function takes, and what it answers.
//! Must not know: connections, what an outcome means for its caller.

use booking_core::DayVersion;
use foldhash::{HashSet, HashSetExt};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::read::{hash_of, unsigned};
use crate::clock::Stopwatch;
use crate::journal::{DayAppend, DayOutcome, Head};
use crate::telemetry::catalogue;

const APPEND: &str = "
    SELECT outcome, epoch, sequence, hash
    FROM journal_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";

/// In the place of an epoch that is not this process's: no shard ever has it, so the database refuses the entry and tells whose it is.
const NOT_OURS: i64 = -1;

/// See `journal_append` in the migrations.
#[derive(Default)]
pub(super) struct Encoded<'a> {
    shards: Vec<i16>,
    doctors: Vec<Uuid>,
    dates: Vec<i32>,
    entry_shards: Vec<i32>,
    epochs: Vec<i64>,
    expected_epochs: Vec<i64>,
    expected_sequences: Vec<i64>,
    expected_hashes: Vec<&'a [u8]>,
    record_counts: Vec<i64>,
    last_hashes: Vec<&'a [u8]>,
    next_works: Vec<Option<i64>>,
    record_entries: Vec<i32>,
    record_sequences: Vec<i64>,
    record_hashes: Vec<&'a [u8]>,
    record_bodies: Vec<&'a [u8]>,
}

impl<'a> Encoded<'a> {
    /// `batch` of a process that owns each shard under the epoch that `own` tells; in words, what of it a journal cannot take. The
    /// database knows under which epoch a shard is owned, and not by whom: a record under another's epoch must not get there.
    pub(super) fn of(batch: &'a [DayAppend], own: impl Fn(u16) -> u32) -> Result<Self, String> {
        let mut encoded = Self::default();
        let mut days = HashSet::with_capacity(batch.len());
        let shards: std::collections::BTreeSet<u16> = batch.iter().map(|append| append.day.shard()).collect();
        let shards: Vec<u16> = shards.into_iter().collect();
        encoded.shards = shards.iter().map(|shard| i16::try_from(*shard).unwrap_or(i16::MAX)).collect();
        for append in batch {
            if !days.insert(append.day) {
                return Err(format!("{} has two entries in one batch", append.day));
            }
            let malformed = || format!("what {} appends does not follow its own expected head", append.day);
            let is_ours = own(append.day.shard()) == append.epoch;
            encoded.push(append, &shards, is_ours).ok_or_else(malformed)?;
        }
        Ok(encoded)
    }

    fn push(&mut self, append: &'a DayAppend, shards: &[u16], is_ours: bool) -> Option<()> {
        let last = append.records.last()?;
        let place = shards.binary_search(&append.day.shard()).ok()?;
        let entry = i32::try_from(self.doctors.len() + 1).ok()?;
        self.doctors.push(append.day.doctor.0);
        self.dates.push(append.day.date.days());
        self.entry_shards.push(i32::try_from(place + 1).ok()?);
        self.epochs.push(if is_ours { append.epoch.into() } else { NOT_OURS });
        self.expected_epochs.push(append.expected.version.epoch.into());
        self.expected_sequences.push(append.expected.version.sequence.try_into().ok()?);
        self.expected_hashes.push(&append.expected.hash.0);
        self.record_counts.push(append.records.len().try_into().ok()?);
        self.last_hashes.push(&last.hash.0);
        self.next_works.push(append.next_work_at.map(|at| at.0));
        for (record, sequence) in append.records.iter().zip(append.expected.version.sequence + 1..) {
            if record.version != (DayVersion { epoch: append.epoch, sequence }) {
                return None;
            }
            self.record_entries.push(entry);
            self.record_sequences.push(sequence.try_into().ok()?);
            self.record_hashes.push(&record.hash.0);
            self.record_bodies.push(&record.body);
        }
        Some(())
    }

    /// Sends it, as one statement that commits by itself, and reads the answer to its end.
    pub(super) async fn send(
        &self,
        connection: &mut PgConnection,
        base: u64,
        generation: i64,
    ) -> Result<Vec<DayOutcome>, sqlx::Error> {
        let base = i64::try_from(base).map_err(|error| sqlx::Error::Encode(error.into()))?;
        let watch = Stopwatch::start();
        let rows = sqlx::query(APPEND)
            .bind(base)
            .bind(generation)
            .bind(&self.shards)
            .bind(&self.doctors)
            .bind(&self.dates)
            .bind(&self.entry_shards)
            .bind(&self.epochs)
            .bind(&self.expected_epochs)
            .bind(&self.expected_sequences)
            .bind(&self.expected_hashes)
            .bind(&self.record_counts)
            .bind(&self.last_hashes)
            .bind(&self.next_works)
            .bind(&self.record_entries)
            .bind(&self.record_sequences)
            .bind(&self.record_hashes)
            .bind(&self.record_bodies)
            .fetch_all(connection)
            .await?;
        metrics::histogram!(catalogue::SYNC_DURATION).record(watch.seconds());
        if rows.len() != self.doctors.len() {
            return Err(sqlx::Error::Protocol(
                "journal_append answered for other entries than it was asked".to_owned(),
            ));
        }
        rows.iter().map(outcome).collect()
    }
}

fn outcome(row: &PgRow) -> Result<DayOutcome, sqlx::Error> {
    Ok(match row.try_get::<i16, _>("outcome")? {
        0 => DayOutcome::Appended { position: unsigned(row, "sequence")? },
        1 => {
            let version = DayVersion { epoch: unsigned(row, "epoch")?, sequence: unsigned(row, "sequence")? };
            DayOutcome::Conflict { actual: Head { version, hash: hash_of(row, "hash")? } }
        }
        _ => DayOutcome::StaleEpoch { current: unsigned(row, "epoch")? },
    })
}
