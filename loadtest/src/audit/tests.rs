//! Whether each thing that must not be is found, and an honest day is not accused.
//! Must not know: HTTP.

use super::*;
use crate::api::Slot;
use crate::outcome::Trouble;

const NOW_MILLIS: i64 = 0;

fn slot(start_millis: i64, capacity: u64, remaining: u64) -> Slot {
    Slot { start: start_millis.to_string(), start_millis, capacity, remaining }
}

fn row(id: u128, patient: u128, start_millis: i64) -> Appointment {
    Appointment {
        id: Uuid::from_u128(id),
        patient: Uuid::from_u128(patient),
        start_millis,
        created_millis: None,
        keeps_place: true,
        held_until_millis: None,
    }
}

fn press(patient: u128, wanted_start_millis: Option<i64>, outcome: Outcome) -> Press {
    let patient = Uuid::from_u128(patient);
    Press { patient, wanted_start_millis, outcome, first_sent_micros: 0, ended_micros: 1, trouble: Trouble::default() }
}

fn told(id: u128, patient: u128, start_millis: i64) -> Outcome {
    let (appointment, patient) = (Uuid::from_u128(id), Uuid::from_u128(patient));
    Outcome::Won(Won { appointment, patient, start_millis, replayed: false })
}

fn refused(code: &'static str) -> Outcome {
    Outcome::Refused { status: 409, code: code.into() }
}

fn reading(slots: Vec<Slot>, appointments: Vec<Appointment>) -> Reading {
    let day = Day { state: "open".to_owned(), release_at_millis: None, server_time_millis: NOW_MILLIS, slots };
    Reading { day, appointments }
}

/// A day of two slots with two places each; five patients press, four win, one is refused. Appointment 1n belongs to
/// patient n; patients 1 and 2 sit in slot 100, 3 and 4 in slot 200.
struct Case {
    before: Reading,
    after: Reading,
    presses: Vec<Press>,
    release_awaited: bool,
    places: Option<u64>,
}

impl Case {
    fn honest() -> Self {
        let seats = [(11, 1, 100), (12, 2, 100), (13, 3, 200), (14, 4, 200)];
        let mut presses: Vec<_> =
            seats.iter().map(|(id, patient, start)| press(*patient, None, told(*id, *patient, *start))).collect();
        presses.push(press(5, None, refused("sold_out")));
        Self {
            before: reading(vec![slot(100, 2, 2), slot(200, 2, 2)], vec![]),
            after: reading(
                vec![slot(100, 2, 0), slot(200, 2, 0)],
                seats.iter().map(|(id, patient, start)| row(*id, *patient, *start)).collect(),
            ),
            presses,
            release_awaited: false,
            places: None,
        }
    }

    fn verdict(&self) -> Verdict {
        audit(&Evidence {
            before: &self.before,
            after: &self.after,
            presses: &self.presses,
            release_awaited: self.release_awaited,
            places: self.places,
        })
    }

    fn findings(&self) -> Vec<Finding> {
        self.verdict().findings
    }
}

#[test]
fn an_honest_day_is_clean() {
    let verdict = Case::honest().verdict();
    assert_eq!(verdict.findings, []);
    assert_eq!((verdict.sold, verdict.available, verdict.available_is_concluded), (4, 4, false));
}

#[test]
fn an_oversold_slot_is_found() {
    let mut case = Case::honest();
    case.after.appointments[2].start_millis = 100;
    case.presses[2].outcome = told(13, 3, 100);
    case.after.day.slots[1].remaining = 1;
    case.presses.pop();
    assert_eq!(
        case.findings(),
        [
            Finding::OversoldSlot { start_millis: 100, taken: 3, capacity: 2 },
            Finding::DayRemainingMismatch { remaining: 1, expected: 0 },
        ]
    );
}

#[test]
fn an_oversold_day_is_found_even_where_capacities_hold() {
    let mut case = Case::honest();
    case.places = Some(3);
    assert_eq!(case.findings(), [Finding::OversoldDay { sold: 4, at_most: 3 }]);
}

#[test]
fn a_lost_201_is_found() {
    let mut case = Case::honest();
    case.after.appointments.remove(0);
    let (patient, appointment) = (Uuid::from_u128(1), Uuid::from_u128(11));
    let findings = case.findings();
    assert!(findings.contains(&Finding::LostAppointment { patient, appointment }));
    assert!(findings.contains(&Finding::UnsoldPlaces { sold: 3, at_least: 4 }));
    assert!(findings.contains(&Finding::DayRemainingMismatch { remaining: 0, expected: 1 }));
}

#[test]
fn a_duplicated_patient_is_found() {
    let mut case = Case::honest();
    case.after.appointments[3].patient = Uuid::from_u128(3);
    let findings = case.findings();
    assert!(findings.contains(&Finding::DuplicatedPatient { patient: Uuid::from_u128(3), places: 2 }));
    let what = "it is not that of the patient who pressed";
    assert!(findings.contains(&Finding::ChangedAppointment { appointment: Uuid::from_u128(14), what }));
}

#[test]
fn a_phantom_appointment_is_found_and_an_unknown_outcome_is_none() {
    let mut case = Case::honest();
    case.presses[0].outcome = refused("sold_out");
    let (appointment, patient) = (Uuid::from_u128(11), Uuid::from_u128(1));
    assert_eq!(case.findings(), [Finding::PhantomAppointment { appointment, patient }]);

    for outcome in [Outcome::NoAnswer, Outcome::Uncertain { status: 503, code: "unavailable".into() }] {
        case.presses[0].outcome = outcome;
        let verdict = case.verdict();
        assert_eq!(verdict.findings, []);
        assert_eq!((verdict.unknown, verdict.unknown_with_place), (1, 1));
    }
}

