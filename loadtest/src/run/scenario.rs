//! What a scenario file says, checked: days to set up, loads to offer, bounds to keep.
//! Must not know: how any of it is carried out.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::run::operation::Operation;
use crate::run::schedule::{Arrivals, read_offsets};

/// More arrivals than this do not fit the memory of a small machine: each keeps its whole story for the audit.
pub(crate) const MAX_ARRIVALS: usize = 2_000_000;

/// Why a scenario cannot be run.
#[derive(Debug, Error)]
pub(crate) enum ScenarioError {
    /// A file is missing or unreadable.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Not TOML, or not of this shape.
    #[error("{path}: {source}")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A value that makes no sense.
    #[error("{path}: {reason}")]
    Senseless {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// A whole scenario.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// One sentence for the reader of a report.
    pub(crate) about: String,
    /// What the command line may change.
    pub(crate) parameters: Parameters,
    /// The doctor-days that are set up.
    pub(crate) days: Days,
    /// How the load is made.
    #[serde(default)]
    pub(crate) generator: Generator,
    /// What is offered, all of it side by side.
    pub(crate) load: Vec<Load>,
    /// What goes on beside the load.
    #[serde(default)]
    pub(crate) background: Background,
    /// Bounds of the report's numbers.
    #[serde(default)]
    pub(crate) threshold: Vec<Threshold>,
}

/// Numbers that the command line may change; loads and days are expressed in them.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// What a load's `share` of `constant` and `ramp` is a share of.
    pub(crate) rate_per_second: f64,
    /// What a load's `from` and `to` are parts of.
    pub(crate) duration_seconds: f64,
    /// What a load's `share` of `spike` is a share of.
    pub(crate) patients: u64,
    /// Places of each day.
    pub(crate) places: u64,
}

/// The doctor-days of a run.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Days {
    /// How many doctors.
    pub(crate) doctors: u32,
    /// How many days each has.
    #[serde(default = "one")]
    pub(crate) days_per_doctor: u32,
    /// Slots of each day, over which the places are spread; fewer where there are fewer places.
    pub(crate) slots: u32,
    /// When the places are released, from the start of the run; left out: before it.
    pub(crate) release_after_seconds: Option<f64>,
    /// Whether every place is sold before the run begins.
    #[serde(default)]
    pub(crate) sold_out: bool,
}

impl Days {
    /// How many days there are in all.
    pub(crate) const fn count(&self) -> u32 {
        self.doctors * self.days_per_doctor
    }
}

/// How the load is made.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Generator {
    /// Kept-alive connections opened beforehand.
    pub(crate) connections: u32,
    /// Threads that share arrivals and connections.
    pub(crate) threads: u32,
    /// How long a client waits for one answer.
    pub(crate) timeout_ms: u64,
    /// How often a request whose outcome is open is sent again with the same key.
    pub(crate) retries: u32,
    /// How long a hold is asked for, in seconds; left out: as long as the server likes.
    pub(crate) hold_seconds: Option<u32>,
    /// Whether a repetition waits as `Retry-After` says; otherwise it comes at once.
    pub(crate) honours_retry_after: bool,
    /// How long after the last arrival answers are awaited.
    pub(crate) drain_seconds: f64,
    /// A run whose generator lagged more than this at the 99th percentile is invalid.
    pub(crate) lag_p99_at_most_ms: f64,
}

impl Default for Generator {
    fn default() -> Self {
        Self {
            connections: 256,
            threads: 1,
            timeout_ms: 10_000,
            retries: 5,
            hold_seconds: None,
            honours_retry_after: true,
            drain_seconds: 10.0,
            lag_p99_at_most_ms: 50.0,
        }
    }
}

/// The shape of a load's arrivals.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shape {
    /// A steady rate.
    Constant,
    /// From `share` to `share_at_end` of the rate.
    Ramp,
    /// All at the release (or at the load's beginning where nothing is released).
    Spike,
    /// The offsets of a file.
    Replay,
}

/// One load.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Load {
    /// Its name in the report: a plain word.
    pub(crate) name: String,
    /// How its arrivals are spread.
    pub(crate) arrivals: Shape,
    /// Its part of the rate or of the patients; more than 1 is allowed.
    #[serde(default = "whole")]
    pub(crate) share: f64,
    /// The same at the end of a ramp.
    #[serde(default = "whole")]
    pub(crate) share_at_end: f64,
    /// When it begins, as a part of the duration.
    #[serde(default)]
    pub(crate) from: f64,
    /// When it ends, as a part of the duration.
    #[serde(default = "whole")]
    pub(crate) to: f64,
    /// Whether a rate is a Poisson process; otherwise it is evenly spaced.
    #[serde(default = "yes")]
    pub(crate) random: bool,
    /// Median delay of a spike.
    #[serde(default)]
    pub(crate) median_ms: f64,
    /// Deviation of the logarithm of a spike's delay.
    #[serde(default)]
    pub(crate) spread: f64,
    /// The offsets to replay; a relative path counts from the scenario's folder.
    pub(crate) file: Option<PathBuf>,
    /// What is asked for, by weight.
    pub(crate) operations: std::collections::BTreeMap<Operation, u32>,
    /// Part of the bookings that name a slot.
    #[serde(default)]
    pub(crate) names_slot: f64,
    /// Part of the arrivals that go to the first day, whatever else there is.
    #[serde(default)]
    pub(crate) hot_share: f64,
}

/// What goes on beside the load.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Background {
    /// Readers of day streams, spread over the days.
    pub(crate) watchers: u32,
    /// Clients that send one request a byte at a time and never finish it.
    pub(crate) slow_clients: u32,
}

