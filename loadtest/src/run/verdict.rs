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

/// Judges each threshold.
pub(crate) fn judge(thresholds: &[Threshold], report: &Value) -> Vec<Judged> {
    let numbers = numbers(report);
    let one = |threshold: &Threshold| {
        let value = numbers.get(&threshold.metric).copied();
        let (low, high) = (threshold.at_least, threshold.at_most);
        let inside = |value: f64| low.is_none_or(|low| value >= low) && high.is_none_or(|high| value <= high);
        let words = [low.map(|low| format!("at least {low}")), high.map(|high| format!("at most {high}"))];
        let bound = words.into_iter().flatten().collect::<Vec<_>>().join(", ");
        Judged { metric: threshold.metric.clone(), value, bound, passed: value.is_some_and(inside) }
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
        Threshold { metric: metric.to_owned(), at_most, at_least }
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
    fn two_reports_are_compared_where_both_have_a_number() {
        let now = json!({"measured": {"a_ms": 3.0, "b_ms": 1, "c_ms": 5}, "seed": 4});
        let earlier = json!({"measured": {"a_ms": 2.0, "b_ms": 0}, "seed": 4});
        let compared = compare(&now, &earlier);
        let ratios: Vec<_> = compared.iter().map(|one| (one.metric.as_str(), one.ratio)).collect();
        assert_eq!(ratios, [("measured.a_ms", Some(1.5)), ("measured.b_ms", None)]);
    }
}
