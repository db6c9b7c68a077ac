//! How a storm went in numbers: outcomes counted, latencies summed up, rates. Pure.
//! Must not know: HTTP, whether the outcomes are right.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::outcome::{Outcome, Press};

/// The longest latency that is told apart, in microseconds: an hour.
const MAX_MICROS: u64 = 3_600_000_000;
/// Significant decimal digits of a latency.
const SIGNIFICANT_DIGITS: u8 = 3;

/// How many patients ended in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct OutcomeCount {
    /// The status code; 0 without an answer.
    pub(crate) status: u16,
    /// The stable code of the contract, or words where there is none.
    pub(crate) code: String,
    /// How many patients.
    pub(crate) patients: u64,
}

/// A distribution of durations, in milliseconds; all zero without samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Latency {
    /// How many samples.
    pub(crate) samples: u64,
    /// Half are at most this.
    pub(crate) p50_ms: f64,
    /// Nine of ten are at most this.
    pub(crate) p90_ms: f64,
    /// Of a hundred, all but one are at most this.
    pub(crate) p99_ms: f64,
    /// Of a thousand, all but one are at most this.
    pub(crate) p99_9_ms: f64,
    /// All are at most this.
    pub(crate) max_ms: f64,
}

/// Attempts that did not settle the matter, over all patients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct TroubleTotals {
    /// No answer came back.
    pub(crate) transport_errors: u64,
    /// 500 or 503 came back.
    pub(crate) uncertain_answers: u64,
    /// `not_released` came back after the release.
    pub(crate) early_presses: u64,
    /// Patients who do not know in the end whether they have a place.
    pub(crate) unknown_outcomes: u64,
}

/// A storm in numbers.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    /// Patients by how it ended, most frequent first.
    pub(crate) outcomes: Vec<OutcomeCount>,
    /// Those who were told 201.
    pub(crate) wins: u64,
    /// Those who were told a definite no.
    pub(crate) losses: u64,
    /// What had to be asked again.
    pub(crate) trouble: TroubleTotals,
    /// Winners: from their first request sent to the answer that decided.
    pub(crate) winner_latency: Latency,
    /// Losers: the same.
    pub(crate) loser_latency: Latency,
    /// Winners: from the press, so with the wait for a free connection.
    pub(crate) winner_since_press: Latency,
    /// Losers: the same.
    pub(crate) loser_since_press: Latency,
    /// From the press to the last 201; `None` without one.
    pub(crate) last_win_ms: Option<f64>,
    /// From the press to the last definite answer; `None` without one.
    pub(crate) last_answer_ms: Option<f64>,
    /// Definite answers for each second until the last one.
    pub(crate) answered_per_second: f64,
    /// Wins for each second until the last one: every one durable, since a 201 is told only then.
    pub(crate) wins_per_second: f64,
}

/// Sums up the presses of a storm.
pub(crate) fn measure(presses: &[Press]) -> Measured {
    let won = |press: &&Press| matches!(press.outcome, Outcome::Won(_));
    let lost = |press: &&Press| matches!(press.outcome, Outcome::Refused { .. });
    let latency = |press: &Press| press.ended_micros.saturating_sub(press.first_sent_micros);
    let since_press = |press: &Press| press.ended_micros;
    let last = |of: &dyn Fn(&&Press) -> bool| presses.iter().filter(of).map(|press| press.ended_micros).max();
    let (last_win, last_answer) = (last(&won), last(&|press| press.outcome.is_decided()));
    let (wins, losses) = (presses.iter().filter(won).count() as u64, presses.iter().filter(lost).count() as u64);
    Measured {
        outcomes: count_outcomes(presses),
        wins,
        losses,
        trouble: sum_trouble(presses),
        winner_latency: distribution(presses.iter().filter(won).map(latency)),
        loser_latency: distribution(presses.iter().filter(lost).map(latency)),
        winner_since_press: distribution(presses.iter().filter(won).map(since_press)),
        loser_since_press: distribution(presses.iter().filter(lost).map(since_press)),
        last_win_ms: last_win.map(millis),
        last_answer_ms: last_answer.map(millis),
        answered_per_second: per_second(wins + losses, last_answer),
        wins_per_second: per_second(wins, last_win),
    }
}