#[test]
fn an_unsold_place_is_found_by_the_total_and_by_each_refusal() {
    let mut case = Case::honest();
    case.after.appointments.pop();
    case.after.day.slots[1].remaining = 1;
    case.presses[3].outcome = refused("rate_limited");
    let refusal = |patient, code: &str| Finding::RefusedThoughFree {
        patient: Uuid::from_u128(patient),
        code: code.to_owned(),
        free: 1,
    };
    assert_eq!(
        case.findings(),
        [Finding::UnsoldPlaces { sold: 3, at_least: 4 }, refusal(4, "rate_limited"), refusal(5, "sold_out")]
    );
}

#[test]
fn a_place_left_is_no_finding_where_nobody_wanted_it() {
    let mut case = Case::honest();
    case.after.appointments.pop();
    case.after.day.slots[1].remaining = 1;
    case.presses.remove(3);
    // Patient 5 named slot 100, which is full.
    case.presses[3] = press(5, Some(100), refused("slot_taken"));
    assert_eq!(case.findings(), []);
    // Had it named slot 200, it should have got it.
    case.presses[3] = press(5, Some(200), refused("slot_taken"));
    let (patient, code) = (Uuid::from_u128(5), "slot_taken".to_owned());
    assert_eq!(case.findings(), [Finding::RefusedThoughFree { patient, code, free: 1 }]);
}

#[test]
fn a_wrong_slot_is_found_against_the_answer_and_against_the_wish() {
    let mut case = Case::honest();
    case.presses[0].wanted_start_millis = Some(200);
    let appointment = Uuid::from_u128(11);
    assert_eq!(case.findings(), [Finding::WrongSlot { appointment, told_millis: 200, found_millis: 100 }]);

    let mut case = Case::honest();
    case.presses[0].outcome = told(11, 1, 200);
    assert_eq!(case.findings(), [Finding::WrongSlot { appointment, told_millis: 200, found_millis: 100 }]);
}

#[test]
fn one_appointment_told_to_two_or_listed_twice_is_found() {
    let mut case = Case::honest();
    case.presses[4].outcome = told(11, 5, 100);
    let duplicated = Finding::DuplicatedAppointment { appointment: Uuid::from_u128(11) };
    assert!(case.findings().contains(&duplicated));

    let mut case = Case::honest();
    case.after.appointments.push(row(11, 1, 100));
    assert!(case.findings().contains(&duplicated));
}

#[test]
fn remaining_must_match_slot_by_slot_and_in_sum() {
    let mut case = Case::honest();
    case.after.day.slots[0].remaining = 1;
    let findings = case.findings();
    assert!(findings.contains(&Finding::SlotRemainingMismatch { start_millis: 100, remaining: 1, at_most: 0 }));
    assert!(findings.contains(&Finding::DayRemainingMismatch { remaining: 1, expected: 0 }));
}

#[test]
fn a_cancelled_winner_and_an_unknown_slot_are_found() {
    let mut case = Case::honest();
    case.after.appointments[0].keeps_place = false;
    case.after.appointments[1].start_millis = 300;
    let findings = case.findings();
    let what = "it keeps no place any more";
    assert!(findings.contains(&Finding::ChangedAppointment { appointment: Uuid::from_u128(11), what }));
    assert!(findings.contains(&Finding::UnknownSlot { appointment: Uuid::from_u128(12), start_millis: 300 }));
}

#[test]
fn an_unreadable_answer_and_a_missed_deadline_are_found() {
    let mut case = Case::honest();
    case.presses[4].outcome = Outcome::Unreadable { status: 200 };
    case.presses.push(press(6, None, Outcome::NeverSent));
    let patient = Uuid::from_u128(5);
    assert_eq!(
        case.findings(),
        [Finding::NeverSent { patients: 1 }, Finding::UnreadableAnswer { patient, status: 200 }]
    );
}

#[test]
fn at_the_last_release_every_place_not_taken_before_is_for_sale() {
    let mut case = Case::honest();
    case.release_awaited = true;
    // Patient 4 was there before; the day said nothing was free, as it was not released.
    case.before = reading(vec![slot(100, 2, 0), slot(200, 2, 0)], vec![row(14, 4, 200)]);
    case.presses.remove(3);
    let verdict = case.verdict();
    assert_eq!((verdict.findings, verdict.sold, verdict.available), (vec![], 3, 3));
    // A slot that has begun is not.
    case.after.day.server_time_millis = 100;
    assert_eq!(case.verdict().available, 1);
}

#[test]
fn before_a_further_release_the_number_is_concluded_or_given() {
    let mut case = Case::honest();
    case.release_awaited = true;
    case.after.day.release_at_millis = Some(50);
    let verdict = case.verdict();
    assert_eq!((verdict.findings, verdict.available, verdict.available_is_concluded), (vec![], 4, true));
    case.places = Some(5);
    let verdict = case.verdict();
    assert!(verdict.findings.contains(&Finding::DayRemainingMismatch { remaining: 0, expected: 1 }));
    assert!(!verdict.available_is_concluded);
}
