//! What an audit reads of the ledger's file: the rows of one day, and which days there are.
//! Must not know: the journal, what is wrong with the rows.
//!
//! Without a deadline: an audit runs alone on a file that stands still, as long as the file is large.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use booking_core::{AppointmentId, Date, DayKey, DayVersion, PersonalText, RequestId, UtcMillis};
use futures_util::stream::BoxStream;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::words::{damaged, read_error};
use super::{FILE as FILE_NAME, start};
use crate::journal::ReadError;
use crate::ledger::ParkedDay;
use crate::ledger::sql::columns::{self, id, number, value};
use crate::ledger::sql::read;
use crate::ledger::won_keys::KeyDigest;
use crate::verify::rows::{DayRow, DayRows, StepRow};

/// The file below the data directory.
pub(crate) const FILE: &str = FILE_NAME;

const DAYS: &str = "\
                    SELECT doctor, date FROM doctor_day UNION SELECT doctor, date FROM appointment \
                    UNION SELECT doctor, date FROM seat UNION SELECT doctor, date FROM applied_day \
                    UNION SELECT doctor, date FROM parked_day";
const DAYS_OF_KEYS: &str = "SELECT DISTINCT doctor, date FROM won_key";
const HAS_KEYS: &str = "SELECT count(*) AS tables FROM sqlite_schema WHERE type = 'table' AND name = 'won_key_bounds'";
const KEY_BOUNDS: &str = "SELECT after_position, forgotten_before FROM won_key_bounds";
const WON: &str = "SELECT until_date, doctor, date, digest FROM won_key ORDER BY doctor, date, until_date, digest";
const APPLIED: &str = "SELECT doctor, date, epoch, sequence FROM applied_day WHERE doctor = ?1 AND date = ?2";
const POSITION: &str = "SELECT coalesce(max(position), 0) AS position FROM applied_shard";
// Columns are named one by one: the driver's thread does not survive a name that is no text, which a damaged schema can have.
const DAY: &str = "\
    SELECT time_zone, time_zone_database, first_start_ms, last_end_ms, slots, capacity, first_release_ms, releases, closed_ms, \
    closed_reason_key, closed_reason, epoch, sequence FROM doctor_day WHERE doctor = ?1 AND date = ?2";
const APPOINTMENTS: &str = "\
    SELECT id, patient, start_ms, end_ms, place, status, hold_expires_ms, reason_key, reason, created_ms, updated_ms, version \
    FROM appointment WHERE doctor = ?1 AND date = ?2 ORDER BY start_ms, id";
const APPOINTMENT: &str = "\
    SELECT doctor, date, id, patient, start_ms, end_ms, place, status, hold_expires_ms, reason_key, reason, created_ms, \
    updated_ms, version FROM appointment WHERE id = ?1";
const SEATS: &str = "SELECT start_ms, place, appointment FROM seat WHERE doctor = ?1 AND date = ?2";
const STEPS: &str = "SELECT appointment, version, at_ms, actor, role, request, from_status, to_status, reason_key, reason \
                     FROM appointment_history \
                     WHERE appointment IN (SELECT unhex(value) FROM json_each(?1)) ORDER BY appointment, version";
const ORPHANS: &str = "SELECT appointment, version FROM appointment_history h \
                       WHERE NOT EXISTS (SELECT 1 FROM appointment a WHERE a.id = h.appointment) \
                       ORDER BY appointment, version";

/// What the table of won keys does not have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WonKeyBounds {
    /// Keys of records up to this position of the journal.
    pub(crate) after_position: u64,
    /// Keys that concern no date from this one on.
    pub(crate) forgotten_before: Option<Date>,
}

