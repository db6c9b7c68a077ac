//! What the project has set itself, declared once, and whether it is reached.
//! Must not know: how anything is measured or shown.

use serde::Serialize;

use super::summary::{Over, Ratio, Spread, Summary};
use super::system::{System, Workload};

/// What of hotslot is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "over")]
pub(crate) enum Measure {
    /// Its rate over another rate, round by round.
    Ratio(Over),
    /// Its rate, in answers a second.
    Rate,
    /// The greatest number of records that its ledger was behind, over the bound.
    LedgerLag,
}

/// One goal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Goal {
    /// Under which workload.
    pub(crate) workload: Workload,
    /// What.
    pub(crate) measure: Measure,
    /// At least this, or of the ledger's lag at most this.
    pub(crate) bound: f64,
    /// Better still, where that is said.
    pub(crate) aim: Option<f64>,
}

const fn over(workload: Workload, system: System, at_least: f64) -> Goal {
    Goal { workload, measure: Measure::Ratio(Over::System(system)), bound: at_least, aim: None }
}

/// All of them.
pub(crate) const GOALS: [Goal; 11] = [
    over(Workload::SoldOut, System::Bare, 0.75),
    over(Workload::Burst, System::Bare, 0.50),
    over(Workload::Burst, System::RowLock, 12.0),
    over(Workload::Burst, System::UniqueIndex, 6.0),
    over(Workload::Burst, System::RedisCounter, 2.5),
    over(Workload::Burst, System::Batches, 1.4),
    Goal { workload: Workload::Burst, measure: Measure::LedgerLag, bound: 1.0, aim: None },
    over(Workload::Sustained, System::Bare, 0.25),
    over(Workload::Sustained, System::RowLock, 5.0),
    Goal { workload: Workload::OneHotDay, measure: Measure::Ratio(Over::OwnSpread), bound: 0.90, aim: None },
    Goal { workload: Workload::OneHotDay, measure: Measure::Rate, bound: 31_000.0, aim: Some(50_000.0) },
];

/// How a goal was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// The median is good enough, and the aim is met too where there is one.
    Reached,
    /// The median is good enough; the aim is missed.
    ReachedBelowAim,
    /// The median is not good enough, but at least one round was.
    MissedWithinSpread,
    /// No round was good enough.
    Missed,
    /// There was no such turn.
    NotMeasured,
}

impl Verdict {
    /// In words.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::ReachedBelowAim => "reached, below the aim",
            Self::MissedWithinSpread => "missed; within the spread",
            Self::Missed => "missed",
            Self::NotMeasured => "not measured",
        }
    }
}

/// A goal with what was measured of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Judged {
    /// Which.
    #[serde(flatten)]
    pub(crate) goal: Goal,
    /// Over the rounds; of the ledger's lag the greatest of all.
    pub(crate) measured: Option<Spread>,
    /// How it was met.
    pub(crate) verdict: Verdict,
}

/// Every goal, judged.
pub(crate) fn judge(summaries: &[Summary], ratios: &[Ratio]) -> Vec<Judged> {
    let hotslot =
        |workload| summaries.iter().find(|summary| (summary.workload, summary.system) == (workload, System::Hotslot));
    let measured = |goal: &Goal| match goal.measure {
        Measure::Ratio(over) => {
            ratios.iter().find(|ratio| (ratio.workload, ratio.over) == (goal.workload, over)).map(|ratio| ratio.ratio)
        }
        Measure::Rate => hotslot(goal.workload).map(|summary| summary.answers_per_second),
        Measure::LedgerLag => hotslot(goal.workload).and_then(|summary| {
            let behind = summary.behind?;
            Spread::of([behind.greatest_records as f64 / behind.bound_records? as f64])
        }),
    };
    let judged = |goal: &Goal| {
        let measured = measured(goal);
        Judged { goal: *goal, measured, verdict: verdict(goal, measured) }
    };
    GOALS.iter().map(judged).collect()
}

fn verdict(goal: &Goal, measured: Option<Spread>) -> Verdict {
    let Some(measured) = measured else { return Verdict::NotMeasured };
    if goal.measure == Measure::LedgerLag {
        return if measured.greatest <= goal.bound { Verdict::Reached } else { Verdict::Missed };
    }
    if measured.median >= goal.bound {
        let is_aim_met = goal.aim.is_none_or(|aim| measured.median >= aim);
        return if is_aim_met { Verdict::Reached } else { Verdict::ReachedBelowAim };
    }
    if measured.greatest >= goal.bound { Verdict::MissedWithinSpread } else { Verdict::Missed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(least: f64, median: f64, greatest: f64) -> Option<Spread> {
        Some(Spread { median, least, greatest })
    }

    #[test]
    fn the_median_decides_and_the_spread_is_told() {
        let goal = over(Workload::Burst, System::Bare, 0.5);
        assert_eq!(verdict(&goal, spread(0.4, 0.5, 0.6)), Verdict::Reached);
        assert_eq!(verdict(&goal, spread(0.3, 0.4, 0.5)), Verdict::MissedWithinSpread);
        assert_eq!(verdict(&goal, spread(0.3, 0.4, 0.49)), Verdict::Missed);
        assert_eq!(verdict(&goal, None), Verdict::NotMeasured);
    }

    #[test]
    fn an_aim_is_more_than_a_goal_and_a_lag_is_a_limit() {
        let rate = Goal { workload: Workload::OneHotDay, measure: Measure::Rate, bound: 31.0, aim: Some(50.0) };
        assert_eq!(verdict(&rate, spread(30.0, 40.0, 60.0)), Verdict::ReachedBelowAim);
        assert_eq!(verdict(&rate, spread(30.0, 50.0, 60.0)), Verdict::Reached);
        let lag = Goal { workload: Workload::Burst, measure: Measure::LedgerLag, bound: 1.0, aim: None };
        assert_eq!(verdict(&lag, spread(0.2, 0.2, 0.2)), Verdict::Reached);
        assert_eq!(verdict(&lag, spread(1.1, 1.1, 1.1)), Verdict::Missed);
    }
}
