//! Reminders: what an appointment's patient was and will be told; the messages that no channel took.
//! Must not know: when a message is due, how it leaves, what it says.

use actix_web::http::StatusCode;
use engine::ledger::reminders::ReminderRow;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::appointments::{find, parties};
use super::call::{Call, json};
use super::catalogue::Code;
use super::cursor;
use super::instant::InstantText;
use super::lists::{Items, page};
use super::problem::Problem;
use super::refusal::of_engine;
use crate::auth::permission::{Guard, ManageMessages, ReadReminders};
use crate::middleware::edge::Answer;

/// A message as its patient is told of it.
#[derive(Serialize)]
struct ReminderView<'a> {
    due_at: InstantText,
    kind: &'static str,
    channel: &'static str,
    status: &'static str,
    attempts: u32,
    last_error: Option<&'a str>,
    message_id: Uuid,
    recipient: &'static str,
    appointment_version: u32,
    offset_seconds: u32,
    sent_at: Option<InstantText>,
}

impl<'a> From<&'a ReminderRow> for ReminderView<'a> {
    fn from(row: &'a ReminderRow) -> Self {
        Self {
            due_at: InstantText(row.due_at),
            kind: row.key.kind.word(),
            channel: row.key.channel.word(),
            status: row.status.word(),
            attempts: row.attempts,
            last_error: row.last_error.as_deref(),
            message_id: row.key.message_id(),
            recipient: row.key.recipient.word(),
            appointment_version: row.key.version,
            offset_seconds: row.key.offset_seconds,
            sent_at: row.sent_at.map(InstantText),
        }
    }
}

/// A dead letter as an operator is told of it.
#[derive(Serialize)]
struct DeadLetterView<'a> {
    #[serde(flatten)]
    message: ReminderView<'a>,
    appointment_id: Uuid,
    start: InstantText,
}

impl<'a> From<&'a ReminderRow> for DeadLetterView<'a> {
    fn from(row: &'a ReminderRow) -> Self {
        Self { message: ReminderView::from(row), appointment_id: row.key.appointment.0, start: InstantText(row.start) }
    }
}

/// `GET /v1/appointments/{id}/reminders`
pub(crate) async fn of_appointment(call: Call, guard: Guard<ReadReminders>) -> Answer {
    call.no_query()?;
    let placed = find(&call).await?;
    guard.permit(&parties(&placed))?;
    let rows = call.engine().reminders(placed.appointment.id).await;
    let rows = rows.map_err(|error| of_engine(error, call.now()))?;
    json(StatusCode::OK, &Items { items: rows.iter().map(ReminderView::from).collect() })
}

/// `GET /v1/dead-letters`
pub(crate) async fn dead(call: Call, guard: Guard<ManageMessages>) -> Answer {
    let query = call.query(&["cursor", "limit"], &[])?;
    let limit = query.limit()?;
    let after = query.get("cursor").map(cursor::to_message).transpose()?;
    guard.permit(&())?;
    let rows = call.engine().reminder_store().dead(after, limit + 1).await?;
    let body = page(&rows, limit, |row| cursor::of_message(row.due_at, row.key.message_id()), DeadLetterView::from);
    json(StatusCode::OK, &body)
}

/// The body of calls that take nothing.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct NoFields {}

#[derive(Serialize)]
struct Redriven {
    redriven: u64,
}

/// `POST /v1/dead-letters/redrive`: all of them. Asked twice it does no more than once.
pub(crate) async fn redrive_all(mut call: Call, guard: Guard<ManageMessages>) -> Answer {
    call.no_query()?;
    call.optional_body::<NoFields>().await?;
    call.idempotency_key()?;
    guard.permit(&())?;
    let redriven = call.engine().redrive_reminders(None).await?;
    json(StatusCode::OK, &Redriven { redriven })
}

/// `POST /v1/dead-letters/{id}/redrive`
pub(crate) async fn redrive(mut call: Call, guard: Guard<ManageMessages>) -> Answer {
    call.no_query()?;
    let message = call.path_id()?;
    call.optional_body::<NoFields>().await?;
    call.idempotency_key()?;
    guard.permit(&())?;
    match call.engine().redrive_reminders(Some(message)).await? {
        0 => Err(no_letter()),
        redriven => json(StatusCode::OK, &Redriven { redriven }),
    }
}

#[derive(Serialize)]
struct Discarded {
    discarded: u64,
}

/// `POST /v1/dead-letters/{id}/discard`
pub(crate) async fn discard(mut call: Call, guard: Guard<ManageMessages>) -> Answer {
    call.no_query()?;
    let message = call.path_id()?;
    call.optional_body::<NoFields>().await?;
    call.idempotency_key()?;
    guard.permit(&())?;
    match call.engine().reminder_store().discard(message).await? {
        true => json(StatusCode::OK, &Discarded { discarded: 1 }),
        false => Err(no_letter()),
    }
}

fn no_letter() -> Problem {
    Problem::new(Code::NotFound, "There is no such dead letter.")
}
