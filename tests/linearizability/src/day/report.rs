//! The verdict on every day of a log, and for a day that cannot be explained, the place where it cannot, for people to read.
//! Must not know: how the log came about.

use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::history::DayHistory;
use super::log::{Log, OPEN};
use super::partition::{PartitionError, histories};
use crate::search::{Model, Timed, Verdict, Violation, check};

/// Operations before the place that an explanation shows.
const SHOWN_BEFORE: usize = 16;

/// A day that is not shown to be linearizable.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which day.
    pub day: u32,
    /// What the search came to: violated or exceeded.
    pub verdict: Verdict,
    /// The same for people.
    pub text: String,
}

/// What was checked.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Days.
    pub days: usize,
    /// Operations of all days; a call can be several.
    pub operations: usize,
    /// Of these, those that may have happened or not.
    pub optional: usize,
    /// Configurations visited in all.
    pub configurations: usize,
    /// Configurations visited for the hardest day.
    pub configurations_worst: usize,
    /// The days that are not shown to be linearizable, by number.
    pub findings: Vec<Finding>,
}

/// Checks every day of `log`, each with at most `configurations_max` configurations, on `threads` threads.
pub fn check_days(log: &Log, configurations_max: usize, threads: usize) -> Result<Checked, PartitionError> {
    let days = histories(log)?;
    let (next, total) = (AtomicUsize::new(0), Mutex::new(Checked::default()));
    let work = || {
        while let Some(history) = days.get(next.fetch_add(1, Ordering::Relaxed)) {
            let verdict = check(&history.model, &history.operations, configurations_max);
            let mut total = total.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            total.add(log, history, verdict);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(work);
        }
    });
    let mut total = total.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    total.findings.sort_by_key(|finding| finding.day);
    Ok(total)
}

/// What keeps a day from being shown to be linearizable; `None` if it is.
pub fn check_day(log: &Log, history: &DayHistory, configurations_max: usize) -> Option<Finding> {
    let verdict = check(&history.model, &history.operations, configurations_max);
    finding(log, history, verdict)
}

impl Checked {
    fn add(&mut self, log: &Log, history: &DayHistory, verdict: Verdict) {
        self.days += 1;
        self.operations += history.operations.len();
        self.optional += history.operations.iter().filter(|operation| operation.is_optional).count();
        let configurations = verdict.configurations();
        self.configurations += configurations;
        self.configurations_worst = self.configurations_worst.max(configurations);
        self.findings.extend(finding(log, history, verdict));
    }
}

fn finding(log: &Log, history: &DayHistory, verdict: Verdict) -> Option<Finding> {
    let text = match &verdict {
        Verdict::Linearizable { .. } => return None,
        Verdict::Exceeded(furthest) => {
            let limit = furthest.configurations;
            format!("not decided within {limit} configurations; as far as it came, {}", explain(log, history, furthest))
        }
        Verdict::Violated(violation) => explain(log, history, violation),
    };
    Some(Finding { day: history.day, verdict, text })
}

fn explain(log: &Log, history: &DayHistory, violation: &Violation) -> String {
    let mut text = String::new();
    let at = &history.operations[violation.at];
    let upto = history.operations.iter().filter(|operation| operation.invoked <= at.latest).count();
    let _ = writeln!(
        text,
        "day {}: no order explains its first {upto} of {} operations, up to {} (capacities {:?})",
        history.day,
        history.operations.len(),
        instant(at.latest),
        history.model.capacities
    );
    let shown = violation.linearized.len().saturating_sub(SHOWN_BEFORE);
    let _ = writeln!(text, "  an order that comes as far as there ends with ({shown} before):");
    for operation in &violation.linearized[shown..] {
        let _ = writeln!(text, "    {}", line(log, history, *operation));
    }
    let state = state_after(history, &violation.linearized);
    let _ = writeln!(text, "  places left then: {:?}", history.model.remaining(&state));
    let _ = writeln!(text, "  called by then, and nothing of it leads past >>>:");
    for operation in &violation.pending {
        let mark = if *operation == violation.at { ">>>" } else { "   " };
        let allowed = history.model.step(&state, &history.operations[*operation].operation).is_some();
        let allowed = if allowed { "possible" } else { "impossible" };
        let _ = writeln!(text, "{mark} {} ({allowed} next)", line(log, history, *operation));
    }
    text
}

fn state_after(history: &DayHistory, order: &[usize]) -> <super::model::DayModel as Model>::State {
    let operations = order.iter().map(|operation| &history.operations[*operation].operation);
    operations.fold(history.model.initial(), |state, operation| history.model.step(&state, operation).unwrap_or(state))
}

fn line(log: &Log, history: &DayHistory, operation: usize) -> String {
    let Timed { invoked, latest, is_optional, operation: what, .. } = &history.operations[operation];
    let record = history.records[operation];
    let client = log.records.get(record).map_or(u32::MAX, |record| record.client);
    let open = if *is_optional { " perhaps" } else { "" };
    format!("#{record} {}..{} client {client}{open}: {what:?}", instant(*invoked), instant(*latest))
}

fn instant(micros: u64) -> String {
    if micros == OPEN { "open".to_owned() } else { format!("{}.{:06} s", micros / 1_000_000, micros % 1_000_000) }
}
