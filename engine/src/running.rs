//! How the engine begins over stores that are open, and how it ends: the same steps in the product and in a simulation.
//! Must not know: which stores, which runtime, which clock.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::actors::directory::StartActor;
use crate::actors::ports::DayPorts;
use crate::assembly::Assembly;
use crate::claims::{self, Claims};
use crate::clock::{Clock, timeout};
use crate::committer::Committer;
use crate::config::{EngineConfig, StartError};
use crate::handle::EngineHandle;
use crate::ids::Ids;
use crate::journal::{AppendError, Journal, ReadError};
use crate::ledger::Ledger;
use crate::ledger::applier::Applier;
use crate::ledger::overlay::Overlay;
use crate::ledger::registry::Registry;
use crate::ledger::reminders::{Claimer, ReminderStore};
use crate::limits::DRAIN_MILLIS;
use crate::lost;
use crate::ownership::keeper::{Control, Keeper};
use crate::ownership::takeover::Shards;
use crate::ownership::{Cluster, Ownership, ShardSet, Tenures, Territory};
use crate::reminders::{OpenCouriers, Sending};
use crate::signal::Signal;
use crate::spawn::Spawn;
use crate::telemetry::meters::EngineMeters;
use crate::upkeep::{self, Stopped};
use crate::waiting::Waiting;

/// In a burst the ledger may fall behind by one in so many of the records past which bookings are shed: by default 250,000, which a
/// start after a crash applies within some five seconds.
const STAND_BACK_SHARE: u64 = 4;

/// How often a stop looks whether everybody has been answered.
const DRAIN_LOOK: Duration = Duration::from_millis(5);

/// How often a process alone looks whether its journal's server has changed.
const ALONE_LOOK: Duration = Duration::from_millis(250);

/// Longest wait of a stop for the shards to be handed on: two seconds for what is under way, and one for the store of ownership. If that is
/// away the lease ends by itself.
const HAND_ON_MILLIS_MAX: u64 = 3_000;

/// A journal of one process that has to be taken over again when its server has changed.
#[async_trait]
pub trait Reclaim: Send + Sync + 'static {
    /// Takes back what of `lost` no newer process has; what is ours again, under new epochs.
    async fn reclaim(&self, lost: &[u16]) -> Result<Vec<(u16, u32)>, AppendError>;
}

/// Whose the shards are.
pub enum Owning {
    /// Everything is this process's, for ever: the journal's own lock or epoch sees to it.
    Sole,
    /// The journal has given every shard to this process when it was opened, under these epochs: they are to be read before they open.
    Alone {
        /// The journal's.
        tenures: Arc<Tenures>,
        /// Takes back what the servers have forgotten.
        reclaim: Arc<dyn Reclaim>,
    },
    /// Several processes share them.
    Shared {
        /// The journal's, empty.
        tenures: Arc<Tenures>,
        /// Where they are claimed.
        store: Arc<dyn Ownership>,
        /// This start's.
        incarnation: Uuid,
        /// What other nodes reach this one by; empty if they need not.
        address: String,
        /// How long a lease lasts.
        lease_millis: u64,
    },
}

impl Owning {
    /// The store in which shards are claimed, where there is one.
    pub(crate) fn store(&self) -> Option<Arc<dyn Ownership>> {
        match self {
            Self::Shared { store, .. } => Some(Arc::clone(store)),
            Self::Sole | Self::Alone { .. } => None,
        }
    }

    /// Whether no other process can be at work on the same stores.
    fn is_alone(&self) -> bool {
        matches!(self, Self::Sole | Self::Alone { .. })
    }

    /// This start's, where processes are told apart by the store.
    fn incarnation(&self) -> Option<Uuid> {
        match self {
            Self::Shared { incarnation, .. } => Some(*incarnation),
            Self::Sole | Self::Alone { .. } => None,
        }
    }

    fn tenures(&self, journal: &dyn Journal) -> Arc<Tenures> {
        match self {
            Self::Sole => Arc::new(Tenures::sole(journal.epoch())),
            Self::Alone { tenures, .. } | Self::Shared { tenures, .. } => Arc::clone(tenures),
        }
    }
}

/// What the engine remembers in.
pub struct Stores {
    /// What is durable.
    pub journal: Arc<dyn Journal>,
    /// The record behind it.
    pub ledger: Arc<dyn Ledger>,
    /// Doctors, patients, clinics.
    pub registry: Arc<dyn Registry>,
    /// Who is told what of visits.
    pub reminders: Arc<dyn ReminderStore>,
    /// Whose the shards are.
    pub owning: Owning,
}

/// What the engine runs on.
pub struct Machinery {
    /// The engine's time.
    pub clock: Arc<dyn Clock>,
    /// New identifiers.
    pub ids: Arc<dyn Ids>,
    /// How other nodes are asked.
    pub cluster: Cluster,
    /// Runs actors.
    pub starter: Arc<dyn StartActor>,
    /// Runs background work.
    pub spawn: Arc<dyn Spawn>,
    /// Group commit into the journal of the stores, started.
    pub committer: Committer,
    /// How messages leave; `None`: they are written and stay.
    pub couriers: Option<Arc<dyn OpenCouriers>>,
    /// Planted faults.
    #[cfg(feature = "testing")]
    pub faults: crate::testing::Faults,
}

/// An engine at work.
pub struct Running {
    handle: EngineHandle,
    committer: Committer,
    stop: Arc<Signal>,
    /// Where shards are shared.
    keeper: Option<Arc<Control>>,
    /// Ends when each of the engine's own tasks has ended.
    working: mpsc::Receiver<()>,
}

