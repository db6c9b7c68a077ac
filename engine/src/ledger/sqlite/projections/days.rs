//! How every day was published and closed last.
//! Must not know: appointments.

use std::collections::HashMap;

use async_trait::async_trait;
use booking_core::{DayDefinition, DayKey, DayVersion, Fact, PersonalText, UtcMillis};
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteConnection;

use super::super::bulk::{BulkStatement, Values};
use super::super::words::{apply_error, signed};
use super::{Batch, Projection};
use crate::ledger::{AppliedRecord, ApplyError};

static PUBLISH: BulkStatement = BulkStatement::new(
    "INSERT INTO doctor_day (doctor, date, time_zone, time_zone_database, first_start_ms, last_end_ms, slots, capacity, \
     first_release_ms, releases, epoch, sequence) VALUES ",
    12,
    " ON CONFLICT (doctor, date) DO UPDATE SET time_zone = excluded.time_zone, \
     time_zone_database = excluded.time_zone_database, first_start_ms = excluded.first_start_ms, \
     last_end_ms = excluded.last_end_ms, slots = excluded.slots, capacity = excluded.capacity, \
     first_release_ms = excluded.first_release_ms, releases = excluded.releases, epoch = excluded.epoch, \
     sequence = excluded.sequence",
);

const CLOSE: &str = "UPDATE doctor_day SET closed_ms = ?3, closed_reason_key = ?4, closed_reason = ?5, epoch = ?6, \
                     sequence = ?7 WHERE doctor = ?1 AND date = ?2";

/// Table `doctor_day`.
pub(super) struct Days;

struct Published<'records> {
    day: DayKey,
    version: DayVersion,
    definition: &'records DayDefinition,
}

struct Closed<'records> {
    day: DayKey,
    version: DayVersion,
    at: UtcMillis,
    reason: Option<&'records PersonalText>,
}

#[async_trait]
impl Projection for Days {
    async fn apply(&self, batch: &Batch<'_>, connection: &mut SqliteConnection) -> Result<(), ApplyError> {
        let (published, closed) = last_of_each(&batch.records);
        PUBLISH.execute(connection, &published, bind).await.map_err(|error| apply_error("days", &error))?;
        for closure in &closed {
            close(closure, connection).await?;
        }
        Ok(())
    }
}

/// The last publication and the last closure of each day of the batch. A day that is published after it was closed stays
/// closed, and so the two do not disturb each other; the version named is the later one's.
fn last_of_each<'records>(records: &[&'records AppliedRecord]) -> (Vec<Published<'records>>, Vec<Closed<'records>>) {
    let mut published: HashMap<DayKey, Published<'records>> = HashMap::new();
    let mut closed: HashMap<DayKey, Closed<'records>> = HashMap::new();
    for record in records {
        let (day, version, at) = (record.day, record.version, record.event.at);
        match &record.event.fact {
            Fact::Published(definition) => {
                published.insert(day, Published { day, version, definition });
                closed.entry(day).and_modify(|closure| closure.version = version);
            }
            Fact::Closed { reason } => {
                closed.insert(day, Closed { day, version, at, reason: reason.as_ref() });
            }
            _ => {}
        }
    }
    (published.into_values().collect(), closed.into_values().collect())
}

fn bind(row: &Published<'_>, values: &mut Values) -> Result<(), BoxDynError> {
    let definition = row.definition;
    let no_slots = || BoxDynError::from("a published day has no slot or no release");
    let first = definition.slots.first().ok_or_else(no_slots)?;
    let last = definition.slots.last().ok_or_else(no_slots)?;
    let release = definition.releases.first().ok_or_else(no_slots)?;
    values.push_bytes(row.day.doctor.as_bytes())?;
    values.push(row.day.date.days())?;
    values.push(definition.time_zone.to_string())?;
    values.push(definition.time_zone_database.to_string())?;
    values.push(first.start.0)?;
    values.push(last.end.0)?;
    values.push(i64::try_from(definition.slots.len())?)?;
    values.push(i64::try_from(definition.capacity())?)?;
    values.push(release.at.0)?;
    values.push(i64::try_from(definition.releases.len())?)?;
    values.push(row.version.epoch)?;
    values.push(signed(row.version.sequence))
}

/// Closing is rare: one statement each.
async fn close(row: &Closed<'_>, connection: &mut SqliteConnection) -> Result<(), ApplyError> {
    let query = sqlx::query(CLOSE)
        .bind(row.day.doctor.as_bytes().to_vec())
        .bind(row.day.date.days())
        .bind(row.at.0)
        .bind(row.reason.map(|reason| reason.key))
        .bind(row.reason.map(|reason| reason.bytes.to_vec()))
        .bind(row.version.epoch)
        .bind(signed(row.version.sequence));
    let done = query.execute(connection).await.map_err(|error| apply_error("days", &error))?;
    if done.rows_affected() == 1 {
        return Ok(());
    }
    Err(ApplyError::Refused(format!("{} is closed but was never published", row.day)))
}
