//! What an audit reads of a ledger in SQL: the rows of one day, and which days there are.
//! Must not know: the journal, what is wrong with the rows, which database answers.
//!
//! Without a deadline: an audit takes as long as the ledger is large.

use std::collections::{BTreeMap, BTreeSet};

use booking_core::{AppointmentId, DayKey, DayVersion, RequestId, UtcMillis};
use sqlx::error::BoxDynError;

use super::Dialect;
use super::bulk::{Bind, BulkStatement, Kind};
use super::columns::{self, id, number, value};
use super::read;
use super::statement::Statement;
use crate::journal::{ReadError, ShardCursor};
use crate::ledger::ParkedDay;
use crate::verify::rows::{DayRow, DayRows, StepRow};
use crate::verify::source::{NamedDays, Progress, WonKeyBounds};

pub(in crate::ledger) const DAYS: &str = "\
    SELECT doctor, date FROM doctor_day UNION SELECT doctor, date FROM appointment \
    UNION SELECT doctor, date FROM seat UNION SELECT doctor, date FROM applied_day \
    UNION SELECT doctor, date FROM parked_day";
pub(in crate::ledger) const DAYS_OF_KEYS: &str = "SELECT DISTINCT doctor, date FROM won_key";
pub(in crate::ledger) const WON: &str =
    "SELECT until_date, doctor, date, digest FROM won_key ORDER BY doctor, date, until_date, digest";
pub(in crate::ledger) const ORPHANS: &str = "\
    SELECT appointment, version FROM appointment_history h \
    WHERE NOT EXISTS (SELECT 1 FROM appointment a WHERE a.id = h.appointment) ORDER BY appointment, version";
const KEY_BOUNDS: &str = "SELECT after_position, forgotten_before FROM won_key_bounds";
const APPLIED: &str = "SELECT doctor, date, epoch, sequence FROM applied_day WHERE doctor = $1 AND date = $2";
const SHARDS: &str = "SELECT shard, epoch, position FROM applied_shard";
const POSITION: &str = "SELECT coalesce(max(position), 0) AS position FROM applied_shard";
// Columns are named one by one: SQLite's driver's thread does not survive a name that is no text, which a damaged schema can have.
const DAY: &str = "\
    SELECT time_zone, time_zone_database, first_start_ms, last_end_ms, slots, capacity, first_release_ms, releases, closed_ms, \
    closed_reason_key, closed_reason, epoch, sequence FROM doctor_day WHERE doctor = $1 AND date = $2";
const APPOINTMENTS: &str = "\
    SELECT id, patient, start_ms, end_ms, place, status, hold_expires_ms, reason_key, reason, created_ms, updated_ms, version \
    FROM appointment WHERE doctor = $1 AND date = $2 ORDER BY start_ms, id";
const APPOINTMENT: &str = "\
    SELECT doctor, date, id, patient, start_ms, end_ms, place, status, hold_expires_ms, reason_key, reason, created_ms, \
    updated_ms, version FROM appointment WHERE id = $1";
const SEATS: &str = "SELECT start_ms, place, appointment FROM seat WHERE doctor = $1 AND date = $2";
static STEPS: BulkStatement = BulkStatement::list(
    "SELECT h.appointment, h.version, h.at_ms, h.actor, h.role, h.request, h.from_status, h.to_status, h.reason_key, h.reason FROM ",
    &[Kind::Id],
    " AS wanted CROSS JOIN appointment_history h WHERE h.appointment = wanted.column1",
);

/// A ledger in SQL that can be audited.
pub(in crate::ledger) trait Audited: Dialect {
    /// What an error of a read says.
    fn failed(error: &sqlx::Error) -> ReadError;
}

async fn fetch<D: Audited>(connection: &mut D::Connection, statement: Statement) -> Result<Vec<D::Row>, ReadError> {
    D::fetch(connection, statement).await.map_err(|error| D::failed(&error))
}

