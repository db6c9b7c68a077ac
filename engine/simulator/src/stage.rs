//! What the parts of one run share: the seed's randomness by purpose, the count of faults, the trace, and the first violation.
//! Must not know: how the parts work.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

use booking_core::{DayKey, UtcMillis};
use engine::journal::StoredRecord;
use parking_lot::{Mutex, MutexGuard};
use sha2::{Digest, Sha256};

use crate::kernel::Kernel;
use crate::oracle::{Oracle, Violation};
use crate::random::Random;
use crate::weather::{Fault, Weather};

/// How long after a fault a caller may still be told 503 because of it, in microseconds: a day reads itself again, a command that
/// was parked waits two seconds, a barrier is tried again after a second.
const AFTERMATH_MICROS: u64 = 10_000_000;

/// A time during which something was wrong.
#[derive(Clone, Copy, Debug)]
struct Disturbance {
    from_micros: u64,
    until_micros: u64,
}

/// What is shared, under its lock.
pub struct Shared {
    /// Judges what happens.
    pub oracle: Oracle,
    /// Decides about faults.
    pub random: Random,
    /// The weather; calm once the faults have stopped.
    pub weather: Weather,
    /// Days of which a record was damaged: they are out of service.
    pub damaged: BTreeSet<DayKey>,
    /// Where: whoever reads the log there is told so, as the product's journal tells.
    pub damaged_positions: BTreeSet<u64>,
    faults: BTreeMap<Fault, u64>,
    disturbances: Vec<Disturbance>,
    violation: Option<Violation>,
    lines: Vec<String>,
    digest: Sha256,
    keeps_lines: bool,
}

/// See the module. Clones share everything.
#[derive(Clone)]
pub struct Stage {
    /// Virtual time.
    pub kernel: Kernel,
    shared: Arc<Mutex<Shared>>,
}

impl Stage {
    /// An empty stage. `keeps_lines`: whether the trace is kept as text, or only its digest.
    pub fn new(kernel: &Kernel, random: Random, weather: Weather, keeps_lines: bool) -> Self {
        let shared = Shared {
            oracle: Oracle::default(),
            random,
            weather,
            damaged: BTreeSet::new(),
            damaged_positions: BTreeSet::new(),
            faults: BTreeMap::new(),
            disturbances: Vec::new(),
            violation: None,
            lines: Vec::new(),
            digest: Sha256::new(),
            keeps_lines,
        };
        Self { kernel: kernel.clone(), shared: Arc::new(Mutex::new(shared)) }
    }

    /// What is shared. Never held across an await.
    pub fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock()
    }

    /// Adds a line to the trace.
    pub fn tell(&self, text: impl AsRef<str>) {
        let now = self.kernel.now_micros();
        self.lock().tell(now, text.as_ref());
    }

    /// Whether `fault` happens on this occasion. If so it is counted, and excuses what it can for `lasting_micros` from now.
    pub fn draws(&self, fault: Fault, lasting_micros: u64) -> bool {
        let now = self.kernel.now_micros();
        let mut shared = self.lock();
        let rate = shared.weather.rate(fault);
        if rate == 0 || !shared.random.chance(rate) {
            return false;
        }
        shared.note_fault(fault, now, lasting_micros);
        true
    }

    /// Counts a fault that was decided elsewhere.
    pub fn note_fault(&self, fault: Fault, lasting_micros: u64) {
        let now = self.kernel.now_micros();
        self.lock().note_fault(fault, now, lasting_micros);
    }

    /// A number from `low` to `high`.
    pub fn between(&self, low: u64, high: u64) -> u64 {
        self.lock().random.between(low, high)
    }

    /// A record became durable at this instant.
    pub fn recorded(&self, record: &StoredRecord, engine_now: UtcMillis) {
        let now = self.kernel.now_micros();
        let mut shared = self.lock();
        let outcome = shared.oracle.recorded(record, now, engine_now);
        let text = format!("durable {} {} at position {}", record.day, crate::words::record(record), record.position);
        shared.tell(now, &text);
        if let Err(violation) = outcome {
            shared.fail(now, violation);
        }
    }

    /// Something is wrong.
    pub fn fail(&self, violation: Violation) {
        let now = self.kernel.now_micros();
        self.lock().fail(now, violation);
    }

    /// Whether something is wrong.
    pub fn has_failed(&self) -> bool {
        self.lock().violation.is_some()
    }

    /// Whether a caller who asked between the two instants may have been told 503.
    pub fn is_excused(&self, from_micros: u64, to_micros: u64) -> bool {
        let shared = self.lock();
        let overlaps = |it: &Disturbance| it.from_micros <= to_micros && from_micros <= it.until_micros;
        shared.disturbances.iter().any(overlaps)
    }

    /// No more faults from now on.
    pub fn calm_down(&self) {
        let mut shared = self.lock();
        shared.weather = Weather::calm();
    }

    /// What came of the run so far.
    pub fn outcome(&self) -> Outcome {
        let shared = self.lock();
        Outcome {
            violation: shared.violation.clone(),
            faults: shared.faults.clone(),
            lines: shared.lines.clone(),
            digest: shared.digest.clone().finalize().into(),
        }
    }
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The first thing that was wrong.
    pub violation: Option<Violation>,
    /// How often each fault happened.
    pub faults: BTreeMap<Fault, u64>,
    /// The trace, if it was kept.
    pub lines: Vec<String>,
    /// SHA-256 of the trace: two runs with the same digest did the same things at the same times.
    pub digest: [u8; 32],
}

impl Shared {
    fn tell(&mut self, now_micros: u64, text: &str) {
        let mut line = String::with_capacity(text.len() + 16);
        // Writing to a string cannot fail.
        let _ = write!(line, "{:>5}.{:06} {text}", now_micros / 1_000_000, now_micros % 1_000_000);
        self.digest.update(line.as_bytes());
        self.digest.update(b"\n");
        if self.keeps_lines {
            self.lines.push(line);
        }
    }

    fn note_fault(&mut self, fault: Fault, now_micros: u64, lasting_micros: u64) {
        *self.faults.entry(fault).or_default() += 1;
        self.tell(now_micros, &format!("FAULT {fault:?}"));
        if fault.excuses() {
            let until_micros = now_micros.saturating_add(lasting_micros).saturating_add(AFTERMATH_MICROS);
            self.disturbances.push(Disturbance { from_micros: now_micros, until_micros });
        }
    }

    fn fail(&mut self, now_micros: u64, violation: Violation) {
        self.tell(now_micros, &format!("VIOLATION {violation}"));
        self.violation.get_or_insert(violation);
    }
}
