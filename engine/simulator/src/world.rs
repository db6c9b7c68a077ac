//! One run: a seed becomes a clinic, its weather, its clients; time passes; then the faults stop, and everything must come to rest.
//! Must not know: how a reply is judged, how a fault is carried out.

use std::sync::Arc;

use engine::EngineConfig;

use crate::kernel::{Kernel, OUTSIDE};
use crate::network::{Counted, Network};
use crate::node::Node;
use crate::oracle::{Kind, Violation};
use crate::random::Random;
use crate::rest::{self, Patience};
use crate::stage::{Outcome, Stage};
use crate::weather::{Fault, Weather};
use crate::workload::{Admin, Client, Clinic};

/// Microseconds of a tick.
pub const TICK_MICROS: u64 = 1_000_000;

/// A run has some hundred steps a second; this many mean that somebody wakes somebody who wakes it again, for ever.
const STEPS_PER_SECOND_MAX: u64 = 200_000;

/// What a run is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Decides everything.
    pub seed: u64,
    /// Virtual seconds with faults.
    pub ticks: u64,
    /// In place of what the seed draws.
    pub weather: Option<Weather>,
    /// The process is killed before this step of the heap; `None`: only as the weather has it.
    pub crash_at_step: Option<u64>,
    /// Whether the trace is kept as text.
    pub keeps_trace: bool,
}

impl Settings {
    /// A run of `seed` as everybody runs it.
    pub const fn of(seed: u64) -> Self {
        Self { seed, ticks: 300, weather: None, crash_at_step: None, keeps_trace: false }
    }
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the stage has seen.
    pub outcome: Outcome,
    /// How requests ended.
    pub counted: Counted,
    /// Records in the journal.
    pub records: u64,
    /// How much happened.
    pub steps: u64,
    /// Virtual time in all, in microseconds.
    pub micros: u64,
}

/// One run in progress.
pub struct World {
    pub(crate) stage: Stage,
    pub(crate) node: Node,
    pub(crate) network: Network,
    pub(crate) clinic: Arc<Clinic>,
    pub(crate) patience: Patience,
    settings: Settings,
}

/// Runs `settings` to the end, or to the first violation.
pub fn run(settings: &Settings) -> Report {
    let world = World::of(settings);
    world.live();
    world.rest();
    world.report()
}

impl World {
    fn of(settings: &Settings) -> Self {
        let root = Random::new(settings.seed);
        let weather = settings.weather.clone().unwrap_or_else(|| Weather::of(&mut root.fork("weather")));
        let kernel = Kernel::new(root.fork("turns"), weather.jitter_micros);
        let stage = Stage::new(&kernel, root.fork("faults"), weather, settings.keeps_trace);
        let node = Node::new(&stage, config(&mut root.fork("settings")));
        let network = Network::new(&stage, &node);
        let clinic = Arc::new(Clinic::of(&mut root.fork("clinic"), settings.ticks));
        let world = Self { stage, node, network, clinic, patience: Patience::RANDOM, settings: settings.clone() };
        world.populate(&root);
        world
    }

    /// A world without faults, clients and time of its own: for scenarios. The seed decides only who takes a turn when.
    pub(crate) fn scripted(
        seed: u64,
        weather: Weather,
        config: EngineConfig,
        clinic: Clinic,
        patience: Patience,
    ) -> Self {
        let (root, settings) = (Random::new(seed), Settings { keeps_trace: true, ..Settings::of(seed) });
        let kernel = Kernel::new(root.fork("turns"), weather.jitter_micros);
        let stage = Stage::new(&kernel, root.fork("faults"), weather, true);
        let node = Node::new(&stage, config);
        let network = Network::new(&stage, &node);
        Self { stage, node, network, clinic: Arc::new(clinic), patience, settings }
    }

    fn populate(&self, root: &Random) {
        let (kernel, until) = (&self.stage.kernel, self.settings.ticks * TICK_MICROS);
        let admin = Admin::new(&self.network, kernel, &self.clinic, root.fork("admin"), self.settings.ticks);
        kernel.spawn(OUTSIDE, Box::pin(admin.run(until)));
        for number in 1..=root.fork("clients").between(3, 24) {
            let random = root.fork(&format!("client {number}"));
            let client = Client::new(&self.network, kernel, &self.clinic, random, number);
            kernel.spawn(OUTSIDE, Box::pin(client.run(until)));
        }
    }

    /// What it has come to so far.
    pub(crate) fn report(&self) -> Report {
        let stage = &self.stage;
        let records = stage.lock().oracle.last_position();
        let (steps, micros) = (stage.kernel.steps(), stage.kernel.now_micros());
        Report { outcome: stage.outcome(), counted: self.network.counted(), records, steps, micros }
    }

    /// The time with faults.
    fn live(&self) {
        self.node.start();
        for tick in 0..self.settings.ticks {
            self.tick();
            self.pass_until((tick + 1) * TICK_MICROS);
            if self.stage.has_failed() {
                return;
            }
        }
    }

