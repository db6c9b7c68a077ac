//! How a run went in numbers: latencies from the intended time, counts, a series over time. Pure.
//! Must not know: HTTP, whether the outcomes are right, how numbers are shown.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::run::job::Done;
use crate::run::operation::Class;
use crate::run::phases::{Phase, phases};

/// The longest latency that is told apart, in microseconds: two hours.
const MAX_MICROS: u64 = 7_200_000_000;
/// Significant decimal digits of a latency.
const SIGNIFICANT_DIGITS: u8 = 3;
/// At most so many points over time.
const MAX_POINTS: u64 = 240;
/// Widths that a point may have, in milliseconds, from a readable set.
const WIDTHS_MS: [u64; 9] = [10, 20, 50, 100, 200, 500, 1_000, 5_000, 30_000];
/// Percentiles of the curve.
const CURVE: [f64; 14] = [0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99, 99.999, 100.0];

/// A distribution of durations in milliseconds; all zero without samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Spread {
    /// How many samples.
    pub(crate) count: u64,
    /// The mean.
    pub(crate) mean_ms: f64,
    /// Half are at most this.
    pub(crate) p50_ms: f64,
    /// Nine of ten.
    pub(crate) p90_ms: f64,
    /// 99 of a hundred.
    pub(crate) p99_ms: f64,
    /// 999 of a thousand.
    pub(crate) p99_9_ms: f64,
    /// All.
    pub(crate) max_ms: f64,
    /// Percentile and milliseconds, for the curve.
    pub(crate) curve: Vec<(f64, f64)>,
}

/// What happened in each interval of the run; the lists are equally long. Offered counts by the intended time, the
/// others by the time of the answer.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Series {
    /// The width of an interval.
    pub(crate) width_ms: u64,
    /// Arrivals meant to be sent.
    pub(crate) offered: Vec<u64>,
    /// Settled, by class.
    pub(crate) settled: BTreeMap<&'static str, Vec<u64>>,
    /// Median latency from the intended time.
    pub(crate) p50_ms: Vec<f64>,
    /// The 99th percentile.
    pub(crate) p99_ms: Vec<f64>,
    /// The largest.
    pub(crate) max_ms: Vec<f64>,
}

/// Latencies by class of outcome.
pub(crate) type Classes = BTreeMap<&'static str, Spread>;

/// A run in numbers.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    /// Arrivals.
    pub(crate) arrivals: u64,
    /// Arrivals whose first request was sent.
    pub(crate) sent: u64,
    /// Arrivals that the deadline overtook.
    pub(crate) not_sent: u64,
    /// Arrivals that were neither served nor definitely refused: shed, failed, not answered or not sent.
    pub(crate) unsettled: u64,
    /// Requests beyond the first of an arrival.
    pub(crate) repeats: u64,
    /// Of these, those that came before the release.
    pub(crate) early: u64,
    /// Arrivals a second between the first and the last intended time.
    pub(crate) offered_per_second: f64,
    /// Settled arrivals (successes and definite refusals) a second between the first intended time and the last answer.
    pub(crate) settled_per_second: f64,
    /// Successes a second, over the same time.
    pub(crate) served_per_second: f64,
    /// How late the generator itself was. Told with the generator.
    #[serde(skip)]
    pub(crate) lag: Spread,
    /// The wait for a connection of those who found none free. Told with the generator.
    #[serde(skip)]
    pub(crate) connection_wait: Spread,
    /// From the intended time to the end, of all arrivals that were settled.
    pub(crate) settled: Spread,
    /// From the intended time to the end, by operation and class.
    pub(crate) operations: BTreeMap<&'static str, Classes>,
    /// The same by load and class.
    pub(crate) loads: BTreeMap<String, Classes>,
    /// What each load got while it lasted.
    pub(crate) phases: BTreeMap<String, Phase>,
    /// How many ended in each way, by operation.
    pub(crate) outcomes: BTreeMap<String, u64>,
    /// Over time.
    pub(crate) series: Series,
}

/// Sums up durations in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Durations(Histogram<u64>);

impl Durations {
    /// Of these.
    pub(crate) fn of(micros: impl Iterator<Item = u64>) -> Self {
        let mut durations = Self::none();
        micros.for_each(|micros| durations.add(micros));
        durations
    }

