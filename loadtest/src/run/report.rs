//! A run told to programs: the report and its JSON.
//! Must not know: how anything was measured or found; text for people is `text`, plots are `page`.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::run::audit::Verdict;
use crate::run::audit::fairness::Fairness;
use crate::run::background::Seen;
use crate::run::processes::Part;
use crate::run::scenario::Scenario;
use crate::run::summary::{Spread, Summary};
use crate::run::verdict::{self, Compared, Judged};
use crate::run::{RunError, page};

/// Name of the JSON's shape, and its version: raised when a name or a meaning changes, not when one is added.
pub(crate) const SCHEMA: &str = "hotslot-loadtest-run";
/// See `SCHEMA`.
pub(crate) const SCHEMA_VERSION: u32 = 1;

/// What is written, and how thresholds are meant.
pub(crate) struct Outputs<'a> {
    /// The run's name.
    pub(crate) name: String,
    /// The JSON report.
    pub(crate) json: Option<&'a Path>,
    /// The HTML page.
    pub(crate) html: Option<&'a Path>,
    /// Whether thresholds are judged by their targets.
    pub(crate) hold_to_targets: bool,
}

/// What a run gave, before it is judged against thresholds.
pub(crate) struct Generation {
    /// As it was run, changes of the command line included.
    pub(crate) scenario: Scenario,
    /// Seed of what was drawn.
    pub(crate) seed: u64,
    /// The numbers.
    pub(crate) summary: Summary,
    /// Processor time of the generator's threads; 0 where the system does not tell.
    pub(crate) cpu_seconds: f64,
    /// Connections that had to be opened again.
    pub(crate) reopened_connections: u64,
    /// Each process, where there were several.
    pub(crate) parts: Vec<Part>,
    /// The audit.
    pub(crate) verdict: Verdict,
    /// How long reading everything back took.
    pub(crate) audit_seconds: f64,
    /// Who won against the order of arrival.
    pub(crate) fairness: Fairness,
    /// What went on beside the load.
    pub(crate) beside: Option<Seen>,
}

/// What the generator cost and how late it was.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct GeneratorReport {
    /// Processor time of its threads during the run.
    pub(crate) cpu_seconds: f64,
    /// The same by the length of the run: 1 is one core all the time.
    pub(crate) cpu_share_of_one_core: f64,
    /// The same by the requests that were sent, in microseconds.
    pub(crate) cpu_micros_per_request: f64,
    /// Connections that had to be opened again.
    pub(crate) reopened_connections: u64,
    /// Each process, where there were several.
    pub(crate) processes: Vec<Part>,
    /// The 99th percentile of the lag of the process that was latest; that of `lag` where there was one.
    pub(crate) worst_process_lag_p99_ms: f64,
    /// How late the generator itself was: from the intended time to the sending where a connection was free then, else
    /// to its getting round to it.
    pub(crate) lag: Spread,
    /// From then to the first sending, of those who found no connection free.
    pub(crate) connection_wait: Spread,
}

/// The whole report; its JSON is the shape that `SCHEMA` names.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// `SCHEMA`.
    pub(crate) schema: &'static str,
    /// `SCHEMA_VERSION`.
    pub(crate) schema_version: u32,
    /// The scenario file's name without its ending.
    pub(crate) name: String,
    /// As it was run.
    pub(crate) scenario: Scenario,
    /// Seed of what was drawn.
    pub(crate) seed: u64,
    /// Whether the generator kept up, so that the numbers say something of the server.
    pub(crate) valid: bool,
    /// Why not.
    pub(crate) invalid_because: Vec<String>,
    /// The generator.
    pub(crate) generator: GeneratorReport,
    /// The numbers.
    pub(crate) measured: Summary,
    /// Who won against the order of arrival.
    pub(crate) fairness: Fairness,
    /// What went on beside the load.
    pub(crate) beside: Option<Seen>,
    /// The audit.
    pub(crate) audit: Verdict,
    /// How long reading everything back took.
    pub(crate) audit_seconds: f64,
    /// Bounds and whether they are kept.
    pub(crate) thresholds: Vec<Judged>,
    /// Numbers beside those of an earlier run.
    pub(crate) comparison: Vec<Compared>,
}

