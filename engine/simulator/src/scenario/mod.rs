//! Scenarios: one interleaving, told step by step. A world in which nothing goes wrong by itself, whose stores, clock and process are in
//! the hands of whoever writes the scenario; every reply and record is judged as in a random run, and in the end everything must come
//! to rest.
//! Must not know: what the right outcome of a scenario is.
//!
//! A scenario panics when the world does not do what it says: it is a test's tool.

mod asking;
mod device;
mod requests;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Once};

use booking_core::{DayKey, Event};
use engine::EngineConfig;
use engine::journal::memory::{Fault as AppendFault, MemoryJournal};
use engine::ledger::memory::{Fault as LedgerFault, MemoryLedger};
use futures_util::FutureExt;

pub use self::asking::Pending;
pub use self::device::Device;
pub use self::requests::*;
use crate::doubles::Post;
use crate::rest::Patience;
use crate::weather::{Fault, Weather};
use crate::workload::{Clinic, Plan};
use crate::world::{Report, World};

/// What is awaited must come within so many virtual seconds.
const AWAITED_SECONDS: u64 = 60;
/// What a scenario excuses it excuses for so long: it asserts its own outcomes anyway.
const EXCUSED_MICROS: u64 = 600_000_000;
/// The longest that a client of a scenario waits, and then some, in seconds.
const SETTLE_SECONDS: u64 = 22;
/// Lines of the trace that a failure shows.
const SHOWN_LINES: usize = 80;

/// The hook for planted panics is one of the whole process.
static QUIET: Once = Once::new();

/// What a scenario begins with.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Decides who takes a turn when, and how long stores and network take.
    pub seed: u64,
    /// How far apart a wake-up and its turn may be, in microseconds.
    pub jitter_micros: u64,
    /// The engine's settings.
    pub config: EngineConfig,
    /// The days; each is published before the scenario begins.
    pub plans: Vec<Plan>,
    /// Takes the messages to patients; `None`: they stay.
    pub post: Option<Post>,
    /// The machine's clock says so much more than usual at the beginning.
    pub begins_later_millis: i64,
    /// Past so many seconds every client of the scenario has its reply, or has given up.
    pub settle_seconds: u64,
    /// Past so many seconds more no hold of the scenario is left.
    pub holds_seconds: u64,
}

impl Setting {
    /// The usual engine. Every fourth seed has the same jitter, from none to that of a busy machine.
    pub fn of(seed: u64, plans: Vec<Plan>) -> Self {
        let jitter_micros = [0, 20, 200, 3_000][(seed % 4) as usize];
        let config = EngineConfig::embedded("/nonexistent".into());
        let (settle_seconds, holds_seconds) = (SETTLE_SECONDS, 1);
        Self { seed, jitter_micros, config, plans, post: None, begins_later_millis: 0, settle_seconds, holds_seconds }
    }
}

/// See the module.
pub struct Scenario {
    world: World,
    crash: Option<Crash>,
    /// Clients that are not gone yet.
    clients: Arc<AtomicUsize>,
}

/// A death that is planned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Crash {
    /// Before this step of the heap.
    pub at_step: u64,
    /// Whether what the process had given up as unknown reaches the disk after its death.
    pub late_write_lands: bool,
}

impl Scenario {
    /// The world of `setting`: the process is ready, the days are published.
    pub fn open(setting: Setting) -> Self {
        Self::open_to_die(setting, None)
    }

    /// The same, of which the process may die at any step, also before it is ready. It is started again by itself.
    pub fn open_to_die(setting: Setting, crash: Option<Crash>) -> Self {
        let mut weather = Weather::calm();
        weather.jitter_micros = setting.jitter_micros;
        let clinic = Clinic::with(setting.plans.clone());
        let patience = Patience { settle_seconds: setting.settle_seconds, holds_seconds: setting.holds_seconds };
        let world = World::scripted(setting.seed, weather, setting.config, clinic, patience);
        let scenario = Self { world, crash, clients: Arc::default() };
        if let Some(post) = &setting.post {
            post.connect(&scenario.world.stage.kernel, &scenario.world.node);
            scenario.world.node.send_by(Arc::new(post.clone()));
        }
        scenario.world.node.wall().step(setting.begins_later_millis);
        scenario.world.node.start();
        scenario.until_ready();
        for plan in &setting.plans {
            while !matches!(scenario.outcome(&scenario.ask(publish(plan, None))), Some(Ok(_))) {
                assert!(crash.is_some(), "a day is published at once in a world without faults");
            }
        }
        scenario
    }

