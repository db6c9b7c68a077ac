//! How the engine is put together and taken apart in the product: the composition root.
//! Must not know: HTTP, settings files.

pub(crate) mod stores;

use std::sync::Arc;

use self::stores::Opened;
use crate::actors::runtime::ActorThreads;
use crate::clock::{Clock, SystemClock};
use crate::committer::Committer;
use crate::config::{EngineConfig, StartError, StoreSettings};
use crate::handle::EngineHandle;
use crate::ids::SystemIds;
use crate::journal::Journal;
use crate::journal::lock::DirectoryLock;
use crate::journal::sqlite::SqliteJournal;
use crate::ledger::Ledger;
use crate::ledger::sqlite::SqliteLedger;
use crate::ownership::{Ownership, PeerTransport};
use crate::postgres;
use crate::reminders::OpenCouriers;
use crate::running::{Machinery, Running};
use crate::spawn::TokioSpawn;

/// The running engine: the door, and the way to stop it.
pub struct Engine {
    running: Running,
    journal: Arc<dyn Journal>,
    ledger: Arc<dyn Ledger>,
    ownership: Option<Arc<dyn Ownership>>,
    threads: Arc<ActorThreads>,
    _lock: Option<DirectoryLock>,
}

impl Engine {
    /// Opens the stores that `config` names, applies what the ledger lacks, and starts. `transport` reaches other nodes, where there are
    /// any. When this returns, requests can be answered. Must be called on a tokio runtime that outlives the engine, after the metrics
    /// recorder is installed.
    pub async fn start(config: EngineConfig, transport: Option<Arc<dyn PeerTransport>>) -> Result<Self, StartError> {
        Self::start_sending(config, transport, None).await
    }

    /// [`Engine::start`], with messages to patients and doctors that leave by `couriers`; without, they are written and stay.
    pub async fn start_sending(
        config: EngineConfig,
        transport: Option<Arc<dyn PeerTransport>>,
        couriers: Option<Arc<dyn OpenCouriers>>,
    ) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let Opened { stores, cluster, guard, lock } = stores::open(&config, &clock, &SystemIds, transport).await?;
        tracing::info!(promise = stores.journal.promise(), "what the journal promises");
        let (journal, ledger) = (Arc::clone(&stores.journal), Arc::clone(&stores.ledger));
        let ownership = stores.owning.store();
        let committer = Committer::start_guarded_thread(Arc::clone(&journal), Arc::clone(&clock), guard)
            .map_err(|error| StartError::Store(format!("cannot start the committer's thread: {error}")))?;
        let threads = ActorThreads::start(config.actor_threads.max(1))
            .map_err(|error| StartError::Store(format!("cannot start the actors' threads: {error}")))?;
        let threads = Arc::new(threads);
        let machinery = Machinery {
            clock,
            ids: Arc::new(SystemIds),
            cluster,
            starter: Arc::clone(&threads) as _,
            spawn: Arc::new(TokioSpawn(tokio::runtime::Handle::current())),
            committer,
            couriers,
            #[cfg(feature = "testing")]
            faults: crate::testing::Faults::from_environment(),
        };
        let idle = machinery.committer.clone();
        match Running::start(stores, machinery, &config).await {
            Ok(running) => Ok(Self { running, journal, ledger, ownership, threads, _lock: lock }),
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

    /// Gives every shard to other nodes, while requests are still taken and sent to them. Nothing to do for a node alone.
    pub async fn hand_on(&self) {
        self.running.hand_on().await;
    }

    /// Takes no new requests, settles what is in flight, brings the ledger up to the journal, closes the stores.
    pub async fn stop(self) {
        self.running.stop().await;
        self.threads.stop();
        self.ledger.close().await;
        crash_point!(StopLedgerClosed);
        self.journal.close().await;
        if let Some(ownership) = &self.ownership {
            ownership.close().await;
        }
    }

    /// Brings the schema of the stores that `config` names up to date; says in words what was done.
    pub async fn migrate(config: &EngineConfig) -> Result<String, StartError> {
        if let Some(database) = config.stores.database() {
            return postgres::migrate(&postgres::options(database.url.reveal())?).await;
        }
        if let StoreSettings::Redis { .. } = config.stores {
            let _lock = DirectoryLock::acquire(&config.data_dir)?;
            return SqliteLedger::migrate(&config.data_dir).await;
        }
        let journal = SqliteJournal::open(&config.data_dir).await?;
        let done = SqliteLedger::migrate(&config.data_dir).await?;
        journal.close().await;
        Ok(done)
    }
}
