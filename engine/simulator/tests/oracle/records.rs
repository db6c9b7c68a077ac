//! One failing example for each thing that can be wrong with a record.
//! Must not know: replies.

use std::sync::Arc;

use booking_core::{Answer, Appointment, Event, Fact, Seat, Status};
use simulator::oracle::{Kind, Violation};

use crate::hand::{Hand, attempt, booked, change, day, definition, held, home, key, later, plain, second};

/// What an example is of, and the violation that it ends in (none, if the oracle lets it pass).
pub(crate) type Example = (Kind, fn() -> Option<Violation>);

pub(crate) const EXAMPLES: &[Example] = &[
    (Kind::PositionGap, || {
        let mut hand = Hand::published();
        let mut record = hand.record(0, &taken(&hand, &booked(1, 1, 100, 0, 1)));
        record.position += 1;
        hand.oracle.recorded(&record, 0, second(1)).err()
    }),
    (Kind::SequenceGap, || {
        let mut hand = Hand::published();
        let mut record = hand.record(0, &taken(&hand, &booked(1, 1, 100, 0, 1)));
        record.version.sequence += 1;
        hand.oracle.recorded(&record, 0, second(1)).err()
    }),
    (Kind::EpochFell, || {
        let mut hand = Hand::published();
        let mut record = hand.record(0, &taken(&hand, &booked(1, 1, 100, 0, 1)));
        record.version.epoch = 0;
        hand.oracle.recorded(&record, 0, second(1)).err()
    }),
    (Kind::Undecodable, || {
        let mut hand = Hand::published();
        let mut record = hand.record(0, &taken(&hand, &booked(1, 1, 100, 0, 1)));
        record.body = Arc::from(&record.body[..record.body.len() - 1]);
        hand.oracle.recorded(&record, 0, second(1)).err()
    }),
    (Kind::FromTheFuture, || {
        let mut hand = Hand::published();
        let record = hand.record(0, &taken(&hand, &booked(1, 1, 100, 0, 9)));
        hand.oracle.recorded(&record, 0, second(1)).err()
    }),
    (Kind::TimeWentBack, || {
        let mut hand = Hand::published();
        hand.take(0, &booked(1, 1, 100, 0, 5)).expect("legal");
        hand.take(0, &booked(2, 2, 100, 1, 4)).err()
    }),
    (Kind::IllegalStep, || {
        let mut hand = Hand::published();
        let row = booked(1, 1, 100, 0, 1);
        hand.take(0, &row).expect("legal");
        let cancelled = later(&row, Status::Cancelled, 2);
        hand.step(0, 2, Fact::Cancelled, vec![change(Some(Status::Booked), &cancelled)]).expect("legal");
        let back = later(&cancelled, Status::Booked, 3);
        hand.step(0, 3, Fact::Confirmed, vec![change(Some(Status::Cancelled), &back)]).err()
    }),
    (Kind::VersionGap, || {
        let mut hand = Hand::published();
        let row = booked(1, 1, 100, 0, 1);
        hand.take(0, &row).expect("legal");
        let cancelled = Appointment { version: 3, ..later(&row, Status::Cancelled, 2) };
        hand.step(0, 2, Fact::Cancelled, vec![change(Some(Status::Booked), &cancelled)]).err()
    }),
    (Kind::IllegalExpiry, || {
        let mut hand = Hand::published();
        let row = held(1, 1, 100, 0, 1, 30);
        hand.take(0, &row).expect("legal");
        hand.step(0, 29, Fact::Expired, vec![change(Some(Status::Held), &later(&row, Status::Expired, 29))]).err()
    }),
    (Kind::LateChange, || {
        let mut hand = Hand::published();
        let row = held(1, 1, 100, 0, 1, 30);
        hand.take(0, &row).expect("legal");
        hand.step(0, 30, Fact::Confirmed, vec![change(Some(Status::Held), &later(&row, Status::Booked, 30))]).err()
    }),
    (Kind::Oversold, || {
        let mut hand = Hand::published();
        hand.take(0, &booked(1, 1, 100, 0, 1)).expect("legal");
        hand.take(0, &booked(2, 2, 100, 1, 1)).expect("legal");
        hand.take(0, &booked(3, 3, 100, 2, 1)).err()
    }),
    (Kind::PlaceTwice, || {
        let mut hand = Hand::published();
        hand.take(0, &booked(1, 1, 100, 1, 1)).expect("legal");
        hand.take(0, &booked(2, 2, 100, 1, 1)).err()
    }),
    (Kind::NoSuchPlace, || Hand::published().take(0, &booked(1, 1, 300, 0, 1)).err()),
    (Kind::WithheldPlace, || {
        let mut hand = Hand::default();
        let late = definition(&[(100, 150, 2)], &[(10, Some(1), Some("gold"))]).expect("valid");
        hand.step(0, 0, Fact::Published(late), vec![]).expect("legal");
        hand.take(0, &booked(1, 1, 100, 0, 9)).err()
    }),
    (Kind::AfterStart, || Hand::published().take(0, &booked(1, 1, 100, 0, 100)).err()),
    (Kind::ClosedDay, || {
        let mut hand = Hand::published();
        hand.step(0, 1, Fact::Closed { reason: None }, vec![]).expect("legal");
        hand.take(0, &booked(1, 1, 100, 0, 2)).err()
    }),
    (Kind::TwoLiveOnADay, || {
        let mut hand = Hand::published();
        hand.take(0, &booked(1, 1, 100, 0, 1)).expect("legal");
        hand.take(0, &booked(2, 1, 200, 0, 1)).err()
    }),
    (Kind::OverlappingVisits, || {
        let mut hand = three_days();
        hand.take(0, &booked(1, 1, 200, 0, 1)).expect("legal");
        hand.take(10, &booked(2, 1, 240, 0, 1)).err()
    }),
    (Kind::KeyTwice, || {
        let mut hand = three_days();
        hand.take_with(0, &booked(1, 1, 100, 0, 1), key("k", 1)).expect("legal");
        hand.take_with(1, &booked(2, 2, 300, 0, 1), key("k", 1)).err()
    }),
    (Kind::AnswerDiffers, || {
        let mut hand = Hand::published();
        let row = booked(1, 1, 100, 0, 1);
        let mut event = taken(&hand, &row);
        event.remembered = Some((key("k", 1), Answer::Appointment(Appointment { place: 1, ..row })));
        hand.feed(0, &event).err()
    }),
    (Kind::MoveBroken, || {
        let (mut hand, here, _) = on_its_way();
        let elsewhere = Appointment { place: 1, ..here };
        leave(&mut hand, &elsewhere).err()
    }),
    (Kind::AmendedUnderBookings, || {
        let mut hand = Hand::published();
        hand.take(0, &booked(1, 1, 100, 0, 1)).expect("legal");
        let shorter = definition(&[(100, 140, 2)], &[(0, None, None)]).expect("valid");
        hand.step(0, 2, Fact::Published(shorter), vec![]).err()
    }),
    (Kind::DaysOverlap, || Hand::published().step(1, 1, Fact::Published(plain()), vec![]).err()),
];

