//! Does the audit find every planted fault, and nothing in what is merely unknown?
//! Must not know: a server.

use jiff::civil::date;

use super::*;
use crate::model::{DayId, Slot};

const EXPIRY: i64 = 10_000;

fn day_id(day: i8) -> DayId {
    DayId { doctor: Uuid::nil(), date: date(2030, 1, day) }
}

fn row(id: u128, patient: u128, day: i8, status: Status) -> Appointment {
    Appointment {
        id: Uuid::from_u128(id),
        patient: Uuid::from_u128(patient),
        day: day_id(day),
        start_millis: 8,
        status,
        expires_at_millis: (status == Status::Held).then_some(EXPIRY),
    }
}

/// A day of one slot with two places, read before `EXPIRY` and again so much after it (or before, if negative).
fn after(day: i8, rows: &[Appointment], around: i64) -> DayAfter {
    let taken = rows.iter().filter(|row| row.status.keeps_place()).count() as u64;
    let slot = Slot {
        start: "eight".to_owned(),
        end: "nine".to_owned(),
        start_millis: 8,
        capacity: 2,
        remaining: 2_u64.saturating_sub(taken),
    };
    let day = Day {
        id: day_id(day),
        state: "open".to_owned(),
        release_at: None,
        server_time_millis: EXPIRY + around,
        slots: vec![slot],
    };
    DayAfter { before_millis: EXPIRY - 10, day, rows: rows.to_vec() }
}

/// A patient who was told `told`, and whose own list says `rows`.
fn patient(told: &[Appointment], doubt: Option<Doubt>, rows: &[Appointment]) -> PatientAfter {
    let mut evidence = Evidence::default();
    for told in told {
        evidence.told(*told, None);
        if let Some(doubt) = doubt {
            evidence.doubt(told.id, doubt);
        }
    }
    PatientAfter { id: Uuid::from_u128(7), evidence, rows: rows.to_vec() }
}

#[track_caller]
fn assert_kinds(days: &[DayAfter], patients: &[PatientAfter], kinds: &[&str]) {
    let verdict = audit(days, patients);
    let found: Vec<_> = verdict.findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(found, kinds, "{verdict:#?}");
}

#[test]
fn what_is_there_as_told_is_clean() {
    let rows = [row(1, 7, 2, Status::Booked), row(2, 7, 2, Status::Cancelled), row(3, 7, 3, Status::Held)];
    let days = [after(2, &rows[..2], -5), after(3, &rows[2..], -5)];
    let patients = [patient(&rows, None, &rows)];
    assert_kinds(&days, &patients, &[]);
    let verdict = audit(&days, &patients);
    assert_eq!((verdict.acknowledged, verdict.keeping_place, verdict.in_doubt), (3, 2, 0));
}

#[test]
fn an_appointment_lost_doubled_or_elsewhere_is_found() {
    let told = [row(1, 7, 2, Status::Booked)];
    assert_kinds(&[after(2, &[], 5)], &[patient(&told, None, &[])], &["lost_appointment", "own_list"]);
    let twice = [after(2, &told, 5), after(3, &[row(1, 7, 3, Status::Booked)], 5)];
    assert_kinds(&twice, &[patient(&told, None, &told)], &["duplicated_appointment"]);
    let moved = [row(1, 7, 3, Status::Booked)];
    assert_kinds(&[after(3, &moved, 5)], &[patient(&told, None, &moved)], &["other_than_told"]);
    let cancelled = [row(1, 7, 2, Status::Cancelled)];
    assert_kinds(&[after(2, &cancelled, 5)], &[patient(&told, None, &cancelled)], &["other_than_told"]);
}

