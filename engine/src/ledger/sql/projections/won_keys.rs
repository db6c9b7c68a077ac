//! Which keys have won on which day, as digests.
//! Must not know: answers, who asks for a key.

use async_trait::async_trait;
use booking_core::{Date, DayKey};
use sqlx::error::BoxDynError;

use super::super::bulk::{Bind, BulkStatement, Conflict, Kind};
use super::{Batch, Dialect, Projection};
use crate::ledger::ApplyError;
use crate::ledger::won_keys::{KeyDigest, won_key};

/// A key that wins twice on one day is told by the audit of the journal; it is no reason to park the day.
static INSERT: BulkStatement = BulkStatement::insert(
    "won_key",
    &[
        ("until_date", Kind::Date),
        ("doctor", Kind::Id),
        ("date", Kind::Date),
        ("shard", Kind::Shard),
        ("digest", Kind::Id),
    ],
    Conflict::Ignore,
);

/// Table `won_key`.
pub(super) struct WonKeys;

#[async_trait]
impl<D: Dialect> Projection<D> for WonKeys {
    async fn apply(&self, batch: &Batch<'_>, connection: &mut D::Connection) -> Result<(), ApplyError> {
        let won = batch.records.iter().filter_map(|record| {
            let (digest, until) = won_key(record.day, &record.event)?;
            Some((until, record.day, digest))
        });
        let mut rows: Vec<(Date, DayKey, KeyDigest)> = won.collect();
        // In the order of their keys, as the tree is.
        rows.sort_unstable();
        let written = D::execute_rows(connection, &INSERT, &rows, bind::<D>).await;
        written.map(drop).map_err(|error| D::apply_error("won keys", &error))
    }
}

fn bind<D: Dialect>((until, day, digest): &(Date, DayKey, KeyDigest), values: &mut D::Rows) -> Result<(), BoxDynError> {
    values.integer(until.days().into())?;
    values.day(*day)?;
    values.shard(*day)?;
    values.id(&digest.0)
}
