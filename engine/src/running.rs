//! How the engine begins over stores that are open, and how it ends: the same steps in the product and in a simulation.
//! Must not know: which stores, which runtime, which clock.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::actors::directory::StartActor;
use crate::assembly::Assembly;
use crate::claims::{self, Claims};
use crate::clock::Clock;
use crate::committer::Committer;
use crate::config::{EngineConfig, StartError};
use crate::handle::EngineHandle;
use crate::ids::Ids;
use crate::journal::{Journal, ReadError};
use crate::ledger::Ledger;
use crate::ledger::applier::Applier;
use crate::ledger::overlay::Overlay;
use crate::ledger::registry::Registry;
use crate::limits::DRAIN_MILLIS;
use crate::ownership::{Cluster, ShardSet, Tenures, Territory};
use crate::signal::Signal;
use crate::spawn::Spawn;
use crate::telemetry::meters::EngineMeters;
use crate::upkeep::{self, Stopped};

/// In a burst the ledger may fall behind by one in so many of the records past which bookings are shed: by default 250,000, which a
/// start after a crash applies within some five seconds.
const STAND_BACK_SHARE: u64 = 4;

/// How often a stop looks whether everybody has been answered.
const DRAIN_LOOK: Duration = Duration::from_millis(5);

/// What the engine remembers in.
pub struct Stores {
    /// What is durable.
    pub journal: Arc<dyn Journal>,
    /// The record behind it.
    pub ledger: Arc<dyn Ledger>,
    /// Doctors, patients, clinics.
    pub registry: Arc<dyn Registry>,
}

/// What the engine runs on.
pub struct Machinery {
    /// The engine's time.
    pub clock: Arc<dyn Clock>,
    /// New identifiers.
    pub ids: Arc<dyn Ids>,
    /// Runs actors.
    pub starter: Arc<dyn StartActor>,
    /// Runs background work.
    pub spawn: Arc<dyn Spawn>,
    /// Group commit into the journal of the stores, started.
    pub committer: Committer,
    /// Planted faults.
    #[cfg(feature = "testing")]
    pub faults: crate::testing::Faults,
}

/// An engine at work.
pub struct Running {
    handle: EngineHandle,
    committer: Committer,
    stop: Arc<Signal>,
    /// Ends when each of the engine's own tasks has ended.
    working: mpsc::Receiver<()>,
}

impl Running {
    /// Applies what the ledger lacks and starts. When this returns, requests can be answered.
    pub async fn start(stores: Stores, machinery: Machinery, config: &EngineConfig) -> Result<Self, StartError> {
        let Stores { journal, ledger, registry } = stores;
        let overlay = Arc::new(Overlay::default());
        let applier = Applier::start(
            Arc::clone(&journal),
            Arc::clone(&ledger),
            Arc::clone(&overlay),
            Arc::clone(&machinery.clock),
            config.ledger_lag_max / STAND_BACK_SHARE,
            &*machinery.spawn,
        )
        .await
        .map_err(unreadable)?;
        crash_point!(StartCaughtUp);
        // What a day reads from the journal is kept for readers only if the ledger has not got it: say what it has.
        overlay.evict(ledger.applied_position().await.map_err(unreadable)?);
        let claims = Arc::new(Claims::default());
        claims::restore(&claims, &*ledger, &overlay, &ShardSet::ALL, machinery.clock.now())
            .await
            .map_err(unreadable)?;
        crash_point!(StartClaimsRestored);
        let committer = machinery.committer.clone();
        let tenures = Arc::new(Tenures::sole(journal.epoch()));
        let territory = Arc::new(Territory::new(tenures, Arc::clone(&machinery.clock)));
        let assembly = Assembly {
            clock: machinery.clock,
            ids: machinery.ids,
            journal,
            ledger: Arc::clone(&ledger),
            registry,
            overlay,
            claims,
            applier,
            committer: machinery.committer,
            territory,
            cluster: Cluster::default(),
            starter: machinery.starter,
            spawn: machinery.spawn,
            meters: Arc::new(EngineMeters::new()),
            #[cfg(feature = "testing")]
            faults: machinery.faults,
        };
        let (handle, ports) = assembly.assemble(config);
        crash_point!(StartAssembled);
        // Nothing is ever sent.
        let (begun, working) = mpsc::channel(1);
        let stopped = Stopped { signal: Arc::default(), _working: begun };
        for work in upkeep::works(&handle, &ports, &ledger, config, &stopped) {
            ports.spawn.spawn(work);
        }
        Ok(Self { handle, committer, stop: stopped.signal, working })
    }

    /// The door.
    pub fn handle(&self) -> &EngineHandle {
        &self.handle
    }

    /// Takes no new requests, settles what is in flight, ends its own tasks, and brings the ledger up to the journal. The stores
    /// stay open.
    pub async fn stop(mut self) {
        let parts = &self.handle.parts;
        parts.stopping.store(true, Ordering::Release);
        let deadline = parts.clock.monotonic_micros() + DRAIN_MILLIS * 1_000;
        while parts.admission.admitted() > 0 && parts.clock.monotonic_micros() < deadline {
            parts.clock.sleep(DRAIN_LOOK).await;
        }
        crash_point!(StopDrained);
        self.stop.give();
        self.committer.stop().await;
        crash_point!(StopCommitterEnded);
        // Nobody reads any more: what no day took up is applied too.
        if let Ok(last) = parts.journal.last_position().await {
            parts.applier.advanced(last);
        }
        let _ = self.working.recv().await;
        parts.applier.stop().await;
        crash_point!(StopApplierEnded);
    }
}

fn unreadable(error: ReadError) -> StartError {
    StartError::Store(error.to_string())
}
