//! Whether each thing that must not be is found, and an honest run is not accused.
//! Must not know: HTTP.

use super::fairness::{Fairness, judge};
use super::*;
use crate::api::Slot;

const SLOTS: [i64; 2] = [100, 200];

pub(super) fn place(id: u128, patient: u128, day: u32, start_millis: i64, status: Status) -> Place {
    Place {
        appointment: Uuid::from_u128(id),
        patient: Uuid::from_u128(patient),
        day,
        start_millis,
        status,
        held_until_millis: None,
    }
}

pub(super) fn done(operation: Operation, patient: u128, day: u32, at: u64, answer: Answer) -> Done {
    Done {
        load: 0,
        operation,
        patient: Uuid::from_u128(patient),
        subject: None,
        day,
        wanted_start_millis: None,
        intended_micros: at,
        dispatched_micros: at,
        found_connection: true,
        sent_micros: Some(at),
        ended_micros: at + 10,
        answer,
        repeats: 0,
        early: 0,
    }
}

pub(super) fn about(subject: Place, done: Done) -> Done {
    Done { subject: Some(subject), ..done }
}

pub(super) fn refused(code: &'static str) -> Answer {
    Answer::Refused { status: 409, code: code.into() }
}

pub(super) fn row(id: u128, patient: u128, start_millis: i64, keeps_place: bool) -> Appointment {
    Appointment {
        id: Uuid::from_u128(id),
        patient: Uuid::from_u128(patient),
        start_millis,
        created_millis: None,
        keeps_place,
        held_until_millis: None,
    }
}

/// A day of two slots of one place each.
pub(super) fn day(rows: Vec<Appointment>) -> DayAfter {
    let slot = |start_millis: i64| {
        let taken = rows.iter().filter(|row| row.keeps_place && row.start_millis == start_millis).count() as u64;
        Slot { start: start_millis.to_string(), start_millis, capacity: 1, remaining: 1_u64.saturating_sub(taken) }
    };
    let slots = SLOTS.map(slot).to_vec();
    let day = Day { state: "open".to_owned(), release_at_millis: None, server_time_millis: 0, slots };
    DayAfter { day, rows, read_from_millis: 0, released: None }
}

struct Case {
    days: Vec<DayAfter>,
    presold: Vec<Place>,
    done: Vec<Done>,
}

impl Case {
    /// Patient 1 books day 0 and moves to day 1; 2 books day 0 and cancels; 3 is refused while both places of day 0
    /// are taken; 4 books what 2 gave back; 5 holds the other place and 6 had bought one of day 1 beforehand.
    fn honest() -> Self {
        let (one, two) = (place(1, 1, 0, 100, Status::Booked), place(2, 2, 0, 200, Status::Booked));
        let moved = place(1, 1, 1, 100, Status::Booked);
        let cancelled = Place { status: Status::Cancelled, ..two };
        Self {
            presold: vec![place(6, 6, 1, 200, Status::Booked)],
            done: vec![
                done(Operation::Book, 1, 0, 0, Answer::Served(Some(one))),
                done(Operation::Book, 2, 0, 1, Answer::Served(Some(two))),
                done(Operation::Book, 3, 0, 20, refused("sold_out")),
                about(two, done(Operation::Cancel, 2, 0, 40, Answer::Served(Some(cancelled)))),
                done(Operation::Book, 4, 0, 60, Answer::Served(Some(place(4, 4, 0, 200, Status::Booked)))),
                about(one, done(Operation::Move, 1, 1, 80, Answer::Served(Some(moved)))),
                done(Operation::Hold, 5, 0, 100, Answer::Served(Some(place(5, 5, 0, 100, Status::Held)))),
            ],
            days: vec![
                day(vec![row(2, 2, 200, false), row(4, 4, 200, true), row(5, 5, 100, true)]),
                day(vec![row(1, 1, 100, true), row(6, 6, 200, true)]),
            ],
        }
    }

    fn verdict(&self) -> Verdict {
        audit(&Evidence { days: &self.days, presold: &self.presold, done: &self.done, server_micros_at_start: Some(0) })
    }

    #[track_caller]
    fn assert_found(&self, kind: &str) {
        let findings = self.verdict().findings;
        assert!(findings.iter().any(|finding| finding.kind == kind), "{kind}: {findings:?}");
    }
}

#[test]
fn an_honest_run_is_clean() {
    let verdict = Case::honest().verdict();
    assert_eq!(verdict.findings, []);
    assert_eq!((verdict.acknowledged, verdict.keeping_place, verdict.refusals_checked), (5, 4, 1));
}

#[test]
fn what_was_acknowledged_and_is_not_there_is_found() {
    let mut case = Case::honest();
    case.days[0].rows.retain(|row| row.id != Uuid::from_u128(4));
    case.assert_found("lost_appointment");
    let mut case = Case::honest();
    case.days[0].rows[1].keeps_place = false;
    case.assert_found("changed_appointment");
    let mut case = Case::honest();
    case.days[0].rows[0].keeps_place = true;
    case.assert_found("oversold_slot");
    case.assert_found("changed_appointment");
}

#[test]
fn a_move_that_left_its_appointment_behind_is_found() {
    let mut case = Case::honest();
    case.days[0].rows.push(row(1, 1, 100, true));
    case.assert_found("duplicated_appointment");
    case.assert_found("oversold_slot");
    let mut case = Case::honest();
    let left = case.days[1].rows.remove(0);
    case.days[0].rows.push(left);
    case.assert_found("changed_appointment");
}

