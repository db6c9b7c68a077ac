//! What is read whole before shards open: live appointments and won keys; and how what is over is found.
//! Must not know: what is made of them.
//!
//! Page by page, each within the deadline of a question, so that a shard can be taken over while the database is at work for
//! others. SQLite packs a page into one value, which spares a driver that hands over each row from a thread of its own; here the
//! rows come as they are.

use booking_core::{AppointmentId, Date, DayKey, PatientId, UtcMillis};
use sqlx::{PgPool, Postgres};
use uuid::Uuid;

use crate::journal::ReadError;
use crate::ledger::sql::Dialect;
use crate::ledger::sql::columns::{self, id, number, value};
use crate::ledger::sql::statement::Statement;
use crate::ledger::won_keys::{KeyDigest, LiveAppointment, oldest_date};
use crate::ownership::ShardSet;

/// Rows of one page: about half a megabyte.
const PAGE_ROWS: usize = 4_096;

/// By the index of dates: what is over lies before the first key and is not read.
pub(super) const LIVE: &str = "\
    SELECT id, doctor, date, patient, start_ms, end_ms, hold_expires_ms, version FROM appointment \
    WHERE (date, doctor, start_ms, id) > ($1, $2, $3, $4) AND status IN ('held', 'booked') AND end_ms > $5 \
    AND shard = ANY($6) ORDER BY date, doctor, start_ms, id LIMIT $7";

pub(super) const WON: &str = "\
    SELECT until_date, doctor, date, digest FROM won_key WHERE (until_date, doctor, date, digest) > ($1, $2, $3, $4) \
    AND shard = ANY($5) ORDER BY until_date, doctor, date, digest LIMIT $6";

/// Several nodes may forget at once: none waits for rows that another one deletes.
pub(super) const FORGET_KEYS: &str = "\
    DELETE FROM won_key WHERE ctid = ANY (ARRAY(\
    SELECT ctid FROM won_key WHERE until_date < $1 LIMIT $2 FOR UPDATE SKIP LOCKED))";

pub(super) const FORGET_RAW: &str = "\
    DELETE FROM raw_record WHERE ctid = ANY (ARRAY(\
    SELECT ctid FROM raw_record WHERE date < $1 LIMIT $2 FOR UPDATE SKIP LOCKED))";

/// Where a row stands in the index that is read.
type Key = (i64, Uuid, i64, Uuid);

/// Before every row whose key begins with `first` or a greater number. No row has the highest ids.
fn before(first: i64) -> Key {
    (first.saturating_sub(1), Uuid::max(), i64::MAX, Uuid::max())
}

fn after(text: &'static str, key: Key) -> Statement {
    Statement::new(text).bind(key.0).bind(key.1).bind(key.2).bind(key.3)
}

/// Every held or booked appointment of `shards` that ends after `now`.
pub(super) async fn live_appointments(
    readers: &PgPool,
    shards: &ShardSet,
    now: UtcMillis,
    visit: &mut (dyn FnMut(LiveAppointment) + Send),
) -> Result<(), ReadError> {
    let mut next = Some(before(oldest_date(now).map_or(i64::MIN, |oldest| oldest.days().into())));
    while let Some(key) = next.take() {
        let page = after(LIVE, key).bind(now.0).bind(*shards).bind(PAGE_ROWS as u64);
        let rows = Postgres::ask(readers, page).await?;
        let full = rows.len() >= PAGE_ROWS;
        for row in &rows {
            let live = LiveAppointment {
                id: AppointmentId::from_bytes(id(row, "id")?),
                patient: PatientId::from_bytes(id(row, "patient")?),
                day: columns::day(row)?,
                start: UtcMillis(value(row, "start_ms")?),
                end: UtcMillis(value(row, "end_ms")?),
                hold_expires_at: value::<Option<i64>>(row, "hold_expires_ms")?.map(UtcMillis),
                version: number(row, "version")?,
            };
            next = full.then_some((live.day.date.days().into(), live.day.doctor.0, live.start.0, live.id.0));
            visit(live);
        }
    }
    Ok(())
}

/// Every key of `shards` whose answer concerns `from` or a later date.
pub(super) async fn won_keys(
    readers: &PgPool,
    shards: &ShardSet,
    from: Date,
    visit: &mut (dyn FnMut(KeyDigest, DayKey, Date) + Send),
) -> Result<(), ReadError> {
    let mut next = Some(before(from.days().into()));
    while let Some(key) = next.take() {
        let rows = Postgres::ask(readers, after(WON, key).bind(*shards).bind(PAGE_ROWS as u64)).await?;
        let full = rows.len() >= PAGE_ROWS;
        for row in &rows {
            let (digest, day, until) = (id(row, "digest")?, columns::day(row)?, columns::date(row, "until_date")?);
            next =
                full.then_some((until.days().into(), day.doctor.0, day.date.days().into(), Uuid::from_bytes(digest)));
            visit(KeyDigest(digest), day, until);
        }
    }
    Ok(())
}
