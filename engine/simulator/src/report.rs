//! What many runs came to, in words: for the terminal, and for whoever has to find out why a seed fails.
//! Must not know: how a run works.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::weather::Fault;
use crate::world::{Report, Settings};

/// Lines of the trace shown before and after a violation.
const SHOWN_BEFORE: usize = 60;

/// The sum over runs.
#[derive(Clone, Default, Debug)]
pub struct Sum {
    runs: u64,
    /// Seeds with a violation.
    pub failed: Vec<u64>,
    requests: u64,
    successes: u64,
    refusals: u64,
    unknown: u64,
    records: u64,
    steps: u64,
    micros: u64,
    faults: BTreeMap<Fault, u64>,
}

impl Sum {
    /// Adds a run.
    pub fn add(&mut self, seed: u64, report: &Report) {
        self.runs += 1;
        if report.outcome.violation.is_some() {
            self.failed.push(seed);
        }
        self.requests += report.counted.requests;
        self.successes += report.counted.successes;
        self.refusals += report.counted.refusals;
        self.unknown += report.counted.unknown;
        self.records += report.records;
        self.steps += report.steps;
        self.micros += report.micros;
        for (fault, count) in &report.outcome.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
    }

    /// How often `fault` happened.
    pub fn count(&self, fault: Fault) -> u64 {
        self.faults.get(&fault).copied().unwrap_or_default()
    }

    /// Some lines for a reader.
    pub fn words(&self) -> String {
        let Self { runs, requests, successes, refusals, unknown, records, steps, .. } = self;
        let (failed, hours) = (self.failed.len(), self.micros as f64 / 3.6e9);
        let mut text = format!(
            "{runs} runs, {failed} failed; {hours:.1} virtual hours, {steps} steps, {records} records\n\
             {requests} requests: {successes} successes, {refusals} refusals, {unknown} unknown\nfaults:"
        );
        for (fault, count) in &self.faults {
            // Writing to a string cannot fail.
            let _ = write!(text, " {fault:?} {count},");
        }
        text.trim_end_matches(',').to_owned()
    }
}

/// The part of a trace that shows what was wrong: the violation, and what came just before.
pub fn excerpt(lines: &[String]) -> Vec<String> {
    let end = lines.iter().position(|line| line.contains(" VIOLATION ")).map_or(lines.len(), |at| at + 1);
    lines[end.saturating_sub(SHOWN_BEFORE)..end].to_vec()
}

/// The command that shows this run again, whole.
pub fn rerun(settings: &Settings) -> String {
    let mut text = format!("cargo run --release -p simulator -- --seed {} --ticks {}", settings.seed, settings.ticks);
    if let Some(step) = settings.crash_at_step {
        let _ = write!(text, " --crash-at-step {step}");
    }
    text + " --trace"
}
