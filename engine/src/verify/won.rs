//! The ledger's won keys, read once beside the days, in their order.
//! Must not know: which keys should be there.

use std::collections::BTreeSet;

use booking_core::{Date, DayKey};
use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::VerifyError;
use super::finding::{Findings, Kind};
use crate::ledger::sqlite::audit;
use crate::ledger::won_keys::KeyDigest;

type WonRow = (KeyDigest, DayKey, Date);

/// All rows by day. None in a ledger that keeps no keys yet.
pub(super) struct WonRows<'connection> {
    rows: Option<BoxStream<'connection, Result<SqliteRow, sqlx::Error>>>,
    /// Read, and of a day that is still to come.
    next: Option<WonRow>,
}

impl<'connection> WonRows<'connection> {
    /// From the first row on; without a connection there is none.
    pub(super) fn open(connection: Option<&'connection mut SqliteConnection>) -> Self {
        Self { rows: connection.map(audit::won_keys), next: None }
    }

    /// The rows of `day`. Days must be asked for in order, none left out.
    pub(super) async fn of(
        &mut self,
        day: DayKey,
        findings: &mut Findings,
    ) -> Result<BTreeSet<(Date, KeyDigest)>, VerifyError> {
        let mut keys = BTreeSet::new();
        loop {
            if self.next.is_none() {
                self.next = self.read(findings).await?;
            }
            match self.next.take_if(|(_, of, _)| *of == day) {
                Some((digest, _, until)) => keys.insert((until, digest)),
                None => return Ok(keys),
            };
        }
    }

    async fn read(&mut self, findings: &mut Findings) -> Result<Option<WonRow>, VerifyError> {
        let Some(rows) = &mut self.rows else { return Ok(None) };
        while let Some(row) = rows.try_next().await.map_err(audit::failed)? {
            match audit::won_key(&row) {
                Ok(row) => return Ok(Some(row)),
                Err(what) => findings.add(Kind::RowMalformed, "ledger", what),
            }
        }
        Ok(None)
    }
}
