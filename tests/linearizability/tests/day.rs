//! Is what a clinic of the simplest kind does, one call after another, accepted however the answers overlap, and is each rule of
//! the model needed?
//! Must not know: the program.

#[path = "day/clinic.rs"]
mod clinic;

use clinic::{Clinic, DAYS, PLACES};
use linearizability::day::{Answer, Call, Code, Log, OPEN, Record, Row, Status, check_days};
use proptest::prelude::*;

const CONFIGURATIONS_MAX: usize = 500_000;

fn findings(log: &Log) -> Vec<String> {
    let checked = check_days(log, CONFIGURATIONS_MAX, 1).unwrap();
    checked.findings.into_iter().map(|finding| finding.text).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_happened_one_after_another_is_accepted(seed in any::<u64>(), calls in 1..400usize, overlap in 0..8u64) {
        let log = Clinic::new(seed, true).run(calls, overlap * 1_000);
        prop_assert_eq!(findings(&log), Vec::<String>::new());
    }

    /// After the last call, a read that finds one place more or less than there is.
    #[test]
    fn a_read_of_what_is_not_so_is_found(seed in any::<u64>(), calls in 1..200usize, more in any::<bool>()) {
        let mut clinic = Clinic::new(seed, false);
        let mut log = clinic.run(calls, 3_000);
        let at = log.ended_micros + 1;
        for day in 0..DAYS as u32 {
            let mut left = clinic.left_on(day);
            prop_assert_eq!(findings(&with_read(&mut log, day, at, &left)), Vec::<String>::new());
            let Some(slot) = left.iter().position(|left| if more { *left < PLACES } else { *left > 0 }) else { continue };
            left[slot] = if more { left[slot] + 1 } else { left[slot] - 1 };
            prop_assert_eq!(findings(&with_read(&mut log, day, at, &left)).len(), 1);
        }
    }
}

fn with_read(log: &mut Log, day: u32, at: u64, remaining: &[u16]) -> Log {
    let sold_out = remaining.iter().all(|left| *left == 0);
    let answer = Answer::Day { remaining: remaining.to_vec(), sold_out };
    let mut log = log.clone();
    log.records.push(Record { client: 0, invoked_micros: at, settled_micros: at, call: Call::ReadDay { day }, answer });
    log
}

fn row(appointment: u32, patient: u32, slot: u8, status: Status, version: u16) -> Row {
    Row { appointment, patient, day: 0, slot, status, version, expires_at_micros: None, updated_at_micros: 0 }
}

fn answered(row: Row) -> Answer {
    Answer::Row { row, digest: u64::from(row.version) << 32 | u64::from(row.appointment), replayed: false }
}

fn take(slot: Option<u8>, patient: u32) -> Call {
    Call::Take { day: 0, slot, patient, key: patient, hold_millis: None }
}

/// One call after another on a day of two slots with one place each; `None` is a call without an answer, lost with its process.
fn told(calls: Vec<(Call, Answer)>) -> Log {
    let records = calls.into_iter().zip(1..).map(|((call, answer), number)| Record {
        client: 0,
        invoked_micros: number * 10,
        settled_micros: number * 10 + 5,
        call,
        answer,
    });
    Log { days: vec![vec![1, 1]; 2], records: records.collect(), ended_micros: 1_000_000_000 }
}

#[test]
fn a_place_is_sold_once() {
    let booked = |appointment, slot| answered(row(appointment, appointment, slot, Status::Booked, 1));
    let right = vec![
        (take(None, 0), booked(0, 0)),
        (take(Some(0), 1), Answer::Refused(Code::SlotTaken)),
        (take(None, 1), booked(1, 1)),
        (take(None, 2), Answer::Refused(Code::SoldOut)),
    ];
    assert_eq!(findings(&told(right)), Vec::<String>::new());
    let wrong = [
        vec![(take(None, 0), booked(0, 0)), (take(Some(0), 1), booked(1, 0))],
        vec![(take(None, 0), booked(0, 1))],
        vec![(take(None, 0), booked(0, 0)), (take(None, 0), booked(1, 1))],
        vec![(take(None, 0), Answer::Refused(Code::SoldOut))],
        vec![(take(Some(1), 0), Answer::Refused(Code::SlotTaken))],
        vec![(take(None, 0), Answer::Refused(Code::AlreadyBooked))],
    ];
    for calls in wrong {
        assert_eq!(findings(&told(calls.clone())).len(), 1, "{calls:?}");
    }
}

