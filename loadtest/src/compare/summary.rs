//! From samples to medians, spreads and ratios.
//! Must not know: how samples come about, how results are shown, which ratios are good.

use serde::Serialize;

use super::system::{System, Workload};
use super::turn::{Behind, Sample};

/// Middle, least and greatest of some numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    /// The middle one; of an even count the mean of the middle two.
    pub(crate) median: f64,
    /// The least.
    pub(crate) least: f64,
    /// The greatest.
    pub(crate) greatest: f64,
}

impl Spread {
    /// `None` of nothing.
    pub(crate) fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (least, greatest) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
        Some(Self { median, least, greatest })
    }
}

/// One system under one workload, at the number of connections that suits it best.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// What was pressed for.
    pub(crate) workload: Workload,
    /// Whom.
    pub(crate) system: System,
    /// The number of connections with the greatest median.
    pub(crate) connections: usize,
    /// Answers of the expected kind a second, over the rounds.
    pub(crate) answers_per_second: Spread,
    /// 99th percentile of the latency in milliseconds, over the rounds.
    pub(crate) latency_p99_ms: Spread,
    /// Half of all presses were answered within so many milliseconds, over the rounds.
    pub(crate) latency_p50_ms: Spread,
    /// Microseconds of processor time of the system for each answer, over the rounds.
    pub(crate) system_micros: Option<Spread>,
    /// The same of its stores.
    pub(crate) stores_micros: Option<Spread>,
    /// Share of the requests that one node had answered by another, over the rounds.
    pub(crate) forwarded_share: Option<Spread>,
    /// Load average before the turns.
    pub(crate) load_average: Option<Spread>,
    /// What was behind at most in any round, and the longest draining.
    pub(crate) behind: Option<Behind>,
    /// Answers of another kind, in all rounds together.
    pub(crate) others: usize,
}

/// What a rate of hotslot is set beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Over {
    /// Another system under the same workload.
    System(System),
    /// hotslot itself under `spread`.
    OwnSpread,
}

impl Over {
    /// In words.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::System(system) => system.name(),
            Self::OwnSpread => "hotslot's spread",
        }
    }
}

/// A rate of hotslot over another rate of the same round.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Ratio {
    /// What of hotslot.
    pub(crate) workload: Workload,
    /// Over what.
    pub(crate) over: Over,
    /// Over the rounds.
    pub(crate) ratio: Spread,
}

/// The best connections of every system under every workload, in the order of workloads and systems.
pub(crate) fn summarize(samples: &[Sample]) -> Vec<Summary> {
    let pairs = Workload::ALL.into_iter().flat_map(|workload| System::ALL.map(|system| (workload, system)));
    pairs.filter_map(|(workload, system)| best(samples, workload, system)).collect()
}

fn best(samples: &[Sample], workload: Workload, system: System) -> Option<Summary> {
    let own = samples.iter().filter(|sample| (sample.workload, sample.system) == (workload, system));
    let mut counts: Vec<usize> = own.clone().map(|sample| sample.connections).collect();
    counts.sort_unstable();
    counts.dedup();
    let summaries = counts.into_iter().filter_map(|connections| {
        let own = own.clone().filter(|sample| sample.connections == connections);
        Some(Summary {
            workload,
            system,
            connections,
            answers_per_second: Spread::of(own.clone().map(|sample| sample.answers_per_second))?,
            latency_p99_ms: Spread::of(own.clone().map(|sample| sample.latency_p99_ms))?,
            latency_p50_ms: Spread::of(own.clone().map(|sample| sample.latency_p50_ms))?,
            system_micros: Spread::of(own.clone().filter_map(|sample| Some(sample.cost?.system_micros))),
            stores_micros: Spread::of(own.clone().filter_map(|sample| sample.cost?.stores_micros)),
            forwarded_share: Spread::of(own.clone().filter_map(|sample| sample.forwarded_share)),
            load_average: Spread::of(own.clone().filter_map(|sample| sample.load_average)),
            behind: own.clone().filter_map(|sample| sample.behind).reduce(worse),
            others: own.flat_map(|sample| sample.others.values()).sum(),
        })
    });
    summaries.max_by(|one, other| one.answers_per_second.median.total_cmp(&other.answers_per_second.median))
}

/// hotslot over every other system, round by round: what disturbs a round disturbs both sides of it.
pub(crate) fn ratios(samples: &[Sample], summaries: &[Summary]) -> Vec<Ratio> {
    let hotslots = summaries.iter().filter(|summary| summary.system == System::Hotslot);
    let mut ratios = Vec::new();
    for hotslot in hotslots {
        for other in summaries {
            let over = if other.workload == hotslot.workload && other.system != System::Hotslot {
                Over::System(other.system)
            } else if hotslot.workload == Workload::OneHotDay
                && (other.workload, other.system) == (Workload::Spread, System::Hotslot)
            {
                Over::OwnSpread
            } else {
                continue;
            };
            let by_round = rates(samples, hotslot).into_iter().filter_map(|(round, rate)| {
                let (_, other_rate) = rates(samples, other).into_iter().find(|(other, _)| *other == round)?;
                (other_rate > 0.0).then(|| rate / other_rate)
            });
            if let Some(ratio) = Spread::of(by_round) {
                ratios.push(Ratio { workload: hotslot.workload, over, ratio });
            }
        }
    }
    ratios
}

/// Rates by round at the summary's connections.
fn rates(samples: &[Sample], summary: &Summary) -> Vec<(u32, f64)> {
    let own = samples.iter().filter(|sample| {
        (sample.workload, sample.system, sample.connections) == (summary.workload, summary.system, summary.connections)
    });
    own.map(|sample| (sample.round, sample.answers_per_second)).collect()
}

/// The greater of both in everything.
fn worse(one: Behind, other: Behind) -> Behind {
    let drained = one.drained_seconds.into_iter().chain(other.drained_seconds).max_by(f64::total_cmp);
    Behind {
        greatest_records: one.greatest_records.max(other.greatest_records),
        bound_records: one.bound_records,
        readings: one.readings + other.readings,
        drained_seconds: drained,
    }
}