/// A bound of one number of the report.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Threshold {
    /// Its path in the JSON report, with dots.
    pub(crate) metric: String,
    /// The largest value that passes.
    pub(crate) at_most: Option<f64>,
    /// The smallest value that passes.
    pub(crate) at_least: Option<f64>,
    /// The largest value that meets the project's target, on a quiet machine; missing it is told and breaks nothing.
    pub(crate) target_at_most: Option<f64>,
    /// The smallest such value.
    pub(crate) target_at_least: Option<f64>,
}

const fn one() -> u32 {
    1
}

const fn whole() -> f64 {
    1.0
}

const fn yes() -> bool {
    true
}

/// Reads a scenario; `change` is applied before it is checked.
pub(crate) fn read(path: &Path, change: impl FnOnce(&mut Scenario)) -> Result<Scenario, ScenarioError> {
    let text = read_text(path)?;
    let mut scenario: Scenario = toml::from_str(&text)
        .map_err(|source| ScenarioError::Malformed { path: path.to_owned(), source: Box::new(source) })?;
    change(&mut scenario);
    match senseless(&scenario) {
        None => Ok(scenario),
        Some(reason) => Err(ScenarioError::Senseless { path: path.to_owned(), reason }),
    }
}

fn read_text(path: &Path) -> Result<String, ScenarioError> {
    std::fs::read_to_string(path).map_err(|source| ScenarioError::File { path: path.to_owned(), source })
}

/// The first thing that makes no sense.
pub(crate) fn senseless(scenario: &Scenario) -> Option<String> {
    let Scenario { parameters, days, generator, load, background, threshold, .. } = scenario;
    let range = |name: &str, value: f64, low: f64, high: f64| {
        (!(low..=high).contains(&value)).then(|| format!("{name} must be from {low} to {high}, it is {value}"))
    };
    let mut bounds = vec![
        range("rate_per_second", parameters.rate_per_second, 0.0, 200_000.0),
        range("duration_seconds", parameters.duration_seconds, 0.1, 3_600.0),
        range("patients", parameters.patients as f64, 0.0, MAX_ARRIVALS as f64),
        range("places", parameters.places as f64, 1.0, 500.0 * 100_000.0),
        range("doctors", days.doctors.into(), 1.0, 10_000.0),
        range("days_per_doctor", days.days_per_doctor.into(), 1.0, 60.0),
        range("slots", days.slots.into(), 1.0, 500.0),
        range("release_after_seconds", days.release_after_seconds.unwrap_or(0.0), 0.0, 3_600.0),
        range("connections", generator.connections.into(), 1.0, 8_000.0),
        range("threads", generator.threads.into(), 1.0, 64.0),
        range("timeout_ms", generator.timeout_ms as f64, 1.0, 60_000.0),
        range("hold_seconds", generator.hold_seconds.unwrap_or(1).into(), 1.0, 900.0),
        range("drain_seconds", generator.drain_seconds, 0.0, 600.0),
        range("watchers", background.watchers.into(), 0.0, 10_000.0),
        range("slow_clients", background.slow_clients.into(), 0.0, 8_000.0),
        load.is_empty().then(|| "there is no load".to_owned()),
    ];
    for load in load {
        let plain = !load.name.is_empty() && load.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        bounds.push((!plain).then(|| format!("load {:?}: a name is lower-case letters and _", load.name)));
        for (name, value, high) in [
            ("share", load.share, 1_000.0),
            ("share_at_end", load.share_at_end, 1_000.0),
            ("from", load.from, 1.0),
            ("to", load.to, 1.0),
            ("median_ms", load.median_ms, 600_000.0),
            ("spread", load.spread, 5.0),
            ("names_slot", load.names_slot, 1.0),
            ("hot_share", load.hot_share, 1.0),
        ] {
            bounds.push(range(&format!("load {}: {name}", load.name), value, 0.0, high));
        }
        let no_operation = load.operations.values().sum::<u32>() == 0;
        bounds.push(no_operation.then(|| format!("load {}: no operations", load.name)));
        let no_file = load.arrivals == Shape::Replay && load.file.is_none();
        bounds.push(no_file.then(|| format!("load {}: a replay needs a file", load.name)));
    }
    let aimless = threshold.iter().find(|threshold| threshold.at_most.is_none() && threshold.at_least.is_none());
    bounds.push(aimless.map(|threshold| format!("threshold {}: neither at_most nor at_least", threshold.metric)));
    bounds.into_iter().flatten().next()
}

impl Load {
    /// Its arrivals; `folder` is where the scenario lies.
    pub(crate) fn arrivals(&self, parameters: &Parameters, folder: &Path) -> Result<Arrivals, ScenarioError> {
        let rate = |share: f64| share * parameters.rate_per_second;
        Ok(match self.arrivals {
            Shape::Constant => Arrivals::Rate {
                from_per_second: rate(self.share),
                to_per_second: rate(self.share),
                random: self.random,
            },
            Shape::Ramp => Arrivals::Rate {
                from_per_second: rate(self.share),
                to_per_second: rate(self.share_at_end),
                random: self.random,
            },
            Shape::Spike => Arrivals::Spike {
                // Both are bounded by the checks: nothing is cut.
                patients: (self.share * parameters.patients as f64).round() as u64,
                median_ms: self.median_ms,
                spread: self.spread,
            },
            Shape::Replay => {
                let path = folder.join(self.file.as_deref().unwrap_or(Path::new("")));
                let offsets = read_offsets(&read_text(&path)?).map_err(|line| ScenarioError::Senseless {
                    path,
                    reason: format!("line {line} is no offset in seconds"),
                })?;
                Arrivals::Replay(offsets)
            }
        })
    }
}

#[cfg(test)]
#[path = "scenario_tests.rs"]
mod tests;