#[test]
fn a_hold_ends_at_its_instant_and_not_before() {
    let second = 1_000_000;
    let hold = Row { expires_at_micros: Some(2 * second), ..row(0, 0, 0, Status::Held, 1) };
    let takes = Call::Take { day: 0, slot: Some(0), patient: 0, key: 0, hold_millis: Some(2_000) };
    let other = |at: u64, answer| Record {
        client: 1,
        invoked_micros: at,
        settled_micros: at + 10,
        call: take(Some(0), 1),
        answer,
    };
    let held = Record { client: 0, invoked_micros: 0, settled_micros: 10, call: takes, answer: answered(hold) };
    let log = |record: Record| Log { records: vec![held.clone(), record], ..told(vec![]) };
    let sold = || answered(row(1, 1, 0, Status::Booked, 1));
    let refused = || Answer::Refused(Code::SlotTaken);
    for (at, answer, is_right) in [
        (second, refused(), true),
        (second, sold(), false),
        // Around its end either.
        (2 * second, refused(), true),
        (2 * second, sold(), true),
        (3 * second, refused(), false),
        (3 * second, sold(), true),
    ] {
        let found = findings(&log(other(at, answer.clone())));
        assert_eq!(found.is_empty(), is_right, "{at} {answer:?}: {found:?}");
    }
}

#[test]
fn what_was_lost_with_its_process_happens_before_its_end_or_never() {
    let lost =
        Record { client: 0, invoked_micros: 0, settled_micros: 100, call: take(Some(0), 0), answer: Answer::Unknown };
    let read = |at: u64, left: u16| Record {
        client: 1,
        invoked_micros: at,
        settled_micros: at + 5,
        call: Call::ReadDay { day: 0 },
        answer: Answer::Day { remaining: vec![left, 1], sold_out: false },
    };
    let log = |records: Vec<Record>| Log { records, ..told(vec![]) };
    for (left, is_right) in [([1, 1], true), ([0, 0], true), ([1, 0], false), ([0, 1], false)] {
        let found = findings(&log(vec![lost.clone(), read(200, left[0]), read(300, left[1])]));
        assert_eq!(found.is_empty(), is_right, "{left:?}: {found:?}");
    }
    // Open for ever, it may still happen later.
    let open = Record { settled_micros: OPEN, ..lost };
    assert_eq!(findings(&log(vec![open, read(200, 1), read(300, 0)])), Vec::<String>::new());
}

#[test]
fn a_move_frees_the_one_place_and_takes_the_other() {
    let there = Row { day: 1, ..row(0, 0, 1, Status::Booked, 2) };
    let goes = Call::Move { appointment: 0, from: 0, to: 1, slot: Some(1), key: Some(9) };
    let reads = |day, left: [u16; 2]| {
        let answer = Answer::Day { remaining: left.to_vec(), sold_out: left == [0, 0] };
        (Call::ReadDay { day }, answer)
    };
    let seen = |row| (Call::ReadAppointment { appointment: 0 }, answered(row));
    let here = row(0, 0, 0, Status::Booked, 1);
    let start = || vec![(take(None, 0), answered(here)), (goes.clone(), answered(there))];
    for (more, wrong) in [
        (vec![reads(0, [1, 1]), reads(1, [1, 0]), seen(there)], 0),
        (vec![reads(0, [0, 1])], 1),
        (vec![reads(1, [1, 1])], 1),
        // On both days: found twice, as it is here and is not there.
        (vec![seen(here)], 2),
        (vec![seen(Row { version: 3, ..there })], 1),
    ] {
        let calls: Vec<(Call, Answer)> = start().into_iter().chain(more.clone()).collect();
        assert_eq!(findings(&told(calls)).len(), wrong, "{more:?}");
    }
}
