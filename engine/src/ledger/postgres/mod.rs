//! The ledger and the registry in PostgreSQL, shared by every node.
//! Must not know: the journal, the overlay, who waits.
//!
//! Each node's applier writes the days of the shards that it owns, and each of its transactions proves that it does (`dialect`).
//! Registry writes need no owner: a row or a key decides them.

mod connect;
mod dialect;
mod failure;
mod lists;
mod start;

use std::sync::Arc;

use sqlx::Postgres;

use self::connect::{Purpose, for_purpose, options, pool};
use super::sql::Writer;
use super::sql::store::{Store, Stored};
use crate::config::StartError;
use crate::ownership::Tenures;

/// Connections of one node that answer questions. A question takes a millisecond; a hundred nodes stay below what a server of
/// ordinary settings can hold behind a pooler.
const READERS_MAX: u32 = 8;

/// Connections of one node for the registry's writes, which are rare; those of one row wait for each other anyhow.
const REGISTRY_MAX: u32 = 2;

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
        connect::migrate(&options).await?;
        let write = for_purpose(&options, Purpose::Write);
        let writer = Writer { pool: pool(&write, 1), fence: tenures, keeps_raw };
        let readers = pool(&for_purpose(&options, Purpose::Read), READERS_MAX);
        Ok(Self { store: Store { writer, registry: pool(&write, REGISTRY_MAX), readers } })
    }

    /// Brings the schema of the database at `url` up to date; says in words what was done.
    pub async fn migrate(url: &str) -> Result<String, StartError> {
        connect::migrate(&options(url)?).await
    }
}

impl Stored for PostgresLedger {
    type Dialect = Postgres;

    fn store(&self) -> &Store<Postgres> {
        &self.store
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests;
