//! Questions to the ledger's rows.
//! Must not know: the overlay, who may see what.

use std::sync::Arc;

use booking_core::{Appointment, AppointmentId, DayKey, DayVersion, PatientId, Status, SubjectId, UtcMillis};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteRow;

use super::words::{self, damaged, id, number, read_error, reason, status, value};
use crate::journal::{ReadError, ShardCursor};
use crate::ledger::{AppointmentQuery, AppointmentScope, HistoryItem, ParkedDay, PlacedAppointment};

/// A day that is parked from its publication on has no zone here, and appointments that moved there: told as the applier
/// tells it of such days.
macro_rules! select_appointments {
    ($where:literal) => {
        concat!(
            "SELECT a.id, a.doctor, a.date, a.patient, a.start_ms, a.end_ms, a.place, a.status, a.hold_expires_ms, \
             a.reason_key, a.reason, a.created_ms, a.updated_ms, a.version, coalesce(d.time_zone, \
             (SELECT 'UTC' FROM parked_day p WHERE p.doctor = a.doctor AND p.date = a.date)) AS time_zone \
             FROM appointment a LEFT JOIN doctor_day d ON d.doctor = a.doctor AND d.date = a.date WHERE ",
            $where
        )
    };
}

const BY_ID: &str = select_appointments!("a.id = ?1");
/// A page: after a place in the order, before an instant, in one of the statuses as told at ?6.
macro_rules! select_page {
    ($scope:literal) => {
        concat!(
            select_appointments!($scope),
            " AND (a.start_ms, a.id) > (?3, ?4) AND a.start_ms < ?5 \
             AND CASE WHEN a.status = 'booked' AND a.end_ms <= ?6 THEN 'completed' ELSE a.status END \
             IN (SELECT value FROM json_each(?7)) ORDER BY a.start_ms, a.id LIMIT ?8"
        )
    };
}

const PAGE_OF_PATIENT: &str = select_page!("a.patient = ?1 AND ?2 IS NULL");
const PAGE_OF_DAY: &str = select_page!("a.doctor = ?1 AND a.date = ?2");
const HISTORY: &str = "SELECT version, at_ms, actor, role, from_status, to_status, reason_key, reason \
                       FROM appointment_history WHERE appointment = ?1 ORDER BY version";
pub(super) const PARKED: &str =
    "SELECT doctor, date, epoch, sequence, position, reason FROM parked_day ORDER BY doctor, date";
const APPLIED_SEQUENCE: &str = "SELECT sequence FROM applied_day WHERE doctor = ?1 AND date = ?2";
const SHARD_CURSOR: &str = "SELECT epoch, position FROM applied_shard WHERE shard = ?1";
const APPLIED_POSITION: &str = "SELECT coalesce(max(position), 0) AS position FROM applied_shard";
const TIME_ZONE: &str = "SELECT time_zone FROM doctor_day WHERE doctor = ?1 AND date = ?2";

/// Those that look for rows, for the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 6] = [BY_ID, PAGE_OF_PATIENT, PAGE_OF_DAY, HISTORY, APPLIED_SEQUENCE, TIME_ZONE];

/// One appointment.
pub(super) async fn appointment(
    readers: &SqlitePool,
    appointment: AppointmentId,
) -> Result<Option<PlacedAppointment>, ReadError> {
    let query = sqlx::query(BY_ID).bind(appointment.as_bytes().to_vec());
    let row = query.fetch_optional(readers).await.map_err(|error| read_error(&error))?;
    row.as_ref().map(placed).transpose()
}

/// A page by (start, id).
pub(super) async fn appointments(
    readers: &SqlitePool,
    query: &AppointmentQuery,
) -> Result<Vec<PlacedAppointment>, ReadError> {
    let (text, scope, date) = match query.scope {
        AppointmentScope::Patient(patient) => (PAGE_OF_PATIENT, *patient.as_bytes(), None),
        AppointmentScope::Day(day) => (PAGE_OF_DAY, *day.doctor.as_bytes(), Some(day.date.days())),
    };
    let (start, id) = lower_bound(query);
    let rows = sqlx::query(text)
        .bind(scope.to_vec())
        .bind(date)
        .bind(start)
        .bind(id)
        .bind(query.to.map_or(i64::MAX, |to| to.0))
        .bind(query.now.0)
        .bind(words_of(&query.statuses))
        .bind(i64::try_from(query.limit).unwrap_or(i64::MAX))
        .fetch_all(readers)
        .await
        .map_err(|error| read_error(&error))?;
    rows.iter().map(placed).collect()
}

/// `from` and `after` as one exclusive bound: no id sorts before the empty one.
fn lower_bound(query: &AppointmentQuery) -> (i64, Vec<u8>) {
    let from = (query.from.map_or(i64::MIN, |from| from.0), Vec::new());
    let after = query.after.map(|(start, id)| (start.0, id.as_bytes().to_vec()));
    after.map_or(from.clone(), |after| after.max(from))
}

