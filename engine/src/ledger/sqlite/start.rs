//! What is read whole before the engine opens: live appointments and won keys; and how what is over is found.
//! Must not know: what is made of them.
//!
//! Without a deadline: nothing else is done with the file meanwhile, and the answer is as long as there are visits and keys of days
//! to come; days that are over are not read. A million visits and a million keys take a second of one core, and as much again to be kept.

use booking_core::{AppointmentId, Date, DayKey, DoctorId, PatientId, UtcMillis};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteRow;

use super::packed::Paging;
use super::words::damaged;
use crate::journal::ReadError;
use crate::ledger::sql::columns::{self, id};
use crate::ledger::won_keys::{KeyDigest, LiveAppointment, oldest_date};

const DAY_MILLIS: i64 = 86_400_000;

/// From the index alone: those of dates that are over lie before `?1` and are not read. Instants are told as distances, since short
/// numbers are written faster; `concat` tells NULL as nothing.
pub(super) const LIVE: &str = "\
    SELECT count(*) AS count, CAST(group_concat(row, '') AS BLOB) AS rows FROM (\
    SELECT concat(doctor, id, patient, date, ',', start_ms - date * 86400000, ',', end_ms - start_ms, ',', \
    hold_expires_ms - start_ms, ',', version, ',') AS row \
    FROM appointment WHERE (date, doctor, start_ms, id) > (?1, ?2, ?3, ?4) \
    AND status IN ('held', 'booked') AND end_ms > ?5 ORDER BY date, doctor, start_ms, id LIMIT ?6)";

const WON: &str = "\
    SELECT count(*) AS count, CAST(group_concat(row, '') AS BLOB) AS rows FROM (\
    SELECT concat(doctor, digest, date, ',', until_date - date, ',') AS row \
    FROM won_key WHERE (until_date, doctor, date, digest) > (?1, ?2, ?3, ?4) \
    ORDER BY until_date, doctor, date, digest LIMIT ?5)";

/// PostgreSQL has a statement of its own: several may forget at once there.
pub(super) const FORGET_KEYS: &str = "DELETE FROM won_key WHERE (until_date, doctor, date, digest) IN \
                                      (SELECT until_date, doctor, date, digest FROM won_key WHERE until_date < $1 LIMIT $2)";
pub(super) const FORGET_RAW: &str = "DELETE FROM raw_record WHERE (date, doctor, sequence) IN \
                                     (SELECT date, doctor, sequence FROM raw_record WHERE date < $1 LIMIT $2)";

/// Those that look for rows, for the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 4] = [LIVE, WON, FORGET_KEYS, FORGET_RAW];

static LIVE_PAGES: Paging<LiveAppointment> = Paging {
    statement: LIVE,
    read: |fields| {
        let (doctor, id, patient) = (DoctorId::from_bytes(fields.id()?), fields.id()?, fields.id()?);
        let date = date(fields.number()?)?;
        let midnight = UtcMillis(i64::from(date.days()) * DAY_MILLIS);
        let start = after(midnight, fields.number()?);
        Ok(LiveAppointment {
            day: DayKey { doctor, date },
            id: AppointmentId::from_bytes(id),
            patient: PatientId::from_bytes(patient),
            start,
            end: after(start, fields.number()?),
            hold_expires_at: fields.optional()?.map(|distance| after(start, distance)),
            version: fields.number()?,
        })
    },
    key: |live| (live.day.date.days().into(), live.day.doctor.as_bytes(), live.start.0, live.id.as_bytes()),
};

/// A key, the day that remembers it, and its last date.
type WonKey = (KeyDigest, DayKey, Date);

static WON_PAGES: Paging<WonKey> = Paging {
    statement: WON,
    read: |fields| {
        let (doctor, digest) = (DoctorId::from_bytes(fields.id()?), KeyDigest(fields.id()?));
        let days: i64 = fields.number()?;
        let until = date(days.saturating_add(fields.number()?))?;
        Ok((digest, DayKey { doctor, date: date(days)? }, until))
    },
    key: |(digest, day, until)| (until.days().into(), day.doctor.as_bytes(), day.date.days().into(), &digest.0),
};

fn date(days: i64) -> Result<Date, ReadError> {
    let date = i32::try_from(days).ok().and_then(Date::from_days);
    date.ok_or_else(|| damaged(format!("a date is {days}")))
}

fn after(instant: UtcMillis, distance_millis: i64) -> UtcMillis {
    UtcMillis(instant.0.saturating_add(distance_millis))
}

/// Every held or booked appointment that ends after `now`.
pub(super) async fn live_appointments(
    readers: &SqlitePool,
    now: UtcMillis,
    visit: &mut (dyn FnMut(LiveAppointment) + Send),
) -> Result<(), ReadError> {
    let first = oldest_date(now).map_or(i64::MIN, |oldest| oldest.days().into());
    LIVE_PAGES.visit(readers, first, &[now.0], visit).await
}

/// Every key whose answer concerns `from` or a later date.
pub(super) async fn won_keys(
    readers: &SqlitePool,
    from: Date,
    visit: &mut (dyn FnMut(KeyDigest, DayKey, Date) + Send),
) -> Result<(), ReadError> {
    let mut pass_on = |(digest, day, until): WonKey| visit(digest, day, until);
    WON_PAGES.visit(readers, from.days().into(), &[], &mut pass_on).await
}

/// A row of `won_key`.
pub(super) fn won(row: &SqliteRow) -> Result<(KeyDigest, DayKey, Date), ReadError> {
    Ok((KeyDigest(id(row, "digest")?), columns::day(row)?, columns::date(row, "until_date")?))
}
