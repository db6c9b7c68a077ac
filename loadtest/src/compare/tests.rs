//! The order of turns, the arithmetic of the tables, and what a missing program is told.
//! Must not know: servers.

use std::collections::BTreeMap;

use clap::Parser;

use super::processors::Cost;
use super::summary::{Over, Spread, ratios, summarize};
use super::system::{System, Workload};
use super::turn::Behind;
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
        behind: None,
        others: BTreeMap::new(),
        cost: None,
        forwarded_share: None,
        latency_p50_ms: 1.0,
        latency_p99_ms: 2.0,
        driver_share_of_one_core: Some(0.5),
        load_average: Some(f64::from(round)),
    }
}

#[test]
fn systems_take_turns_within_a_round() {
    let plans = args("--rounds 3 --connections 64,8 --systems bare,hotslot --workloads sold-out,one-hot-day,sustained");
    let order: Vec<_> = plans
        .turns()
        .iter()
        .map(|plan| (plan.round, plan.workload.name(), plan.connections, plan.system.name()))
        .collect();
    let of_round = |round| {
        vec![
            (round, "sold-out", 64, "bare"),
            (round, "sold-out", 64, "hotslot"),
            (round, "sold-out", 8, "bare"),
            (round, "sold-out", 8, "hotslot"),
            (round, "one-hot-day", 64, "hotslot"),
            (round, "one-hot-day", 8, "hotslot"),
            (round, "sustained", 64, "bare"),
            (round, "sustained", 64, "hotslot"),
        ]
    };
    // The sustained minute has two rounds at most.
    assert_eq!(order, [of_round(1), of_round(2), of_round(3)[..6].to_vec()].concat());
}

#[test]
fn a_whole_run_takes_half_an_hour_and_a_quick_one_eight_minutes() {
    let (whole, quick) = (args(""), args("--quick"));
    assert!(whole.expected_seconds() <= 30 * 60, "{}", whole.expected_seconds());
    assert!(quick.expected_seconds() <= 8 * 60, "{}", quick.expected_seconds());
    let measures = |args: &CompareArgs, workload| args.turns().iter().filter(|turn| turn.workload == workload).count();
    assert_eq!(Workload::ALL.map(|workload| measures(&quick, workload)), [7 * 3, 7 * 3, 3, 3, 0, 0, 0]);
    assert_eq!(Workload::ALL.map(|workload| measures(&whole, workload)), [7 * 6, 7 * 6, 6, 6, 4 * 2, 0, 0]);
    // Who asks for it gets it.
    assert_eq!(measures(&args("--quick --workloads spread,sustained"), Workload::Spread), 7 * 3);
    assert_eq!(measures(&args("--quick --workloads spread,sustained"), Workload::Sustained), 7 * 2);
}

#[test]
fn the_profiles_take_turns_and_only_nodes_forward() {
    let (whole, quick) = (args("--profiles"), args("--profiles --quick"));
    assert!(whole.expected_seconds() <= 18 * 60, "{}", whole.expected_seconds());
    assert!(quick.expected_seconds() <= 8 * 60, "{}", quick.expected_seconds());
    let first = args("--profiles --rounds 1 --quick");
    let order = first.turns().iter().map(|plan| (plan.workload, plan.system, plan.connections)).collect::<Vec<_>>();
    let mut expected = Vec::new();
    for workload in [Workload::Burst, Workload::Spread, Workload::OneHotDay] {
        expected.extend(System::PROFILES.map(|system| (workload, system, 256)));
    }
    // So few connections that an answer waits for itself.
    expected.push((Workload::AtOwner, System::HotslotThreeNodes, 16));
    expected.push((Workload::Forwarded, System::HotslotThreeNodes, 16));
    assert_eq!(order, expected);
    assert_eq!(args("--profiles --systems hotslot --workloads burst,forwarded").all_systems(), [System::Hotslot]);
    // Who names one gets it, beside whatever else.
    let named = args("--systems bare,hotslot,hotslot-redis --workloads burst");
    assert_eq!(named.all_systems(), [System::Bare, System::Hotslot, System::HotslotRedis]);
}

