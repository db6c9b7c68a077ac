//! What the reader sees of a run: text for people, JSON for programs.
//! Must not know: how anything was measured or judged.

use std::fmt::Write as _;

use serde::Serialize;

use crate::audit::Verdict;
use crate::driver::request::Pick;
use crate::measure::{Latency, Measured};

/// Findings printed as lines; the rest are only counted, so that a broken server does not fill the terminal.
const MAX_FINDING_LINES: usize = 200;

/// What was asked for.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Setup {
    /// The server.
    pub(crate) url: String,
    /// The doctor's id.
    pub(crate) doctor: String,
    /// The day.
    pub(crate) date: String,
    /// How many patients press.
    pub(crate) patients: usize,
    /// Through how many connections.
    pub(crate) connections: usize,
    /// On how many threads.
    pub(crate) threads: usize,
    /// Which slots they name.
    pub(crate) pick: Pick,
    /// Whether the press waited for a release.
    pub(crate) release_awaited: bool,
    /// How long it took to mint the tokens, in milliseconds.
    pub(crate) minting_ms: f64,
    /// How long it took to open and warm the connections, in milliseconds.
    pub(crate) arming_ms: f64,
}

/// What the generator itself cost.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Generator {
    /// Processor seconds of the press threads.
    pub(crate) cpu_seconds: f64,
    /// The same as a share of one core while the press lasted: 1.0 is one core busy all the time.
    pub(crate) cpu_share_of_one_core: f64,
    /// Processor microseconds for each patient.
    pub(crate) cpu_micros_per_patient: f64,
}

/// The verdict as a program reads it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct AuditReport {
    /// No findings.
    pub(crate) clean: bool,
    /// Places that everyone could book at the press.
    pub(crate) available: u64,
    /// `available` was concluded from the day after the storm.
    pub(crate) available_is_concluded: bool,
    /// Places taken by the storm.
    pub(crate) sold: u64,
    /// Patients with an unknown outcome.
    pub(crate) unknown: u64,
    /// Of these, those who have a place.
    pub(crate) unknown_with_place: u64,
    /// How long the audit took, reading included, in milliseconds.
    pub(crate) audit_ms: f64,
    /// One line each.
    pub(crate) findings: Vec<String>,
}

impl AuditReport {
    /// From a verdict that took `audit_ms`.
    pub(crate) fn new(verdict: &Verdict, audit_ms: f64) -> Self {
        Self {
            clean: verdict.findings.is_empty(),
            available: verdict.available,
            available_is_concluded: verdict.available_is_concluded,
            sold: verdict.sold,
            unknown: verdict.unknown,
            unknown_with_place: verdict.unknown_with_place,
            audit_ms,
            findings: verdict.findings.iter().map(ToString::to_string).collect(),
        }
    }

    /// For people: the summary first, then one line a finding.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        let concluded = if self.available_is_concluded { " (concluded from the day afterwards)" } else { "" };
        line(&mut text, "audit", &format!("sold {} of {}{concluded}", self.sold, self.available));
        if self.unknown > 0 {
            let held = format!("{}, of whom {} have a place", self.unknown, self.unknown_with_place);
            line(&mut text, "unknown outcomes", &held);
        }
        for finding in self.findings.iter().take(MAX_FINDING_LINES) {
            line(&mut text, "FINDING", finding);
        }
        if self.findings.len() > MAX_FINDING_LINES {
            line(&mut text, "FINDING", &format!("and {} more", self.findings.len() - MAX_FINDING_LINES));
        }
        let count = self.findings.len();
        let verdict = if self.clean { "clean".to_owned() } else { format!("{count} findings") };
        line(&mut text, "verdict", &format!("{verdict} ({:.0} ms to audit)", self.audit_ms));
        text
    }
}

/// A run as a program reads it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// What was asked for.
    pub(crate) setup: Setup,
    /// What was measured.
    pub(crate) measured: Measured,
    /// What the generator cost; `None` where the system does not tell.
    pub(crate) generator: Option<Generator>,
    /// The verdict; `None` if the audit could not be made.
    pub(crate) audit: Option<AuditReport>,
}

/// For people: everything but the audit.
pub(crate) fn measured_text(setup: &Setup, measured: &Measured, generator: Option<Generator>) -> String {
    let mut text = String::new();
    let Setup { patients, connections, threads, .. } = setup;
    line(&mut text, "storm", &format!("{patients} patients, {connections} connections, {threads} threads"));
    line(&mut text, "prepared", &format!("tokens {:.0} ms, connections {:.0} ms", setup.minting_ms, setup.arming_ms));
    for outcome in &measured.outcomes {
        line(&mut text, "outcome", &format!("{:>8}  {} {}", outcome.patients, outcome.status, outcome.code));
    }
    let trouble = measured.trouble;
    if trouble != Default::default() {
        let totals = format!(
            "{} transport errors, {} uncertain answers, {} early presses, {} outcomes unknown in the end",
            trouble.transport_errors, trouble.uncertain_answers, trouble.early_presses, trouble.unknown_outcomes
        );
        line(&mut text, "asked again", &totals);
    }
    line(&mut text, "winners, latency", &latency_text(&measured.winner_latency));
    line(&mut text, "losers, latency", &latency_text(&measured.loser_latency));
    line(&mut text, "winners, from press", &latency_text(&measured.winner_since_press));
    line(&mut text, "losers, from press", &latency_text(&measured.loser_since_press));
    let optional = |millis: Option<f64>| millis.map_or_else(|| "none".to_owned(), |millis| format!("{millis:.1} ms"));
    line(&mut text, "last win", &optional(measured.last_win_ms));
    line(&mut text, "last answer", &optional(measured.last_answer_ms));
    line(
        &mut text,
        "rates",
        &format!("{:.0} answers/s, {:.0} wins/s", measured.answered_per_second, measured.wins_per_second),
    );
    if let Some(generator) = generator {
        let cost = format!(
            "{:.2} CPU s, {:.0} % of one core, {:.1} µs a patient",
            generator.cpu_seconds,
            generator.cpu_share_of_one_core * 100.0,
            generator.cpu_micros_per_patient
        );
        line(&mut text, "generator", &cost);
    }
    text
}

fn latency_text(latency: &Latency) -> String {
    if latency.samples == 0 {
        return "none".to_owned();
    }
    format!(
        "p50 {:.2}  p90 {:.2}  p99 {:.2}  p99.9 {:.2}  max {:.2} ms",
        latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.p99_9_ms, latency.max_ms
    )
}

fn line(text: &mut String, label: &str, value: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{label:<20} {value}");
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::audit::Finding;

    #[test]
    fn every_finding_is_one_line_up_to_the_bound() {
        let finding = Finding::DuplicatedAppointment { appointment: Uuid::nil() };
        let verdict = |count| Verdict {
            available: 20,
            available_is_concluded: false,
            sold: 20,
            unknown: 0,
            unknown_with_place: 0,
            findings: vec![finding.clone(); count],
        };
        let lines = |count| {
            let report = AuditReport::new(&verdict(count), 1.0);
            assert_eq!(report.clean, count == 0);
            report.to_text().lines().filter(|line| line.starts_with("FINDING")).count()
        };
        assert_eq!(lines(0), 0);
        assert_eq!(lines(3), 3);
        assert_eq!(lines(MAX_FINDING_LINES), MAX_FINDING_LINES);
        assert_eq!(lines(MAX_FINDING_LINES + 50), MAX_FINDING_LINES + 1);
    }
}
