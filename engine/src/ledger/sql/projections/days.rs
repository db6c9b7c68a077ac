//! How every day was published and closed last.
//! Must not know: appointments.

use std::collections::HashMap;

use async_trait::async_trait;
use booking_core::{DayDefinition, DayKey, DayVersion, Fact, PersonalText, UtcMillis};
use sqlx::error::BoxDynError;

use super::super::bulk::{Bind, BulkStatement, Conflict, Kind};
use super::super::statement::{Statement, signed};
use super::{Batch, Dialect, Projection};
use crate::ledger::{AppliedRecord, ApplyError};

static PUBLISH: BulkStatement = BulkStatement::insert(
    "doctor_day",
    &[
        ("doctor", Kind::Id),
        ("date", Kind::Date),
        ("time_zone", Kind::Text),
        ("time_zone_database", Kind::Text),
        ("first_start_ms", Kind::Integer),
        ("last_end_ms", Kind::Integer),
        ("slots", Kind::Integer),
        ("capacity", Kind::Integer),
        ("first_release_ms", Kind::Integer),
        ("releases", Kind::Integer),
        ("epoch", Kind::Integer),
        ("sequence", Kind::Integer),
    ],
    Conflict::Replace { key: &["doctor", "date"], only_if: "" },
);

const CLOSE: &str = "UPDATE doctor_day SET closed_ms = $3, closed_reason_key = $4, closed_reason = $5, epoch = $6, \
                     sequence = $7 WHERE doctor = $1 AND date = $2";

/// Table `doctor_day`.
pub(super) struct Days;

struct Published<'records> {
    day: DayKey,
    version: DayVersion,
    definition: &'records DayDefinition,
}

struct Closed<'records> {
    day: DayKey,
    version: DayVersion,
    at: UtcMillis,
    reason: Option<&'records PersonalText>,
}

#[async_trait]
impl<D: Dialect> Projection<D> for Days {
    async fn apply(&self, batch: &Batch<'_>, connection: &mut D::Connection) -> Result<(), ApplyError> {
        let (published, closed) = last_of_each(&batch.records);
        let written = D::execute_rows(connection, &PUBLISH, &published, bind::<D>).await;
        written.map_err(|error| D::apply_error("days", &error))?;
        for closure in &closed {
            close::<D>(closure, connection).await?;
        }
        Ok(())
    }
}

/// The last publication and the last closure of each day of the batch. A day that is published after it was closed stays
/// closed, and so the two do not disturb each other; the version named is the later one's.
fn last_of_each<'records>(records: &[&'records AppliedRecord]) -> (Vec<Published<'records>>, Vec<Closed<'records>>) {
    let mut published: HashMap<DayKey, Published<'records>> = HashMap::new();
    let mut closed: HashMap<DayKey, Closed<'records>> = HashMap::new();
    for record in records {
        let (day, version, at) = (record.day, record.version, record.event.at);
        match &record.event.fact {
            Fact::Published(definition) => {
                published.insert(day, Published { day, version, definition });
                closed.entry(day).and_modify(|closure| closure.version = version);
            }
            Fact::Closed { reason } => {
                closed.insert(day, Closed { day, version, at, reason: reason.as_ref() });
            }
            _ => {}
        }
    }
    (published.into_values().collect(), closed.into_values().collect())
}

fn bind<D: Dialect>(row: &Published<'_>, values: &mut D::Rows) -> Result<(), BoxDynError> {
    let definition = row.definition;
    let no_slots = || BoxDynError::from("a published day has no slot or no release");
    let first = definition.slots.first().ok_or_else(no_slots)?;
    let last = definition.slots.last().ok_or_else(no_slots)?;
    let release = definition.releases.first().ok_or_else(no_slots)?;
    values.day(row.day)?;
    values.text(&definition.time_zone)?;
    values.text(&definition.time_zone_database)?;
    values.integer(first.start.0)?;
    values.integer(last.end.0)?;
    values.integer(i64::try_from(definition.slots.len())?)?;
    values.integer(i64::try_from(definition.capacity())?)?;
    values.integer(release.at.0)?;
    values.integer(i64::try_from(definition.releases.len())?)?;
    values.integer(row.version.epoch.into())?;
    values.integer(signed(row.version.sequence))
}

/// Closing is rare: one statement each.
async fn close<D: Dialect>(row: &Closed<'_>, connection: &mut D::Connection) -> Result<(), ApplyError> {
    let statement = Statement::new(CLOSE)
        .bind_day(row.day)
        .bind(row.at.0)
        .bind(row.reason.map(|reason| reason.key))
        .bind(row.reason.map(|reason| reason.bytes.to_vec()))
        .bind(row.version.epoch)
        .bind(row.version.sequence);
    if D::execute(connection, statement).await.map_err(|error| D::apply_error("days", &error))? == 1 {
        return Ok(());
    }
    Err(ApplyError::Refused(format!("{} is closed but was never published", row.day)))
}