fn taken(hand: &Hand, row: &Appointment) -> Event {
    hand.event(row.created_at.0 / 1000, Fact::Taken, vec![change(None, row)])
}

/// Day 0, day 1 of the same doctor from second 300 on, and one of another doctor that overlaps day 0.
pub(crate) fn three_days() -> Hand {
    let mut hand = Hand::published();
    for (number, start) in [(1, 300), (10, 240)] {
        let next = definition(&[(start, start + 50, 2)], &[(0, None, None)]).expect("valid");
        hand.step(number, 0, Fact::Published(next), vec![]).expect("legal");
    }
    hand
}

/// Appointment 1 stands on day 0 and has a place kept on day 1: the row there, and the row here.
pub(crate) fn on_its_way() -> (Hand, Appointment, Appointment) {
    let mut hand = Hand::published();
    let next = definition(&[(300, 350, 2)], &[(0, None, None)]).expect("valid");
    hand.step(1, 0, Fact::Published(next), vec![]).expect("legal");
    let row = booked(1, 1, 100, 0, 1);
    hand.take(0, &row).expect("legal");
    let here = Appointment { start: second(300), end: second(350), ..later(&row, Status::Booked, 2) };
    let fact = Fact::MoveHeld { move_id: attempt(1), from: day(0), row: Box::new(here.clone()) };
    hand.step(1, 2, fact, vec![]).expect("legal");
    (hand, here, row)
}

/// Day 0 lets appointment 1 go to `here`.
pub(crate) fn leave(hand: &mut Hand, here: &Appointment) -> Result<(), Violation> {
    let from = Seat { start: second(100), place: 0 };
    let fact = Fact::MovedOut { move_id: attempt(1), to: home(1), from };
    hand.step(0, 2, fact, vec![change(Some(Status::Booked), here)])
}

#[test]
fn a_move_in_its_order_is_legal_and_ends() {
    let (mut hand, here, _) = on_its_way();
    assert_eq!(hand.oracle.rest_check(second(3)).map_err(|violation| violation.kind), Err(Kind::MoveWithoutEnd));
    leave(&mut hand, &here).expect("legal");
    let drop = Fact::MoveDropped { move_id: attempt(1), row: Box::new(here.clone()) };
    assert_eq!(hand.step(1, 3, drop, vec![]).map_err(|violation| violation.kind), Err(Kind::MoveBroken));
    hand.step(1, 3, Fact::MovedIn { move_id: attempt(1), row: Box::new(here.clone()) }, vec![]).expect("legal");
    hand.oracle.rest_check(second(3)).expect("nothing is left");
    let again = Fact::MovedIn { move_id: attempt(1), row: Box::new(here) };
    assert_eq!(hand.step(1, 4, again, vec![]).map_err(|violation| violation.kind), Err(Kind::MoveBroken));
}

#[test]
fn a_dropped_move_can_not_commit() {
    let (mut hand, here, _) = on_its_way();
    hand.step(1, 3, Fact::MoveDropped { move_id: attempt(1), row: Box::new(here.clone()) }, vec![]).expect("legal");
    assert_eq!(leave(&mut hand, &here).map_err(|violation| violation.kind), Err(Kind::MoveBroken));
}

#[test]
fn a_place_that_is_kept_for_a_move_is_taken() {
    let (mut hand, ..) = on_its_way();
    let taken = hand.take(1, &booked(2, 2, 300, 0, 3));
    assert_eq!(taken.map_err(|violation| violation.kind), Err(Kind::PlaceTwice));
}
