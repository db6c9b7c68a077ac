//! The newest version of every appointment, as a whole row.
//! Must not know: the versions before.

use async_trait::async_trait;
use booking_core::{Appointment, AppointmentId, DayKey};
use foldhash::{HashMap, HashMapExt};
use sqlx::error::BoxDynError;

use super::super::bulk::{Bind, BulkStatement, Column, Conflict, Kind};
use super::{Batch, Dialect, Projection};
use crate::ledger::ApplyError;

const COLUMNS: &[Column] = &[
    ("id", Kind::Id),
    ("doctor", Kind::Id),
    ("date", Kind::Date),
    ("shard", Kind::Shard),
    ("patient", Kind::Id),
    ("start_ms", Kind::Integer),
    ("end_ms", Kind::Integer),
    ("place", Kind::Integer),
    ("status", Kind::Text),
    ("hold_expires_ms", Kind::Integer),
    ("reason_key", Kind::Integer),
    ("reason", Kind::Bytes),
    ("created_ms", Kind::Integer),
    ("updated_ms", Kind::Integer),
    ("version", Kind::Integer),
];

/// The newest version wins, whatever the order in which days are applied.
static UPSERT: BulkStatement = BulkStatement::insert(
    "appointment",
    COLUMNS,
    Conflict::Replace { key: &["id"], only_if: "excluded.version > appointment.version" },
);

/// First versions, by far the most: whatever is there already is not older.
static INSERT: BulkStatement = BulkStatement::insert("appointment", COLUMNS, Conflict::Ignore);

/// The version of an appointment that was just made.
const FIRST_VERSION: u32 = 1;

/// Table `appointment`.
pub(super) struct Appointments;

#[async_trait]
impl<D: Dialect> Projection<D> for Appointments {
    async fn apply(&self, batch: &Batch<'_>, connection: &mut D::Connection) -> Result<(), ApplyError> {
        let (first, mut later): (Vec<_>, Vec<_>) =
            newest(batch).into_iter().partition(|(_, row)| row.version == FIRST_VERSION);
        // One that moves is written by the owners of both days: in one order, so that neither waits for the other.
        later.sort_unstable_by_key(|(_, row)| row.id);
        for (statement, rows) in [(&INSERT, &first), (&UPSERT, &later)] {
            let written = D::execute_rows(connection, statement, rows, bind::<D>).await;
            written.map_err(|error| D::apply_error("appointments", &error))?;
        }
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

fn bind<D: Dialect>((day, row): &(DayKey, &Appointment), values: &mut D::Rows) -> Result<(), BoxDynError> {
    values.id(row.id.as_bytes())?;
    values.day(*day)?;
    values.shard(*day)?;
    values.id(row.patient.as_bytes())?;
    values.integer(row.start.0)?;
    values.integer(row.end.0)?;
    values.integer(row.place.into())?;
    values.text(row.status.word())?;
    values.optional_integer(row.hold_expires_at.map(|at| at.0))?;
    values.optional_integer(row.cancellation_reason.as_ref().map(|reason| reason.key.into()))?;
    values.optional_bytes(row.cancellation_reason.as_ref().map(|reason| &*reason.bytes))?;
    values.integer(row.created_at.0)?;
    values.integer(row.updated_at.0)?;
    values.integer(row.version.into())
}