/// The statuses as a JSON array of their words; all of them for an empty list.
fn words_of(statuses: &[Status]) -> String {
    let statuses = if statuses.is_empty() { Status::ALL.as_slice() } else { statuses };
    let words: Vec<String> = statuses.iter().map(|status| format!("\"{}\"", status.word())).collect();
    format!("[{}]", words.join(","))
}

fn placed(row: &SqliteRow) -> Result<PlacedAppointment, ReadError> {
    let day = words::day(row)?;
    let time_zone: Option<String> = value(row, "time_zone")?;
    let time_zone = time_zone.ok_or_else(|| damaged(format!("{day} has appointments but no definition")))?;
    Ok(PlacedAppointment { day, time_zone: Arc::from(time_zone), appointment: appointment_of(row)? })
}

/// A row of `appointment`.
pub(super) fn appointment_of(row: &SqliteRow) -> Result<Appointment, ReadError> {
    Ok(Appointment {
        id: AppointmentId::from_bytes(id(row, "id")?),
        patient: PatientId::from_bytes(id(row, "patient")?),
        start: UtcMillis(value(row, "start_ms")?),
        end: UtcMillis(value(row, "end_ms")?),
        place: number(row, "place")?,
        status: status(value(row, "status")?)?,
        hold_expires_at: value::<Option<i64>>(row, "hold_expires_ms")?.map(UtcMillis),
        cancellation_reason: reason(row)?,
        created_at: UtcMillis(value(row, "created_ms")?),
        updated_at: UtcMillis(value(row, "updated_ms")?),
        version: number(row, "version")?,
    })
}

/// The steps of one appointment, oldest first.
pub(super) async fn history(readers: &SqlitePool, appointment: AppointmentId) -> Result<Vec<HistoryItem>, ReadError> {
    let query = sqlx::query(HISTORY).bind(appointment.as_bytes().to_vec());
    let rows = query.fetch_all(readers).await.map_err(|error| read_error(&error))?;
    rows.iter().map(step).collect()
}

/// A row of `appointment_history`.
pub(super) fn step(row: &SqliteRow) -> Result<HistoryItem, ReadError> {
    Ok(HistoryItem {
        at: UtcMillis(value(row, "at_ms")?),
        actor: SubjectId::from_bytes(id(row, "actor")?),
        role: words::role(value(row, "role")?)?,
        from: value::<Option<&str>>(row, "from_status")?.map(status).transpose()?,
        to: status(value(row, "to_status")?)?,
        reason: reason(row)?,
        version: number(row, "version")?,
    })
}

/// The parked days.
pub(super) async fn parked(readers: &SqlitePool) -> Result<Vec<ParkedDay>, ReadError> {
    let rows = sqlx::query(PARKED).fetch_all(readers).await.map_err(|error| read_error(&error))?;
    rows.iter().map(parked_day).collect()
}

/// A row of [`PARKED`].
pub(super) fn parked_day(row: &SqliteRow) -> Result<ParkedDay, ReadError> {
    Ok(ParkedDay {
        day: words::day(row)?,
        version: DayVersion { epoch: number(row, "epoch")?, sequence: number(row, "sequence")? },
        position: number(row, "position")?,
        reason: value(row, "reason")?,
    })
}

/// The sequence up to which `day` is applied.
pub(super) async fn applied_sequence(readers: &SqlitePool, day: DayKey) -> Result<u64, ReadError> {
    let query = sqlx::query(APPLIED_SEQUENCE).bind(day.doctor.as_bytes().to_vec()).bind(day.date.days());
    let row = query.fetch_optional(readers).await.map_err(|error| read_error(&error))?;
    row.as_ref().map_or(Ok(0), |row| number(row, "sequence"))
}

/// The position up to which everything is applied: the highest cursor, as positions rise over all shards.
pub(super) async fn applied_position(readers: &SqlitePool) -> Result<u64, ReadError> {
    let row = sqlx::query(APPLIED_POSITION).fetch_one(readers).await.map_err(|error| read_error(&error))?;
    number(&row, "position")
}

/// How far a shard is applied.
pub(super) async fn shard_cursor(readers: &SqlitePool, shard: u16) -> Result<ShardCursor, ReadError> {
    let query = sqlx::query(SHARD_CURSOR).bind(shard);
    let row = query.fetch_optional(readers).await.map_err(|error| read_error(&error))?;
    row.map_or(Ok(ShardCursor::default()), |row| {
        Ok(ShardCursor { epoch: number(&row, "epoch")?, position: number(&row, "position")? })
    })
}

/// The zone of a day's definition.
pub(super) async fn time_zone(readers: &SqlitePool, day: DayKey) -> Result<Option<Arc<str>>, ReadError> {
    let query = sqlx::query(TIME_ZONE).bind(day.doctor.as_bytes().to_vec()).bind(day.date.days());
    let row = query.fetch_optional(readers).await.map_err(|error| read_error(&error))?;
    row.as_ref().map(|row| value::<String>(row, "time_zone").map(Arc::from)).transpose()
}
