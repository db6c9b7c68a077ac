//! A run told to people and programs: the progress line, the text, the JSON.
//! Must not know: how anything was measured or found; plots are `page`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use crate::driver::clock;
use crate::run::audit::Verdict;
use crate::run::audit::fairness::Fairness;
use crate::run::background::Seen;
use crate::run::generator::Live;
use crate::run::operation::Class;
use crate::run::processes::Part;
use crate::run::scenario::Scenario;
use crate::run::summary::{Classes, Spread, Summary};
use crate::run::verdict::{self, Compared, Judged};
use crate::run::{RunError, page, settled};

/// Name of the JSON's shape, and its version: raised when a name or a meaning changes, not when one is added.
pub(crate) const SCHEMA: &str = "hotslot-loadtest-run";
/// See `SCHEMA`.
pub(crate) const SCHEMA_VERSION: u32 = 1;
/// Findings that the text shows; the JSON has all.
const SHOWN_FINDINGS: usize = 30;

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

    /// For the terminal.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = self.write_text(&mut text);
        text
    }

    fn write_text(&self, text: &mut String) -> std::fmt::Result {
        let Self { measured, generator, audit, fairness, .. } = self;
        writeln!(text, "{}: {} (seed {})", self.name, self.scenario.about, self.seed)?;
        writeln!(
            text,
            "arrivals   {} offered ({:.0}/s), {} sent, {} not sent; {:.0}/s settled, {:.0}/s served; {} repeats",
            measured.arrivals,
            measured.offered_per_second,
            measured.sent,
            measured.not_sent,
            measured.settled_per_second,
            measured.served_per_second,
            measured.repeats
        )?;
        for (outcome, count) in &measured.outcomes {
            writeln!(text, "  {count:>9}  {outcome}")?;
        }
        writeln!(
            text,
            "latency from the intended time (ms)   count       p50       p90       p99     p99.9       max"
        )?;
        write_classes(text, "", measured.operations.iter().map(|(name, classes)| (*name, classes)))?;
        if measured.loads.len() > 1 {
            self.write_phases(text)?;
            write_classes(text, "load ", measured.loads.iter().map(|(name, classes)| (name.as_str(), classes)))?;
        }
        write_spread(text, "generator's own lag", &generator.lag)?;
        write_spread(text, "wait for a connection", &generator.connection_wait)?;
        writeln!(
            text,
            "generator  {:.2} s of processor time ({:.2} of one core, {:.1} µs a request), {} connections reopened",
            generator.cpu_seconds,
            generator.cpu_share_of_one_core,
            generator.cpu_micros_per_request,
            generator.reopened_connections
        )?;
        for (part, number) in generator.processes.iter().zip(1..) {
            let Part { arrivals, cpu_seconds, lag } = part;
            writeln!(
                text,
                "  process {number}: {arrivals} arrivals, {cpu_seconds:.2} s of processor time, lag p99 {:.2} ms",
                lag.p99_ms
            )?;
        }
        if let Some(beside) = &self.beside {
            writeln!(
                text,
                "beside     {} watchers, {} events, {} streams ended early; {} slow clients, {} closed by the server",
                beside.watchers, beside.events, beside.ended_early, beside.slow_clients, beside.slow_clients_closed
            )?;
            write_spread(text, "age of an event when read", &beside.event_age)?;
        }
        writeln!(
            text,
            "fairness   {} winners, {} losers, {} inversions, {} winners out of order, last winning rank {}",
            fairness.winners,
            fairness.losers,
            fairness.inversions,
            fairness.winners_out_of_order,
            fairness.last_winning_rank
        )?;
        writeln!(
            text,
            "audit      {} acknowledged, {} keep a place, {} refusals checked, {} unknown, {} findings ({:.1} s)",
            audit.acknowledged,
            audit.keeping_place,
            audit.refusals_checked,
            audit.unknown,
            audit.findings.len(),
            self.audit_seconds
        )?;
        self.write_verdict(text)
    }

    fn write_phases(&self, text: &mut String) -> std::fmt::Result {
        for (name, phase) in &self.measured.phases {
            writeln!(
                text,
                "  phase {name}: {:.0}/s offered for {:.1} s, {:.0}/s settled meanwhile, {:.2} of the given rate",
                phase.offered_per_second,
                phase.lasted_seconds,
                phase.goodput_per_second,
                phase.goodput_of_given_rate
            )?;
        }
        Ok(())
    }

    fn write_verdict(&self, text: &mut String) -> std::fmt::Result {
        for finding in self.audit.findings.iter().take(SHOWN_FINDINGS) {
            writeln!(text, "finding: {}: {}", finding.kind, finding.detail)?;
        }
        let more = self.audit.findings.len().saturating_sub(SHOWN_FINDINGS);
        if more > 0 {
            writeln!(text, "finding: … and {more} more")?;
        }
        for compared in self.comparison.iter().filter(|compared| is_headline(&compared.metric)) {
            let ratio = compared.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
            writeln!(
                text,
                "compared: {} {:.2}, earlier {:.2}, ratio {ratio}",
                compared.metric, compared.now, compared.earlier
            )?;
        }
        for judged in &self.thresholds {
            let value = judged.value.map_or_else(|| "not in the report".to_owned(), |value| format!("{value:.2}"));
            let verdict = if judged.passed { "kept" } else { "BROKEN" };
            writeln!(text, "threshold {verdict}: {} is {value}, bound {}{}", judged.metric, judged.bound, judged.aim())?;
        }
        for reason in &self.invalid_because {
            writeln!(text, "INVALID: {reason}")?;
        }
        Ok(())
    }
}