impl Running {
    /// Applies what the ledger lacks and starts. When this returns, requests can be answered.
    pub async fn start(stores: Stores, machinery: Machinery, config: &EngineConfig) -> Result<Self, StartError> {
        let Stores { journal, ledger, registry, reminders, owning } = stores;
        let feed = machinery.cluster.feed.clone();
        let ways = machinery.couriers.map(|couriers| couriers.open(&registry, &machinery.clock)).transpose();
        let ways = ways.map_err(|reason| StartError::Store(format!("messages: {reason}")))?;
        let (is_alone, incarnation) = (owning.is_alone(), owning.incarnation().unwrap_or_else(|| machinery.ids.next()));
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
        overlay.evict(applier.applied());
        let claims = Arc::new(Claims::default());
        if let Owning::Sole = owning {
            let now = machinery.clock.now();
            claims::restore(&claims, &*ledger, &overlay, &ShardSet::ALL, now).await.map_err(unreadable)?;
        }
        crash_point!(StartClaimsRestored);
        let committer = machinery.committer.clone();
        let tenures = owning.tenures(&*journal);
        let territory = Arc::new(Territory::new(Arc::clone(&tenures), Arc::clone(&machinery.clock)));
        let assembly = Assembly {
            clock: machinery.clock,
            ids: machinery.ids,
            journal,
            ledger: Arc::clone(&ledger),
            registry,
            reminders,
            overlay,
            claims,
            applier,
            committer: machinery.committer,
            territory,
            cluster: machinery.cluster,
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
        if let Some(ways) = ways {
            let sending = Sending { ways, claimer: Claimer { incarnation }, is_alone };
            for work in sending.works(&handle, &ports, &config.reminders, &stopped) {
                ports.spawn.spawn(work);
            }
        }
        let keeper = own(owning, &handle, &ports, ledger, Arc::clone(&tenures), &stopped).await;
        for work in feed.iter().flat_map(|feed| feed.works(&handle, &ports, &tenures, keeper.as_ref(), &stopped)) {
            ports.spawn.spawn(work);
        }
        Ok(Self { handle, committer, stop: stopped.signal, keeper, working })
    }

    /// Gives every shard to other nodes, while requests are still taken and sent to them. Nothing to do for a node alone.
    pub async fn hand_on(&self) {
        let Some(keeper) = &self.keeper else { return };
        keeper.leave();
        let limit = Duration::from_millis(HAND_ON_MILLIS_MAX);
        if timeout(&*self.handle.parts.clock, limit, keeper.left.wait()).await.is_none() {
            tracing::warn!(
                "the shards could not be handed on in time: other nodes take them when this one's lease ends"
            );
        }
    }

    /// The door.
    pub fn handle(&self) -> &EngineHandle {
        &self.handle
    }

    /// Takes no new requests, settles what is in flight, ends its own tasks, and brings the ledger up to the journal. The stores
    /// stay open.
    pub async fn stop(mut self) {
        self.hand_on().await;
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

/// Looks whether the servers have changed, and takes over again what they have forgotten.
async fn keep_alone(shards: Shards, reclaim: Arc<dyn Reclaim>, stopped: Stopped) {
    while timeout(&*shards.clock, ALONE_LOOK, stopped.signal.wait()).await.is_none() {
        let lost = shards.journal.take_lost();
        if lost.is_empty() {
            continue;
        }
        tracing::warn!(shards = lost.len(), "the journal's server has changed: its shards are taken over again");
        shards.drop_at_once(&lost.iter().copied().collect());
        match reclaim.reclaim(&lost).await {
            Ok(ours) => shards.read_installed(&ours).await,
            Err(error) => tracing::warn!(%error, "they are not ours again yet; trying again"),
        }
    }
}

/// Takes the shards over, or begins to share them; ends when this process answers for what it got.
async fn own(
    owning: Owning,
    handle: &EngineHandle,
    ports: &DayPorts,
    ledger: Arc<dyn Ledger>,
    tenures: Arc<Tenures>,
    stopped: &Stopped,
) -> Option<Arc<Control>> {
    let parts = &handle.parts;
    let (journal, clock) = (Arc::clone(&parts.journal), Arc::clone(&parts.clock));
    if !matches!(owning, Owning::Sole) {
        // A journal of one process and one disk forgets nothing.
        ports.spawn.spawn(Box::pin(lost::run(handle.clone(), Arc::clone(&ledger), stopped.clone())));
    }
    let shards = Shards { handle: handle.clone(), journal, ledger, tenures: Arc::clone(&tenures), clock };
    match owning {
        Owning::Sole => None,
        Owning::Alone { reclaim, .. } => {
            tenures.extend(u64::MAX);
            let all: Vec<(u16, u32)> = tenures.owned().iter().map(|shard| (shard, tenures.epoch(shard))).collect();
            shards.read_installed(&all).await;
            ports.spawn.spawn(Box::pin(keep_alone(shards, reclaim, stopped.clone())));
            None
        }
        Owning::Shared { store, incarnation, address, lease_millis, .. } => {
            let keeper = Keeper::new(store, shards, ports, address, lease_millis);
            let control = keeper.control();
            ports.spawn.spawn(Box::pin(keeper.run(incarnation, stopped.clone())));
            let waiting = Waiting::begin("taking shards over", None);
            control.ready.wait().await;
            drop(waiting);
            Some(control)
        }
    }
}

fn unreadable(error: ReadError) -> StartError {
    StartError::Store(error.to_string())
}
