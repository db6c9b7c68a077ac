//! Numbers of a report by their dotted paths: bounds kept, and an earlier report beside a later one. Pure.
//! Must not know: where the numbers come from.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::run::scenario::Threshold;

/// What became of one threshold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Judged {
    /// The path of the number.
    pub(crate) metric: String,
    /// The number; `None`: the report has none of that name.
    pub(crate) value: Option<f64>,
    /// The bound, in words.
    pub(crate) bound: String,
    /// Whether it is kept. What is not there is not kept.
    pub(crate) passed: bool,
    /// The project's target, in words; `None`: there is none beyond the bound.
    pub(crate) target: Option<String>,
    /// Whether that is met.
    pub(crate) target_met: Option<bool>,
}

impl Judged {
    /// Judges it by its target, where it has one.
    pub(crate) fn hold_to_target(&mut self) {
        self.passed &= self.target_met.unwrap_or(true);
    }

    /// The target and whether it is met, to be written behind the bound.
    pub(crate) fn aim(&self) -> String {
        let met = if self.target_met == Some(true) { "met" } else { "missed" };
        self.target.as_ref().map_or_else(String::new, |target| format!(", target {target} {met}"))
    }
}

/// One number of two runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Compared {
    /// The path of the number.
    pub(crate) metric: String,
    /// In this run.
    pub(crate) now: f64,
    /// In the earlier one.
    pub(crate) earlier: f64,
    /// `now / earlier`; `None` where the earlier one is 0.
    pub(crate) ratio: Option<f64>,
}

/// Every number of a report outside lists, and every yes or no as 1 or 0, by dotted path.
pub(crate) fn numbers(report: &Value) -> BTreeMap<String, f64> {
    let mut numbers = BTreeMap::new();
    collect(report, "", &mut numbers);
    numbers
}

fn collect(value: &Value, path: &str, numbers: &mut BTreeMap<String, f64>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect(value, &path, numbers);
            }
        }
        Value::Number(number) => {
            numbers.extend(number.as_f64().map(|number| (path.to_owned(), number)));
        }
        Value::Bool(yes) => {
            numbers.insert(path.to_owned(), f64::from(u8::from(*yes)));
        }
        _ => {}
    }
}

#[derive(Clone, Copy)]
struct Bound {
    low: Option<f64>,
    high: Option<f64>,
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        self.low.is_none_or(|low| value >= low) && self.high.is_none_or(|high| value <= high)
    }

    fn words(self) -> String {
        let words = [self.low.map(|low| format!("at least {low}")), self.high.map(|high| format!("at most {high}"))];
        words.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// Judges each threshold.
pub(crate) fn judge(thresholds: &[Threshold], report: &Value) -> Vec<Judged> {
    let numbers = numbers(report);
    let one = |threshold: &Threshold| {
        let value = numbers.get(&threshold.metric).copied();
        let bound = Bound { low: threshold.at_least, high: threshold.at_most };
        let target = Bound { low: threshold.target_at_least, high: threshold.target_at_most };
        let target = Some(target).filter(|target| target.low.is_some() || target.high.is_some());
        Judged {
            metric: threshold.metric.clone(),
            value,
            bound: bound.words(),
            passed: value.is_some_and(|value| bound.holds(value)),
            target: target.map(Bound::words),
            target_met: target.map(|target| value.is_some_and(|value| target.holds(value))),
        }
    };
    thresholds.iter().map(one).collect()
}

/// The measured numbers that both reports have; what was asked for is left out.
pub(crate) fn compare(now: &Value, earlier: &Value) -> Vec<Compared> {
    let (now, earlier) = (numbers(now), numbers(earlier));
    let measured = now.into_iter().filter(|(metric, _)| {
        ["generator.", "measured.", "fairness.", "beside."].iter().any(|part| metric.starts_with(part))
    });
    measured
        .filter_map(|(metric, now)| {
            let earlier = *earlier.get(&metric)?;
            let ratio = (earlier != 0.0).then(|| now / earlier);
            Some(Compared { metric, now, earlier, ratio })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn threshold(metric: &str, at_most: Option<f64>, at_least: Option<f64>) -> Threshold {
        Threshold { metric: metric.to_owned(), at_most, at_least, target_at_most: None, target_at_least: None }
    }

    #[test]
    fn thresholds_are_judged_and_what_is_missing_fails() {
        let report = json!({"measured": {"book": {"p99_ms": 12.5}}, "valid": true, "list": [1, 2]});
        let judged = judge(
            &[
                threshold("measured.book.p99_ms", Some(12.5), None),
                threshold("measured.book.p99_ms", Some(12.4), None),
                threshold("measured.book.p99_ms", None, Some(13.0)),
                threshold("valid", None, Some(1.0)),
                threshold("measured.move.p99_ms", Some(1e9), None),
                threshold("list", Some(1e9), None),
            ],
            &report,
        );
        let passed: Vec<_> = judged.iter().map(|judged| judged.passed).collect();
        assert_eq!(passed, [true, false, false, true, false, false]);
        assert_eq!((judged[0].bound.as_str(), judged[4].value), ("at most 12.5", None));
    }

    #[test]
    fn a_target_is_judged_beside_its_bound_and_changes_no_verdict() {
        let report = json!({"slowest_ms": 60.0});
        let with = |target| Threshold { target_at_most: target, ..threshold("slowest_ms", Some(100.0), None) };
        let judged = judge(&[with(Some(50.0)), with(Some(70.0)), with(None)], &report);
        assert!(judged.iter().all(|judged| judged.passed));
        let met: Vec<_> = judged.iter().map(|judged| judged.target_met).collect();
        assert_eq!(met, [Some(false), Some(true), None]);
        assert_eq!(judged[0].target.as_deref(), Some("at most 50"));
    }

    #[test]
    fn two_reports_are_compared_where_both_have_a_number() {
        let now = json!({"measured": {"a_ms": 3.0, "b_ms": 1, "c_ms": 5}, "seed": 4});
        let earlier = json!({"measured": {"a_ms": 2.0, "b_ms": 0}, "seed": 4});
        let compared = compare(&now, &earlier);
        let ratios: Vec<_> = compared.iter().map(|one| (one.metric.as_str(), one.ratio)).collect();
        assert_eq!(ratios, [("measured.a_ms", Some(1.5)), ("measured.b_ms", None)]);
    }
}