/// Numbers that the terminal shows of a comparison; the JSON and the page have all.
fn is_headline(metric: &str) -> bool {
    ["p50_ms", "p99_ms", "_per_second"].iter().any(|ending| metric.ends_with(ending)) && !metric.contains(".loads.")
}

fn write_classes<'a>(
    text: &mut String,
    prefix: &str,
    classes: impl Iterator<Item = (&'a str, &'a Classes)>,
) -> std::fmt::Result {
    for (name, classes) in classes {
        for (class, spread) in classes {
            write_spread(text, &format!("{prefix}{name} {class}"), spread)?;
        }
    }
    Ok(())
}

fn write_spread(text: &mut String, name: &str, spread: &Spread) -> std::fmt::Result {
    let Spread { count, p50_ms, p90_ms, p99_ms, p99_9_ms, max_ms, .. } = spread;
    writeln!(text, "  {name:<32} {count:>8} {p50_ms:>9.2} {p90_ms:>9.2} {p99_ms:>9.2} {p99_9_ms:>9.2} {max_ms:>9.2}")
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

/// Prints to standard output.
pub(crate) fn print(text: &str) -> Result<(), RunError> {
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|source| RunError::Io { what: "standard output".to_owned(), source })
}

/// Tells on standard error, once a second, how far the run is; runs until it is dropped.
pub(crate) async fn progress(live: Arc<Live>, start: Instant, arrivals: u64) {
    let mut before = 0;
    for second in 1_u64.. {
        tokio::time::sleep_until((start + Duration::from_secs(second)).into()).await;
        let settled = settled(&live);
        let sum: u64 = settled.iter().sum();
        let dispatched = live.dispatched.load(Ordering::Relaxed);
        let lag_ms = live.worst_lag_micros.swap(0, Ordering::Relaxed) as f64 / 1e3;
        let classes: Vec<String> = Class::ALL
            .iter()
            .zip(settled)
            .filter(|(_, count)| *count > 0)
            .map(|(class, count)| format!("{count} {}", class.name()))
            .collect();
        let elapsed = clock::now().saturating_duration_since(start).as_secs_f64();
        let line = format!(
            "{elapsed:6.1} s  {dispatched}/{arrivals} arrived, {} open, {}/s settled, {}, lag at most {lag_ms:.1} ms\n",
            dispatched.saturating_sub(sum),
            sum - before,
            classes.join(", ")
        );
        before = sum;
        // Whoever closed the terminal does not want to see it.
        drop(std::io::stderr().write_all(line.as_bytes()));
    }
}