async fn fetch_one<D: Audited>(
    connection: &mut D::Connection,
    text: &'static str,
) -> Result<Option<D::Row>, ReadError> {
    Ok(fetch::<D>(connection, Statement::new(text)).await?.into_iter().next())
}

/// Every day that any table names, and in words every name that is none.
pub(in crate::ledger) async fn days<D: Audited>(
    connection: &mut D::Connection,
    has_won_keys: bool,
) -> Result<NamedDays, ReadError> {
    let (mut days, mut malformed) = (BTreeSet::new(), Vec::new());
    for text in [Some(DAYS), has_won_keys.then_some(DAYS_OF_KEYS)].into_iter().flatten() {
        for row in fetch::<D>(connection, Statement::new(text)).await? {
            match columns::day(&row) {
                Ok(day) => {
                    days.insert(day);
                }
                Err(error) => malformed.push(error.to_string()),
            }
        }
    }
    Ok((days, malformed))
}

/// What the table of won keys does not have.
pub(in crate::ledger) async fn won_key_bounds<D: Audited>(
    connection: &mut D::Connection,
) -> Result<WonKeyBounds, ReadError> {
    let row = fetch_one::<D>(connection, KEY_BOUNDS).await?;
    let row = row.ok_or_else(|| <D::Row as columns::Columns>::damaged("`won_key_bounds` is empty".to_owned()))?;
    let is_told = value::<Option<i64>>(&row, "forgotten_before")?.is_some();
    let forgotten_before = is_told.then(|| columns::date(&row, "forgotten_before")).transpose()?;
    Ok(WonKeyBounds { after_position: number(&row, "after_position")?, forgotten_before })
}

/// The rows of one appointment, and the day where it stands; in words every row that is none.
pub(in crate::ledger) async fn appointment<D: Audited>(
    connection: &mut D::Connection,
    appointment: AppointmentId,
) -> Result<(Option<DayKey>, DayRows, Vec<String>), ReadError> {
    let (mut rows, mut malformed, mut stands) = (DayRows::default(), Vec::new(), None);
    for row in fetch::<D>(connection, Statement::new(APPOINTMENT).bind(appointment.0)).await? {
        match columns::day(&row).and_then(|day| Ok((day, read::appointment_of(&row)?))) {
            Ok((day, row)) => {
                stands = Some(day);
                rows.appointments.insert(row.id, row);
            }
            Err(error) => malformed.push(error.to_string()),
        }
    }
    steps::<D>(connection, &[appointment], &mut rows, &mut malformed).await?;
    Ok((stands, rows, malformed))
}

/// Up to where everything is applied, parked days aside.
pub(in crate::ledger) async fn progress<D: Audited>(
    connection: &mut D::Connection,
    is_one_log: bool,
) -> Result<Progress, ReadError> {
    if is_one_log {
        let row = fetch_one::<D>(connection, POSITION).await?;
        return row.map_or(Ok(0), |row| number(&row, "position")).map(Progress::Position);
    }
    let mut cursors = BTreeMap::new();
    for row in fetch::<D>(connection, Statement::new(SHARDS)).await? {
        let cursor = ShardCursor { epoch: number(&row, "epoch")?, position: number(&row, "position")? };
        cursors.insert(number(&row, "shard")?, cursor);
    }
    Ok(Progress::Shards(cursors))
}

/// The parked days.
pub(in crate::ledger) async fn parked<D: Audited>(
    connection: &mut D::Connection,
) -> Result<BTreeMap<DayKey, ParkedDay>, ReadError> {
    let rows = fetch::<D>(connection, Statement::new(read::PARKED)).await?;
    rows.iter().map(|row| read::parked_day(row).map(|parked| (parked.day, parked))).collect()
}

/// How far `day` is applied; the default if it is not.
pub(in crate::ledger) async fn applied<D: Audited>(
    connection: &mut D::Connection,
    day: DayKey,
) -> Result<DayVersion, ReadError> {
    let rows = fetch::<D>(connection, Statement::new(APPLIED).bind_day(day)).await?;
    rows.first().map_or(Ok(DayVersion::default()), version)
}

