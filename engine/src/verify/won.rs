//! The ledger's won keys, read once beside the days, in their order.
//! Must not know: which keys should be there.

use std::collections::BTreeSet;

use booking_core::{Date, DayKey};

use super::finding::{Findings, Kind};
use super::source::{LedgerSource, WonRow};
use crate::journal::ReadError;
use crate::ledger::won_keys::KeyDigest;

/// All rows by day. None in a ledger that keeps no keys yet.
pub(super) struct WonRows {
    is_kept: bool,
    /// Read, and of a day that is still to come.
    next: Option<WonRow>,
}

impl WonRows {
    /// From the first row on; unless keys are kept there is none.
    pub(super) fn new(is_kept: bool) -> Self {
        Self { is_kept, next: None }
    }

    /// The rows of `day`. Days must be asked for in order, none left out.
    pub(super) async fn of(
        &mut self,
        day: DayKey,
        ledger: &mut dyn LedgerSource,
        findings: &mut Findings,
    ) -> Result<BTreeSet<(Date, KeyDigest)>, ReadError> {
        let mut keys = BTreeSet::new();
        loop {
            if self.next.is_none() {
                self.next = self.read(ledger, findings).await?;
            }
            match self.next.take_if(|(_, of, _)| *of == day) {
                Some((digest, _, until)) => keys.insert((until, digest)),
                None => return Ok(keys),
            };
        }
    }

    async fn read(
        &mut self,
        ledger: &mut dyn LedgerSource,
        findings: &mut Findings,
    ) -> Result<Option<WonRow>, ReadError> {
        while self.is_kept {
            match ledger.next_won_key().await? {
                Some(Ok(row)) => return Ok(Some(row)),
                Some(Err(what)) => findings.add(Kind::RowMalformed, "ledger", what),
                None => self.is_kept = false,
            }
        }
        Ok(None)
    }
}