#[test]
fn a_profile_is_set_beside_hotslot_with_what_it_costs() {
    let costing = |round, workload, system, rate, micros, stores_micros| Sample {
        cost: Some(Cost { system_micros: micros, stores_micros }),
        forwarded_share: (system == System::HotslotThreeNodes).then_some(0.667),
        ..sample(round, workload, system, 256, rate)
    };
    let mut samples = Vec::new();
    for (round, nodes) in [(1, 50.0), (2, 25.0), (3, 100.0)] {
        let workload = Workload::OneHotDay;
        samples.push(costing(round, workload, System::Hotslot, 100.0, 30.0 + nodes, None));
        samples.push(costing(round, workload, System::HotslotThreeNodes, nodes, nodes, Some(2.0 * nodes)));
        let through = |workload, micros, p50| Sample {
            latency_p50_ms: p50,
            ..costing(round, workload, System::HotslotThreeNodes, 1_000.0 / p50, micros, Some(40.0))
        };
        samples.push(through(Workload::AtOwner, 60.0, 2.0));
        samples.push(through(Workload::Forwarded, 91.0, 2.5));
    }
    let summaries = summarize(&samples);
    let ratios = ratios(&samples, &summaries);
    let text = table::measured(&summaries, &ratios) + &forwarding::table(&summaries);
    for line in [
        "| `one-hot-day` | `hotslot` | 256 | 100 | 100 | 100 | 2.0 | 80 |  |  | |  |  | 1.0–3.0 | 0 |",
        "| `one-hot-day` | `hotslot-three-nodes` | 256 | 50 | 25 | 100 | 2.0 | 50 | 100 | 2.00 | 1.00 | 4.00 |  | 1.0–3.0 | 0 |",
        "| `at-owner` | 256 | 67 % | 500 | 2.00 | 2.00 | 60 | 40 |",
        "| `forwarded` | 256 | 67 % | 400 | 2.50 | 2.00 | 91 | 40 |",
        "| a forwarded request more | | | -100 | +0.50 | +0.00 | +31 | +0 |",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let without: Vec<_> = summaries.into_iter().filter(|summary| summary.workload != Workload::AtOwner).collect();
    assert_eq!(forwarding::table(&without), "");
}

#[test]
fn every_goal_is_measured_by_a_whole_run() {
    let turns = args("").turns();
    let has = |workload, system| turns.iter().any(|turn| (turn.workload, turn.system) == (workload, system));
    for goal in goals::GOALS {
        assert!(has(goal.workload, System::Hotslot), "{goal:?}");
        match goal.measure {
            goals::Measure::Ratio(Over::System(system)) => assert!(has(goal.workload, system), "{goal:?}"),
            goals::Measure::Ratio(Over::OwnSpread) => assert!(has(Workload::Spread, System::Hotslot), "{goal:?}"),
            goals::Measure::Rate | goals::Measure::LedgerLag => {}
        }
    }
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
        samples.push(sample(round, Workload::Burst, System::Bare, 64, bare));
        samples.push(sample(round, Workload::Burst, System::Bare, 256, 1.0));
        samples.push(sample(round, Workload::Burst, System::Hotslot, 64, 1.0));
        let greatest_records = u64::from(round) * 1_000;
        let behind = Behind { greatest_records, bound_records: Some(10_000), readings: 1, drained_seconds: None };
        let burst = sample(round, Workload::Burst, System::Hotslot, 256, hotslot);
        samples.push(Sample { behind: Some(behind), ..burst });
        samples.push(sample(round, Workload::Spread, System::Hotslot, 256, hotslot));
        samples.push(sample(round, Workload::OneHotDay, System::Hotslot, 64, hotslot * 1_000.0));
    }
    let summaries = summarize(&samples);
    let best: Vec<_> =
        summaries.iter().map(|summary| (summary.connections, summary.answers_per_second.median)).collect();
    assert_eq!(best, [(64, 80.0), (256, 60.0), (256, 60.0), (64, 60_000.0)]);
    let ratios = ratios(&samples, &summaries);
    assert_eq!(ratios.len(), 2);
    assert_eq!(ratios[0].over, Over::System(System::Bare));
    assert_eq!(ratios[0].ratio, Spread { median: 0.6, least: 0.4, greatest: 0.8 });
    assert_eq!((ratios[1].over, ratios[1].ratio.median), (Over::OwnSpread, 1_000.0));

    let goals = goals::judge(&summaries, &ratios);
    let text = table::measured(&summaries, &ratios) + &table::goals(&goals);
    for line in [
        "| `burst` | `bare` | 64 | 80 | 50 | 100 | 2.0 |  |  | 0.60 | 0.40 | 0.80 |  | 1.0–3.0 | 0 |",
        "| `burst` | `hotslot` | 256 | 60 | 20 | 64 | 2.0 |  |  |  | |  | 3,000 of 10,000 | 1.0–3.0 | 0 |",
        "| `burst` | ratio over `bare` | ≥ 0.50 | 0.60 (0.40–0.80) | reached |",
        "| `burst` | greatest lag of the ledger over its bound | ≤ 1.00 | 0.30 (0.30–0.30) | reached |",
        "| `sustained` | ratio over `bare` | ≥ 0.25 |  | not measured |",
        "| `one-hot-day` | answers/s | > 31,000, aim 50,000 | 60,000 (20,000–64,000) | reached |",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
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
