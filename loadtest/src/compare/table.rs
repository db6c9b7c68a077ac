//! The comparison as text for a terminal.
//! Must not know: how its numbers come about.

use super::summary::{Ratio, Summary};
use super::turn::Sample;

/// One line for each turn while the comparison goes on.
pub(crate) fn progress(sample: &Sample) -> String {
    let share = sample.driver_share_of_one_core.map_or_else(String::new, |share| format!(", driver {share:.2} cores"));
    let load = sample.load_average.map_or_else(String::new, |load| format!(", load {load:.1}"));
    let others = if sample.others.is_empty() { String::new() } else { format!(", others {:?}", sample.others) };
    format!(
        "round {} {:<11} {:<13} {:>4} connections: {:>7.0}/s, p99 {:.1} ms, {:.1} s{share}{load}{others}",
        sample.round,
        sample.workload.name(),
        sample.system.name(),
        sample.connections,
        sample.answers_per_second,
        sample.latency_p99_ms,
        sample.lasted_seconds,
    )
}

/// Both tables.
pub(crate) fn text(summaries: &[Summary], ratios: &[Ratio]) -> String {
    let mut text = String::from(
        "workload     system         connections  answers/s  least  greatest  p99 ms  load average  other answers\n",
    );
    for summary in summaries {
        let (rate, load) = (summary.answers_per_second, summary.load_average);
        let load = load.map_or_else(|| "?".to_owned(), |load| format!("{:.1}-{:.1}", load.least, load.greatest));
        text.push_str(&format!(
            "{:<12} {:<13} {:>12} {:>10.0} {:>6.0} {:>9.0} {:>7.1} {:>13} {:>14}\n",
            summary.workload.name(),
            summary.system.name(),
            summary.connections,
            rate.median,
            rate.least,
            rate.greatest,
            summary.latency_p99_ms.median,
            load,
            summary.others,
        ));
    }
    text.push_str("\nhotslot      over            ratio  least  greatest  at least\n");
    for ratio in ratios {
        let goal = ratio.at_least.map_or_else(String::new, |goal| {
            format!("{goal:.2} {}", if ratio.ratio.median >= goal { "reached" } else { "missed" })
        });
        let line = format!(
            "{:<12} {:<14} {:>6.2} {:>6.2} {:>9.2}  {goal}",
            ratio.workload.name(),
            ratio.over,
            ratio.ratio.median,
            ratio.ratio.least,
            ratio.ratio.greatest,
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