#[test]
fn what_is_in_doubt_may_be_either_and_nothing_else() {
    let told = [row(1, 7, 2, Status::Booked)];
    for (doubt, now, clean) in [
        (Doubt::Cancel, row(1, 7, 2, Status::Cancelled), true),
        (Doubt::Cancel, row(1, 7, 2, Status::Booked), true),
        (Doubt::Cancel, row(1, 7, 3, Status::Booked), false),
        (Doubt::Move, row(1, 7, 3, Status::Booked), true),
        (Doubt::Move, row(1, 7, 3, Status::Cancelled), false),
        (Doubt::Confirm, row(1, 7, 2, Status::Cancelled), false),
    ] {
        let verdict = audit(&[after(now.day.date.day(), &[now], 5)], &[patient(&told, Some(doubt), &[now])]);
        assert_eq!(verdict.findings.is_empty(), clean, "{doubt:?} {now:?}: {verdict:#?}");
        assert_eq!(verdict.in_doubt, 1);
    }
    let held = [row(1, 7, 2, Status::Held)];
    let booked = [Appointment { status: Status::Booked, ..held[0] }];
    assert_kinds(&[after(2, &booked, 5)], &[patient(&held, Some(Doubt::Confirm), &booked)], &[]);
}

#[test]
fn a_hold_lapses_at_its_time_and_not_before() {
    let held = [row(1, 7, 2, Status::Held)];
    let expired = [Appointment { status: Status::Expired, ..held[0] }];
    assert_kinds(&[after(2, &expired, 5)], &[patient(&held, None, &expired)], &[]);
    assert_kinds(&[after(2, &expired, -5)], &[patient(&held, None, &expired)], &["other_than_told"]);
    // Read before and after its time: held and expired are both right.
    assert_kinds(&[after(2, &held, 5)], &[patient(&held, None, &expired)], &[]);
    let mut late = after(2, &held, 5);
    late.before_millis = EXPIRY;
    assert_kinds(&[late], &[patient(&held, None, &held)], &["other_than_told"]);
}

#[test]
fn too_many_in_a_slot_and_a_wrong_remainder_are_found() {
    let rows = [1_u128, 2, 3].map(|id| row(id, 7 + id, 2, Status::Booked));
    let others: Vec<_> =
        rows.iter().map(|row| PatientAfter { id: row.patient, ..patient(&[*row], None, &[*row]) }).collect();
    assert_kinds(&[after(2, &rows, 5)], &others, &["oversold", "wrong_remaining"]);
    let mut wrong = after(2, &rows[..1], 5);
    wrong.day.slots[0].remaining = 0;
    assert_kinds(&[wrong], &others[..1], &["wrong_remaining"]);
    let same = [row(1, 7, 2, Status::Booked), row(2, 7, 2, Status::Booked)];
    assert_kinds(&[after(2, &same, 5)], &[patient(&same, None, &same)], &["two_places_on_a_day"]);
    let outside = [Appointment { start_millis: 99, ..row(1, 7, 2, Status::Booked) }];
    let mut day = after(2, &outside, 5);
    day.day.slots[0].remaining = 2;
    assert_kinds(&[day], &[patient(&outside, None, &outside)], &["outside_every_slot"]);
}

#[test]
fn an_appointment_that_nobody_was_told_of_needs_a_request_without_an_answer() {
    let rows = [row(1, 7, 2, Status::Booked)];
    assert_kinds(&[after(2, &rows, 5)], &[patient(&[], None, &rows)], &["untold_appointment"]);
    let mut asked = patient(&[], None, &rows);
    asked.evidence.doubtful_takings = 1;
    assert_kinds(&[after(2, &rows, 5)], &[asked.clone()], &[]);
    let more = [rows[0], row(2, 7, 3, Status::Booked)];
    asked.rows = more.to_vec();
    assert_kinds(&[after(2, &more[..1], 5), after(3, &more[1..], 5)], &[asked], &["untold_appointment"]);
}

#[test]
fn a_patients_list_must_say_what_the_days_say() {
    let rows = [row(1, 7, 2, Status::Booked)];
    let stale = [Appointment { start_millis: 1, ..rows[0] }];
    assert_kinds(&[after(2, &rows, 5)], &[patient(&rows, None, &stale)], &["own_list"]);
    assert_kinds(&[after(2, &rows, 5)], &[patient(&rows, None, &[])], &["own_list"]);
    assert_kinds(&[after(2, &rows, 5)], &[patient(&rows, None, &[rows[0], rows[0]])], &["own_list"]);
}
