//! A reminder as a row: its columns, its key in a list, and the statements of which every database has its own text.
//! Must not know: who asks, what becomes of a row.

use booking_core::{AppointmentId, PatientId, UtcMillis};
use sqlx::error::BoxDynError;
use uuid::Uuid;

use super::bulk::{Bind, BulkStatement};
use super::columns::{self, Columns, damaged, id, number, value};
use crate::journal::ReadError;
use crate::ledger::people::Channel;
use crate::ledger::reminders::{Kind, Recipient, ReminderKey, ReminderRow, ReminderStatus};

/// What is written differently: locks, and the shard, which only a database with several owners has.
pub(in crate::ledger) struct ReminderStatements {
    /// Writes planned rows (bound by [`bind_planned`]) that are not there yet; void ones if the appointment has a newer version.
    pub(in crate::ledger) insert: BulkStatement,
    /// The keys of what is void of (appointment, version): waiting and dead rows of older versions. Locked in the order of keys.
    pub(in crate::ledger) outdated: BulkStatement,
    /// Rows by key, locked in the order of keys.
    pub(in crate::ledger) locked: BulkStatement,
    /// `shard` of rows by key, where rows have owners.
    pub(in crate::ledger) shards: Option<BulkStatement>,
    /// At most `$2` rows to be looked at before `$1`, by when and key, behind `$3` to `$9`; of the shards `$10` where rows have owners.
    pub(in crate::ledger) due: &'static str,
    /// The number of dead rows; of the shards `$1` where rows have owners.
    pub(in crate::ledger) dead_count: &'static str,
}

/// What a list holds whose rows begin with a key ([`bind_key`]), and what else is bound by row.
macro_rules! keyed {
    ($($more:ident),*) => {
        &[
            $crate::ledger::sql::bulk::Kind::Id,
            $crate::ledger::sql::bulk::Kind::Integer,
            $crate::ledger::sql::bulk::Kind::Integer,
            $crate::ledger::sql::bulk::Kind::Integer,
            $crate::ledger::sql::bulk::Kind::Integer,
            $crate::ledger::sql::bulk::Kind::Integer,
            $($crate::ledger::sql::bulk::Kind::$more),*
        ]
    };
}

/// `SELECT` with every column of [`Kept`], from `r` and `a`.
macro_rules! select_reminders {
    ($tail:literal) => {
        concat!(
            "SELECT r.appointment, r.version, r.kind, r.offset_seconds, r.channel, r.recipient, r.due_ms, r.next_ms, \
             r.status, r.attempts, r.claimer, r.last_error, r.sent_ms, r.fallback, a.doctor, a.date, a.patient, \
             a.start_ms, a.version AS newest FROM ",
            $tail
        )
    };
}

/// The condition that `$row` has the key of the list `$list`.
macro_rules! has_key {
    ($row:literal, $list:literal) => {
        concat!(
            $row,
            ".appointment = ",
            $list,
            ".column1 AND ",
            $row,
            ".version = ",
            $list,
            ".column2 AND ",
            $row,
            ".kind = ",
            $list,
            ".column3 AND ",
            $row,
            ".offset_seconds = ",
            $list,
            ".column4 AND ",
            $row,
            ".channel = ",
            $list,
            ".column5 AND ",
            $row,
            ".recipient = ",
            $list,
            ".column6"
        )
    };
}

pub(in crate::ledger) use {has_key, keyed, select_reminders};

/// A row, and what only the store knows of it.
pub(in crate::ledger) struct Kept {
    pub(in crate::ledger) row: ReminderRow,
    /// Who claimed it last, if it is claimed.
    pub(in crate::ledger) claimer: Option<Uuid>,
    /// The version of the appointment now.
    pub(in crate::ledger) newest: u32,
}

/// Reads a row of [`select_reminders`].
pub(in crate::ledger) fn kept(row: &impl Columns) -> Result<Kept, ReadError> {
    let due_at = UtcMillis(value(row, "due_ms")?);
    let word: &str = value(row, "status")?;
    let status = ReminderStatus::ALL.into_iter().find(|status| status.word() == word);
    let reminder = ReminderRow {
        key: key(row)?,
        day: columns::day(row)?,
        patient: PatientId::from_bytes(id(row, "patient")?),
        start: UtcMillis(value(row, "start_ms")?),
        due_at,
        next_at: value::<Option<i64>>(row, "next_ms")?.map_or(due_at, UtcMillis),
        status: status.ok_or_else(|| damaged(row, format!("`{word}` is no status of a reminder")))?,
        attempts: number(row, "attempts")?,
        last_error: value(row, "last_error")?,
        sent_at: value::<Option<i64>>(row, "sent_ms")?.map(UtcMillis),
        fallback: fallback(row)?,
    };
    Ok(Kept { row: reminder, claimer: value(row, "claimer")?, newest: number(row, "newest")? })
}

/// Reads the row of [`kept`] alone.
pub(in crate::ledger) fn reminder(row: &impl Columns) -> Result<ReminderRow, ReadError> {
    kept(row).map(|kept| kept.row)
}

/// Reads the columns of a key.
pub(in crate::ledger) fn key(row: &impl Columns) -> Result<ReminderKey, ReadError> {
    Ok(ReminderKey {
        appointment: AppointmentId::from_bytes(id(row, "appointment")?),
        version: number(row, "version")?,
        kind: numbered(row, "kind", &Kind::ALL)?,
        offset_seconds: number(row, "offset_seconds")?,
        channel: numbered(row, "channel", &Channel::ALL)?,
        recipient: numbered(row, "recipient", &Recipient::ALL)?,
    })
}

/// Binds the six columns of a key.
pub(in crate::ledger) fn bind_key(key: &ReminderKey, values: &mut impl Bind) -> Result<(), BoxDynError> {
    values.id(key.appointment.as_bytes())?;
    values.integer(key.version.into())?;
    values.integer(key.kind as i64)?;
    values.integer(key.offset_seconds.into())?;
    values.integer(key.channel as i64)?;
    values.integer(key.recipient as i64)
}

/// Binds the columns of [`ReminderStatements::insert`]: the key, when it is due, the fallback, the shard.
pub(in crate::ledger) fn bind_planned(row: &ReminderRow, values: &mut impl Bind) -> Result<(), BoxDynError> {
    bind_key(&row.key, values)?;
    values.integer(row.due_at.0)?;
    let numbers = row.fallback.iter().map(|channel| (*channel as u8).to_string()).collect::<Vec<_>>();
    values.optional_text((!numbers.is_empty()).then(|| numbers.join(",")).as_deref())?;
    values.shard(row.day)
}

fn fallback(row: &impl Columns) -> Result<Vec<Channel>, ReadError> {
    let Some(text): Option<&str> = value(row, "fallback")? else { return Ok(Vec::new()) };
    let channel = |number: &str| number.parse().ok().and_then(|number: usize| Channel::ALL.get(number).copied());
    let wrong = || damaged(row, format!("`{text}` is no list of channels"));
    text.split(',').map(|number| channel(number).ok_or_else(wrong)).collect()
}

fn numbered<T: Copy>(row: &impl Columns, column: &str, all: &[T]) -> Result<T, ReadError> {
    let number: usize = number(row, column)?;
    all.get(number).copied().ok_or_else(|| damaged(row, format!("`{column}` is {number}")))
}