/// The rows of `day`, the steps of `appointments` among them, and in words every row that is none.
pub(in crate::ledger) async fn rows<D: Audited>(
    connection: &mut D::Connection,
    day: DayKey,
    appointments: &[AppointmentId],
) -> Result<(DayRows, Vec<String>), ReadError> {
    let (mut rows, mut malformed) = (DayRows::default(), Vec::new());
    for row in fetch::<D>(connection, Statement::new(APPOINTMENTS).bind_day(day)).await? {
        match read::appointment_of(&row) {
            Ok(appointment) => drop(rows.appointments.insert(appointment.id, appointment)),
            Err(error) => malformed.push(error.to_string()),
        }
    }
    let ids: BTreeSet<AppointmentId> = appointments.iter().chain(rows.appointments.keys()).copied().collect();
    let ids: Vec<AppointmentId> = ids.into_iter().collect();
    steps::<D>(connection, &ids, &mut rows, &mut malformed).await?;
    for row in fetch::<D>(connection, Statement::new(SEATS).bind_day(day)).await? {
        match seat(&row) {
            Ok((place, owner)) => drop(rows.seats.insert(place, owner)),
            Err(error) => malformed.push(error.to_string()),
        }
    }
    for row in fetch::<D>(connection, Statement::new(DAY).bind_day(day)).await? {
        match day_row(&row) {
            Ok(row) => rows.day = Some(row),
            Err(error) => malformed.push(error.to_string()),
        }
    }
    Ok((rows, malformed))
}

async fn steps<D: Audited>(
    connection: &mut D::Connection,
    ids: &[AppointmentId],
    rows: &mut DayRows,
    malformed: &mut Vec<String>,
) -> Result<(), ReadError> {
    let found = D::fetch_rows(connection, &STEPS, ids, bind_id::<D>).await;
    for row in found.map_err(|error| D::failed(&error))? {
        match step(&row) {
            Ok((id, step)) => drop(rows.steps.insert((id, step.item.version), step)),
            Err(error) => malformed.push(error.to_string()),
        }
    }
    Ok(())
}

fn bind_id<D: Dialect>(id: &AppointmentId, values: &mut D::Rows) -> Result<(), BoxDynError> {
    values.id(id.as_bytes())
}

/// A row of [`ORPHANS`].
pub(in crate::ledger) fn orphan(row: &impl columns::Columns) -> Result<(AppointmentId, u32), ReadError> {
    Ok((AppointmentId::from_bytes(id(row, "appointment")?), number(row, "version")?))
}

fn version(row: &impl columns::Columns) -> Result<DayVersion, ReadError> {
    Ok(DayVersion { epoch: number(row, "epoch")?, sequence: number(row, "sequence")? })
}

fn step(row: &impl columns::Columns) -> Result<(AppointmentId, StepRow), ReadError> {
    let request = RequestId::from_bytes(id(row, "request")?);
    Ok((AppointmentId::from_bytes(id(row, "appointment")?), StepRow { request, item: read::step(row)? }))
}

fn seat(row: &impl columns::Columns) -> Result<((UtcMillis, u32), AppointmentId), ReadError> {
    let place = (UtcMillis(value(row, "start_ms")?), number(row, "place")?);
    Ok((place, AppointmentId::from_bytes(id(row, "appointment")?)))
}

fn day_row(row: &impl columns::Columns) -> Result<DayRow, ReadError> {
    Ok(DayRow {
        time_zone: value(row, "time_zone")?,
        time_zone_database: value(row, "time_zone_database")?,
        first_start: UtcMillis(value(row, "first_start_ms")?),
        last_end: UtcMillis(value(row, "last_end_ms")?),
        slots: number(row, "slots")?,
        capacity: number(row, "capacity")?,
        first_release: UtcMillis(value(row, "first_release_ms")?),
        releases: number(row, "releases")?,
        closed_at: value::<Option<i64>>(row, "closed_ms")?.map(UtcMillis),
        closed_reason: columns::personal(row, "closed_reason_key", "closed_reason")?,
        version: version(row)?,
    })
}
