//! How the engine is put together and taken apart in the product: the composition root.
//! Must not know: HTTP, settings files.

use std::sync::Arc;

use crate::actors::runtime::ActorThreads;
use crate::clock::{Clock, SystemClock};
use crate::committer::Committer;
use crate::config::{EngineConfig, StartError, StoreSettings};
use crate::handle::EngineHandle;
use crate::ids::SystemIds;
use crate::journal::Journal;
use crate::journal::sqlite::SqliteJournal;
use crate::ledger::Ledger;
use crate::ledger::sqlite::SqliteLedger;
use crate::running::{Machinery, Owning, Running, Stores};
use crate::spawn::TokioSpawn;

/// The running engine: the door, and the way to stop it.
pub struct Engine {
    running: Running,
    journal: Arc<SqliteJournal>,
    ledger: Arc<SqliteLedger>,
    threads: Arc<ActorThreads>,
}

impl Engine {
    /// Opens the stores below `config.data_dir`, applies what the ledger lacks, and starts. When this returns, requests
    /// can be answered. Must be called on a tokio runtime that outlives the engine, after the metrics recorder is installed.
    pub async fn start(config: EngineConfig) -> Result<Self, StartError> {
        only_embedded(&config)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let journal = Arc::new(SqliteJournal::open(&config.data_dir).await?);
        let ledger = Arc::new(SqliteLedger::open(&config.data_dir).await?);
        let committer = Committer::start_thread(Arc::clone(&journal) as Arc<dyn Journal>, Arc::clone(&clock))
            .map_err(|error| StartError::Store(format!("cannot start the committer's thread: {error}")))?;
        let threads = ActorThreads::start(config.actor_threads.max(1))
            .map_err(|error| StartError::Store(format!("cannot start the actors' threads: {error}")))?;
        let threads = Arc::new(threads);
        let stores = Stores {
            journal: Arc::clone(&journal) as _,
            ledger: Arc::clone(&ledger) as _,
            registry: Arc::clone(&ledger) as _,
            owning: Owning::Sole,
        };
        let machinery = Machinery {
            clock,
            ids: Arc::new(SystemIds),
            starter: Arc::clone(&threads) as _,
            spawn: Arc::new(TokioSpawn(tokio::runtime::Handle::current())),
            committer,
            #[cfg(feature = "testing")]
            faults: crate::testing::Faults::from_environment(),
        };
        let idle = machinery.committer.clone();
        match Running::start(stores, machinery, &config).await {
            Ok(running) => Ok(Self { running, journal, ledger, threads }),
            Err(error) => {
                idle.stop().await;
                threads.stop();
                Err(error)
            }
        }
    }

    /// The door.
    pub fn handle(&self) -> EngineHandle {
        self.running.handle().clone()
    }

    /// Becomes ready when the journal is poisoned: the process must end with a failure, saying the returned reason.
    pub async fn poisoned(&self) -> String {
        self.journal.poisoned().await
    }

    /// Takes no new requests, settles what is in flight, brings the ledger up to the journal, closes the stores.
    pub async fn stop(self) {
        self.running.stop().await;
        self.threads.stop();
        self.ledger.close().await;
        crash_point!(StopLedgerClosed);
        self.journal.close().await;
    }

    /// Brings the schema of the stores below `config.data_dir` up to date; says in words what was done.
    pub async fn migrate(config: &EngineConfig) -> Result<String, StartError> {
        only_embedded(config)?;
        let journal = SqliteJournal::open(&config.data_dir).await?;
        let done = SqliteLedger::migrate(&config.data_dir).await?;
        journal.close().await;
        Ok(done)
    }
}

fn only_embedded(config: &EngineConfig) -> Result<(), StartError> {
    match config.stores {
        StoreSettings::Embedded => Ok(()),
        _ => Err(StartError::Store("stores on other servers are not part of this build".to_owned())),
    }
}