fn count_outcomes(presses: &[Press]) -> Vec<OutcomeCount> {
    let mut counts = BTreeMap::new();
    for press in presses {
        *counts.entry(press.outcome.label()).or_insert(0_u64) += 1;
    }
    let mut outcomes: Vec<_> = counts
        .into_iter()
        .map(|((status, code), patients)| OutcomeCount { status, code: code.into_owned(), patients })
        .collect();
    outcomes.sort_by_key(|outcome| std::cmp::Reverse(outcome.patients));
    outcomes
}

fn sum_trouble(presses: &[Press]) -> TroubleTotals {
    let mut totals = TroubleTotals::default();
    for press in presses {
        totals.transport_errors += u64::from(press.trouble.transport_errors);
        totals.uncertain_answers += u64::from(press.trouble.uncertain_answers);
        totals.early_presses += u64::from(press.trouble.early_presses);
        totals.unknown_outcomes += u64::from(press.outcome.is_unknown());
    }
    totals
}

fn distribution(micros: impl Iterator<Item = u64>) -> Latency {
    let Ok(mut histogram) = Histogram::<u64>::new_with_bounds(1, MAX_MICROS, SIGNIFICANT_DIGITS) else {
        return Latency::default();
    };
    micros.for_each(|sample| histogram.saturating_record(sample));
    if histogram.is_empty() {
        return Latency::default();
    }
    let at = |quantile| millis(histogram.value_at_quantile(quantile));
    Latency {
        samples: histogram.len(),
        p50_ms: at(0.5),
        p90_ms: at(0.9),
        p99_ms: at(0.99),
        p99_9_ms: at(0.999),
        max_ms: millis(histogram.max()),
    }
}

fn millis(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

fn per_second(count: u64, within_micros: Option<u64>) -> f64 {
    within_micros.map_or(0.0, |micros| count as f64 * 1_000_000.0 / micros.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::outcome::{Trouble, Won};

    fn press(outcome: Outcome, first_sent_micros: u64, ended_micros: u64) -> Press {
        let trouble = Trouble { transport_errors: 1, ..Trouble::default() };
        Press { patient: Uuid::nil(), wanted_start_millis: None, outcome, first_sent_micros, ended_micros, trouble }
    }

    fn won() -> Outcome {
        let (appointment, patient) = (Uuid::nil(), Uuid::nil());
        Outcome::Won(Won { appointment, patient, start_millis: 0, replayed: false })
    }

    fn refused() -> Outcome {
        Outcome::Refused { status: 409, code: "sold_out".into() }
    }

    #[test]
    fn winners_and_losers_are_kept_apart() {
        let mut presses = vec![press(won(), 1_000, 3_000), press(Outcome::NoAnswer, 0, 9_000_000)];
        presses.extend((1..=1000).map(|n| press(refused(), 0, n * 1000)));
        let measured = measure(&presses);
        assert_eq!((measured.wins, measured.losses), (1, 1000));
        assert_eq!(measured.winner_latency.samples, 1);
        assert!((measured.winner_latency.max_ms - 2.0).abs() < 0.01);
        assert!((measured.winner_since_press.p50_ms - 3.0).abs() < 0.01);
        assert!((measured.loser_latency.p50_ms - 500.0).abs() < 1.0);
        assert!((measured.loser_latency.p99_9_ms - 999.0).abs() < 1.5);
        assert!((measured.loser_latency.max_ms - 1000.0).abs() < 1.0);
        assert_eq!(measured.last_win_ms, Some(3.0));
        assert_eq!(measured.last_answer_ms, Some(1000.0));
        assert!((measured.wins_per_second - 333.3).abs() < 0.1);
        assert!((measured.answered_per_second - 1001.0).abs() < 0.1);
    }

    #[test]
    fn outcomes_are_counted_by_status_and_code() {
        let presses =
            [press(refused(), 0, 1), press(won(), 0, 1), press(refused(), 0, 1), press(Outcome::NoAnswer, 0, 1)];
        let measured = measure(&presses);
        let counts: Vec<_> = measured.outcomes.iter().map(|count| (count.status, count.patients)).collect();
        assert_eq!(counts, [(409, 2), (0, 1), (201, 1)]);
        assert_eq!((measured.trouble.transport_errors, measured.trouble.unknown_outcomes), (4, 1));
    }

    #[test]
    fn a_storm_without_answers_has_no_rates() {
        let measured = measure(&[]);
        assert_eq!(measured.winner_latency, Latency::default());
        assert_eq!((measured.last_win_ms, measured.wins_per_second), (None, 0.0));
    }
}
