//! Whether a message is still true at the moment of sending: asked of what is durable, never of the ledger alone, which
//! may be behind.
//! Must not know: channels, how it is sent.

use async_trait::async_trait;
use booking_core::{Status, UtcMillis};

use crate::ledger::PlacedAppointment;
use crate::ledger::reminders::{Kind, ReminderRow};

/// How long after its instant a cancellation is still worth telling.
const CANCELLATION_MILLIS_MAX: i64 = 86_400_000;

/// What a look at an appointment says of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is true: the visit stands as it did when the message was written.
    Stands(Box<PlacedAppointment>),
    /// The appointment has changed since.
    Changed,
    /// It cannot be known now: why.
    Unknown(String),
}

/// Whoever knows appointments.
#[async_trait]
pub trait Check: Send + Sync + 'static {
    /// One verdict for each of `rows`, in their order, from durable state that is no older than this call.
    async fn check(&self, rows: &[ReminderRow]) -> Vec<Verdict>;
}

/// The verdict over `row` if its appointment is `placed` now.
pub fn judge(row: &ReminderRow, placed: Option<PlacedAppointment>) -> Verdict {
    let status = match row.key.kind {
        Kind::Reminder | Kind::Confirmation | Kind::Change => Status::Booked,
        Kind::Cancellation => Status::Cancelled,
    };
    let is_same = |placed: &PlacedAppointment| {
        (placed.appointment.version, placed.appointment.status) == (row.key.version, status)
    };
    placed.filter(is_same).map_or(Verdict::Changed, |placed| Verdict::Stands(Box::new(placed)))
}

/// Whether it is too late for `row` at `now`: the visit has begun. That it does not take place is told a day longer.
pub fn is_too_late(row: &ReminderRow, now: UtcMillis) -> bool {
    match row.key.kind {
        Kind::Reminder | Kind::Confirmation | Kind::Change => row.start <= now,
        Kind::Cancellation => row.due_at.plus_millis(CANCELLATION_MILLIS_MAX) <= now,
    }
}
