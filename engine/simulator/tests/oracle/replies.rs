//! One failing example for each thing that can be wrong with a reply, a ledger, or a house at rest; and that no kind is without one.
//! Must not know: records.

use std::collections::BTreeMap;

use booking_core::{Appointment, AppointmentId, Fact, Rejection, Status};
use engine::EngineError;
use engine::view::{AppointmentAction, AppointmentQuery, AppointmentScope, HistoryItem};
use simulator::oracle::{Asked, Kind, LedgerRows, Reply, Told, Verdict};

use crate::hand::{
    Hand, ZONE, appointment, booked, change, changing, day, held, key, later, moving, patient, placed, second, told,
    view, wish,
};
use crate::records::{self, Example, on_its_way};

fn refused(rejection: Rejection) -> Reply {
    Err(EngineError::Rejected(rejection))
}

/// Day 0 with appointment 1 of patient 1 in the first place of its first slot, under key "k".
fn with_one() -> (Hand, Appointment) {
    let mut hand = Hand::published();
    let row = booked(1, 1, 100, 0, 1);
    hand.take_with(0, &row, key("k", 1)).expect("legal");
    (hand, row)
}

const EXAMPLES: &[Example] = &[
    (Kind::ReplyBeforeDurable, || {
        let mut hand = Hand::published();
        hand.judge(&wish(2, 1, None, None), &told(0, &booked(1, 1, 100, 0, 1), false), (1, 1), (1, 1)).err()
    }),
    (Kind::ReplyDiffers, || {
        let (mut hand, row) = with_one();
        let other = Appointment { place: 1, ..row };
        let asked = Asked::ReadAppointment(appointment(1));
        hand.judge(&asked, &Ok(Told::Placed(placed(0, &other))), (2, 2), (1, 1)).err()
    }),
    (Kind::AcknowledgedTwice, || {
        let mut hand = Hand::published();
        let row = booked(1, 1, 100, 0, 1);
        hand.take(0, &row).expect("legal");
        let asked = wish(2, 1, None, None);
        hand.judge(&asked, &told(0, &row, false), (1, 2), (1, 1)).expect("right the first time");
        hand.judge(&asked, &told(0, &row, false), (1, 2), (1, 1)).err()
    }),
    (Kind::LostAcknowledgement, || {
        let mut hand = Hand::published();
        let row = booked(1, 1, 100, 0, 1);
        hand.take(0, &row).expect("legal");
        hand.judge(&wish(2, 1, None, Some(key("k", 1))), &told(0, &row, false), (1, 2), (1, 1)).err()
    }),
    (Kind::ReplayDiffers, || {
        let (mut hand, row) = with_one();
        let cancelled = later(&row, Status::Cancelled, 2);
        hand.step(0, 2, Fact::Cancelled, vec![change(Some(Status::Booked), &cancelled)]).expect("legal");
        hand.judge(&wish(9, 1, None, Some(key("k", 1))), &told(0, &cancelled, true), (3, 3), (3, 3)).err()
    }),
    (Kind::MustSucceed, || {
        let (mut hand, _) = with_one();
        hand.judge(&wish(9, 2, None, None), &refused(Rejection::SoldOut), (2, 2), (3, 3)).err()
    }),
    (Kind::RefusalWrong, || {
        let (mut hand, _) = with_one();
        hand.judge(&wish(9, 2, Some(100), None), &refused(Rejection::SlotTaken), (2, 2), (99, 100)).err()
    }),
    (Kind::WrongPlace, || {
        let mut hand = Hand::published();
        let row = booked(1, 1, 200, 0, 1);
        hand.take(0, &row).expect("legal");
        hand.judge(&wish(2, 1, None, None), &told(0, &row, false), (1, 2), (1, 1)).err()
    }),
    (Kind::StaleRead, || {
        let (mut hand, row) = with_one();
        let cancelled = later(&row, Status::Cancelled, 2);
        hand.step(0, 2, Fact::Cancelled, vec![change(Some(Status::Booked), &cancelled)]).expect("legal");
        let asked = Asked::ReadAppointment(appointment(1));
        hand.judge(&asked, &Ok(Told::Placed(placed(0, &row))), (3, 3), (3, 3)).err()
    }),
    (Kind::DueHoldTold, || {
        let mut hand = Hand::published();
        let row = held(1, 1, 100, 0, 1, 30);
        hand.take(0, &row).expect("legal");
        let asked = Asked::ReadAppointment(appointment(1));
        hand.judge(&asked, &Ok(Told::Placed(placed(0, &row))), (2, 2), (30, 31)).err()
    }),
    (Kind::InternalError, || {
        let reply = Err(EngineError::Internal("a defect".to_owned()));
        Hand::published().judge(&wish(9, 1, None, None), &reply, (1, 1), (1, 1)).err()
    }),
    (Kind::InternalRefusal, || {
        Hand::published().judge(&wish(9, 1, None, None), &refused(Rejection::Arriving), (1, 1), (1, 1)).err()
    }),
    (Kind::LedgerDiffers, || with_one().0.oracle.compare_ledger(&LedgerRows { cursor: 2, ..Default::default() }).err()),
    (Kind::MoveWithoutEnd, || on_its_way().0.oracle.rest_check(second(3)).err()),
    (Kind::DueHoldLeft, || {
        let mut hand = Hand::published();
        hand.take(0, &held(1, 1, 100, 0, 1, 30)).expect("legal");
        hand.oracle.rest_check(second(29)).expect("it is not due");
        hand.oracle.rest_check(second(30)).err()
    }),
];

