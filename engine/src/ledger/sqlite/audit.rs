//! What an audit reads of the ledger's file.
//! Must not know: the journal, what is wrong with the rows.

use std::collections::BTreeMap;

use async_trait::async_trait;
use booking_core::{AppointmentId, DayKey, DayVersion};
use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use sqlx::sqlite::SqliteRow;
use sqlx::{Sqlite, SqliteConnection};

use super::words::read_error;
use super::{FILE as FILE_NAME, MIGRATOR, start};
use crate::journal::sqlite::audit::integrity;
use crate::journal::{ReadError, StoredRecord};
use crate::ledger::ParkedDay;
use crate::ledger::lost::BrokenRecord;
use crate::ledger::sql::audit::{self, Audited};
use crate::ledger::sql::columns::number;
use crate::ledger::sql::lost;
use crate::verify::finding::Findings;
use crate::verify::rows::DayRows;
use crate::verify::source::{Checked, LedgerSource, NamedDays, Progress, WonKeyBounds, WonRow};

/// The file below the data directory.
pub(crate) const FILE: &str = FILE_NAME;

const HAS_LOST: &str = "SELECT count(*) AS tables FROM sqlite_schema WHERE type = 'table' AND name = 'lost_record'";
const HAS_KEYS: &str = "SELECT count(*) AS tables FROM sqlite_schema WHERE type = 'table' AND name = 'won_key_bounds'";

impl Audited for Sqlite {
    fn failed(error: &sqlx::Error) -> ReadError {
        read_error(error)
    }
}

/// The ledger's file.
pub(crate) struct SqliteRows<'connection> {
    connection: &'connection mut SqliteConnection,
    has_won_keys: bool,
    /// Streamed while `connection` is asked about one day.
    won_keys: BoxStream<'connection, Result<SqliteRow, sqlx::Error>>,
    orphans: BoxStream<'connection, Result<SqliteRow, sqlx::Error>>,
}

impl<'connection> SqliteRows<'connection> {
    /// On three connections to one file.
    pub(crate) fn new(
        asked: &'connection mut SqliteConnection,
        of_keys: &'connection mut SqliteConnection,
        of_orphans: &'connection mut SqliteConnection,
    ) -> Self {
        let won_keys = sqlx::query(audit::WON).fetch(of_keys);
        let orphans = sqlx::query(audit::ORPHANS).fetch(of_orphans);
        Self { connection: asked, has_won_keys: false, won_keys, orphans }
    }
}

#[async_trait]
impl LedgerSource for SqliteRows<'_> {
    async fn examine(&mut self, findings: &mut Findings) -> Result<(), ReadError> {
        integrity(self.connection, &MIGRATOR, FILE, findings).await.map_err(|error| read_error(&error))
    }

    async fn progress(&mut self, is_one_log: bool) -> Result<Progress, ReadError> {
        audit::progress::<Sqlite>(self.connection, is_one_log).await
    }

    async fn parked(&mut self) -> Result<BTreeMap<DayKey, ParkedDay>, ReadError> {
        audit::parked::<Sqlite>(self.connection).await
    }

    async fn won_key_bounds(&mut self) -> Result<Option<WonKeyBounds>, ReadError> {
        let tables = sqlx::query(HAS_KEYS).fetch_one(&mut *self.connection).await;
        self.has_won_keys = number::<u64>(&tables.map_err(|error| read_error(&error))?, "tables")? > 0;
        if self.has_won_keys { audit::won_key_bounds::<Sqlite>(self.connection).await.map(Some) } else { Ok(None) }
    }

    async fn days(&mut self) -> Result<NamedDays, ReadError> {
        audit::days::<Sqlite>(self.connection, self.has_won_keys).await
    }

    async fn applied(&mut self, day: DayKey) -> Result<DayVersion, ReadError> {
        audit::applied::<Sqlite>(self.connection, day).await
    }

    async fn rows(&mut self, day: DayKey, appointments: &[AppointmentId]) -> Result<(DayRows, Vec<String>), ReadError> {
        audit::rows::<Sqlite>(self.connection, day, appointments).await
    }

    async fn appointment(
        &mut self,
        appointment: AppointmentId,
    ) -> Result<(Option<DayKey>, DayRows, Vec<String>), ReadError> {
        audit::appointment::<Sqlite>(self.connection, appointment).await
    }

    async fn broken(&mut self) -> Result<Vec<BrokenRecord>, ReadError> {
        let tables = sqlx::query(HAS_LOST).fetch_one(&mut *self.connection).await;
        match number::<u64>(&tables.map_err(|error| read_error(&error))?, "tables")? {
            0 => Ok(Vec::new()),
            _ => lost::broken::<Sqlite>(self.connection).await,
        }
    }

    async fn next_won_key(&mut self) -> Result<Option<Checked<WonRow>>, ReadError> {
        let row = self.won_keys.try_next().await.map_err(|error| read_error(&error))?;
        Ok(row.map(|row| start::won(&row).map_err(|error| error.to_string())))
    }

    async fn next_orphan(&mut self) -> Result<Option<Checked<(AppointmentId, u32)>>, ReadError> {
        let row = self.orphans.try_next().await.map_err(|error| read_error(&error))?;
        Ok(row.map(|row| audit::orphan(&row).map_err(|error| error.to_string())))
    }

    /// Without its raw records: a journal in a file forgets nothing, and Redis without a database is compared as it is.
    async fn raw_records(&mut self, _: DayKey) -> Result<Vec<StoredRecord>, ReadError> {
        Ok(Vec::new())
    }
}
