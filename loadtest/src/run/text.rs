//! A run told to people at a terminal: the progress line, and the report as text.
//! Must not know: how anything was measured or found.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::driver::clock;
use crate::run::generator::Live;
use crate::run::operation::Class;
use crate::run::processes::Part;
use crate::run::report::Report;
use crate::run::summary::{Classes, Spread};
use crate::run::{RunError, settled};
use crate::watch::command::text_of;

/// Findings that the text shows; the JSON has all.
const SHOWN_FINDINGS: usize = 30;

impl Report {
    /// For the terminal.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = self.write_text(&mut text);
        text
    }

    fn write_text(&self, text: &mut String) -> std::fmt::Result {
        let Self { measured, audit, fairness, .. } = self;
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
        self.write_generator(text)?;
        if let Some(beside) = &self.beside {
            let closed = beside.slow_clients_closed;
            writeln!(text, "beside     {} slow clients, {closed} closed by the server", beside.slow_clients)?;
            text.push_str(&text_of(&beside.streams));
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

    fn write_generator(&self, text: &mut String) -> std::fmt::Result {
        let generator = &self.generator;
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
        Ok(())
    }

    fn write_phases(&self, text: &mut String) -> std::fmt::Result {
        for (name, phase) in &self.measured.phases {
            writeln!(
                text,
                "  phase {name}: {:.0}/s offered for {:.1} s, {:.0}/s settled meanwhile, {:.2} of the given rate, {:.2} of the peak",
                phase.offered_per_second,
                phase.lasted_seconds,
                phase.goodput_per_second,
                phase.goodput_of_given_rate,
                phase.goodput_of_peak
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
            writeln!(
                text,
                "threshold {verdict}: {} is {value}, bound {}{}",
                judged.metric,
                judged.bound,
                judged.aim()
            )?;
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