/// Found where requests are sent and processes started, not by the model.
const OF_THE_WORLD: [Kind; 5] =
    [Kind::UnavailableWithoutCause, Kind::Unanswered, Kind::Livelock, Kind::DoesNotStart, Kind::DoesNotStop];

#[test]
fn every_kind_has_an_example_that_it_finds() {
    let mut found: Vec<Kind> = Vec::new();
    for (kind, example) in records::EXAMPLES.iter().chain(EXAMPLES) {
        let violation = example();
        assert_eq!(violation.as_ref().map(|violation| violation.kind), Some(*kind), "{violation:?}");
        found.push(*kind);
    }
    found.extend(OF_THE_WORLD);
    found.sort();
    assert_eq!(found, Kind::ALL, "a kind without an example, or with two");
    let mut names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Kind::ALL.len(), "two kinds with one name");
}

#[test]
fn a_refusal_is_right_if_it_was_at_some_instant() {
    let mut hand = Hand::published();
    for (number, place) in [(1, 0), (2, 1)] {
        hand.take(0, &held(number, number, 100, place, 1, 30)).expect("legal");
    }
    let asked = wish(9, 3, Some(100), None);
    let taken = refused(Rejection::SlotTaken);
    assert_eq!(hand.judge(&asked, &taken, (3, 3), (2, 2)), Ok(Verdict::Refused));
    assert_eq!(hand.judge(&asked, &taken, (1, 3), (2, 40)), Ok(Verdict::Refused), "while it was full");
    let found = hand.judge(&asked, &taken, (3, 3), (30, 40)).map_err(|violation| violation.kind);
    assert_eq!(found, Err(Kind::MustSucceed), "holds that are due keep nothing");
    assert_eq!(hand.judge(&asked, &refused(Rejection::Closed), (3, 3), (99, 100)), Ok(Verdict::Refused));
}

#[test]
fn a_patient_who_is_elsewhere_is_told_by_what() {
    let mut hand = records::three_days();
    hand.take(10, &booked(1, 1, 240, 0, 1)).expect("legal");
    let named = |number| refused(Rejection::AlreadyBooked { appointment: appointment(number) });
    let asked = wish(9, 1, Some(200), None);
    assert_eq!(hand.judge(&asked, &named(1), (4, 4), (2, 2)), Ok(Verdict::Refused));
    let found = hand.judge(&asked, &named(2), (4, 4), (2, 2)).map_err(|violation| violation.kind);
    assert_eq!(found, Err(Kind::RefusalWrong));
    let found = hand.judge(&wish(9, 1, None, None), &named(1), (4, 4), (2, 2)).map_err(|violation| violation.kind);
    assert_eq!(found, Err(Kind::MustSucceed), "the first slot is free and apart");
}

#[test]
fn what_nobody_was_told_of_may_be_seen_or_not() {
    let (mut hand, row) = with_one();
    let floor = hand.oracle.told();
    let window = |from| simulator::oracle::Window { from, to_position: 2, from_now: second(2), to_now: second(2) };
    let asked = Asked::ReadAppointment(appointment(1));
    let unknown = refused(Rejection::UnknownAppointment);
    assert_eq!(hand.oracle.judge(&asked, &unknown, &window(floor.clone())), Ok(Verdict::Refused));
    let read = Ok(Told::Placed(placed(0, &row)));
    assert_eq!(hand.oracle.judge(&asked, &read, &window(floor)), Ok(Verdict::Read));
    let floor = hand.oracle.told();
    let found = hand.oracle.judge(&asked, &unknown, &window(floor)).map_err(|violation| violation.kind);
    assert_eq!(found, Err(Kind::MustSucceed), "it was told of");
}

#[test]
fn an_unknown_outcome_is_settled_by_the_journal() {
    let (mut hand, _) = with_one();
    let reply = Err(EngineError::Unavailable("the journal".to_owned()));
    assert_eq!(hand.judge(&wish(2, 1, None, Some(key("k", 1))), &reply, (1, 1), (1, 1)), Ok(Verdict::Unknown));
    assert_eq!(hand.oracle.effect_of(&key("k", 1)), Some(2));
    assert_eq!(hand.oracle.effect_of(&key("other", 1)), None);
    assert_eq!(hand.oracle.effect_of_request(crate::hand::request(2)), Some(2));
    assert_eq!(hand.oracle.effect_of_request(crate::hand::request(3)), None);
    let retried = hand.judge(&wish(3, 1, None, Some(key("k", 1))), &refused(Rejection::SoldOut), (2, 2), (2, 2));
    assert_eq!(retried.map_err(|violation| violation.kind), Err(Kind::LostAcknowledgement));
}

