//! The ledger and the registry in PostgreSQL, shared by every node.
//! Must not know: the journal, the overlay, who waits.
//!
//! Each node's applier writes the days of the shards that it owns, and each of its transactions proves that it does (`dialect`).
//! Registry writes need no owner: a row or a key decides them.

pub(crate) mod audit;
mod dialect;
mod failure;
mod lists;
mod reminders;
mod start;

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgPool, Postgres};

use super::sql::Writer;
use super::sql::store::{Store, Stored};
use crate::config::{ReminderSettings, StartError};
use crate::ownership::Tenures;
use crate::postgres::{Purpose, for_purpose, migrate, options};
use crate::reminders::plan::Planner;

/// What a session of ours is called on the server.
const NAME: &str = "ledger";

/// Connections of one node that answer questions. A question takes a millisecond; a hundred nodes stay below what a server of
/// ordinary settings can hold behind a pooler.
const READERS_MAX: u32 = 8;

/// Connections of one node for the registry's writes, which are rare, the cursors of the feed, and what becomes of reminders.
const REGISTRY_MAX: u32 = 3;

/// Longest wait for a connection, a new one or a free one.
const ACQUIRE_DEADLINE: Duration = Duration::from_secs(2);

/// The ledger of a cluster; also its registry. Cheap to clone.
#[derive(Clone)]
pub struct PostgresLedger {
    store: Store<Postgres>,
}

impl PostgresLedger {
    /// Connects to the database at `url` and brings its schema up to date. What is applied must be of shards that `tenures`
    /// names, under the epochs that it names. `keeps_raw`: the journal may forget its end, and so records are kept as they
    /// were there until their days are over.
    pub async fn open(url: &str, tenures: Arc<Tenures>, keeps_raw: bool) -> Result<Self, StartError> {
        let options = options(url)?;
        migrate(&options).await?;
        let write = for_purpose(&options, NAME, Purpose::Write);
        let read = for_purpose(&options, NAME, Purpose::Read).options([("default_transaction_read_only", "on")]);
        let planner = Arc::new(Planner::new(&ReminderSettings::default()));
        let writer = Writer { pool: pool(&write, 1), fence: tenures, keeps_raw, planner };
        let (registry, readers) = (pool(&write, REGISTRY_MAX), pool(&read, READERS_MAX));
        Ok(Self { store: Store::new(writer, registry, readers) })
    }

    /// The same with the reminders that `settings` say, instead of the usual ones.
    #[must_use]
    pub fn with_reminders(self, settings: &ReminderSettings) -> Self {
        Self { store: self.store.with_reminders(settings) }
    }
}

/// At most `connections_max`, made when they are first wanted. A connection is tried before it is lent: after a restart of the
/// server only the wait is longer, and nothing fails.
fn pool(options: &PgConnectOptions, connections_max: u32) -> PgPool {
    PgPoolOptions::new()
        .min_connections(0)
        .max_connections(connections_max)
        .acquire_timeout(ACQUIRE_DEADLINE)
        .test_before_acquire(true)
        .connect_lazy_with(options.clone())
}

impl Stored for PostgresLedger {
    type Dialect = Postgres;

    fn store(&self) -> &Store<Postgres> {
        &self.store
    }
}

#[cfg(test)]
mod tests;
