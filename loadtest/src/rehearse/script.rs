//! Who comes to a rehearsal, and what is expected of it. Pure.
//! Must not know: servers, how the day was cloned.

use std::collections::BTreeMap;

use crate::rehearse::RehearseArgs;
use crate::rehearse::model::Model;
use crate::run::operation::Operation;
use crate::run::scenario::{Background, Days, Generator, Load, Parameters, Scenario, Shape, Threshold, senseless};

/// Lookers come from this long before the release until as long after it as the rest of the rehearsal lasts.
const RELEASE_AFTER_SECONDS: f64 = 2.0;
/// How long the rehearsal lasts; the slowest humans may come later.
const DURATION_SECONDS: f64 = 8.0;
/// When half of the humans have come, and how they spread.
const HUMANS: (f64, f64) = (900.0, 0.6);
/// The same of scripts.
const SCRIPTS: (f64, f64) = (5.0, 0.5);
/// An answer that takes longer breaks the rehearsal, on whatever machine, in milliseconds.
const SLOWEST_MS: f64 = 10_000.0;
/// The project's targets on a quiet machine: everyone is answered, and the slowest winner is told.
const TARGET_SLOWEST_MS: f64 = 2_000.0;
const TARGET_SLOWEST_WINNER_MS: f64 = 50.0;

/// The scenario of a rehearsal; what makes no sense is the error.
pub(super) fn scenario(args: &RehearseArgs, model: &Model) -> Result<Scenario, String> {
    let places = model.places();
    let spike = |name: &str, share: f64, (median_ms, spread): (f64, f64)| {
        load(name, Shape::Spike, share, Operation::Book, median_ms, spread)
    };
    let mut loads = vec![load("lookers", Shape::Constant, 1.0, Operation::ViewDay, 0.0, 0.0)];
    loads.push(spike("humans", 1.0 - args.scripts, HUMANS));
    loads.push(spike("scripts", args.scripts, SCRIPTS));
    let scenario = Scenario {
        about: format!(
            "Rehearsal of the release of {} on {}: {places} places in {} slots, {} patients",
            model.doctor_name(),
            args.date,
            model.slots.len(),
            args.patients
        ),
        parameters: Parameters {
            rate_per_second: args.lookers,
            duration_seconds: DURATION_SECONDS,
            patients: args.patients.into(),
            places,
        },
        days: Days {
            doctors: 1,
            days_per_doctor: 1,
            slots: u32::try_from(model.slots.len()).unwrap_or(u32::MAX),
            release_after_seconds: Some(RELEASE_AFTER_SECONDS),
            sold_out: false,
        },
        generator: Generator {
            connections: args.connections,
            threads: args.threads,
            lag_p99_at_most_ms: args.lag_p99_at_most_ms,
            ..Generator::default()
        },
        load: loads,
        background: Background { watchers: args.watchers, slow_clients: 0 },
        threshold: thresholds(args, places),
    };
    senseless(&scenario).map_or(Ok(scenario), Err)
}

fn load(name: &str, arrivals: Shape, share: f64, operation: Operation, median_ms: f64, spread: f64) -> Load {
    Load {
        name: name.to_owned(),
        arrivals,
        share,
        share_at_end: 1.0,
        from: 0.0,
        to: 1.0,
        random: true,
        median_ms,
        spread,
        file: None,
        operations: BTreeMap::from([(operation, 1)]),
        names_slot: 0.0,
        hot_share: 0.0,
    }
}

fn thresholds(args: &RehearseArgs, places: u64) -> Vec<Threshold> {
    let at_most = |metric: &str, at_most: f64, target: Option<f64>| Threshold {
        metric: metric.to_owned(),
        at_most: Some(at_most),
        at_least: None,
        target_at_most: target,
        target_at_least: None,
    };
    let sold = places.min(args.patients.into()) as f64;
    vec![
        Threshold { at_least: Some(sold), ..at_most("audit.keeping_place", sold, None) },
        at_most("measured.unsettled", 0.0, None),
        at_most("measured.settled.max_ms", SLOWEST_MS, Some(TARGET_SLOWEST_MS)),
        at_most("measured.operations.book.served.max_ms", SLOWEST_MS, Some(TARGET_SLOWEST_WINNER_MS)),
    ]
}
