//! Which keys have won on which day, as digests.
//! Must not know: answers, who asks for a key.

use async_trait::async_trait;
use booking_core::{Date, DayKey};
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteConnection;

use super::super::bulk::{BulkStatement, Values};
use super::super::words::apply_error;
use super::{Batch, Projection};
use crate::ledger::ApplyError;
use crate::ledger::won_keys::{KeyDigest, won_key};

/// A key that wins twice on one day is told by the audit of the journal; it is no reason to park the day. `OR IGNORE` needs no
/// journal of the statement's own, unlike `ON CONFLICT`.
static INSERT: BulkStatement =
    BulkStatement::new("INSERT OR IGNORE INTO won_key (until_date, doctor, date, digest) VALUES ", 4, "");

/// Table `won_key`.
pub(super) struct WonKeys;

#[async_trait]
impl Projection for WonKeys {
    async fn apply(&self, batch: &Batch<'_>, connection: &mut SqliteConnection) -> Result<(), ApplyError> {
        let won = batch.records.iter().filter_map(|record| {
            let (digest, until) = won_key(record.day, &record.event)?;
            Some((until, record.day, digest))
        });
        let mut rows: Vec<(Date, DayKey, KeyDigest)> = won.collect();
        // In the order of their keys, as the tree is.
        rows.sort_unstable();
        INSERT.execute(connection, &rows, bind).await.map_err(|error| apply_error("won keys", &error))?;
        Ok(())
    }
}

fn bind((until, day, digest): &(Date, DayKey, KeyDigest), values: &mut Values) -> Result<(), BoxDynError> {
    values.push(until.days())?;
    values.push_bytes(day.doctor.as_bytes())?;
    values.push(day.date.days())?;
    values.push_bytes(&digest.0)
}
