//! The wheel against a sorted map, and its corners.
//! Must not know: how the wheel is built.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const HOUR: i64 = 3_600_000;

/// What a step does.
#[derive(Clone, Debug)]
enum Step {
    /// So far from the present.
    Insert(i64),
    /// The n-th that was ever inserted, there or not.
    Cancel(prop::sample::Index),
    /// So far from the present, back too.
    Advance(i64),
    /// To what the wheel says is next.
    Skip,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let near =
        prop_oneof![-200_i64..5_000, Just(0), Just(64), -HOUR..50 * HOUR, 0..200_000_000_000_i64, Just(i64::MAX / 2)];
    let moved = prop_oneof![
        3 => 0_i64..300,
        3 => 0_i64..100_000,
        1 => Just(0_i64),
        1 => -HOUR..0,
        1 => 0..30 * HOUR,
        1 => 0..200_000_000_000_i64,
    ];
    let step = prop_oneof![
        6 => near.prop_map(Step::Insert),
        2 => any::<prop::sample::Index>().prop_map(Step::Cancel),
        3 => moved.prop_map(Step::Advance),
        1 => Just(Step::Skip),
    ];
    prop::collection::vec(step, 1..250)
}

/// The sorted map.
struct Model {
    timers: BTreeMap<(i64, u32), Handle>,
    now: i64,
}

impl Model {
    fn advance(&mut self, wheel: &mut Wheel<u32>, to: i64) {
        let mut expected = self.timers.split_off(&(to, u32::MAX));
        std::mem::swap(&mut expected, &mut self.timers);
        let due = wheel.advance(UtcMillis(to));
        assert!(due.is_sorted_by_key(|(at, _)| *at), "out of order");
        let mut got: Vec<(i64, u32)> = due.into_iter().map(|(at, value)| (at.0, value)).collect();
        got.sort_unstable();
        assert_eq!(got, expected.into_keys().collect::<Vec<_>>(), "at {to}, after {}", self.now);
        self.now = to;
    }
}

fn run(start: i64, steps: &[Step]) {
    let mut wheel = Wheel::new(UtcMillis(start));
    let mut model = Model { timers: BTreeMap::new(), now: start };
    let mut given: Vec<(i64, Handle)> = Vec::new();
    for step in steps {
        match step {
            Step::Insert(ahead) => {
                let (at, value) = (model.now.saturating_add(*ahead), given.len() as u32);
                let handle = wheel.insert(UtcMillis(at), value);
                given.push((at, handle));
                model.timers.insert((at, value), handle);
            }
            Step::Cancel(which) if !given.is_empty() => {
                let value = which.index(given.len());
                let (at, handle) = given[value];
                let known = model.timers.remove(&(at, value as u32));
                assert_eq!(wheel.cancel(handle), known.map(|_| value as u32));
            }
            Step::Cancel(_) => {}
            Step::Advance(by) => model.advance(&mut wheel, model.now.saturating_add(*by)),
            Step::Skip => {
                let earliest = model.timers.first_key_value().map(|((at, _), _)| *at);
                let next = wheel.next().map(|next| next.0);
                assert_eq!(next.is_some(), earliest.is_some());
                assert!(next <= earliest, "would sleep past {earliest:?} until {next:?}");
                model.advance(&mut wheel, next.unwrap_or(model.now).max(model.now));
            }
        }
        assert_eq!((wheel.len(), wheel.is_empty()), (model.timers.len(), model.timers.is_empty()));
    }
    // By skipping alone everything becomes due, after few looks each.
    for _ in 0..given.len() * (LEVELS + 2) {
        let Some(next) = wheel.next() else { break };
        model.advance(&mut wheel, next.0.max(model.now));
    }
    assert!(model.timers.is_empty() && wheel.is_empty(), "left behind: {:?}", model.timers);
    assert!(given.iter().all(|(_, handle)| wheel.cancel(*handle).is_none()), "a handle outlives its timer");
}

proptest! {
    #[test]
    fn it_does_what_a_sorted_map_does(start in prop_oneof![Just(0_i64), 0..4_000_000_000_000_i64], steps in steps()) {
        run(start, &steps);
    }
}

#[test]
fn a_timer_waits_for_its_own_millisecond() {
    let mut wheel = Wheel::new(UtcMillis(1_000));
    wheel.insert(UtcMillis(1_001), 'a');
    wheel.insert(UtcMillis(1_003), 'b');
    assert_eq!((wheel.advance(UtcMillis(1_000)), wheel.next()), (vec![], Some(UtcMillis(1_001))));
    assert_eq!(wheel.advance(UtcMillis(1_002)), [(UtcMillis(1_001), 'a')]);
    assert_eq!(wheel.next(), Some(UtcMillis(1_003)));
    assert_eq!(wheel.advance(UtcMillis(1_003)), [(UtcMillis(1_003), 'b')]);
}

#[test]
fn nothing_is_early_after_the_clock_went_back() {
    let mut wheel = Wheel::new(UtcMillis(10 * HOUR));
    wheel.insert(UtcMillis(9 * HOUR + 500), 'a');
    assert_eq!(wheel.advance(UtcMillis(9 * HOUR)), []);
    wheel.insert(UtcMillis(9 * HOUR + 1), 'b');
    assert_eq!(wheel.advance(UtcMillis(9 * HOUR + 1)), [(UtcMillis(9 * HOUR + 1), 'b')]);
    assert_eq!(wheel.advance(UtcMillis(9 * HOUR + 500)), [(UtcMillis(9 * HOUR + 500), 'a')]);
}

#[test]
fn a_handle_does_not_name_the_next_timer_in_its_place() {
    let mut wheel = Wheel::new(UtcMillis(0));
    let first = wheel.insert(UtcMillis(5), 1);
    assert_eq!((wheel.cancel(first), wheel.cancel(first)), (Some(1), None));
    let second = wheel.insert(UtcMillis(6), 2);
    assert_eq!((wheel.cancel(first), wheel.len()), (None, 1));
    assert_eq!(wheel.cancel(second), Some(2));
}

#[test]
fn time_without_timers_costs_no_look() {
    let mut wheel = Wheel::new(UtcMillis(0));
    // A hundred days ahead: the looks on the way are as many as levels.
    let at = 100 * 24 * HOUR + 1;
    wheel.insert(UtcMillis(at), ());
    let mut looks = 0;
    while let Some(next) = wheel.next() {
        wheel.advance(next);
        looks += 1;
    }
    assert!(looks <= LEVELS, "{looks} looks");
}

#[test]
fn memory_is_used_again() {
    let mut wheel = Wheel::new(UtcMillis(0));
    for round in 0..100 {
        (0..100).for_each(|number| {
            wheel.insert(UtcMillis(round * 10 + number % 10), number);
        });
        assert_eq!(wheel.advance(UtcMillis(round * 10 + 9)).len(), 100);
    }
    assert_eq!(wheel.entries.len(), 100);
}
