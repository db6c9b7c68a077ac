//! The newest version of every appointment, as a whole row.
//! Must not know: the versions before.

use async_trait::async_trait;
use booking_core::{Appointment, AppointmentId, DayKey};
use foldhash::{HashMap, HashMapExt};
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteConnection;

use super::super::bulk::{BulkStatement, Values};
use super::super::words::apply_error;
use super::{Batch, Projection};
use crate::ledger::ApplyError;

/// The newest version wins, whatever the order in which days are applied.
static UPSERT: BulkStatement = BulkStatement::new(
    "INSERT INTO appointment (id, doctor, date, patient, start_ms, end_ms, place, status, hold_expires_ms, reason_key, \
     reason, created_ms, updated_ms, version) VALUES ",
    14,
    " ON CONFLICT (id) DO UPDATE SET doctor = excluded.doctor, date = excluded.date, patient = excluded.patient, \
     start_ms = excluded.start_ms, end_ms = excluded.end_ms, place = excluded.place, status = excluded.status, \
     hold_expires_ms = excluded.hold_expires_ms, reason_key = excluded.reason_key, reason = excluded.reason, \
     created_ms = excluded.created_ms, updated_ms = excluded.updated_ms, version = excluded.version \
     WHERE excluded.version > appointment.version",
);

/// First versions, by far the most: whatever is there already is not older. `OR IGNORE` needs no journal of the statement's own,
/// which would copy every page that it touches; the values are never null, and nothing else could be ignored.
static INSERT: BulkStatement = BulkStatement::new(
    "INSERT OR IGNORE INTO appointment (id, doctor, date, patient, start_ms, end_ms, place, status, hold_expires_ms, \
     reason_key, reason, created_ms, updated_ms, version) VALUES ",
    14,
    "",
);

/// The version of an appointment that was just made.
const FIRST_VERSION: u32 = 1;

/// Table `appointment`.
pub(super) struct Appointments;

#[async_trait]
impl Projection for Appointments {
    async fn apply(&self, batch: &Batch<'_>, connection: &mut SqliteConnection) -> Result<(), ApplyError> {
        let (first, later): (Vec<_>, Vec<_>) =
            newest(batch).into_iter().partition(|(_, row)| row.version == FIRST_VERSION);
        INSERT.execute(connection, &first, bind).await.map_err(|error| apply_error("appointments", &error))?;
        UPSERT.execute(connection, &later, bind).await.map_err(|error| apply_error("appointments", &error))?;
        Ok(())
    }
}

/// The last version of each appointment of the batch, at its home, in the order of first appearance (ids rise with time, and so the
/// tree is written from left to right).
fn newest<'records>(batch: &Batch<'records>) -> Vec<(DayKey, &'records Appointment)> {
    let mut rows: Vec<(DayKey, &Appointment)> = Vec::with_capacity(batch.records.len());
    let mut places: HashMap<AppointmentId, usize> = HashMap::with_capacity(batch.records.len());
    for (_, home, change) in batch.changes() {
        match places.get(&change.row.id) {
            Some(place) if rows[*place].1.version < change.row.version => rows[*place] = (home, &change.row),
            Some(_) => {}
            None => {
                places.insert(change.row.id, rows.len());
                rows.push((home, &change.row));
            }
        }
    }
    rows
}

fn bind((day, row): &(DayKey, &Appointment), values: &mut Values) -> Result<(), BoxDynError> {
    values.push_bytes(row.id.as_bytes())?;
    values.push_bytes(day.doctor.as_bytes())?;
    values.push(day.date.days())?;
    values.push_bytes(row.patient.as_bytes())?;
    values.push(row.start.0)?;
    values.push(row.end.0)?;
    values.push(row.place)?;
    values.push(row.status.word())?;
    values.push(row.hold_expires_at.map(|at| at.0))?;
    values.push(row.cancellation_reason.as_ref().map(|reason| reason.key))?;
    values.push(row.cancellation_reason.as_ref().map(|reason| reason.bytes.to_vec()))?;
    values.push(row.created_at.0)?;
    values.push(row.updated_at.0)?;
    values.push(row.version)
}
