//! Records of branches that are over, kept until nothing is owed any more or their day is over.
//! Must not know: what a record promises, who asks for it again.
//!
//! Noting is not fenced: it is done before a shard is open, and by owners that are over. A record that is noted and not lost does no
//! harm, as whoever settles it finds it in the day's chain. Settling is the owner's alone.

use booking_core::DayKey;
use sqlx::Pool;
use sqlx::error::BoxDynError;
use uuid::Uuid;

use super::apply::transact;
use super::audit::Audited;
use super::bulk::{Bind, BulkStatement, Column, Conflict, Kind};
use super::columns::{Columns, day, value};
use super::raw::record_of;
use super::statement::{Statement, signed};
use super::{Dialect, Writer};
use crate::journal::{ReadError, StoredRecord};
use crate::ledger::ApplyError;
use crate::ledger::lost::{BrokenRecord, LostOutcome};

const COLUMNS: &[Column] = &[
    ("doctor", Kind::Id),
    ("date", Kind::Date),
    ("sequence", Kind::Integer),
    ("epoch", Kind::Integer),
    ("hash", Kind::Id),
    ("position", Kind::Integer),
    ("body", Kind::Bytes),
];

/// What is known stays as it is, settled too.
static NOTE: BulkStatement = BulkStatement::insert("lost_record", COLUMNS, Conflict::Ignore);

/// From its own index, which has nothing but what waits. Bounded: those that are settled make room for the next.
const DAYS: &str = "SELECT DISTINCT doctor, date FROM lost_record WHERE state = 0 ORDER BY date, doctor LIMIT 4096";
const OF_DAY: &str = "SELECT doctor, date, sequence, epoch, hash, position, body FROM lost_record \
                      WHERE date = $2 AND doctor = $1 AND state = 0 ORDER BY sequence, epoch, hash";
const SETTLE: &str = "UPDATE lost_record SET state = $6, reason = $7 \
                      WHERE doctor = $1 AND date = $2 AND sequence = $3 AND epoch = $4 AND hash = $5 AND state = 0";
pub(super) const FORGET: &str = "\
    DELETE FROM lost_record WHERE (date, doctor, sequence, epoch, hash) IN \
    (SELECT date, doctor, sequence, epoch, hash FROM lost_record WHERE date < $1 LIMIT $2)";

/// Few, or an operator has more to do than to wait for this.
const BROKEN: &str = "SELECT doctor, date, sequence, epoch, hash, position, body, reason FROM lost_record \
                      WHERE state = 2 ORDER BY date, doctor, sequence, epoch, hash";

/// Those that look for rows, for the test of their plans.
#[cfg(test)]
pub(in crate::ledger) const STATEMENTS: [&str; 3] = [OF_DAY, SETTLE, FORGET];

/// Keeps `records`; how many were not known.
pub(in crate::ledger) async fn note<D: Dialect>(
    writer: &Writer<D>,
    records: &[StoredRecord],
) -> Result<u64, ApplyError> {
    let mut noted = 0;
    transact(writer, async |connection: &mut D::Connection| {
        let done = D::execute_rows(connection, &NOTE, records, bind::<D>).await;
        noted = done.map_err(|error| D::apply_error("lost records", &error))?;
        Ok(())
    })
    .await?;
    Ok(noted)
}

fn bind<D: Dialect>(record: &StoredRecord, rows: &mut D::Rows) -> Result<(), BoxDynError> {
    rows.day(record.day)?;
    rows.integer(signed(record.version.sequence))?;
    rows.integer(record.version.epoch.into())?;
    rows.id(&record.hash.0)?;
    rows.integer(signed(record.position))?;
    rows.bytes(&record.body)
}

/// The days of records that wait, by date.
pub(in crate::ledger) async fn days<D: Dialect>(readers: &Pool<D>) -> Result<Vec<DayKey>, ReadError> {
    D::ask(readers, Statement::new(DAYS)).await?.iter().map(day).collect()
}

/// The records of `day` that wait, by sequence.
pub(in crate::ledger) async fn of_day<D: Dialect>(
    readers: &Pool<D>,
    day: DayKey,
) -> Result<Vec<StoredRecord>, ReadError> {
    D::ask(readers, Statement::new(OF_DAY).bind_day(day)).await?.iter().map(record).collect()
}

/// Says what became of `records`, all of days of ours; those that are settled already stay so.
pub(in crate::ledger) async fn settle<D: Dialect>(
    writer: &Writer<D>,
    records: &[StoredRecord],
    outcome: &LostOutcome,
) -> Result<(), ApplyError> {
    let (state, reason) = match outcome {
        LostOutcome::Settled => (1_i64, None),
        LostOutcome::Broken(reason) => (2, Some(reason.as_str())),
    };
    transact(writer, async |connection: &mut D::Connection| {
        D::require_ownership(connection, &writer.fence, records.iter().map(|record| record.day.shard())).await?;
        for record in records {
            let settled = Statement::new(SETTLE).bind_day(record.day).bind(record.version.sequence);
            let settled = settled.bind(record.version.epoch).bind(Uuid::from_bytes(record.hash.0)).bind(state);
            let done = D::execute(connection, settled.bind(reason)).await;
            done.map_err(|error| D::apply_error("lost records", &error))?;
        }
        Ok(())
    })
    .await
}

/// What cannot hold any more, as a transaction sees it.
pub(in crate::ledger) async fn broken<D: Audited>(
    connection: &mut D::Connection,
) -> Result<Vec<BrokenRecord>, ReadError> {
    let rows = D::fetch(connection, Statement::new(BROKEN)).await.map_err(|error| D::failed(&error))?;
    let read = |row: &D::Row| {
        let reason = value::<Option<String>>(row, "reason")?.unwrap_or_default();
        Ok(BrokenRecord { record: record(row)?, reason })
    };
    rows.iter().map(read).collect()
}

fn record(row: &impl Columns) -> Result<StoredRecord, ReadError> {
    record_of(row, day(row)?)
}
