//! Questions to the ledger's rows.
//! Must not know: the overlay, who may see what.

use std::sync::Arc;

use booking_core::{Appointment, AppointmentId, DayKey, DayVersion, PatientId, Status, SubjectId, UtcMillis};
use sqlx::Pool;
use uuid::Uuid;

use super::bulk::{Bind, BulkStatement, Kind};
use super::columns::{self, Columns, damaged, id, number, personal, role, status, value};
use super::statement::Statement;
use super::{Dialect, ask_first};
use crate::journal::{ReadError, ShardCursor};
use crate::ledger::{AppointmentQuery, AppointmentScope, HistoryItem, ParkedDay, PlacedAppointment};

/// A day that is parked from its publication on has no zone here, and appointments that moved there: told as the applier
/// tells it of such days. Where several processes apply, an appointment can have moved to a day whose own records, another process's, are
/// not here yet: its zone is the doctor's, who was put before the day.
macro_rules! select_appointments {
    ($where:literal) => {
        concat!(
            select_columns!(),
            "appointment a LEFT JOIN doctor_day d ON d.doctor = a.doctor AND d.date = a.date WHERE ",
            $where
        )
    };
}

macro_rules! select_columns {
    () => {
        "SELECT a.id, a.doctor, a.date, a.patient, a.start_ms, a.end_ms, a.place, a.status, a.hold_expires_ms, \
         a.reason_key, a.reason, a.created_ms, a.updated_ms, a.version, coalesce(d.time_zone, \
         (SELECT 'UTC' FROM parked_day p WHERE p.doctor = a.doctor AND p.date = a.date), \
         (SELECT o.time_zone FROM doctor o WHERE o.id = a.doctor)) AS time_zone FROM "
    };
}

const BY_ID: &str = select_appointments!("a.id = $1");
static BY_IDS: BulkStatement = BulkStatement::list(
    select_columns!(),
    &[Kind::Id],
    " AS wanted CROSS JOIN appointment a LEFT JOIN doctor_day d ON d.doctor = a.doctor AND d.date = a.date \
     WHERE a.id = wanted.column1",
);
/// A page: after a place in the order, before an instant, in one of the statuses as told at $6. As many words as there are statuses.
macro_rules! select_page {
    ($scope:literal) => {
        concat!(
            select_appointments!($scope),
            " AND (a.start_ms, a.id) > ($3, $4) AND a.start_ms < $5 \
             AND CASE WHEN a.status = 'booked' AND a.end_ms <= $6 THEN 'completed' ELSE a.status END \
             IN ($8, $9, $10, $11, $12, $13) ORDER BY a.start_ms, a.id LIMIT $7"
        )
    };
}

const PAGE_OF_PATIENT: &str = select_page!("a.patient = $1 AND $2 IS NULL");
const PAGE_OF_DAY: &str = select_page!("a.doctor = $1 AND a.date = $2");
const HISTORY: &str = "SELECT version, at_ms, actor, role, from_status, to_status, reason_key, reason \
                       FROM appointment_history WHERE appointment = $1 ORDER BY version";
pub(in crate::ledger) const PARKED: &str =
    "SELECT doctor, date, epoch, sequence, position, reason FROM parked_day ORDER BY doctor, date";
const APPLIED_SEQUENCE: &str = "SELECT sequence FROM applied_day WHERE doctor = $1 AND date = $2";
const SHARD_CURSOR: &str = "SELECT epoch, position FROM applied_shard WHERE shard = $1";
const APPLIED_POSITION: &str = "SELECT coalesce(max(position), 0) AS position FROM applied_shard";
const TIME_ZONE: &str = "SELECT time_zone FROM doctor_day WHERE doctor = $1 AND date = $2";

/// Those that look for rows, for the test of their plans.
#[cfg(test)]
pub(in crate::ledger) const STATEMENTS: [&str; 6] =
    [BY_ID, PAGE_OF_PATIENT, PAGE_OF_DAY, HISTORY, APPLIED_SEQUENCE, TIME_ZONE];

/// One appointment.
pub(in crate::ledger) async fn appointment<D: Dialect>(
    readers: &Pool<D>,
    appointment: AppointmentId,
) -> Result<Option<PlacedAppointment>, ReadError> {
    let row = ask_first(readers, Statement::new(BY_ID).bind(appointment.0)).await?;
    row.as_ref().map(placed).transpose()
}

/// Those of `ids` that are there.
pub(in crate::ledger) async fn appointments_of<D: Dialect>(
    readers: &Pool<D>,
    ids: &[AppointmentId],
) -> Result<Vec<PlacedAppointment>, ReadError> {
    let rows = D::ask_rows(readers, &BY_IDS, ids, |id, values| values.id(id.as_bytes())).await?;
    rows.iter().map(placed).collect()
}

/// A page by (start, id).
pub(in crate::ledger) async fn appointments<D: Dialect>(
    readers: &Pool<D>,
    query: &AppointmentQuery,
) -> Result<Vec<PlacedAppointment>, ReadError> {
    let (text, scope, date) = match query.scope {
        AppointmentScope::Patient(patient) => (PAGE_OF_PATIENT, patient.0, None),
        AppointmentScope::Day(day) => (PAGE_OF_DAY, day.doctor.0, Some(day.date.days())),
    };
    let (start, id) = lower_bound(query);
    let mut statement = Statement::new(text)
        .bind(scope)
        .bind(date)
        .bind(start)
        .bind(id)
        .bind(query.to.map_or(i64::MAX, |to| to.0))
        .bind(query.now.0)
        .bind(i64::try_from(query.limit).unwrap_or(i64::MAX));
    for word in words_of(&query.statuses) {
        statement = statement.bind(word);
    }
    D::ask(readers, statement).await?.iter().map(placed).collect()
}

