//! What an operator wants to know of this process at one instant: queues with their bounds, lags, the hottest days.
//! Must not know: HTTP, who scrapes.

use std::sync::Arc;

use super::EngineHandle;
use crate::actors::snapshots::WAITING_MAX;
use crate::actors::survey::Survey;
use crate::claims::guarded::GIVEN_BACK_MAX;
use crate::limits::{ADMITTED_HARD_MAX, ADMITTED_MAX, DAY_COMMANDS_MAX, DEADLINES_MAX};
use crate::telemetry::catalogue;
use crate::telemetry::pools;
use crate::telemetry::queues::{Queue, QueueFigure};
use crate::view::Readiness;

/// See the module.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Each with its bound.
    pub queues: Vec<QueueFigure>,
    /// Decided and not durable.
    pub journal_lag: Lag,
    /// Durable and not in the ledger.
    pub ledger_lag: Lag,
    /// Of the days awake, once a second.
    pub survey: Arc<Survey>,
    /// Days with an actor.
    pub days_awake: usize,
    /// Days kept as packed bytes.
    pub days_asleep: usize,
}

/// How far somebody is behind.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Lag {
    /// Records that are missing.
    pub records: u64,
    /// Age of the oldest of them.
    pub seconds: f64,
}

impl EngineHandle {
    /// As of now. Costs a few locks, whatever the number of days.
    pub fn figures(&self) -> Figures {
        let parts = &self.parts;
        let now_micros = parts.clock.monotonic_micros();
        let waiting = parts.committer.waiting(now_micros);
        let survey = parts.directory.survey();
        let ledger_records = parts.applier.lag_records();
        let figure = |queue, depth, bound| QueueFigure { queue, depth, bound };
        let mut queues = vec![
            figure(Queue::Engine, parts.admission.admitted(), ADMITTED_MAX),
            figure(Queue::Day, survey.queued_max, DAY_COMMANDS_MAX),
            // One command, one record.
            figure(Queue::Journal, waiting.queued_records, ADMITTED_HARD_MAX),
            figure(Queue::Ledger, saturated(ledger_records), saturated(parts.ledger_lag_max)),
            figure(Queue::Snapshots, parts.snapshots.waiting(), WAITING_MAX),
            figure(Queue::Deadlines, parts.deadlines.armed(), DEADLINES_MAX),
        ];
        if let Some(guard) = parts.committer.guard() {
            queues.push(figure(Queue::ClaimsGivenBack, guard.given_back_waiting(), GIVEN_BACK_MAX));
        }
        let records = (waiting.queued_records + waiting.writing_records) as u64;
        Figures {
            queues,
            journal_lag: Lag { records, seconds: waiting.writing_micros as f64 / 1e6 },
            ledger_lag: Lag { records: ledger_records, seconds: parts.applier.lag_micros(now_micros) as f64 / 1e6 },
            survey,
            days_awake: parts.directory.awake(),
            days_asleep: parts.directory.asleep(),
        }
    }

    /// Sets the gauges of what is only looked at when somebody asks. `figures` is [`EngineHandle::figures`] of just now.
    pub fn report(&self, figures: &Figures) {
        let parts = &self.parts;
        figures.queues.iter().for_each(|figure| figure.report());
        let set = |name: &'static str, value: f64| metrics::gauge!(name).set(value);
        set(catalogue::ADMITTED, parts.admission.admitted() as f64);
        set(catalogue::JOURNAL_LAG, figures.journal_lag.records as f64);
        set(catalogue::JOURNAL_LAG_SECONDS, figures.journal_lag.seconds);
        set(catalogue::LEDGER_LAG, figures.ledger_lag.records as f64);
        set(catalogue::LEDGER_LAG_SECONDS, figures.ledger_lag.seconds);
        set(catalogue::DAYS_AWAKE, figures.days_awake as f64);
        set(catalogue::DAYS_ASLEEP, figures.days_asleep as f64);
        set(catalogue::DAYS_AWAKE_MAX, parts.awake_days_max as f64);
        set(catalogue::DAYS_ASLEEP_BYTES_MAX, parts.directory.asleep_bytes_max() as f64);
        set(catalogue::CLOCK_SKEW, parts.clock.skew_millis() as f64 / 1e3);
        set(catalogue::READY, if self.readiness() == Readiness::Ready { 1.0 } else { 0.0 });
        pools::report();
    }
}

fn saturated(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