#[test]
fn changes_and_moves_are_refused_for_what_they_are() {
    let (mut hand, row) = with_one();
    let cancel = changing(9, 1, AppointmentAction::Cancel { reason: None }, None);
    let fixed = refused(Rejection::NotChangeable);
    assert_eq!(hand.judge(&cancel, &fixed, (2, 2), (99, 100)), Ok(Verdict::Refused), "it begins");
    let found = hand.judge(&cancel, &fixed, (2, 2), (98, 99)).map_err(|violation| violation.kind);
    assert_eq!(found, Err(Kind::MustSucceed));
    let found = hand.judge(&moving(9, 1, 0, Some(200)), &fixed, (2, 2), (98, 99)).map_err(|violation| violation.kind);
    assert_eq!(found, Err(Kind::MustSucceed));
    let stays = told(0, &row, false);
    assert!(matches!(hand.judge(&moving(9, 1, 0, None), &stays, (2, 2), (2, 2)), Ok(Verdict::Success { position: 2 })));
    let found = hand.judge(&moving(9, 1, 0, Some(200)), &stays, (2, 2), (2, 2)).map_err(|violation| violation.kind);
    assert_eq!(found, Err(Kind::ReplyDiffers));
}

#[test]
fn a_picture_is_that_of_its_version() {
    let (mut hand, row) = with_one();
    let events: Vec<_> = (1..=2).filter_map(|position| hand.oracle.event(position).cloned()).collect();
    let now = Ok(Told::View(view(&events, 2)));
    assert_eq!(hand.judge(&Asked::ReadDay(day(0)), &now, (2, 2), (2, 2)), Ok(Verdict::Read));
    let before = Ok(Told::View(view(&events[..1], 2)));
    let found = hand.judge(&Asked::ReadDay(day(0)), &before, (2, 2), (2, 2)).map_err(|violation| violation.kind);
    assert_eq!(found, Err(Kind::StaleRead));
    let mut other = events.clone();
    other[1].changes[0].row = Appointment { start: second(200), end: second(250), ..row };
    let found = hand.judge(&Asked::ReadDay(day(0)), &Ok(Told::View(view(&other, 2))), (2, 2), (2, 2));
    assert_eq!(found.map_err(|violation| violation.kind), Err(Kind::ReplyDiffers));
    let ahead = Ok(Told::View(view(&[&events[..], &events[1..]].concat(), 2)));
    let found = hand.judge(&Asked::ReadDay(day(0)), &ahead, (2, 2), (2, 2)).map_err(|violation| violation.kind);
    assert_eq!(found, Err(Kind::ReplyBeforeDurable));
}

#[test]
fn a_list_misses_nothing_and_a_history_ends_where_it_ends() {
    let (mut hand, row) = with_one();
    let query = AppointmentQuery {
        scope: AppointmentScope::Patient(patient(1)),
        statuses: vec![],
        from: None,
        to: None,
        after: None,
        limit: 10,
        now: second(2),
    };
    let asked = Asked::List(query);
    assert_eq!(hand.judge(&asked, &Ok(Told::List(vec![placed(0, &row)])), (2, 2), (2, 2)), Ok(Verdict::Read));
    let found = hand.judge(&asked, &Ok(Told::List(vec![])), (2, 2), (2, 2)).map_err(|violation| violation.kind);
    assert_eq!(found, Err(Kind::StaleRead));
    assert_eq!(hand.judge(&asked, &Ok(Told::List(vec![])), (1, 2), (2, 2)), Ok(Verdict::Read), "not yet");
    let event = hand.oracle.event(2).cloned().expect("recorded");
    let step = HistoryItem::of(&event, &event.changes[0]);
    let life = |items: Vec<HistoryItem>| Ok(Told::History(items));
    let asked = Asked::History(appointment(1));
    assert_eq!(hand.judge(&asked, &life(vec![step.clone()]), (2, 2), (2, 2)), Ok(Verdict::Read));
    let twice = hand.judge(&asked, &life(vec![step.clone(), step.clone()]), (2, 2), (2, 2));
    assert_eq!(twice.map_err(|violation| violation.kind), Err(Kind::ReplyBeforeDurable));
    let histories: BTreeMap<AppointmentId, Vec<HistoryItem>> = [(appointment(1), vec![step])].into();
    let ledger = LedgerRows { cursor: 2, appointments: vec![placed(0, &row)], histories };
    assert_eq!(hand.oracle.compare_ledger(&ledger), Ok(()));
    let behind = LedgerRows { cursor: 1, ..Default::default() };
    assert_eq!(hand.oracle.compare_ledger(&behind), Ok(()), "lag is no difference");
    assert_eq!(placed(0, &row).time_zone.as_ref(), ZONE);
}