/// `from` and `after` as one exclusive bound: no id sorts after the highest one, which nothing has.
fn lower_bound(query: &AppointmentQuery) -> (i64, Uuid) {
    let from = (query.from.map_or(i64::MIN, |from| from.0).saturating_sub(1), Uuid::max());
    let after = query.after.map(|(start, id)| (start.0, id.0));
    after.map_or(from, |after| after.max(from))
}

/// The words of the statuses, each once and the last one repeated; of all of them for an empty list.
fn words_of(statuses: &[Status]) -> [&'static str; Status::ALL.len()] {
    let is_wanted = |status: &Status| statuses.is_empty() || statuses.contains(status);
    let words: Vec<&str> = Status::ALL.into_iter().filter(is_wanted).map(Status::word).collect();
    std::array::from_fn(|at| words[at.min(words.len() - 1)])
}

fn placed(row: &impl Columns) -> Result<PlacedAppointment, ReadError> {
    let day = columns::day(row)?;
    let time_zone: Option<String> = value(row, "time_zone")?;
    let time_zone = time_zone.ok_or_else(|| damaged(row, format!("{day} has appointments but no definition")))?;
    Ok(PlacedAppointment { day, time_zone: Arc::from(time_zone), appointment: appointment_of(row)? })
}

/// A row of `appointment`.
pub(in crate::ledger) fn appointment_of(row: &impl Columns) -> Result<Appointment, ReadError> {
    Ok(Appointment {
        id: AppointmentId::from_bytes(id(row, "id")?),
        patient: PatientId::from_bytes(id(row, "patient")?),
        start: UtcMillis(value(row, "start_ms")?),
        end: UtcMillis(value(row, "end_ms")?),
        place: number(row, "place")?,
        status: status(row, "status")?.ok_or_else(|| damaged(row, "`status` is empty".to_owned()))?,
        hold_expires_at: value::<Option<i64>>(row, "hold_expires_ms")?.map(UtcMillis),
        cancellation_reason: personal(row, "reason_key", "reason")?,
        created_at: UtcMillis(value(row, "created_ms")?),
        updated_at: UtcMillis(value(row, "updated_ms")?),
        version: number(row, "version")?,
    })
}

/// The steps of one appointment, oldest first.
pub(in crate::ledger) async fn history<D: Dialect>(
    readers: &Pool<D>,
    appointment: AppointmentId,
) -> Result<Vec<HistoryItem>, ReadError> {
    D::ask(readers, Statement::new(HISTORY).bind(appointment.0)).await?.iter().map(step).collect()
}

/// A row of `appointment_history`.
pub(in crate::ledger) fn step(row: &impl Columns) -> Result<HistoryItem, ReadError> {
    Ok(HistoryItem {
        at: UtcMillis(value(row, "at_ms")?),
        actor: SubjectId::from_bytes(id(row, "actor")?),
        role: role(row, "role")?,
        from: status(row, "from_status")?,
        to: status(row, "to_status")?.ok_or_else(|| damaged(row, "`to_status` is empty".to_owned()))?,
        reason: personal(row, "reason_key", "reason")?,
        version: number(row, "version")?,
    })
}

/// The parked days.
pub(in crate::ledger) async fn parked<D: Dialect>(readers: &Pool<D>) -> Result<Vec<ParkedDay>, ReadError> {
    D::ask(readers, Statement::new(PARKED)).await?.iter().map(parked_day).collect()
}

/// A row of [`PARKED`].
pub(in crate::ledger) fn parked_day(row: &impl Columns) -> Result<ParkedDay, ReadError> {
    Ok(ParkedDay {
        day: columns::day(row)?,
        version: DayVersion { epoch: number(row, "epoch")?, sequence: number(row, "sequence")? },
        position: number(row, "position")?,
        reason: value(row, "reason")?,
    })
}

/// The sequence up to which `day` is applied.
pub(in crate::ledger) async fn applied_sequence<D: Dialect>(readers: &Pool<D>, day: DayKey) -> Result<u64, ReadError> {
    let row = ask_first(readers, Statement::new(APPLIED_SEQUENCE).bind_day(day)).await?;
    row.as_ref().map_or(Ok(0), |row| number(row, "sequence"))
}

/// The position up to which everything is applied: the highest cursor, as positions rise over all shards.
pub(in crate::ledger) async fn applied_position<D: Dialect>(readers: &Pool<D>) -> Result<u64, ReadError> {
    let row = ask_first(readers, Statement::new(APPLIED_POSITION)).await?;
    row.as_ref().map_or(Ok(0), |row| number(row, "position"))
}

/// How far a shard is applied.
pub(in crate::ledger) async fn shard_cursor<D: Dialect>(
    readers: &Pool<D>,
    shard: u16,
) -> Result<ShardCursor, ReadError> {
    let row = ask_first(readers, Statement::new(SHARD_CURSOR).bind(shard)).await?;
    row.as_ref().map_or(Ok(ShardCursor::default()), |row| {
        Ok(ShardCursor { epoch: number(row, "epoch")?, position: number(row, "position")? })
    })
}

/// The zone of a day's definition.
pub(in crate::ledger) async fn time_zone<D: Dialect>(
    readers: &Pool<D>,
    day: DayKey,
) -> Result<Option<Arc<str>>, ReadError> {
    let row = ask_first(readers, Statement::new(TIME_ZONE).bind_day(day)).await?;
    row.as_ref().map(|row| value::<String>(row, "time_zone").map(Arc::from)).transpose()
}
