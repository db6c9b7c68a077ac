//! What an audit reads of the ledger in PostgreSQL: one state of it, whoever writes meanwhile.
//! Must not know: the journal, what is wrong with the rows.

use std::collections::{BTreeMap, VecDeque};

use async_trait::async_trait;
use booking_core::{AppointmentId, DayKey, DayVersion};
use futures_util::TryStreamExt;
use sqlx::{Connection, PgConnection, Postgres};

use super::failure::read_error;
use crate::journal::{ReadError, StoredRecord};
use crate::ledger::ParkedDay;
use crate::ledger::lost::BrokenRecord;
use crate::ledger::sql::audit::{self, Audited};
use crate::ledger::sql::columns::{self, id, number};
use crate::ledger::sql::lost;
use crate::ledger::sql::raw;
use crate::ledger::won_keys::KeyDigest;
use crate::verify::finding::Findings;
use crate::verify::rows::DayRows;
use crate::verify::source::{Checked, LedgerSource, NamedDays, Progress, WonKeyBounds, WonRow};

const HAS_LOST: &str = "SELECT count(*) AS tables FROM information_schema.tables \
                        WHERE table_schema = current_schema() AND table_name = 'lost_record'";

impl Audited for Postgres {
    fn failed(error: &sqlx::Error) -> ReadError {
        read_error(error)
    }
}

/// The ledger, on a connection inside a transaction that only reads one state.
pub(crate) struct PostgresRows {
    connection: PgConnection,
    keeps_raw: bool,
    /// Read when they are first wanted: 40 bytes each.
    won_keys: Option<VecDeque<Checked<WonRow>>>,
    orphans: Option<VecDeque<Checked<(AppointmentId, u32)>>>,
}

impl PostgresRows {
    /// `keeps_raw`: the journal is one that may forget its end.
    pub(crate) fn new(connection: PgConnection, keeps_raw: bool) -> Self {
        Self { connection, keeps_raw, won_keys: None, orphans: None }
    }

    /// Ends the connection, and with it its transaction.
    pub(crate) async fn close(self) {
        if let Err(error) = self.connection.close().await {
            tracing::warn!(error = %read_error(&error), "a connection did not close");
        }
    }
}

#[async_trait]
impl LedgerSource for PostgresRows {
    /// PostgreSQL checks its pages when they are read.
    async fn examine(&mut self, _: &mut Findings) -> Result<(), ReadError> {
        Ok(())
    }

    async fn progress(&mut self, is_one_log: bool) -> Result<Progress, ReadError> {
        audit::progress::<Postgres>(&mut self.connection, is_one_log).await
    }

    async fn parked(&mut self) -> Result<BTreeMap<DayKey, ParkedDay>, ReadError> {
        audit::parked::<Postgres>(&mut self.connection).await
    }

    async fn won_key_bounds(&mut self) -> Result<Option<WonKeyBounds>, ReadError> {
        audit::won_key_bounds::<Postgres>(&mut self.connection).await.map(Some)
    }

    async fn days(&mut self) -> Result<NamedDays, ReadError> {
        audit::days::<Postgres>(&mut self.connection, true).await
    }

    async fn applied(&mut self, day: DayKey) -> Result<DayVersion, ReadError> {
        audit::applied::<Postgres>(&mut self.connection, day).await
    }

    async fn rows(&mut self, day: DayKey, appointments: &[AppointmentId]) -> Result<(DayRows, Vec<String>), ReadError> {
        audit::rows::<Postgres>(&mut self.connection, day, appointments).await
    }

    async fn appointment(
        &mut self,
        appointment: AppointmentId,
    ) -> Result<(Option<DayKey>, DayRows, Vec<String>), ReadError> {
        audit::appointment::<Postgres>(&mut self.connection, appointment).await
    }

    async fn broken(&mut self) -> Result<Vec<BrokenRecord>, ReadError> {
        let tables = sqlx::query(HAS_LOST).fetch_one(&mut self.connection).await;
        match number::<u64>(&tables.map_err(|error| read_error(&error))?, "tables")? {
            0 => Ok(Vec::new()),
            _ => lost::broken::<Postgres>(&mut self.connection).await,
        }
    }

    async fn next_won_key(&mut self) -> Result<Option<Checked<WonRow>>, ReadError> {
        if self.won_keys.is_none() {
            let mut rows = sqlx::query(audit::WON).fetch(&mut self.connection);
            let mut keys = VecDeque::new();
            while let Some(row) = rows.try_next().await.map_err(|error| read_error(&error))? {
                let read =
                    || Ok((KeyDigest(id(&row, "digest")?), columns::day(&row)?, columns::date(&row, "until_date")?));
                keys.push_back(read().map_err(|error: ReadError| error.to_string()));
            }
            drop(rows);
            self.won_keys = Some(keys);
        }
        Ok(self.won_keys.as_mut().and_then(VecDeque::pop_front))
    }

    async fn next_orphan(&mut self) -> Result<Option<Checked<(AppointmentId, u32)>>, ReadError> {
        if self.orphans.is_none() {
            let rows = sqlx::query(audit::ORPHANS).fetch_all(&mut self.connection).await;
            let rows = rows.map_err(|error| read_error(&error))?;
            let orphan = |row| audit::orphan(row).map_err(|error| error.to_string());
            self.orphans = Some(rows.iter().map(orphan).collect());
        }
        Ok(self.orphans.as_mut().and_then(VecDeque::pop_front))
    }

    async fn raw_records(&mut self, day: DayKey) -> Result<Vec<StoredRecord>, ReadError> {
        if self.keeps_raw { raw::within::<Postgres>(&mut self.connection, day).await } else { Ok(Vec::new()) }
    }
}