#[test]
fn what_nobody_was_told_of_is_found_unless_somebody_wonders() {
    let mut case = Case::honest();
    case.days[0] = day(vec![row(2, 2, 200, false), row(4, 4, 200, true), row(9, 9, 100, true)]);
    case.done.pop();
    case.assert_found("phantom_appointment");
    case.done.push(done(Operation::Book, 9, 0, 100, Answer::Unanswered));
    assert_eq!(case.verdict().findings, []);
}

#[test]
fn who_was_refused_while_something_was_surely_free_is_found() {
    let mut case = Case::honest();
    // After the cancel was answered (50) and before the next booking was sent (60) one place was free.
    case.done[2] = done(Operation::Book, 3, 0, 51, refused("sold_out"));
    case.done[2].ended_micros = 59;
    case.assert_found("refused_though_free");
    // While the cancel was under way nobody can say.
    case.done[2] = done(Operation::Book, 3, 0, 45, refused("sold_out"));
    case.done[2].ended_micros = 59;
    assert_eq!(case.verdict().findings, []);
    // One slot is judged by itself.
    case.done[2] = done(Operation::Book, 3, 0, 51, refused("slot_taken"));
    case.done[2].ended_micros = 59;
    case.done[2].wanted_start_millis = Some(100);
    assert_eq!(case.verdict().findings, []);
    case.done[2].wanted_start_millis = Some(200);
    case.assert_found("refused_though_free");
}

#[test]
fn a_place_sold_twice_on_the_way_is_found_though_it_is_right_in_the_end() {
    let mut case = Case::honest();
    // Patient 4 has the place before patient 2 asks for its cancellation.
    case.done[4] = done(Operation::Book, 4, 0, 20, Answer::Served(Some(place(4, 4, 0, 200, Status::Booked))));
    case.assert_found("oversold_moment");
}

#[test]
fn answers_about_something_else_are_found() {
    let mut case = Case::honest();
    case.done[0].wanted_start_millis = Some(200);
    case.assert_found("wrong_answer");
    let mut case = Case::honest();
    case.done[3].answer = refused("not_changeable");
    case.assert_found("own_appointment_refused");
    let mut case = Case::honest();
    case.done[6].answer = Answer::Unreadable { status: 200 };
    case.assert_found("unreadable_answer");
    let mut case = Case::honest();
    case.done[2].answer = refused("not_released");
    case.assert_found("refused_though_released");
}

#[test]
fn a_count_of_what_remains_that_is_wrong_is_found() {
    let mut case = Case::honest();
    case.days[0].day.slots[0].remaining = 1;
    case.assert_found("remaining_mismatch");
    let mut case = Case::honest();
    case.days[1].rows[0].start_millis = 300;
    case.assert_found("unknown_slot");
}

#[test]
fn places_that_are_not_released_are_withheld_and_not_to_be_sold() {
    // One of the two places of the second day is released, and was sold beforehand.
    let mut case = Case::honest();
    case.done.remove(5);
    case.days[0] = day(vec![row(1, 1, 100, true), row(2, 2, 200, false), row(4, 4, 200, true)]);
    case.done.pop();
    case.days[1] = day(vec![row(6, 6, 200, true)]);
    case.days[1].day.slots[0].remaining = 0;
    case.assert_found("remaining_mismatch");
    case.days[1].released = Some(1);
    assert_eq!(case.verdict().findings, []);
    // Who is told that it is sold out is told the truth.
    case.done.push(done(Operation::Book, 7, 1, 200, refused("sold_out")));
    assert_eq!(case.verdict().findings, []);
    case.days[1].released = Some(2);
    case.assert_found("refused_though_free");
    case.days[1].released = Some(0);
    case.assert_found("oversold_release");
}

#[test]
fn after_an_unknown_outcome_either_end_is_accepted() {
    for cancelled in [false, true] {
        let mut case = Case::honest();
        case.done.truncate(4);
        case.done[3].answer = Answer::Unanswered;
        case.days = vec![day(vec![row(1, 1, 100, true), row(2, 2, 200, !cancelled)]), day(vec![row(6, 6, 200, true)])];
        let verdict = case.verdict();
        assert_eq!((verdict.findings.as_slice(), verdict.unknown), (&[][..], 1), "{cancelled}");
    }
}

#[test]
fn fairness_counts_pairs_against_the_order_of_arrival() {
    let won = |patient| Answer::Served(Some(place(patient, patient, 0, 100, Status::Booked)));
    let all = [
        done(Operation::Book, 1, 0, 1, won(1)),
        done(Operation::Book, 2, 0, 2, refused("sold_out")),
        done(Operation::Book, 3, 0, 3, refused("sold_out")),
        done(Operation::Book, 4, 0, 4, won(4)),
        done(Operation::Book, 5, 0, 5, refused("sold_out")),
        // Another day is another queue; the same instant is no order.
        done(Operation::Book, 6, 1, 6, refused("sold_out")),
        done(Operation::Book, 7, 1, 6, won(7)),
    ];
    let expected = Fairness { winners: 3, losers: 4, inversions: 2, winners_out_of_order: 1, last_winning_rank: 4 };
    assert_eq!(judge(&all), expected);
}
