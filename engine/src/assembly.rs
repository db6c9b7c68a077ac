//! How the engine's parts are wired to each other, whatever they are made of: the product and the tests share it.
//! Must not know: which stores, which runtime.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use booking_core::{AppointmentId, DayKey, RequestKey};
use tokio::sync::mpsc;

use crate::actors::admission::Admission;
use crate::actors::deadlines::Deadlines;
use crate::actors::directory::{Directory, StartActor};
use crate::actors::notices::DayNotices;
use crate::actors::ports::DayPorts;
use crate::actors::publications::Publications;
use crate::actors::snapshots::SnapshotQueue;
use crate::claims::Claims;
use crate::claims::guard::ClaimStates;
use crate::clock::Clock;
use crate::committer::Committer;
use crate::config::EngineConfig;
use crate::error::EngineError;
use crate::handle::moves::{MovingAppointments, settle_open_moves};
use crate::handle::publish::PublishLanes;
use crate::handle::{EngineHandle, Parts};
use crate::ids::Ids;
use crate::journal::Journal;
use crate::ledger::Ledger;
use crate::ledger::agreement::AgreedJournal;
use crate::ledger::applier::Applier;
use crate::ledger::overlay::Overlay;
use crate::ledger::reader::Reader;
use crate::ledger::registry::Registry;
use crate::ledger::reminders::ReminderStore;
use crate::limits::OPEN_MOVES_MAX;
use crate::ownership::peers::Peers;
use crate::ownership::peers::{ClaimState, KeyClaimState};
use crate::ownership::{Cluster, Territory};
use crate::reminders::plan::Planner;
use crate::spawn::Spawn;
use crate::telemetry::meters::EngineMeters;

/// The parts. The committer and the applier follow the same journal; the applier feeds the same overlay and ledger.
pub struct Assembly {
    /// The engine's time.
    pub clock: Arc<dyn Clock>,
    /// New identifiers.
    pub ids: Arc<dyn Ids>,
    /// What is durable.
    pub journal: Arc<dyn Journal>,
    /// The record behind it.
    pub ledger: Arc<dyn Ledger>,
    /// Doctors.
    pub registry: Arc<dyn Registry>,
    /// Who is told what of visits.
    pub reminders: Arc<dyn ReminderStore>,
    /// Own writes.
    pub overlay: Arc<Overlay>,
    /// Patients' time and keys across days, as the ledger knows them.
    pub claims: Arc<Claims>,
    /// The ledger's follower.
    pub applier: Applier,
    /// Group commit.
    pub committer: Committer,
    /// What this process speaks for.
    pub territory: Arc<Territory>,
    /// The other nodes.
    pub cluster: Cluster,
    /// Runs actors.
    pub starter: Arc<dyn StartActor>,
    /// Runs background work.
    pub spawn: Arc<dyn Spawn>,
    /// Numbers.
    pub meters: Arc<EngineMeters>,
    /// Planted faults.
    #[cfg(feature = "testing")]
    pub faults: crate::testing::Faults,
}

impl Assembly {
    /// The door, and what the days use.
    pub fn assemble(self, config: &EngineConfig) -> (EngineHandle, Arc<DayPorts>) {
        let directory = Arc::new(Directory::new(self.starter, config.sleeping_bytes_max, Arc::clone(&self.meters)));
        let follower = self.applier.clone();
        let publications =
            Publications::starting_at(follower.head(), Box::new(move |position| follower.advanced(position)));
        let notices = Arc::new(DayNotices::default());
        let (open_moves, opened) = mpsc::channel(OPEN_MOVES_MAX);
        let ports = Arc::new(DayPorts {
            clock: Arc::clone(&self.clock),
            journal: Arc::new(AgreedJournal::new(Arc::clone(&self.journal), Arc::clone(&self.ledger))),
            committer: self.committer.clone(),
            overlay: Arc::clone(&self.overlay),
            territory: Arc::clone(&self.territory),
            claims: Arc::clone(&self.claims),
            // A day that finds no room is found again by the sweep of the open-work index.
            on_open_moves: Box::new(move |day| {
                let _ = open_moves.try_send(day);
            }),
            publications: Arc::new(publications),
            spawn: self.spawn,
            deadlines: Arc::new(Deadlines::default()),
            notices: Arc::clone(&notices),
            snapshots: Arc::new(SnapshotQueue::default()),
            metrics: Arc::clone(&self.meters),
            retire: Arc::clone(&directory) as _,
            #[cfg(feature = "testing")]
            faults: Arc::new(self.faults),
        });
        directory.connect(Arc::clone(&ports));
        if let Some(guard) = ports.committer.guard() {
            self.claims.share(Arc::clone(guard), Arc::clone(self.territory.tenures()));
        }
        let (publish_lanes, idle_lanes) = PublishLanes::new();
        let asking = Arc::clone(&self.clock);
        let parts = Arc::new(Parts {
            clock: self.clock,
            ids: self.ids,
            registry: self.registry,
            reminders: self.reminders,
            planner: Planner::new(&config.reminders),
            journal: self.journal,
            reader: Reader::new(self.ledger, self.overlay),
            applier: self.applier,
            committer: self.committer,
            directory,
            notices,
            claims: self.claims,
            deadlines: Arc::clone(&ports.deadlines),
            snapshots: Arc::clone(&ports.snapshots),
            spawn: Arc::clone(&ports.spawn),
            moving: MovingAppointments::default(),
            admission: Arc::new(Admission::default()),
            meters: self.meters,
            publish_lanes,
            territory: self.territory,
            peers: self.cluster.transport.map(|transport| Peers::new(transport, asking)),
            publish_lock: self.cluster.publish_lock,
            lost_found: tokio::sync::Notify::new(),
            ledger_lag_max: config.ledger_lag_max,
            awake_days_max: config.awake_days_max,
            poisoned: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        });
        idle_lanes.start(&Arc::downgrade(&parts), &*ports.spawn);
        connect_guard(&ports, &parts);
        ports.spawn.spawn(Box::pin(settle_open_moves(opened, Arc::downgrade(&parts))));
        (EngineHandle { parts }, ports)
    }
}

/// Where nodes share a database: claims in the way are asked about through the door.
fn connect_guard(ports: &DayPorts, parts: &Arc<Parts>) {
    let Some(guard) = ports.committer.guard() else { return };
    guard.connect(Arc::new(AskedStates(Arc::downgrade(parts))));
    if let Some(work) = guard.work(Arc::clone(&parts.clock)) {
        ports.spawn.spawn(Box::pin(work));
    }
}

/// What owners of days say of claims, asked through the door.
struct AskedStates(Weak<Parts>);

impl AskedStates {
    fn handle(&self) -> Result<EngineHandle, EngineError> {
        let gone = || EngineError::Unavailable("the engine is gone".to_owned());
        self.0.upgrade().map(|parts| EngineHandle { parts }).ok_or_else(gone)
    }
}

#[async_trait]
impl ClaimStates for AskedStates {
    async fn claim_state(&self, day: DayKey, appointment: AppointmentId) -> Result<ClaimState, EngineError> {
        self.handle()?.claim_state(day, appointment).await
    }

    async fn key_state(&self, day: DayKey, key: &RequestKey) -> Result<KeyClaimState, EngineError> {
        self.handle()?.key_claim_state(day, key.subject, &key.key).await
    }
}