impl Report {
    /// Of a run; without thresholds and comparison yet.
    pub(crate) fn new(generation: Generation) -> Self {
        let Generation { scenario, seed, summary, cpu_seconds, reopened_connections, parts, verdict, .. } = generation;
        let bound = scenario.generator.lag_p99_at_most_ms;
        let mut invalid_because = Vec::new();
        let of_processes = parts.iter().map(|part| part.lag.p99_ms);
        let lag = of_processes.fold(summary.lag.p99_ms, f64::max);
        if lag > bound {
            invalid_because.push(format!("the generator lagged {lag:.1} ms at the 99th percentile, bound {bound} ms"));
        }
        if summary.not_sent > 0 {
            invalid_because.push(format!("{} arrivals were not sent before the deadline", summary.not_sent));
        }
        let seconds = summary.series.offered.len() as f64 * summary.series.width_ms as f64 / 1e3;
        Self {
            schema: SCHEMA,
            schema_version: SCHEMA_VERSION,
            name: String::new(),
            seed,
            valid: invalid_because.is_empty(),
            invalid_because,
            generator: GeneratorReport {
                cpu_seconds,
                cpu_share_of_one_core: cpu_seconds / seconds.max(0.001),
                cpu_micros_per_request: cpu_seconds * 1e6 / (summary.sent + summary.repeats).max(1) as f64,
                reopened_connections,
                processes: parts,
                worst_process_lag_p99_ms: lag,
                lag: summary.lag.clone(),
                connection_wait: summary.connection_wait.clone(),
            },
            scenario,
            measured: summary,
            fairness: generation.fairness,
            beside: generation.beside,
            audit: verdict,
            audit_seconds: generation.audit_seconds,
            thresholds: Vec::new(),
            comparison: Vec::new(),
        }
    }

    /// Judges the thresholds, sets it beside the earlier report, and writes the files that were asked for.
    pub(crate) fn finish(mut self, outputs: &Outputs<'_>, earlier: Option<&Value>) -> Result<Self, RunError> {
        self.name.clone_from(&outputs.name);
        let json = |report: &Self| {
            serde_json::to_value(report).map_err(|source| RunError::Json { what: "the report".to_owned(), source })
        };
        let value = json(&self)?;
        self.thresholds = verdict::judge(&self.scenario.threshold, &value);
        if outputs.hold_to_targets {
            self.thresholds.iter_mut().for_each(Judged::hold_to_target);
        }
        self.comparison = earlier.map_or_else(Vec::new, |earlier| verdict::compare(&value, earlier));
        if let Some(path) = outputs.json {
            write(path, &format!("{:#}\n", json(&self)?))?;
        }
        if let Some(path) = outputs.html {
            write(path, &page::page(&self))?;
        }
        Ok(self)
    }

    /// Whether every threshold is kept.
    pub(crate) fn thresholds_kept(&self) -> bool {
        self.thresholds.iter().all(|judged| judged.passed)
    }
}

fn write(path: &Path, text: &str) -> Result<(), RunError> {
    std::fs::write(path, text).map_err(|source| RunError::Io { what: path.display().to_string(), source })
}

/// Reads the JSON report of an earlier run.
pub(crate) fn read_earlier(path: &Path) -> Result<Value, RunError> {
    let what = path.display().to_string();
    let text = std::fs::read(path).map_err(|source| RunError::Io { what: what.clone(), source })?;
    let value: Value = serde_json::from_slice(&text).map_err(|source| RunError::Json { what: what.clone(), source })?;
    if value["schema"] == SCHEMA && value["schema_version"] == SCHEMA_VERSION {
        return Ok(value);
    }
    let source = std::io::Error::other(format!("is no report of {SCHEMA} version {SCHEMA_VERSION}"));
    Err(RunError::Io { what, source })
}
