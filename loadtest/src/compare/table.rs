//! The comparison as Markdown tables, to be read in a terminal and pasted into a document.
//! Must not know: how its numbers come about.

use super::goals::{Goal, Judged, Measure};
use super::summary::{Ratio, Spread, Summary};
use super::system::System;
use super::turn::{Behind, Sample};

/// One line for each turn while the comparison goes on.
pub(crate) fn progress(sample: &Sample) -> String {
    let share = sample.driver_share_of_one_core.map_or_else(String::new, |share| format!(", driver {share:.2} cores"));
    let cost = sample.cost.map_or_else(String::new, |cost| {
        let stores = cost.stores_micros.map_or_else(String::new, |micros| format!(" and {micros:.0}"));
        format!(", {:.0}{stores} µs", cost.system_micros)
    });
    let forwarded = sample.forwarded_share.map_or_else(String::new, |share| format!(", forwarded {share:.2}"));
    let load = sample.load_average.map_or_else(String::new, |load| format!(", load {load:.1}"));
    let behind = sample.behind.map_or_else(String::new, |behind| format!(", behind {}", behind_words(&behind)));
    let others = if sample.others.is_empty() { String::new() } else { format!(", others {:?}", sample.others) };
    format!(
        "round {} {:<11} {:<19} {:>4} connections: {:>7.0}/s, p99 {:.1} ms, {:.1} s{cost}{forwarded}{share}{load}{behind}{others}",
        sample.round,
        sample.workload.name(),
        sample.system.name(),
        sample.connections,
        sample.answers_per_second,
        sample.latency_p99_ms,
        sample.lasted_seconds,
    )
}

/// What was measured, with hotslot's ratio over it.
pub(crate) fn measured(summaries: &[Summary], ratios: &[Ratio]) -> String {
    let mut text = String::from(
        "| workload | system | connections | answers/s | least | greatest | p99 ms | µs an answer | and of its stores | hotslot over it \
         | least | greatest | behind at most | load average | other answers |\n\
         | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for summary in summaries {
        let (rate, load) = (summary.answers_per_second, summary.load_average);
        let load = load.map_or_else(String::new, |load| format!("{:.1}–{:.1}", load.least, load.greatest));
        text.push_str(&format!(
            "| `{}` | `{}` | {} | {} | {} | {} | {:.1} | {} | {} | {} | {} | {load} | {} |\n",
            summary.workload.name(),
            summary.system.name(),
            summary.connections,
            thousands(rate.median),
            thousands(rate.least),
            thousands(rate.greatest),
            summary.latency_p99_ms.median,
            micros_cell(summary.system_micros),
            micros_cell(summary.stores_micros),
            ratio_cells(ratio_of(summary, ratios)),
            summary.behind.as_ref().map_or_else(String::new, behind_words),
            summary.others,
        ));
    }
    text
}

/// What the project has set itself.
pub(crate) fn goals(goals: &[Judged]) -> String {
    let mut text = String::from("\n| hotslot | of what | goal | measured | |\n| --- | --- | ---: | ---: | --- |\n");
    for judged in goals {
        text.push_str(&goal_line(judged));
    }
    text
}

/// The ratio that belongs into the line of `summary`: hotslot over that system, or hotslot's hot day over its own spread.
fn ratio_of(summary: &Summary, ratios: &[Ratio]) -> Option<Spread> {
    let over = match summary.system {
        System::Hotslot => super::summary::Over::OwnSpread,
        system => super::summary::Over::System(system),
    };
    ratios.iter().find(|ratio| (ratio.workload, ratio.over) == (summary.workload, over)).map(|ratio| ratio.ratio)
}

fn micros_cell(micros: Option<Spread>) -> String {
    micros.map_or_else(String::new, |micros| format!("{:.0}", micros.median))
}

fn ratio_cells(ratio: Option<Spread>) -> String {
    let cells = |ratio: Spread| format!("{:.2} | {:.2} | {:.2}", ratio.median, ratio.least, ratio.greatest);
    ratio.map_or_else(|| " | | ".to_owned(), cells)
}

fn behind_words(behind: &Behind) -> String {
    let bound = behind.bound_records.map_or_else(String::new, |bound| format!(" of {}", thousands(bound as f64)));
    let drained = behind.drained_seconds.map_or_else(String::new, |seconds| format!(", drained at {seconds:.1} s"));
    format!("{}{bound}{drained}", thousands(behind.greatest_records as f64))
}

fn goal_line(judged: &Judged) -> String {
    let Goal { workload, measure, bound, aim } = judged.goal;
    let number = |value: f64| if measure == Measure::Rate { thousands(value) } else { format!("{value:.2}") };
    let (what, goal) = match measure {
        Measure::Ratio(over) => (format!("ratio over `{}`", over.name()), format!("≥ {}", number(bound))),
        Measure::Rate => ("answers/s".to_owned(), format!("> {}", number(bound))),
        Measure::LedgerLag => ("greatest lag of the ledger over its bound".to_owned(), format!("≤ {}", number(bound))),
    };
    let aim = aim.map_or_else(String::new, |aim| format!(", aim {}", number(aim)));
    let measured = judged.measured.map_or_else(String::new, |measured| {
        let (median, least, greatest) = (number(measured.median), number(measured.least), number(measured.greatest));
        format!("{median} ({least}–{greatest})")
    });
    format!("| `{}` | {what} | {goal}{aim} | {measured} | {} |\n", workload.name(), judged.verdict.words())
}

/// A whole number with separators.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
