//! Does the search say of each history what trying out every order says, and where does it say that a wrong one goes wrong?
//! Must not know: doctor-days.

use linearizability::search::{Model, OPEN, Timed, Verdict, check};
use proptest::prelude::*;

const CONFIGURATIONS_MAX: usize = 100_000;

/// A register that holds a number; 0 at first.
struct Register;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Access {
    Write(u8),
    Read(u8),
    /// Writes the second number if the register holds the first.
    Swap(u8, u8),
}

impl Model for Register {
    type Operation = Access;
    type State = u8;

    fn initial(&self) -> u8 {
        0
    }

    fn step(&self, state: &u8, access: &Access) -> Option<u8> {
        match *access {
            Access::Write(value) => Some(value),
            Access::Read(value) => (value == *state).then_some(value),
            Access::Swap(before, after) => (before == *state).then_some(after),
        }
    }

    fn is_pure(&self, _: &u8, access: &Access) -> bool {
        matches!(access, Access::Read(_))
    }
}

type History = Vec<Timed<Access>>;

fn told(invoked: u64, latest: u64, operation: Access) -> Timed<Access> {
    Timed { invoked, latest, is_optional: false, likely_at: latest, doubt: 0, operation }
}

fn perhaps(invoked: u64, latest: u64, operation: Access) -> Timed<Access> {
    Timed { is_optional: true, likely_at: OPEN, ..told(invoked, latest, operation) }
}

fn is_linearizable(history: &[Timed<Access>]) -> bool {
    match check(&Register, history, CONFIGURATIONS_MAX) {
        Verdict::Linearizable { .. } => true,
        Verdict::Violated(_) => false,
        Verdict::Exceeded(furthest) => panic!("{furthest:?}"),
    }
}

#[test]
fn histories_that_are_right_are_accepted() {
    use Access::{Read, Write};
    let right: [History; 7] = [
        vec![],
        vec![told(0, 10, Write(1)), told(20, 30, Read(1))],
        // A read that overlaps a write sees either value.
        vec![told(0, 30, Write(1)), told(10, 20, Read(0))],
        vec![told(0, 30, Write(1)), told(10, 20, Read(1))],
        // What touches may overlap.
        vec![told(0, 10, Write(1)), told(10, 20, Read(0))],
        // An unknown outcome may show long after, or never.
        vec![perhaps(0, OPEN, Write(1)), told(20, 30, Read(0)), told(40, 50, Read(1))],
        vec![perhaps(0, 10, Write(1)), told(20, 30, Read(0)), told(40, 50, Read(0))],
    ];
    for history in right {
        assert!(is_linearizable(&history), "{history:?}");
    }
}

#[test]
fn histories_that_are_wrong_are_refused_at_the_place_where_they_go_wrong() {
    use Access::{Read, Swap, Write};
    let wrong: [(History, usize); 7] = [
        // A stale read.
        (vec![told(0, 10, Write(1)), told(20, 30, Read(0))], 1),
        // Nobody wrote that.
        (vec![told(0, 10, Write(1)), told(20, 30, Read(2)), told(40, 50, Read(1))], 1),
        // New, then old, while the write is under way.
        (vec![told(0, 90, Write(1)), told(10, 20, Read(1)), told(30, 40, Read(0))], 2),
        // Two who both swapped the same value away.
        (vec![told(0, 30, Swap(0, 1)), told(0, 40, Swap(0, 2))], 1),
        // An effect before its call.
        (vec![told(0, 10, Read(1)), told(20, 30, Write(1))], 0),
        // Lost with its process, and yet done later.
        (vec![perhaps(0, 10, Write(1)), told(20, 30, Read(0)), told(40, 50, Read(1))], 2),
        // An unknown outcome happens once.
        (
            vec![
                perhaps(0, OPEN, Write(1)),
                told(20, 30, Read(1)),
                told(40, 50, Write(2)),
                told(60, 70, Read(1)),
                told(80, 90, Read(1)),
            ],
            3,
        ),
    ];
    for (history, place) in wrong {
        match check(&Register, &history, CONFIGURATIONS_MAX) {
            Verdict::Violated(violation) => assert_eq!(violation.at, place, "{history:?}"),
            other => panic!("{other:?}: {history:?}"),
        }
    }
}

#[test]
fn a_search_that_is_cut_short_says_so() {
    let mut history: History = (1..=12).map(|value| told(0, 100, Access::Write(value))).collect();
    history.push(told(200, 300, Access::Read(99)));
    match check(&Register, &history, 1_000) {
        Verdict::Exceeded(furthest) => assert!(furthest.configurations > 500),
        other => panic!("{other:?}"),
    }
    assert!(!is_linearizable(&history));
}

