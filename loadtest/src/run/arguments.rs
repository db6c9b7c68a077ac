//! What can be said on the command line of `loadtest run`.
//! Must not know: how a scenario runs.

use std::path::PathBuf;

use clap::Args;

use crate::run::report::Outputs;
use crate::run::scenario::Scenario;

/// Runs one scenario against a running server, audits it and reports.
#[derive(Args, Clone, Debug)]
pub(crate) struct RunArgs {
    /// The scenario file, such as `loadtest/scenarios/release.toml`.
    pub(crate) scenario: PathBuf,
    /// Base URL of the server, plain HTTP.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub(crate) url: String,
    /// The server's signing key: 32 raw bytes.
    #[arg(long, default_value = "data/jwt.key")]
    pub(crate) key_file: PathBuf,
    /// Write the whole report as JSON to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write one HTML page with plots to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// The JSON report of an earlier run, to be set beside this one.
    #[arg(long, value_name = "EARLIER.json")]
    pub(crate) compare: Option<PathBuf>,
    /// Seed of everything that is drawn: the same one offers the same load.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many processes offer the load; each takes its share of arrivals and connections, with so many threads.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) processes: u32,
    /// Judge by the targets of the thresholds where they have one, not by their wider bounds.
    #[arg(long)]
    pub(crate) hold_to_targets: bool,
    /// Instead of the scenario's `rate_per_second`.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Instead of the scenario's `duration_seconds`.
    #[arg(long)]
    pub(crate) duration_seconds: Option<f64>,
    /// Instead of the scenario's `patients`.
    #[arg(long)]
    pub(crate) patients: Option<u64>,
    /// Instead of the scenario's `places` of each day.
    #[arg(long)]
    pub(crate) places: Option<u64>,
    /// Instead of the scenario's number of doctors.
    #[arg(long)]
    pub(crate) doctors: Option<u32>,
    /// Instead of the scenario's number of connections.
    #[arg(long)]
    pub(crate) connections: Option<u32>,
    /// Instead of the scenario's number of generator threads.
    #[arg(long)]
    pub(crate) threads: Option<u32>,
    /// Instead of the scenario's number of stream readers.
    #[arg(long)]
    pub(crate) watchers: Option<u32>,
    /// Instead of the scenario's bound of the generator's lag.
    #[arg(long)]
    pub(crate) lag_p99_at_most_ms: Option<f64>,
    /// Accept a target on another machine.
    #[arg(long)]
    pub(crate) allow_remote: bool,
}

impl RunArgs {
    /// What is written where.
    pub(crate) fn outputs(&self) -> Outputs<'_> {
        let name = self.scenario.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Outputs { name, json: self.json.as_deref(), html: self.html.as_deref(), hold_to_targets: self.hold_to_targets }
    }

    /// Puts what was said in place of what the file says.
    pub(crate) const fn change(&self, scenario: &mut Scenario) {
        const fn set<T: Copy>(place: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *place = value;
            }
        }
        set(&mut scenario.parameters.rate_per_second, self.rate);
        set(&mut scenario.parameters.duration_seconds, self.duration_seconds);
        set(&mut scenario.parameters.patients, self.patients);
        set(&mut scenario.parameters.places, self.places);
        set(&mut scenario.days.doctors, self.doctors);
        set(&mut scenario.generator.connections, self.connections);
        set(&mut scenario.generator.threads, self.threads);
        set(&mut scenario.background.watchers, self.watchers);
        set(&mut scenario.generator.lag_p99_at_most_ms, self.lag_p99_at_most_ms);
    }
}
