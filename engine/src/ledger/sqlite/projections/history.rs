//! Every step of every appointment.
//! Must not know: what the newest version is.

use async_trait::async_trait;
use booking_core::{AppointmentId, RequestId, Status};
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteConnection;

use super::super::bulk::{BulkStatement, Values};
use super::super::words::{apply_error, role_word};
use super::{Batch, Projection};
use crate::ledger::{ApplyError, HistoryItem};

/// A plain insert: the same step twice is a fork, and refused. `OR FAIL`: the transaction is rolled back in any case, so the
/// statement needs no journal of its own, which would copy every page that it touches.
static INSERT: BulkStatement = BulkStatement::new(
    "INSERT OR FAIL INTO appointment_history (appointment, version, at_ms, actor, role, request, from_status, to_status, \
     reason_key, reason) VALUES ",
    10,
    "",
);

/// Table `appointment_history`.
pub(super) struct History;

struct Row {
    appointment: AppointmentId,
    request: RequestId,
    step: HistoryItem,
}

#[async_trait]
impl Projection for History {
    async fn apply(&self, batch: &Batch<'_>, connection: &mut SqliteConnection) -> Result<(), ApplyError> {
        let steps = batch.changes().map(|(record, _, change)| Row {
            appointment: change.row.id,
            request: record.event.envelope.request,
            step: HistoryItem::of(&record.event, change),
        });
        let rows: Vec<Row> = steps.collect();
        INSERT.execute(connection, &rows, bind).await.map_err(|error| apply_error("history", &error))?;
        Ok(())
    }
}

fn bind(row: &Row, values: &mut Values) -> Result<(), BoxDynError> {
    values.push_bytes(row.appointment.as_bytes())?;
    values.push(row.step.version)?;
    values.push(row.step.at.0)?;
    values.push_bytes(row.step.actor.as_bytes())?;
    values.push(role_word(row.step.role))?;
    values.push_bytes(row.request.as_bytes())?;
    values.push(row.step.from.map(Status::word))?;
    values.push(row.step.to.word())?;
    values.push(row.step.reason.as_ref().map(|reason| reason.key))?;
    values.push(row.step.reason.as_ref().map(|reason| reason.bytes.to_vec()))
}
