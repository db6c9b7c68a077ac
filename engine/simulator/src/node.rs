//! One simulated machine with one process of the engine at a time: it starts, stops, dies, and starts again over the same disk.
//! Must not know: who asks it, when it dies.
//!
//! The seam for several nodes is here: a machine has its own disk, clock and processes; a world would have several, a store that they
//! share in place of the disk, and a network between them that can be cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use engine::EngineConfig;
use engine::EngineHandle;
use engine::clock::Clock;
use engine::committer::Committer;
use engine::ids::Ids;
use engine::journal::Journal;
use engine::journal::memory::MemoryJournal;
use engine::ledger::Ledger;
use engine::ledger::memory::MemoryLedger;
use engine::ledger::registry::Registry;
use engine::ledger::reminders::ReminderStore;
use engine::limits::PANICS_MAX;
use engine::reminders::OpenCouriers;
use engine::running::{Machinery, Owning, Running, Stores};
use engine::testing::Faults;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::doubles::{Disk, DiskJournal, DiskLedger, Told};
use crate::kernel::{Domain, NodeActors, NodeClock, NodeSpawn, OUTSIDE, WallSteps};
use crate::stage::Stage;
use crate::weather::Fault;

/// How long a dead process stays away before it is started again, in microseconds.
const RESTART_MICROS: u64 = 300_000;

/// What a planted panic says.
pub const PLANTED_PANIC: &str = "a planted panic of a day's actor";

/// See the module. Clones share everything.
#[derive(Clone)]
pub struct Node {
    stage: Stage,
    config: Arc<EngineConfig>,
    wall: WallSteps,
    told: Told,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    disk: Disk,
    process: Option<Process>,
    /// How messages leave; outlives the processes, as post offices do.
    couriers: Option<Arc<dyn OpenCouriers>>,
    starts: u64,
}

struct Process {
    domain: Domain,
    clock: Arc<dyn Clock>,
    journal: Arc<DiskJournal>,
    /// Once it has started, and until it is asked to stop.
    running: Option<Running>,
}

/// Identifiers that depend on the seed alone: unique, and of the usual form.
struct NodeIds(Stage);

impl Ids for NodeIds {
    fn next(&self) -> Uuid {
        let mut shared = self.0.lock();
        let (high, low) = (shared.random.next(), shared.random.next());
        uuid::Builder::from_u128((u128::from(high) << 64) | u128::from(low))
            .with_version(uuid::Version::SortRand)
            .into_uuid()
    }
}

impl Node {
    /// A machine with an empty disk, switched off.
    pub fn new(stage: &Stage, config: EngineConfig) -> Self {
        let ledger = MemoryLedger::default().with_reminders(&config.reminders);
        let disk = Disk { ledger, ..Disk::default() };
        let state = Arc::new(Mutex::new(State { disk, ..State::default() }));
        let (wall, told) = (WallSteps::default(), Told::default());
        Self { stage: stage.clone(), config: Arc::new(config), wall, told, state }
    }

    /// Messages leave by `couriers` from the next start on.
    pub fn send_by(&self, couriers: Arc<dyn OpenCouriers>) {
        self.state.lock().couriers = Some(couriers);
    }

    /// The machine's wall clock.
    pub fn wall(&self) -> &WallSteps {
        &self.wall
    }

    /// What is on disk.
    pub fn disk(&self) -> Disk {
        self.state.lock().disk.clone()
    }

    /// The process and its door, if it takes requests.
    pub fn door(&self) -> Option<(Domain, EngineHandle)> {
        let state = self.state.lock();
        let process = state.process.as_ref()?;
        Some((process.domain, process.running.as_ref()?.handle().clone()))
    }

    /// The engine's time in the present process; of a machine that is off, what a new process would begin with.
    pub fn now(&self) -> booking_core::UtcMillis {
        let clock = self.state.lock().process.as_ref().map(|process| Arc::clone(&process.clock));
        clock.unwrap_or_else(|| Arc::new(NodeClock::start(&self.stage.kernel, OUTSIDE, &self.wall))).now()
    }

    /// Starts a process, unless there is one.
    pub fn start(&self) {
        let mut state = self.state.lock();
        if state.process.is_some() {
            return;
        }
        state.starts += 1;
        let kernel = &self.stage.kernel;
        let domain = kernel.open_domain();
        let clock: Arc<dyn Clock> = Arc::new(NodeClock::start(kernel, domain, &self.wall));
        let journal = Arc::new(DiskJournal::open(&self.stage, domain, &clock, &state.disk.journal, &self.told));
        let ledger = state.disk.ledger.reopen();
        state.disk = Disk { journal: journal.disk().clone(), ledger: ledger.clone() };
        self.stage.tell(format!("process {} starts, epoch {}", state.starts, journal.epoch()));
        state.process =
            Some(Process { domain, clock: Arc::clone(&clock), journal: Arc::clone(&journal), running: None });
        let couriers = state.couriers.clone();
        drop(state);
        let (committer, commit_loop) =
            Committer::with_loop(Arc::clone(&journal) as Arc<dyn Journal>, Arc::clone(&clock));
        kernel.spawn(domain, Box::pin(commit_loop.run()));
        let stores = Stores {
            journal: Arc::clone(&journal) as Arc<dyn Journal>,
            ledger: Arc::new(DiskLedger::over(&self.stage, domain, ledger.clone())) as Arc<dyn Ledger>,
            registry: Arc::new(ledger.clone()) as Arc<dyn Registry>,
            reminders: Arc::new(ledger) as Arc<dyn ReminderStore>,
            owning: Owning::Sole,
        };
        let machinery = Machinery {
            clock,
            ids: Arc::new(NodeIds(self.stage.clone())),
            starter: Arc::new(NodeActors::new(kernel, domain)),
            spawn: Arc::new(NodeSpawn::new(kernel, domain)),
            committer,
            cluster: engine::ownership::Cluster::default(),
            couriers,
            faults: self.faults(),
        };
        kernel.spawn(domain, Box::pin(self.clone().begin(domain, stores, machinery)));
        kernel.spawn(domain, Box::pin(self.clone().watch(domain, journal)));
    }