    /// One thing happens; `false` if nothing does before `until_micros`.
    fn step(&self, until_micros: u64) -> bool {
        let world = &self.world;
        if let Some(crash) = self.crash
            && crash.at_step == world.stage.kernel.steps() + 1
        {
            world.stage.note_fault(Fault::Crash, 1_000_000);
            world.node.kill(crash.late_write_lands);
            world.node.start_later();
        }
        let has_happened = world.stage.kernel.step(until_micros);
        assert!(!world.stage.has_failed(), "{:?}", world.stage.outcome().violation);
        has_happened
    }

    /// Goes on until `is_so`.
    pub fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let until = self.now_micros() + AWAITED_SECONDS * 1_000_000;
        while !is_so(self) {
            assert!(self.step(until), "it does not come to this: {what}");
        }
    }

    /// Virtual microseconds since the beginning.
    pub fn now_micros(&self) -> u64 {
        self.world.stage.kernel.now_micros()
    }

    /// How much has happened so far.
    pub fn steps(&self) -> u64 {
        self.world.stage.kernel.steps()
    }

    /// Lets virtual time pass.
    pub fn pass_millis(&self, millis: u64) {
        self.pass_micros(millis * 1_000);
    }

    /// Lets virtual time pass.
    pub fn pass_micros(&self, micros: u64) {
        let until = self.now_micros() + micros;
        while self.step(until) {}
    }

    /// Lets time pass until the engine's clock is at that instant.
    pub fn pass_until(&self, instant: booking_core::UtcMillis) {
        loop {
            // The engine's clock is never faster than time, but for a wall clock that is set forward.
            let left = instant.millis_since(self.world.node.now());
            let Ok(left @ 1..) = u64::try_from(left) else { return };
            self.pass_millis(left);
        }
    }

    /// Goes on until the process takes requests.
    pub fn until_ready(&self) {
        self.until("the process is ready", |it| it.world.node.door().is_some());
    }

    /// Goes on until the journal has so many records.
    pub fn until_records(&self, count: u64) {
        self.until(&format!("{count} records"), |it| it.records() >= count);
    }

    /// Records in the journal.
    pub fn records(&self) -> u64 {
        self.world.stage.lock().oracle.last_position()
    }

    /// The records of a day, oldest first, with their positions.
    pub fn events(&self, day: DayKey) -> Vec<(u64, Event)> {
        let shared = self.world.stage.lock();
        let own = (1..=shared.oracle.last_position()).filter(|position| shared.oracle.day_of(*position) == Some(day));
        own.filter_map(|position| Some((position, shared.oracle.event(position)?.clone()))).collect()
    }

    /// How often the trace says this.
    pub fn told(&self, text: &str) -> usize {
        self.world.stage.outcome().lines.iter().filter(|line| line.contains(text)).count()
    }

    /// The journal's store. Faults set there are of the present process; a 503 because of them needs [`Scenario::excuse`].
    pub fn journal(&self) -> MemoryJournal {
        self.world.node.disk().journal
    }

    /// The ledger's store, likewise.
    pub fn ledger(&self) -> MemoryLedger {
        self.world.node.disk().ledger
    }

    /// Counts a fault that the scenario brings about. From now on 503 may be told because of it.
    pub fn excuse(&self, fault: Fault) {
        self.world.stage.note_fault(fault, EXCUSED_MICROS);
    }

    /// The next append fails so.
    pub fn fail_append(&self, fault: AppendFault) {
        self.excuse(match fault {
            AppendFault::Failed => Fault::AppendFailed,
            AppendFault::UnknownBefore => Fault::AppendUnknownBefore,
            AppendFault::UnknownAfter => Fault::AppendUnknownAfter,
            AppendFault::UnknownLate => Fault::AppendUnknownLate,
            AppendFault::Poisoned => Fault::JournalPoisoned,
        });
        self.journal().fail_next(fault);
    }

    /// The next `count` barriers fail.
    pub fn fail_barriers(&self, count: usize) {
        self.excuse(Fault::BarrierFailed);
        self.journal().fail_barriers(count);
    }

    /// The next write of the ledger fails so.
    pub fn fail_ledger(&self, fault: LedgerFault) {
        self.ledger().fail_next(fault);
    }

    /// Appends wait from now on before they do anything.
    pub fn hold_appends(&self) {
        self.excuse(Fault::JournalStuck);
        self.journal().hold();
    }

    /// Goes on until an append waits.
    pub fn until_append_waits(&self) {
        self.until("an append waits", |it| it.journal().held(1).now_or_never().is_some());
    }

    /// Lets one append go on, and goes on until its records are durable.
    pub fn pass_append(&self) {
        self.until_append_waits();
        let records = self.records();
        self.journal().pass();
        self.until_records(records + 1);
    }

    /// Lets all appends go on.
    pub fn release_appends(&self) {
        self.journal().release();
    }

    /// The process dies here. [`Scenario::restart`] starts the next.
    pub fn crash(&self, late_write_lands: bool) {
        self.world.stage.note_fault(Fault::Crash, EXCUSED_MICROS);
        self.world.node.kill(late_write_lands);
    }

    /// Starts a process and waits until it is ready.
    pub fn restart(&self) {
        self.world.node.start();
        self.until_ready();
    }

    /// Asks the process to stop, waits until it has, and starts the next.
    pub fn stop_and_start(&self) {
        self.excuse(Fault::Restart);
        assert!(self.world.node.stop(|| {}), "a process that is ready can be stopped");
        self.until("the process has stopped", |it| !it.world.node.is_on());
        self.restart();
    }

    /// The next decision of a day panics its actor; goes on until it has.
    pub fn panic_at_next_decision(&self) {
        QUIET.call_once(crate::quiet_planted_panics);
        let stage = &self.world.stage;
        let calm = {
            let mut shared = stage.lock();
            let calm = shared.weather.clone();
            shared.weather = calm.clone().with(Fault::ActorPanicked, 1_000_000);
            calm
        };
        let before = self.told("FAULT ActorPanicked");
        self.until("an actor panics", |it| it.told("FAULT ActorPanicked") > before);
        stage.lock().weather = calm;
    }

    /// The journal's file is replaced by an older or newer copy while no process runs. Returns the one that was there.
    pub fn replace_journal(&self, journal: MemoryJournal) -> MemoryJournal {
        self.world.node.replace_journal(journal)
    }

    /// Starts a process and goes on until it says why it does not start.
    pub fn fail_to_start(&self) {
        let before = self.told("process does not start");
        self.world.node.start();
        self.until("it does not start", |it| it.told("process does not start") > before);
    }

    /// The ledger's file is lost while no process runs; the next finds an empty one.
    pub fn lose_ledger(&self) {
        self.world.node.lose_ledger();
    }

    /// Sets the wall clock.
    pub fn step_clock(&self, millis: i64) {
        self.world.node.wall().step(millis);
    }

    /// The engine's time.
    pub fn engine_now(&self) -> booking_core::UtcMillis {
        self.world.node.now()
    }

    /// Everything must come to rest now: see `rest`. What it has come to.
    pub fn finish(self) -> Report {
        self.release_appends();
        self.world.rest();
        let report = self.world.report();
        assert!(report.outcome.violation.is_none(), "{:?}", report.outcome.violation);
        report
    }
}

impl Drop for Scenario {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let lines = self.world.stage.outcome().lines;
            let shown = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n");
            // Nobody reads on: nothing is left to be said.
            let _ = writeln!(std::io::stderr(), "{shown}");
        }
    }
}

/// Runs a scenario under the seeds 0 to `seeds` − 1 and counts what each came to, as the scenario names it. A test then asserts that
/// the interesting order did occur: otherwise it would prove nothing.
pub fn from_all_sides(seeds: u64, scenario: impl Fn(u64) -> &'static str) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for seed in 0..seeds {
        *counts.entry(scenario(seed)).or_default() += 1;
    }
    counts
}
