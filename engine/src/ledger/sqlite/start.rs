//! What is read whole before the engine opens: live appointments and won keys; and how old keys are forgotten.
//! Must not know: what is made of them.
//!
//! Without a deadline: nothing else is done with the file meanwhile, and the answer is as long as the file is large. A
//! million live appointments of 2,000 days take 10 seconds of one core, as each day's lie scattered over the table; a million
//! keys, which lie in the order in which they are read, 2 seconds.

use booking_core::{AppointmentId, Date, DayKey, PatientId, UtcMillis};
use futures_util::TryStreamExt;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::apply::transact;
use super::words::{self, apply_error, damaged, id, number, read_error, value};
use crate::journal::ReadError;
use crate::ledger::ApplyError;
use crate::ledger::won_keys::{KeyDigest, LiveAppointment};

/// Keys that are forgotten in one transaction: some milliseconds.
const FORGOTTEN_AT_ONCE: u64 = 4_096;

/// Days that are not over, each with its appointments. A parked day may have no row, and an appointment that moved there.
/// The days are read from end to end: one short row a day.
pub(super) const LIVE: &str = "\
    WITH day AS (SELECT doctor, date FROM doctor_day WHERE last_end_ms > ?1 UNION SELECT doctor, date FROM parked_day) \
    SELECT a.id, a.patient, a.doctor, a.date, a.start_ms, a.end_ms, a.hold_expires_ms, a.version \
    FROM day CROSS JOIN appointment a ON a.doctor = day.doctor AND a.date = day.date \
    WHERE a.status IN ('held', 'booked') AND a.end_ms > ?1";

const WON: &str = "SELECT until_date, doctor, date, digest FROM won_key WHERE until_date >= ?1 ORDER BY until_date, doctor, date, digest";

/// Told before the first row goes, so that an audit never misses what was forgotten in part.
const TELL_FORGOTTEN: &str = "UPDATE won_key_bounds SET forgotten_before = max(?1, coalesce(forgotten_before, ?1))";
const FORGET: &str = "DELETE FROM won_key WHERE (until_date, doctor, date, digest) IN \
                      (SELECT until_date, doctor, date, digest FROM won_key WHERE until_date < ?1 LIMIT ?2)";

/// Those that look for rows, for the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 2] = [WON, FORGET];

/// Every held or booked appointment that ends after `now`.
pub(super) async fn live_appointments(
    readers: &SqlitePool,
    now: UtcMillis,
    visit: &mut (dyn FnMut(LiveAppointment) + Send),
) -> Result<(), ReadError> {
    let mut rows = sqlx::query(LIVE).bind(now.0).fetch(readers);
    while let Some(row) = rows.try_next().await.map_err(|error| read_error(&error))? {
        visit(live(&row)?);
    }
    Ok(())
}

fn live(row: &SqliteRow) -> Result<LiveAppointment, ReadError> {
    Ok(LiveAppointment {
        id: AppointmentId::from_bytes(id(row, "id")?),
        patient: PatientId::from_bytes(id(row, "patient")?),
        day: words::day(row)?,
        start: UtcMillis(value(row, "start_ms")?),
        end: UtcMillis(value(row, "end_ms")?),
        hold_expires_at: value::<Option<i64>>(row, "hold_expires_ms")?.map(UtcMillis),
        version: number(row, "version")?,
    })
}

/// Every key whose answer concerns `from` or a later date.
pub(super) async fn won_keys(
    readers: &SqlitePool,
    from: Date,
    visit: &mut (dyn FnMut(KeyDigest, DayKey, Date) + Send),
) -> Result<(), ReadError> {
    let mut rows = sqlx::query(WON).bind(from.days()).fetch(readers);
    while let Some(row) = rows.try_next().await.map_err(|error| read_error(&error))? {
        let (digest, day, until) = won(&row)?;
        visit(digest, day, until);
    }
    Ok(())
}

/// A row of `won_key`.
pub(super) fn won(row: &SqliteRow) -> Result<(KeyDigest, DayKey, Date), ReadError> {
    let until: i32 = number(row, "until_date")?;
    let until = Date::from_days(until).ok_or_else(|| damaged(format!("`until_date` is {until}")))?;
    Ok((KeyDigest(id(row, "digest")?), words::day(row)?, until))
}

/// Forgets the keys whose answers concern no date from `before` on.
pub(super) async fn forget_won_keys(writer: &SqlitePool, before: Date) -> Result<u64, ApplyError> {
    transact(writer, async |connection: &mut SqliteConnection| {
        let told = sqlx::query(TELL_FORGOTTEN).bind(before.days()).execute(connection).await;
        told.map(drop).map_err(|error| apply_error("forgotten keys", &error))
    })
    .await?;
    let mut forgotten = 0;
    loop {
        let mut gone = 0;
        transact(writer, async |connection: &mut SqliteConnection| {
            let query = sqlx::query(FORGET).bind(before.days()).bind(words::signed(FORGOTTEN_AT_ONCE));
            let done = query.execute(connection).await.map_err(|error| apply_error("won keys", &error))?;
            gone = done.rows_affected();
            Ok(())
        })
        .await?;
        forgotten += gone;
        if gone < FORGOTTEN_AT_ONCE {
            return Ok(forgotten);
        }
    }
}