    fn faults(&self) -> Faults {
        let stage = self.stage.clone();
        let least = [2, 16, 256][usize::try_from(stage.between(0, 2)).unwrap_or(0)];
        // One more, and a day would be put out of service: a run of its own shows that.
        let left = AtomicUsize::new(PANICS_MAX - 1);
        Faults {
            // Often, so that some are saved while records are on their way.
            snapshot_records_min: Some(least),
            on_decide: Some(Box::new(move |_| {
                if left.load(Ordering::Relaxed) > 0 && stage.draws(Fault::ActorPanicked, 5_000_000) {
                    left.fetch_sub(1, Ordering::Relaxed);
                    panic!("{PLANTED_PANIC}");
                }
            })),
            ..Faults::default()
        }
    }

    async fn begin(self, domain: Domain, stores: Stores, machinery: Machinery) {
        match Running::start(stores, machinery, &self.config).await {
            Ok(running) => {
                let mut state = self.state.lock();
                if let Some(process) = state.process.as_mut().filter(|process| process.domain == domain) {
                    process.running = Some(running);
                }
                drop(state);
                self.stage.tell("process is ready");
            }
            Err(error) => {
                self.stage.tell(format!("process does not start: {error}"));
                self.end(domain);
            }
        }
    }

    /// A process whose journal is poisoned ends by itself.
    async fn watch(self, domain: Domain, journal: Arc<DiskJournal>) {
        let reason = journal.poisoned().await;
        self.stage.tell(format!("process ends: {reason}"));
        self.end(domain);
    }

    /// Ends the process from within, and starts another one after a while.
    fn end(&self, domain: Domain) {
        self.stage.note_fault(Fault::Crash, RESTART_MICROS);
        let node = self.clone();
        self.stage.kernel.call_at(OUTSIDE, self.stage.kernel.now_micros(), move || {
            if node.state.lock().process.as_ref().is_some_and(|process| process.domain == domain) {
                node.kill(false);
                node.start_later();
            }
        });
    }

    /// Starts a process after a while.
    pub fn start_later(&self) {
        let node = self.clone();
        let at = self.stage.kernel.now_micros() + RESTART_MICROS;
        self.stage.kernel.call_at(OUTSIDE, at, move || node.start());
    }

    /// Kills the process at this instant; `late_write_lands`: what it had given up as unknown reaches the disk after its death.
    pub fn kill(&self, late_write_lands: bool) {
        let Some(process) = self.state.lock().process.take() else { return };
        self.stage.tell("process dies");
        self.stage.kernel.kill(process.domain);
        if late_write_lands {
            process.journal.land_late();
        }
    }

    /// Asks the process to stop, and calls `then` when it has; false if none is ready to be asked.
    pub fn stop(&self, then: impl FnOnce() + Send + 'static) -> bool {
        let mut state = self.state.lock();
        let Some(process) = state.process.as_mut() else { return false };
        let Some(running) = process.running.take() else { return false };
        let (node, domain) = (self.clone(), process.domain);
        drop(state);
        self.stage.tell("process is asked to stop");
        self.stage.kernel.spawn(
            domain,
            Box::pin(async move {
                running.stop().await;
                let kernel = node.stage.kernel.clone();
                kernel.call_at(OUTSIDE, kernel.now_micros(), move || {
                    node.kill(false);
                    then();
                });
            }),
        );
        true
    }

    /// Damages the record at `position` on disk.
    pub fn damage(&self, position: u64) {
        self.state.lock().disk.journal.damage(position);
    }

    /// Puts another journal in the place of the one on disk, and returns that. For scenarios, while the machine is off.
    pub fn replace_journal(&self, journal: MemoryJournal) -> MemoryJournal {
        std::mem::replace(&mut self.state.lock().disk.journal, journal)
    }

    /// The ledger is lost: the next process finds an empty one. For scenarios, while the machine is off.
    pub fn lose_ledger(&self) {
        self.state.lock().disk.ledger = MemoryLedger::default();
    }

    /// Whether a process is there, ready or not.
    pub fn is_on(&self) -> bool {
        self.state.lock().process.is_some()
    }
}
