//! Every arrival of a run, drawn beforehand: when, what, who, which day. Pure.
//! Must not know: connections, answers.

use std::path::Path;

use crate::run::dice::Dice;
use crate::run::operation::Operation;
use crate::run::scenario::{Generator, Load, MAX_ARRIVALS, Scenario, ScenarioError};

/// One arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// When it is meant to be sent, microseconds from the start.
    pub(crate) at_micros: u64,
    /// Index of its load.
    pub(crate) load: u16,
    /// What it asks for.
    pub(crate) operation: Operation,
    /// Index of the patient who asks, where none of an earlier arrival does.
    pub(crate) patient: u32,
    /// Index of the day.
    pub(crate) day: u32,
    /// Index of the slot that is named, taken modulo the day's slots.
    pub(crate) slot: Option<u32>,
}

/// Draws all arrivals, in order of time. The same scenario, seed and number of days give the same arrivals.
pub(crate) fn draw(scenario: &Scenario, folder: &Path, days: u32, seed: u64) -> Result<Vec<Arrival>, ScenarioError> {
    let mut dice = Dice::new(seed);
    let mut arrivals = Vec::new();
    for (load, index) in scenario.load.iter().zip(0..) {
        let shape = load.arrivals(&scenario.parameters, folder)?;
        let duration = scenario.parameters.duration_seconds;
        let release =
            scenario.days.release_after_seconds.filter(|_| load.arrivals == crate::run::scenario::Shape::Spike);
        let (begin, end) = (release.unwrap_or(load.from * duration), load.to * duration);
        for at_micros in shape.instants(micros(begin), micros(end), &mut dice) {
            arrivals.push(one(load, index, at_micros, days, &mut dice));
        }
        if arrivals.len() > MAX_ARRIVALS {
            let reason = format!("more than {MAX_ARRIVALS} arrivals");
            return Err(ScenarioError::Senseless { path: folder.to_owned(), reason });
        }
    }
    arrivals.sort_by_key(|arrival| arrival.at_micros);
    number_patients(&mut arrivals);
    Ok(arrivals)
}

/// Gives every arrival that needs one a patient of its own, from 0; how many.
pub(crate) fn number_patients(arrivals: &mut [Arrival]) -> usize {
    let asking = arrivals.iter_mut().filter(|arrival| needs_patient(arrival.operation));
    let mut count = 0;
    for (arrival, patient) in asking.zip(0..) {
        arrival.patient = patient;
        count += 1;
    }
    count
}

/// When to give up, microseconds from the start: so long after the last arrival as answers are awaited.
pub(crate) fn deadline_micros(arrivals: &[Arrival], generator: &Generator) -> u64 {
    let last = arrivals.last().map_or(0, |arrival| arrival.at_micros);
    // Bounded by the scenario's checks.
    last + (generator.drain_seconds * 1e6) as u64
}

/// How many patients these arrivals need.
pub(crate) fn patients_of(arrivals: &[Arrival]) -> usize {
    arrivals.iter().filter(|arrival| needs_patient(arrival.operation)).count()
}

const fn needs_patient(operation: Operation) -> bool {
    !matches!(operation, Operation::ViewDay | Operation::Search)
}

fn one(load: &Load, index: u16, at_micros: u64, days: u32, dice: &mut Dice) -> Arrival {
    let hot = dice.share() < load.hot_share;
    let (day, slot) = (dice.below(days.into()), dice.below(1 << 20));
    let named = dice.share() < load.names_slot;
    Arrival {
        at_micros,
        load: index,
        operation: weighted(load, dice),
        patient: 0,
        day: if hot { 0 } else { u32::try_from(day).unwrap_or(0) },
        slot: u32::try_from(slot).ok().filter(|_| named),
    }
}

fn weighted(load: &Load, dice: &mut Dice) -> Operation {
    let total: u64 = load.operations.values().map(|weight| u64::from(*weight)).sum();
    let mut drawn = dice.below(total);
    for (operation, weight) in &load.operations {
        match drawn.checked_sub(u64::from(*weight)) {
            Some(rest) => drawn = rest,
            None => return *operation,
        }
    }
    Operation::ViewDay
}

fn micros(seconds: f64) -> u64 {
    // Bounded by the scenario's checks; a cast of a float saturates.
    (seconds * 1e6) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
about = "two loads"
[parameters]
rate_per_second = 1000.0
duration_seconds = 10.0
patients = 200
places = 20
[days]
doctors = 4
slots = 20
release_after_seconds = 2.0
[[load]]
name = "steady"
arrivals = "constant"
from = 0.5
hot_share = 0.5
names_slot = 0.25
operations = { book = 1, search = 3 }
[[load]]
name = "spike"
arrivals = "spike"
operations = { book = 1 }
"#;

    #[test]
    fn arrivals_keep_time_weights_days_and_patients() {
        let scenario: Scenario = toml::from_str(TEXT).unwrap();
        let arrivals = draw(&scenario, Path::new(""), 4, 1).unwrap();
        assert_eq!(arrivals, draw(&scenario, Path::new(""), 4, 1).unwrap());
        assert!(arrivals.is_sorted_by_key(|arrival| arrival.at_micros));
        let steady: Vec<_> = arrivals.iter().filter(|arrival| arrival.load == 0).collect();
        let part = |keep: &dyn Fn(&Arrival) -> bool| {
            steady.iter().filter(|arrival| keep(arrival)).count() as f64 / steady.len() as f64
        };
        assert!((4_700..5_300).contains(&steady.len()));
        assert!(steady.iter().all(|arrival| (5_000_000..10_000_000).contains(&arrival.at_micros)));
        assert!((part(&|arrival| arrival.operation == Operation::Search) - 0.75).abs() < 0.03);
        assert!((part(&|arrival| arrival.day == 0) - 0.625).abs() < 0.03);
        assert!((part(&|arrival| arrival.slot.is_some()) - 0.25).abs() < 0.03);
        let spike: Vec<_> = arrivals.iter().filter(|arrival| arrival.load == 1).collect();
        assert_eq!(spike.len(), 200);
        assert!(spike.iter().all(|arrival| arrival.at_micros == 2_000_000));
        let booking = arrivals.iter().filter(|arrival| arrival.operation == Operation::Book);
        assert!(booking.zip(0..).all(|(arrival, number)| arrival.patient == number));
        assert_eq!(patients_of(&arrivals), arrivals.iter().filter(|one| one.operation == Operation::Book).count());
    }
}