/// Every day that any table names, and in words every name that is none.
pub(crate) async fn days(
    connection: &mut SqliteConnection,
    has_won_keys: bool,
) -> Result<(BTreeSet<DayKey>, Vec<String>), ReadError> {
    let (mut days, mut malformed) = (BTreeSet::new(), Vec::new());
    for text in [Some(DAYS), has_won_keys.then_some(DAYS_OF_KEYS)].into_iter().flatten() {
        for row in sqlx::query(text).fetch_all(&mut *connection).await.map_err(failed)? {
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

/// `None` if the file is one of a program that kept no keys.
pub(crate) async fn won_key_bounds(connection: &mut SqliteConnection) -> Result<Option<WonKeyBounds>, ReadError> {
    let tables = sqlx::query(HAS_KEYS).fetch_one(&mut *connection).await.map_err(failed)?;
    if number::<u64>(&tables, "tables")? == 0 {
        return Ok(None);
    }
    let row = sqlx::query(KEY_BOUNDS).fetch_optional(connection).await.map_err(failed)?;
    let row = row.ok_or_else(|| damaged("`won_key_bounds` is empty".to_owned()))?;
    let is_told = value::<Option<i64>>(&row, "forgotten_before")?.is_some();
    let forgotten_before = is_told.then(|| columns::date(&row, "forgotten_before")).transpose()?;
    Ok(Some(WonKeyBounds { after_position: number(&row, "after_position")?, forgotten_before }))
}

/// All won keys by day; [`won_key`] reads one.
pub(crate) fn won_keys(connection: &mut SqliteConnection) -> BoxStream<'_, Result<SqliteRow, sqlx::Error>> {
    sqlx::query(WON).fetch(connection)
}

/// A row of [`won_keys`].
pub(crate) fn won_key(row: &SqliteRow) -> Result<(KeyDigest, DayKey, Date), ReadError> {
    start::won(row)
}

/// The rows of one appointment, and the day where it stands; in words every row that is none.
pub(crate) async fn appointment(
    connection: &mut SqliteConnection,
    appointment: AppointmentId,
) -> Result<(Option<DayKey>, DayRows, Vec<String>), ReadError> {
    let (mut rows, mut malformed, mut stands) = (DayRows::default(), Vec::new(), None);
    let mut keep = |checked: Result<(), ReadError>| malformed.extend(checked.err().map(|error| error.to_string()));
    let query = sqlx::query(APPOINTMENT).bind(appointment.as_bytes().to_vec());
    if let Some(row) = query.fetch_optional(&mut *connection).await.map_err(failed)? {
        let read = columns::day(&row).and_then(|day| Ok((day, read::appointment_of(&row)?)));
        keep(read.map(|(day, row)| {
            stands = Some(day);
            rows.appointments.extend([(row.id, row)]);
        }));
    }
    for row in
        sqlx::query(STEPS).bind(list(&BTreeSet::from([appointment]))).fetch_all(connection).await.map_err(failed)?
    {
        keep(step(&row).map(|(id, step)| rows.steps.extend([((id, step.item.version), step)])));
    }
    Ok((stands, rows, malformed))
}

/// The journal's position up to which everything is applied, parked days aside.
pub(crate) async fn position(connection: &mut SqliteConnection) -> Result<u64, ReadError> {
    number(&sqlx::query(POSITION).fetch_one(connection).await.map_err(failed)?, "position")
}

/// The parked days.
pub(crate) async fn parked(connection: &mut SqliteConnection) -> Result<BTreeMap<DayKey, ParkedDay>, ReadError> {
    let rows = sqlx::query(read::PARKED).fetch_all(connection).await.map_err(failed)?;
    rows.iter().map(|row| read::parked_day(row).map(|parked| (parked.day, parked))).collect()
}

/// How far `day` is applied; the default if it is not.
pub(crate) async fn applied(connection: &mut SqliteConnection, day: DayKey) -> Result<DayVersion, ReadError> {
    let row = of_day(APPLIED, day).fetch_optional(connection).await.map_err(failed)?;
    row.as_ref().map_or(Ok(DayVersion::default()), version)
}

/// The rows of `day`, the steps of `appointments` among them, and in words every row that is none.
pub(crate) async fn rows(
    connection: &mut SqliteConnection,
    day: DayKey,
    appointments: impl Iterator<Item = AppointmentId>,
) -> Result<(DayRows, Vec<String>), ReadError> {
    let (mut rows, mut malformed) = (DayRows::default(), Vec::new());
    let mut keep = |checked: Result<(), ReadError>| malformed.extend(checked.err().map(|error| error.to_string()));
    for row in of_day(APPOINTMENTS, day).fetch_all(&mut *connection).await.map_err(failed)? {
        keep(read::appointment_of(&row).map(|appointment| rows.appointments.extend([(appointment.id, appointment)])));
    }
    let ids: BTreeSet<AppointmentId> = appointments.chain(rows.appointments.keys().copied()).collect();
    for row in sqlx::query(STEPS).bind(list(&ids)).fetch_all(&mut *connection).await.map_err(failed)? {
        keep(step(&row).map(|(id, step)| rows.steps.extend([((id, step.item.version), step)])));
    }
    for row in of_day(SEATS, day).fetch_all(&mut *connection).await.map_err(failed)? {
        keep(seat(&row).map(|seat| rows.seats.extend([seat])));
    }
    if let Some(row) = of_day(DAY, day).fetch_optional(connection).await.map_err(failed)? {
        keep(day_row(&row).map(|row| rows.day = Some(row)));
    }
    Ok((rows, malformed))
}

/// Steps of appointments that have no row; [`orphan`] reads one.
pub(crate) fn orphans(connection: &mut SqliteConnection) -> BoxStream<'_, Result<SqliteRow, sqlx::Error>> {
    sqlx::query(ORPHANS).fetch(connection)
}

/// A row of [`orphans`].
pub(crate) fn orphan(row: &SqliteRow) -> Result<(AppointmentId, u32), ReadError> {
    Ok((AppointmentId::from_bytes(id(row, "appointment")?), number(row, "version")?))
}

fn of_day(text: &'static str, day: DayKey) -> sqlx::query::Query<'static, sqlx::Sqlite, sqlx::sqlite::SqliteArguments> {
    sqlx::query(text).bind(day.doctor.as_bytes().to_vec()).bind(day.date.days())
}

/// A JSON array of the ids in hexadecimal.
fn list(ids: &BTreeSet<AppointmentId>) -> String {
    let mut text = String::with_capacity(2 + 35 * ids.len());
    for id in ids {
        let separator = if text.is_empty() { '[' } else { ',' };
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}\"{}\"", id.0.simple());
    }
    if text.is_empty() { "[]".to_owned() } else { text + "]" }
}

