//! Every step of every appointment.
//! Must not know: what the newest version is.

use async_trait::async_trait;
use booking_core::{AppointmentId, RequestId, Status};
use sqlx::error::BoxDynError;

use super::super::bulk::{Bind, BulkStatement, Conflict, Kind};
use super::super::columns::role_word;
use super::{Batch, Dialect, Projection};
use crate::ledger::{ApplyError, HistoryItem};

/// A plain insert: the same step twice is a fork, and refused.
static INSERT: BulkStatement = BulkStatement::insert(
    "appointment_history",
    &[
        ("appointment", Kind::Id),
        ("version", Kind::Integer),
        ("at_ms", Kind::Integer),
        ("actor", Kind::Id),
        ("role", Kind::Text),
        ("request", Kind::Id),
        ("from_status", Kind::Text),
        ("to_status", Kind::Text),
        ("reason_key", Kind::Integer),
        ("reason", Kind::Bytes),
    ],
    Conflict::Refuse,
);

/// Table `appointment_history`.
pub(super) struct History;

struct Row {
    appointment: AppointmentId,
    request: RequestId,
    step: HistoryItem,
}

#[async_trait]
impl<D: Dialect> Projection<D> for History {
    async fn apply(&self, batch: &Batch<'_>, connection: &mut D::Connection) -> Result<(), ApplyError> {
        let steps = batch.changes().map(|(record, _, change)| Row {
            appointment: change.row.id,
            request: record.event.envelope.request,
            step: HistoryItem::of(&record.event, change),
        });
        let rows: Vec<Row> = steps.collect();
        let written = D::execute_rows(connection, &INSERT, &rows, bind::<D>).await;
        written.map(drop).map_err(|error| D::apply_error("history", &error))
    }
}

fn bind<D: Dialect>(row: &Row, values: &mut D::Rows) -> Result<(), BoxDynError> {
    values.id(row.appointment.as_bytes())?;
    values.integer(row.step.version.into())?;
    values.integer(row.step.at.0)?;
    values.id(row.step.actor.as_bytes())?;
    values.text(role_word(row.step.role))?;
    values.id(row.request.as_bytes())?;
    values.optional_text(row.step.from.map(Status::word))?;
    values.text(row.step.to.word())?;
    values.optional_integer(row.step.reason.as_ref().map(|reason| reason.key.into()))?;
    values.optional_bytes(row.step.reason.as_ref().map(|reason| &*reason.bytes))
}
