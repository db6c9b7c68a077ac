//! The order of turns, the arithmetic of the tables, and what a missing program is told.
//! Must not know: servers.

use std::collections::BTreeMap;

use clap::Parser;

use super::summary::{Spread, ratios, summarize};
use super::system::{System, Workload};
use super::*;
use crate::outcome::{Outcome, classify};

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    compare: CompareArgs,
}

fn args(arguments: &str) -> CompareArgs {
    Program::try_parse_from(std::iter::once("compare").chain(arguments.split_whitespace())).unwrap().compare
}

fn sample(round: u32, workload: Workload, system: System, connections: usize, rate: f64) -> Sample {
    Sample {
        round,
        workload,
        system,
        connections,
        answers_per_second: rate,
        answers: 100,
        lasted_seconds: 1.0,
        others: BTreeMap::new(),
        latency_p50_ms: 1.0,
        latency_p99_ms: 2.0,
        driver_share_of_one_core: Some(0.5),
        load_average: Some(f64::from(round)),
    }
}

#[test]
fn systems_take_turns_within_a_round() {
    let plans = turns(&args("--rounds 2 --connections 64 --systems bare,hotslot"));
    let order: Vec<_> = plans.iter().map(|plan| (plan.round, plan.workload.name(), plan.system.name())).collect();
    let of_round = |round| {
        [
            (round, "spread", "bare"),
            (round, "spread", "hotslot"),
            (round, "sold-out", "bare"),
            (round, "sold-out", "hotslot"),
            (round, "one-hot-day", "hotslot"),
        ]
    };
    assert_eq!(order, [of_round(1), of_round(2)].concat());
    assert_eq!(turns(&args("--rounds 1")).len(), (7 + 7 + 1) * 3);
}

#[test]
fn medians_are_told_with_their_spread() {
    assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { median: 2.0, least: 1.0, greatest: 3.0 }));
    assert_eq!(Spread::of([4.0, 1.0]), Some(Spread { median: 2.5, least: 1.0, greatest: 4.0 }));
    assert_eq!(Spread::of([]), None);
}

#[test]
fn each_system_is_told_by_its_best_connections_and_ratios_pair_the_rounds() {
    let mut samples = Vec::new();
    for (round, bare, hotslot) in [(1, 100.0, 60.0), (2, 50.0, 20.0), (3, 80.0, 64.0)] {
        samples.push(sample(round, Workload::Spread, System::Bare, 64, bare));
        samples.push(sample(round, Workload::Spread, System::Bare, 256, 1.0));
        samples.push(sample(round, Workload::Spread, System::Hotslot, 64, 1.0));
        samples.push(sample(round, Workload::Spread, System::Hotslot, 256, hotslot));
        samples.push(sample(round, Workload::OneHotDay, System::Hotslot, 64, hotslot / 2.0));
    }
    let summaries = summarize(&samples);
    let best: Vec<_> =
        summaries.iter().map(|summary| (summary.connections, summary.answers_per_second.median)).collect();
    assert_eq!(best, [(64, 80.0), (256, 60.0), (64, 30.0)]);
    let ratios = ratios(&samples, &summaries);
    assert_eq!(ratios.len(), 2);
    assert_eq!((ratios[0].over.as_str(), ratios[0].at_least), ("bare", Some(0.5)));
    assert_eq!(ratios[0].ratio, Spread { median: 0.6, least: 0.4, greatest: 0.8 });
    assert_eq!((ratios[1].over.as_str(), ratios[1].ratio.median), ("hotslot spread", 0.5));
    let text = table::text(&summaries, &ratios);
    assert!(text.contains("0.50 reached") && text.contains("0.90 missed"), "{text}");
    assert_eq!(text.lines().count(), 1 + 3 + 2 + 2, "{text}");
}

#[test]
fn only_the_meant_answer_counts() {
    let sold_out = classify(409, false, br#"{"code":"sold_out"}"#);
    let overloaded = classify(503, false, br#"{"code":"overloaded"}"#);
    assert!(turn::is_expected(Workload::SoldOut, &sold_out));
    for (workload, outcome) in [
        (Workload::Spread, &sold_out),
        (Workload::Spread, &overloaded),
        (Workload::SoldOut, &overloaded),
        (Workload::OneHotDay, &Outcome::NoAnswer),
    ] {
        assert!(!turn::is_expected(workload, outcome), "{workload:?} {outcome:?}");
    }
}

#[test]
fn a_missing_program_is_told_with_its_remedy() {
    let missing = Some(Path::new("/nowhere/hotslot"));
    let error = Programs::find(missing, missing, &[System::Hotslot]).unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/hotslot is missing: run `cargo build"), "{error}");
}