    /// Lets time pass, without faults that come by themselves.
    pub(crate) fn pass_until(&self, micros: u64) {
        let kernel = &self.stage.kernel;
        let (mut second, mut begun_at_step) = (0, kernel.steps());
        loop {
            if kernel.now_micros() / TICK_MICROS != second {
                (second, begun_at_step) = (kernel.now_micros() / TICK_MICROS, kernel.steps());
            }
            if kernel.steps() - begun_at_step > STEPS_PER_SECOND_MAX {
                let text = format!("more than {STEPS_PER_SECOND_MAX} steps within one second");
                return self.stage.fail(Violation::new(Kind::Livelock, text));
            }
            if self.settings.crash_at_step == Some(kernel.steps() + 1) {
                self.stage.note_fault(Fault::Crash, 1_000_000);
                self.node.kill(kernel.steps().is_multiple_of(2));
                self.node.start_later();
            }
            if !kernel.step(micros) || self.stage.has_failed() {
                return;
            }
        }
    }

    /// Lets so many virtual seconds pass.
    pub(crate) fn pass_seconds(&self, seconds: u64) {
        self.pass_until(self.stage.kernel.now_micros() + seconds * TICK_MICROS);
    }

    /// Lets so many virtual seconds pass, or fewer if `is_over` before.
    pub(crate) fn pass_seconds_unless(&self, seconds: u64, is_over: impl Fn() -> bool) {
        let (kernel, begun_at_step) = (&self.stage.kernel, self.stage.kernel.steps());
        let until = kernel.now_micros() + seconds * TICK_MICROS;
        while !is_over() && !self.stage.has_failed() && kernel.step(until) {
            if kernel.steps() - begun_at_step > STEPS_PER_SECOND_MAX * seconds {
                let text = format!("more than {STEPS_PER_SECOND_MAX} steps a second");
                return self.stage.fail(Violation::new(Kind::Livelock, text));
            }
        }
    }

    /// The faults that come by themselves.
    fn tick(&self) {
        let stage = &self.stage;
        if !self.node.is_on() {
            return;
        }
        if stage.draws(Fault::Crash, TICK_MICROS) {
            self.at_some_instant(|node| node.kill(false));
        }
        if stage.draws(Fault::CrashBeforeLateWrite, TICK_MICROS) {
            self.at_some_instant(|node| node.kill(true));
        }
        if stage.draws(Fault::Restart, 30 * TICK_MICROS) {
            let node = self.node.clone();
            self.node.stop(move || node.start_later());
        }
        if stage.draws(Fault::ClockForward, 0) {
            self.step_clock(1);
        }
        if stage.draws(Fault::ClockBack, 0) {
            self.step_clock(-1);
        }
        self.send_ledger_away();
        self.damage_a_record();
    }

    /// A death at some microsecond of this tick, wherever everything stands then.
    fn at_some_instant(&self, die: impl FnOnce(&Node) + Send + 'static) {
        let (node, kernel) = (self.node.clone(), &self.stage.kernel);
        let at = kernel.now_micros() + self.stage.between(0, TICK_MICROS - 1);
        kernel.call_at(OUTSIDE, at, move || {
            die(&node);
            node.start_later();
        });
    }

    fn step_clock(&self, sign: i64) {
        let millis = i64::try_from(self.stage.between(1, 20_000)).unwrap_or(1) * sign;
        self.stage.tell(format!("the wall clock is set by {millis} ms"));
        self.node.wall().step(millis);
    }

    fn send_ledger_away(&self) {
        let seconds = self.stage.between(1, 180);
        if self.stage.draws(Fault::LedgerAway, seconds * TICK_MICROS) {
            let ledger = self.node.disk().ledger;
            ledger.away(true);
            let kernel = &self.stage.kernel;
            kernel.call_at(OUTSIDE, kernel.now_micros() + seconds * TICK_MICROS, move || ledger.away(false));
        }
    }

    fn damage_a_record(&self) {
        let position = {
            let mut shared = self.stage.lock();
            let last = shared.oracle.last_position();
            if last == 0 { 0 } else { shared.random.between(1, last) }
        };
        if position == 0 || !self.stage.draws(Fault::RecordDamaged, u64::MAX) {
            return;
        }
        let day = self.stage.lock().oracle.day_of(position);
        self.stage.tell(format!("the record at position {position} is damaged"));
        self.node.damage(position);
        let mut shared = self.stage.lock();
        shared.damaged.extend(day);
        shared.damaged_positions.insert(position);
    }

    /// The time without faults.
    pub(crate) fn rest(&self) {
        self.stage.calm_down();
        if !self.stage.has_failed() {
            rest::come_to_rest(self);
        }
    }
}

/// The settings of the engine: small bounds in many runs, so that days sleep, wake and are forgotten all the time.
fn config(random: &mut Random) -> EngineConfig {
    let mut pick = |choices: &[u64]| random.pick(choices).copied().unwrap_or_default();
    EngineConfig {
        idle_millis: i64::try_from(pick(&[0, 500, 5_000, 60_000])).unwrap_or(0),
        awake_days_max: usize::try_from(pick(&[1, 2, 20_000])).unwrap_or(1),
        sleeping_bytes_max: usize::try_from(pick(&[0, 3_000, 1 << 30])).unwrap_or(0),
        ..EngineConfig::embedded("/nonexistent".into())
    }
}
