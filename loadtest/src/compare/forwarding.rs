//! What a forwarded request costs, as a Markdown table: the same hot day through its own node and through another.
//! Must not know: how its numbers come about.

use super::summary::{Spread, Summary};
use super::system::Workload;

/// The table, with an empty line before it; nothing if one of the two was not measured. The last line is the difference of the medians.
pub(crate) fn table(summaries: &[Summary]) -> String {
    let find = |workload| summaries.iter().find(|summary| summary.workload == workload);
    let (Some(owner), Some(other)) = (find(Workload::AtOwner), find(Workload::Forwarded)) else { return String::new() };
    let mut text = String::from(
        "\n| one hot day of three nodes | connections | forwarded | answers/s | p50 ms | p99 ms | µs an answer | and of its stores |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for summary in [owner, other] {
        let [rate, p50, p99, system, stores] = numbers(summary);
        text.push_str(&format!(
            "| `{}` | {} | {} | {} | {} | {} | {} | {} |\n",
            summary.workload.name(),
            summary.connections,
            cell(summary.forwarded_share.map(|share| share.median), |share| format!("{:.0} %", share * 100.0)),
            cell(rate, |rate| format!("{rate:.0}")),
            cell(p50, |ms| format!("{ms:.2}")),
            cell(p99, |ms| format!("{ms:.2}")),
            cell(system, |micros| format!("{micros:.0}")),
            cell(stores, |micros| format!("{micros:.0}")),
        ));
    }
    let mut differences = numbers(other).into_iter().zip(numbers(owner)).map(|(other, owner)| Some(other? - owner?));
    let mut next = |digits: usize| cell(differences.next().flatten(), |value| format!("{value:+.digits$}"));
    let (rate, p50, p99, system, stores) = (next(0), next(2), next(2), next(0), next(0));
    text + &format!("| a forwarded request more | | | {rate} | {p50} | {p99} | {system} | {stores} |\n")
}

/// Rate, p50, p99, the system's and the stores' processor time: the medians.
fn numbers(summary: &Summary) -> [Option<f64>; 5] {
    let spreads = [
        Some(summary.answers_per_second),
        Some(summary.latency_p50_ms),
        Some(summary.latency_p99_ms),
        summary.system_micros,
        summary.stores_micros,
    ];
    spreads.map(|spread| spread.map(|spread: Spread| spread.median))
}

fn cell(value: Option<f64>, shown: impl Fn(f64) -> String) -> String {
    value.map_or_else(String::new, shown)
}
