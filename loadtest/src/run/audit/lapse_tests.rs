//! Whether holds that lapse by themselves are judged by their end: a place is free after it and taken before it, and
//! confirmations that race with it accuse nobody.
//! Must not know: HTTP.

use super::tests::{about, day, done, place, refused, row};
use super::*;
use crate::run::operation::Class;

/// The run is minutes long: the margin is a tenth of a second and more.
const SECOND: u64 = 1_000_000;
/// The hold of every case ends a hundred seconds after the start.
const END_MILLIS: i64 = 100_000;

fn hold(id: u128) -> Place {
    Place { held_until_millis: Some(END_MILLIS), ..place(id, id, 0, 100, Status::Held) }
}

fn booked(id: u128) -> Place {
    place(id, id, 0, 100, Status::Booked)
}

fn confirm(id: u128, at: u64, answer: Answer) -> Done {
    about(hold(id), done(Operation::Confirm, id, 0, at, answer))
}

/// Patient 1 holds the first slot from the start; the second is sold already.
fn judged(with: Vec<Done>, rows: Vec<Appointment>, steady: bool) -> Vec<&'static str> {
    let sold = place(9, 9, 0, 200, Status::Booked);
    let mut all = vec![done(Operation::Hold, 1, 0, 0, Answer::Served(Some(hold(1))))];
    all.extend(with);
    let mut rows = rows;
    rows.push(row(9, 9, 200, true));
    let mut after = day(rows);
    after.read_from_millis = 200_000;
    after.day.server_time_millis = 200_000;
    let evidence =
        Evidence { days: &[after], presold: &[sold], done: &all, server_micros_at_start: steady.then_some(0) };
    let kinds: Vec<_> = audit(&evidence).findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(all[0].answer.class(), Class::Served);
    kinds
}

fn sold_out(patient: u128, at_seconds: u64) -> Done {
    done(Operation::Book, patient, 0, at_seconds * SECOND, refused("sold_out"))
}

#[test]
fn after_a_hold_has_lapsed_its_place_is_surely_free() {
    let lapsed = || vec![row(1, 1, 100, false)];
    assert_eq!(judged(vec![sold_out(2, 50)], lapsed(), true), [""; 0]);
    assert_eq!(judged(vec![sold_out(2, 102)], lapsed(), true), ["refused_though_free"]);
    // Near its end nobody can say, and without a steady clock never.
    assert_eq!(judged(vec![sold_out(2, 100)], lapsed(), true), [""; 0]);
    assert_eq!(judged(vec![sold_out(2, 102)], lapsed(), false), [""; 0]);
}

#[test]
fn a_place_that_is_held_is_surely_taken_until_a_margin_before_its_end() {
    let rows = || vec![row(1, 1, 100, false), row(2, 2, 100, true)];
    let book = |at: u64| done(Operation::Book, 2, 0, at * SECOND, Answer::Served(Some(booked(2))));
    assert_eq!(judged(vec![book(50)], rows(), true), ["oversold_moment", "oversold_moment"]);
    assert_eq!(judged(vec![book(100)], rows(), true), [""; 0]);
    assert_eq!(judged(vec![book(102)], rows(), true), [""; 0]);
}

#[test]
fn a_confirmed_hold_does_not_lapse_and_one_in_doubt_may() {
    let kept = || vec![row(1, 1, 100, true)];
    let confirmed = confirm(1, 60 * SECOND, Answer::Served(Some(booked(1))));
    assert_eq!(judged(vec![confirmed, sold_out(2, 102)], kept(), true), [""; 0]);
    for rows in [kept(), vec![row(1, 1, 100, false)]] {
        let in_doubt = confirm(1, 60 * SECOND, Answer::Unanswered);
        assert_eq!(judged(vec![in_doubt, sold_out(2, 102)], rows, true), [""; 0]);
    }
}

#[test]
fn confirmations_are_judged_by_the_end_of_their_hold() {
    let told = |at: u64, answer| judged(vec![confirm(1, at * SECOND, answer)], vec![row(1, 1, 100, false)], true);
    let expired = || Answer::Refused { status: 410, code: "hold_expired".into() };
    assert_eq!(told(60, expired()), ["expired_too_early"]);
    // A race with the end: either answer is right.
    assert_eq!(told(100, expired()), [""; 0]);
    assert_eq!(told(102, expired()), [""; 0]);
    let granted = |at: u64| {
        let confirmed = confirm(1, at * SECOND, Answer::Served(Some(booked(1))));
        judged(vec![confirmed], vec![row(1, 1, 100, true)], true)
    };
    assert_eq!(granted(100), [""; 0]);
    assert_eq!(granted(102), ["confirmed_though_expired"]);
}

#[test]
fn a_hold_is_in_the_list_until_its_end_and_not_after_it() {
    let listed = |keeps, from_millis, to_millis| {
        let mut row = row(1, 1, 100, keeps);
        row.held_until_millis = keeps.then_some(END_MILLIS);
        let mut after = day(vec![row]);
        (after.read_from_millis, after.day.server_time_millis) = (from_millis, to_millis);
        let done = [done(Operation::Hold, 1, 0, 0, Answer::Served(Some(hold(1))))];
        let evidence = Evidence { days: &[after], presold: &[], done: &done, server_micros_at_start: Some(0) };
        let verdict = audit(&evidence);
        assert_eq!((verdict.acknowledged, verdict.keeping_place), (1, u64::from(keeps)));
        verdict.findings.len()
    };
    assert_eq!((listed(true, 10_000, 10_000), listed(false, 10_000, 10_000)), (0, 1));
    assert_eq!((listed(true, 200_000, 200_000), listed(false, 200_000, 200_000)), (1, 0));
    // It ended while the day was read.
    assert_eq!((listed(true, 99_000, 101_000), listed(false, 99_000, 101_000)), (0, 0));
}

#[test]
fn a_place_that_ended_while_the_day_was_read_may_be_counted_or_not() {
    for (remaining, findings) in [(0, 0), (1, 0), (2, 1)] {
        let mut row = row(1, 1, 100, true);
        row.held_until_millis = Some(END_MILLIS);
        let mut after = day(vec![row]);
        (after.read_from_millis, after.day.server_time_millis) = (99_000, 101_000);
        after.day.slots[0].remaining = remaining;
        let done = [done(Operation::Hold, 1, 0, 0, Answer::Served(Some(hold(1))))];
        let evidence = Evidence { days: &[after], presold: &[], done: &done, server_micros_at_start: None };
        assert_eq!(audit(&evidence).findings.len(), findings, "{remaining}");
    }
}