    fn none() -> Self {
        let bounds = Histogram::new_with_bounds(1, MAX_MICROS, SIGNIFICANT_DIGITS);
        Self(bounds.expect("1 to two hours with three digits are bounds that the histogram allows"))
    }

    fn add(&mut self, micros: u64) {
        self.0.saturating_record(micros);
    }

    /// As numbers.
    pub(crate) fn spread(&self) -> Spread {
        if self.0.is_empty() {
            return Spread::default();
        }
        let millis = |micros: u64| micros as f64 / 1_000.0;
        let at = |percentile: f64| millis(self.0.value_at_percentile(percentile).min(self.0.max()));
        Spread {
            count: self.0.len(),
            mean_ms: self.0.mean() / 1_000.0,
            p50_ms: at(50.0),
            p90_ms: at(90.0),
            p99_ms: at(99.0),
            p99_9_ms: at(99.9),
            max_ms: millis(self.0.max()),
            curve: CURVE.iter().map(|percentile| (*percentile, at(*percentile))).collect(),
        }
    }
}

/// From the intended time to the end.
const fn latency(done: &Done) -> u64 {
    done.ended_micros.saturating_sub(done.intended_micros)
}

/// Sums up a run. `loads` are the names of the loads, the given rate is the scenario's.
pub(crate) fn sum_up(done: &[Done], loads: &[String], given_per_second: f64) -> Summary {
    let sent = done.iter().filter(|done| done.sent_micros.is_some());
    let first = done.iter().map(|done| done.intended_micros).min().unwrap_or(0);
    let last_intended = done.iter().map(|done| done.intended_micros).max().unwrap_or(0);
    let is_settled = |done: &&Done| matches!(done.answer.class(), Class::Served | Class::Refused);
    let last_ended = done.iter().filter(is_settled).map(|done| done.ended_micros).max().unwrap_or(first);
    let per_second = |count: usize, until: u64| count as f64 * 1e6 / until.saturating_sub(first).max(1) as f64;
    let count = |class: Class| done.iter().filter(|done| done.answer.class() == class).count();
    let (mut operations, mut by_load) = (BTreeMap::new(), BTreeMap::new());
    let mut outcomes = BTreeMap::new();
    for one in done {
        let name = one.operation.name();
        *outcomes.entry(format!("{name}: {}", one.answer.label())).or_insert(0) += 1;
        let load = loads.get(usize::from(one.load)).cloned().unwrap_or_default();
        add(operations.entry(name).or_default(), one);
        add(by_load.entry(load).or_default(), one);
    }
    Summary {
        arrivals: done.len() as u64,
        sent: sent.count() as u64,
        not_sent: count(Class::NotSent) as u64,
        unsettled: done.iter().filter(|done| !is_settled(done)).count() as u64,
        repeats: done.iter().map(|done| u64::from(done.repeats)).sum(),
        early: done.iter().map(|done| u64::from(done.early)).sum(),
        offered_per_second: per_second(done.len(), last_intended),
        settled_per_second: per_second(done.iter().filter(is_settled).count(), last_ended),
        served_per_second: per_second(count(Class::Served), last_ended),
        lag: Durations::of(done.iter().map(Done::lag_micros)).spread(),
        connection_wait: Durations::of(done.iter().filter_map(Done::connection_wait_micros)).spread(),
        settled: Durations::of(done.iter().filter(is_settled).map(latency)).spread(),
        operations: operations.into_iter().map(|(name, classes)| (name, spreads(classes))).collect(),
        loads: by_load.into_iter().map(|(name, classes)| (name, spreads(classes))).collect(),
        phases: phases(done, loads, given_per_second),
        outcomes,
        series: series(done, last_intended.max(last_ended)),
    }
}

type Sums = BTreeMap<&'static str, Durations>;

fn add(sums: &mut Sums, done: &Done) {
    sums.entry(done.answer.class().name()).or_insert_with(Durations::none).add(latency(done));
}

fn spreads(sums: Sums) -> Classes {
    sums.into_iter().map(|(name, durations)| (name, durations.spread())).collect()
}