fn version(row: &SqliteRow) -> Result<DayVersion, ReadError> {
    Ok(DayVersion { epoch: number(row, "epoch")?, sequence: number(row, "sequence")? })
}

fn step(row: &SqliteRow) -> Result<(AppointmentId, StepRow), ReadError> {
    let request = RequestId::from_bytes(id(row, "request")?);
    Ok((AppointmentId::from_bytes(id(row, "appointment")?), StepRow { request, item: read::step(row)? }))
}

fn seat(row: &SqliteRow) -> Result<((UtcMillis, u32), AppointmentId), ReadError> {
    let place = (UtcMillis(value(row, "start_ms")?), number(row, "place")?);
    Ok((place, AppointmentId::from_bytes(id(row, "appointment")?)))
}

fn day_row(row: &SqliteRow) -> Result<DayRow, ReadError> {
    let closed_reason = match row.try_get::<Option<Vec<u8>>, _>("closed_reason").map_err(failed)? {
        Some(bytes) => Some(PersonalText { key: number(row, "closed_reason_key")?, bytes: bytes.into() }),
        None => None,
    };
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
        closed_reason,
        version: version(row)?,
    })
}

/// The ledger does not answer, or answers with what cannot be.
#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` takes")]
pub(crate) fn failed(error: sqlx::Error) -> ReadError {
    read_error(&error)
}