/// Whether some order of (some of the optional and all other) operations is legal, tried one by one.
fn some_order_is_legal(history: &[Timed<Access>], state: u8, done: &mut Vec<usize>) -> bool {
    let open: Vec<usize> = (0..history.len()).filter(|number| !done.contains(number)).collect();
    if open.iter().all(|number| history[*number].is_optional) {
        return true;
    }
    let mut bound = open.iter().map(|number| &history[*number]).filter(|timed| !timed.is_optional);
    let first_answer = bound.by_ref().map(|timed| timed.latest).min().unwrap_or(OPEN);
    open.iter().any(|number| {
        let timed = &history[*number];
        // It must not have begun after an answer that is still open, nor come after what was called after its own end.
        let is_late = done.iter().any(|before| history[*before].invoked > timed.latest);
        if timed.invoked > first_answer || is_late {
            return false;
        }
        Register.step(&state, &timed.operation).is_some_and(|next| {
            done.push(*number);
            let found = some_order_is_legal(history, next, done);
            done.pop();
            found
        })
    })
}

fn accesses() -> impl Strategy<Value = Access> {
    prop_oneof![
        (1..4u8).prop_map(Access::Write),
        (0..4u8).prop_map(Access::Read),
        (0..4u8, 1..4u8).prop_map(|(before, after)| Access::Swap(before, after)),
    ]
}

fn small_histories() -> impl Strategy<Value = History> {
    let operation =
        (0..30u64, 0..15u64, 0..8u8, accesses(), 0..40u64).prop_map(|(invoked, took, kind, access, likely_at)| {
            let doubt = likely_at / 2;
            let latest = if kind == 0 { OPEN } else { invoked + took };
            let is_optional = kind < 2 && !matches!(access, Access::Read(_));
            let latest = if is_optional { latest } else { invoked + took };
            Timed { invoked, latest, is_optional, likely_at, doubt, operation: access }
        });
    prop::collection::vec(operation, 0..8)
}

/// What had been called by `end`, and what was known of it then.
fn prefix(history: &[Timed<Access>], end: u64) -> History {
    let called = history.iter().filter(|timed| timed.invoked <= end).cloned();
    let cut = |timed: Timed<Access>| {
        if timed.latest <= end { timed } else { Timed { latest: OPEN, is_optional: true, ..timed } }
    };
    called.map(cut).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_search_says_what_trying_every_order_says(history in small_histories()) {
        prop_assert_eq!(is_linearizable(&history), some_order_is_legal(&history, 0, &mut Vec::new()));
    }

    #[test]
    fn the_place_named_ends_the_smallest_prefix_that_is_wrong(history in small_histories()) {
        if let Verdict::Violated(violation) = check(&Register, &history, CONFIGURATIONS_MAX) {
            let end = history[violation.at].latest;
            prop_assert!(!some_order_is_legal(&prefix(&history, end), 0, &mut Vec::new()));
            let before = history.iter().map(|timed| timed.latest).filter(|latest| *latest < end).max();
            if let Some(before) = before {
                prop_assert!(some_order_is_legal(&prefix(&history, before), 0, &mut Vec::new()));
            }
        }
    }

    #[test]
    fn what_happened_one_after_another_is_accepted_however_the_answers_overlap(
        accesses in prop::collection::vec((accesses(), 0..60u64, 0..60u64, 0..10u8), 0..60)
    ) {
        let mut state = 0;
        let mut history = Vec::new();
        for ((access, before, after, kind), number) in accesses.into_iter().zip(10..) {
            let access = match access {
                Access::Read(_) => Access::Read(state),
                Access::Swap(_, after) => Access::Swap(state, after),
                write @ Access::Write(_) => write,
            };
            let at = number * 10;
            let spread = told(at - before, at + after, access);
            match (kind, access) {
                // An outcome that nobody was told, of something that did not happen, and of something that did.
                (0, Access::Write(value)) => history.push(perhaps(at - before, OPEN, Access::Write(value))),
                (1, Access::Write(value)) => {
                    state = value;
                    history.push(perhaps(at - before, OPEN, access));
                }
                _ => {
                    state = Register.step(&state, &access).unwrap();
                    history.push(spread);
                }
            }
        }
        prop_assert!(is_linearizable(&history));
    }
}