fn series(done: &[Done], last_micros: u64) -> Series {
    let fits = |width: &u64| last_micros / 1_000 / width < MAX_POINTS;
    let width_ms = WIDTHS_MS.into_iter().find(fits).unwrap_or(WIDTHS_MS[WIDTHS_MS.len() - 1]);
    // At most an hour and its drain by the scenario's bounds: some 240 points.
    let point = |micros: u64| usize::try_from(micros / 1_000 / width_ms).unwrap_or(0);
    let points = point(last_micros) + 1;
    let mut series = Series { width_ms, offered: vec![0; points], ..Series::default() };
    let mut latencies: Vec<Vec<u64>> = vec![Vec::new(); points];
    for one in done {
        series.offered[point(one.intended_micros).min(points - 1)] += 1;
        let ended = point(one.ended_micros).min(points - 1);
        let class = one.answer.class().name();
        series.settled.entry(class).or_insert_with(|| vec![0; points])[ended] += 1;
        latencies[ended].push(latency(one));
    }
    for mut latencies in latencies {
        latencies.sort_unstable();
        let at = |share: f64| {
            let index = (latencies.len() as f64 * share).ceil() as usize;
            latencies.get(index.saturating_sub(1)).map_or(0.0, |micros| *micros as f64 / 1_000.0)
        };
        series.p50_ms.push(at(0.5));
        series.p99_ms.push(at(0.99));
        series.max_ms.push(at(1.0));
    }
    series
}

#[cfg(test)]
pub(crate) mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::run::operation::{Answer, Operation};

    pub(crate) fn done(load: u16, intended_ms: u64, sent_ms: Option<u64>, ended_ms: u64, answer: Answer) -> Done {
        Done {
            load,
            operation: Operation::Book,
            patient: Uuid::nil(),
            subject: None,
            day: 0,
            wanted_start_millis: None,
            intended_micros: intended_ms * 1_000,
            dispatched_micros: intended_ms * 1_000 + 500,
            found_connection: ended_ms < 1_000,
            sent_micros: sent_ms.map(|sent| sent * 1_000),
            ended_micros: ended_ms * 1_000,
            answer,
            repeats: 1,
            early: 0,
        }
    }

    #[test]
    fn latency_counts_from_the_intended_time_by_operation_load_and_class() {
        let refused = Answer::Refused { status: 409, code: "sold_out".into() };
        let all = [
            done(0, 0, Some(900), 1_000, Answer::Served(None)),
            done(1, 500, Some(501), 510, refused),
            done(1, 1_000, None, 2_000, Answer::NotSent),
        ];
        let summary = sum_up(&all, &["one".to_owned(), "two".to_owned()], 1.0);
        assert_eq!((summary.arrivals, summary.sent, summary.not_sent, summary.repeats), (3, 2, 1, 3));
        assert!((summary.operations["book"]["served"].max_ms - 1_000.0).abs() < 1.0);
        assert!((summary.loads["two"]["refused"].p50_ms - 10.0).abs() < 0.1);
        // The second found a connection free: all of its delay is the generator's. The others waited, or were not sent.
        assert!((summary.lag.max_ms - 1.0).abs() < 0.01);
        assert_eq!((summary.lag.count, summary.connection_wait.count), (3, 1));
        assert!((summary.connection_wait.max_ms - 899.5).abs() < 1.0);
        assert_eq!(summary.outcomes["book: 409 sold_out"], 1);
        assert!((summary.offered_per_second - 3.0).abs() < 0.01);
        assert!((summary.settled_per_second - 2.0).abs() < 0.01);
        assert_eq!((summary.unsettled, summary.settled.count), (1, 2));
    }

    #[test]
    fn a_series_counts_everyone_once() {
        let all: Vec<_> =
            (0..1_000).map(|n| done(0, n * 10, Some(n * 10), n * 10 + n % 7, Answer::Served(None))).collect();
        let series = sum_up(&all, &[], 0.0).series;
        assert_eq!(series.width_ms, 50);
        assert_eq!(series.offered.iter().sum::<u64>(), 1_000);
        assert_eq!(series.settled["served"].iter().sum::<u64>(), 1_000);
        assert!(series.offered.len() as u64 <= MAX_POINTS && series.p99_ms.len() == series.offered.len());
        assert!(series.max_ms.iter().all(|max| *max <= 6.0));
    }

    #[test]
    fn nothing_has_no_numbers() {
        let summary = sum_up(&[], &[], 0.0);
        assert_eq!((summary.arrivals, summary.lag.clone()), (0, Spread::default()));
        assert_eq!(summary.series.offered, [0]);
    }
}
