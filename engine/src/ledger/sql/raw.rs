//! The records as they were in the journal, for a journal that may forget its end (`protocols.md` rule 20).
//! Must not know: what a record means, who needs it again.

use booking_core::{DayKey, DayVersion};
use sqlx::Pool;
use sqlx::error::BoxDynError;

use super::Dialect;
use super::audit::Audited;
use super::bulk::{Bind, BulkStatement, Column, Conflict, Kind};
use super::columns::{Columns, day, id, number, value};
use super::statement::Statement;
use crate::journal::{ChainHash, Head, ReadError, StoredRecord};
use crate::ledger::{AppliedRecord, ApplyError};

const COLUMNS: &[Column] = &[
    ("doctor", Kind::Id),
    ("date", Kind::Date),
    ("sequence", Kind::Integer),
    ("epoch", Kind::Integer),
    ("position", Kind::Integer),
    ("hash", Kind::Id),
    ("body", Kind::Bytes),
    ("shard", Kind::Integer),
];

/// The same record again changes nothing and counts; another one in its place changes nothing and does not.
static KEEP: BulkStatement = BulkStatement::insert(
    "raw_record",
    COLUMNS,
    Conflict::Replace {
        key: &["date", "doctor", "sequence"],
        only_if: "raw_record.hash = excluded.hash AND raw_record.epoch = excluded.epoch",
    },
);

/// The first one stays: which one is right is told when the day is applied.
static KEEP_ASIDE: BulkStatement = BulkStatement::insert("raw_record", COLUMNS, Conflict::Ignore);

const OF_DAY: &str = "SELECT doctor, date, sequence, epoch, position, hash, body FROM raw_record \
                      WHERE date = $2 AND doctor = $1 AND sequence > $3 ORDER BY sequence";

const HEADS: &str = "SELECT last.doctor, last.date, last.sequence, last.epoch, last.hash FROM \
                     (SELECT date, doctor, max(sequence) AS sequence FROM raw_record WHERE shard BETWEEN $1 AND $2 \
                      GROUP BY date, doctor) AS ended \
                     CROSS JOIN raw_record AS last WHERE last.date = ended.date AND last.doctor = ended.doctor \
                     AND last.sequence = ended.sequence ORDER BY last.date, last.doctor";

/// Those that look for rows, for the test of their plans.
#[cfg(test)]
pub(in crate::ledger) const STATEMENTS: [&str; 2] = [OF_DAY, HEADS];

/// Keeps records that are applied now. Another record under a sequence that is kept already is a fork.
pub(super) async fn keep<D: Dialect>(
    records: &[&AppliedRecord],
    connection: &mut D::Connection,
) -> Result<(), ApplyError> {
    let kept = D::execute_rows(connection, &KEEP, records, bind::<D>).await;
    let kept = kept.map_err(|error| D::apply_error("raw records", &error))?;
    if kept == records.len() as u64 {
        return Ok(());
    }
    let others = (records.len() as u64).saturating_sub(kept);
    Err(ApplyError::Refused(format!("raw records: a fork: {others} are kept with another hash already")))
}

/// Keeps records of days that are parked: nobody else may have them when the journal has forgotten them.
pub(super) async fn keep_aside<D: Dialect>(
    records: &[&AppliedRecord],
    connection: &mut D::Connection,
) -> Result<(), ApplyError> {
    let kept = D::execute_rows(connection, &KEEP_ASIDE, records, bind::<D>).await;
    kept.map(drop).map_err(|error| D::apply_error("raw records", &error))
}

/// The records of `day` after `sequence`.
pub(in crate::ledger) async fn of_day<D: Dialect>(
    readers: &Pool<D>,
    day: DayKey,
    sequence: u64,
) -> Result<Vec<StoredRecord>, ReadError> {
    let rows = D::ask(readers, Statement::new(OF_DAY).bind_day(day).bind(sequence)).await?;
    rows.iter().map(|row| record_of(row, day)).collect()
}

/// All records of `day`, as a transaction sees them.
pub(in crate::ledger) async fn within<D: Audited>(
    connection: &mut D::Connection,
    day: DayKey,
) -> Result<Vec<StoredRecord>, ReadError> {
    let rows = D::fetch(connection, Statement::new(OF_DAY).bind_day(day).bind(0_u64)).await;
    rows.map_err(|error| D::failed(&error))?.iter().map(|row| record_of(row, day)).collect()
}

/// A record of `day`, of a row with all its columns.
pub(super) fn record_of(row: &impl Columns, day: DayKey) -> Result<StoredRecord, ReadError> {
    Ok(StoredRecord {
        day,
        shard: day.shard(),
        position: number(row, "position")?,
        version: DayVersion { epoch: number(row, "epoch")?, sequence: number(row, "sequence")? },
        hash: ChainHash(id(row, "hash")?),
        body: value::<Vec<u8>>(row, "body")?.into(),
    })
}

/// Where the records of each day of the shards from `first` to `last` end.
pub(in crate::ledger) async fn heads<D: Dialect>(
    readers: &Pool<D>,
    first: u16,
    last: u16,
) -> Result<Vec<(DayKey, Head)>, ReadError> {
    let rows = D::ask(readers, Statement::new(HEADS).bind(u64::from(first)).bind(u64::from(last))).await?;
    let read = |row: &D::Row| {
        let version = DayVersion { epoch: number(row, "epoch")?, sequence: number(row, "sequence")? };
        Ok((day(row)?, Head { version, hash: ChainHash(id(row, "hash")?) }))
    };
    rows.iter().map(read).collect()
}

fn bind<D: Dialect>(record: &&AppliedRecord, rows: &mut D::Rows) -> Result<(), BoxDynError> {
    rows.day(record.day)?;
    rows.integer(i64::try_from(record.version.sequence)?)?;
    rows.integer(record.version.epoch.into())?;
    rows.integer(i64::try_from(record.position)?)?;
    rows.id(&record.hash.0)?;
    rows.bytes(&record.body)?;
    rows.integer(record.day.shard().into())
}
