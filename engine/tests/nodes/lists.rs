//! What spans days of several nodes: lists, claims, watchers. A part that cannot be read is never left out in silence.
//! Must not know: moves.

use std::future::Future;
use std::task::{Context, Poll, Waker};

use booking_core::{Date, DayKey, Role, Status};
use engine::EngineError;
use engine::ownership::peers::{ClaimState, KeyClaimState};
use engine::view::{AppointmentAction, AppointmentScope};

use crate::moves::days_apart;
use crate::world::{World, address, booking, caller, day_of, patient};

#[tokio::test]
async fn a_patients_list_has_what_waits_for_the_ledger_at_every_node() {
    let (world, days) = days_apart(3).await;
    world.hold_ledger();
    let mut expected = Vec::new();
    for (day, hold_millis) in days.iter().zip([None, Some(60_000), None]) {
        // No guard here: the same hour on every node.
        let booked = world.book(0, *day, 1, hold_millis).await.expect("booked").placed.appointment;
        expected.push((booked.id, *day, booked.status));
    }
    world.change(0, expected[2].0, AppointmentAction::Cancel { reason: None }, None).await.expect("cancelled");
    expected[2].2 = Status::Cancelled;
    let sorted = |mut list: Vec<_>| {
        list.sort_unstable();
        list
    };
    let scope = AppointmentScope::Patient(patient(1));
    for at in 0..3 {
        assert_eq!(sorted(world.listed(at, scope).await.expect("a list")), sorted(expected.clone()), "node {at}");
    }
    // The hold ends on another node, before anybody is told of it.
    world.clock.advance(60_000);
    expected[1].2 = Status::Expired;
    for at in 0..3 {
        assert_eq!(sorted(world.listed(at, scope).await.expect("a list")), sorted(expected.clone()), "node {at}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_not_left_out() {
    let (world, days) = days_apart(3).await;
    world.hold_ledger();
    let id = world.book(1, days[1], 1, None).await.expect("booked").placed.appointment.id;
    let scope = AppointmentScope::Patient(patient(1));
    world.wire.cut(&address(1));
    for at in [0, 2] {
        let list = world.listed(at, scope).await;
        assert!(matches!(list, Err(EngineError::Unavailable(_))), "node {at}: {list:?}");
        // Whose day it is answers alone.
        assert_eq!(world.listed(at, AppointmentScope::Day(days[0])).await, Ok(Vec::new()));
    }
    world.wire.mend(&address(1));
    // Its shards are nobody's for a moment: it has let one go, and nobody has taken it yet.
    assert_eq!(world.listed(0, scope).await.expect("a list").len(), 1);
    world.members[1].tenures.close(day_of(1, 3, 1).shard());
    for at in 0..3 {
        let list = world.listed(at, scope).await;
        assert!(matches!(list, Err(EngineError::Unavailable(_))), "node {at}: {list:?}");
        let found = world.members[at].engine.appointment(id).await;
        assert_eq!(found, Err(EngineError::NotHere { shard: days[1].shard() }), "node {at}");
    }
}

#[tokio::test]
async fn a_doctors_days_are_told_by_their_owners() {
    let world = World::new(2).await;
    let first = day_of(0, 2, 5);
    let days: Vec<DayKey> =
        (0..6).map(|later| DayKey { date: first.date.plus_days(later).expect("a date"), ..first }).collect();
    for day in &days {
        world.publish(0, *day, 1, 1).await.expect("published");
    }
    let (from, to): (Date, Date) = (days[0].date, days[5].date);
    for (number, member) in world.members.iter().enumerate() {
        let reply = member.engine.days(first.doctor, from, to).await.expect("days");
        let is_own = |day: &&DayKey| usize::from(day.shard()) % 2 == number;
        let own: Vec<DayKey> = days.iter().filter(is_own).copied().collect();
        assert_eq!(reply.views.iter().map(|view| view.day).collect::<Vec<_>>(), own);
        assert_eq!(reply.elsewhere.len() + own.len(), days.len());
        assert!(reply.elsewhere.iter().all(|day| !own.contains(day)));
    }
}

#[tokio::test]
async fn a_claim_is_told_as_its_day_has_it() {
    let (world, days) = days_apart(2).await;
    let mut request = booking(days[1], 1, Some(60_000));
    request.caller = caller(Role::Patient, patient(1).0, Some("k"));
    let subject = request.caller.envelope.subject;
    let engine = |at: usize| &world.members[at].engine;
    // Its record waits at the gate: decided, and not durable.
    world.members[1].journal.allow(0);
    let mut booking = Box::pin(engine(1).book(request));
    while key_of(&world, 0, days[1]).await != KeyClaimState::Pending {
        let is_done = booking.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        assert!(!is_done, "it cannot be durable");
        tokio::task::yield_now().await;
    }
    world.members[1].journal.allow(usize::MAX);
    let held = booking.await.expect("held").placed.appointment;
    for at in 0..2 {
        assert_eq!(engine(at).key_claim_state(days[1], subject, "k").await, Ok(KeyClaimState::Won));
        assert_eq!(engine(at).key_claim_state(days[1], subject, "other").await, Ok(KeyClaimState::Absent));
        let live = ClaimState::Live { start: held.start, end: held.end };
        assert_eq!(engine(at).claim_state(days[1], held.id).await, Ok(live));
        assert_eq!(engine(at).claim_state(days[0], held.id).await, Ok(ClaimState::Absent));
    }
    world.clock.advance(60_000);
    assert_eq!(engine(0).claim_state(days[1], held.id).await, Ok(ClaimState::Absent), "it has ended");
    world.wire.cut(&address(1));
    let unknown = engine(0).claim_state(days[1], held.id).await;
    assert!(matches!(unknown, Err(EngineError::Unavailable(_))), "{unknown:?}");
}

async fn key_of(world: &World, at: usize, day: DayKey) -> KeyClaimState {
    let subject = booking_core::SubjectId(patient(1).0);
    world.members[at].engine.key_claim_state(day, subject, "k").await.expect("an answer")
}

#[tokio::test]
async fn a_watcher_hears_that_its_day_has_left() {
    let (world, days) = days_apart(2).await;
    let engine = &world.members[0].engine;
    let (mut watch, mut other) = (engine.watch(days[0]), engine.watch(day_of(0, 2, 9)));
    let is_told = |watch: &mut engine::actors::notices::DayWatch| {
        let changed = std::pin::pin!(watch.changed());
        matches!(changed.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()))
    };
    let _ = (is_told(&mut watch), is_told(&mut other));
    world.members[0].tenures.revoke(days[0].shard());
    engine.shard_left(days[0].shard());
    assert!(is_told(&mut watch) && !is_told(&mut other));
    assert_eq!(engine.day(days[0]).await.err(), Some(EngineError::NotHere { shard: days[0].shard() }));
}

#[tokio::test]
async fn what_is_no_question_is_answered_with_a_refusal() {
    let (world, _) = days_apart(2).await;
    for question in [&b""[..], b"{}", b"null", br#"{"Step":{"day":1}}"#] {
        let answer = String::from_utf8(world.members[0].engine.answer_peer(question).await).expect("JSON");
        assert!(answer.contains("cannot be read"), "{answer}");
    }
}

/// In between, what was recorded before may be neither in the overlay nor in the ledger.
#[tokio::test]
async fn nobody_is_unknown_because_a_shard_was_lost_and_taken_over_meanwhile() {
    let (world, days) = days_apart(2).await;
    let id = world.book(0, days[0], 1, None).await.expect("booked").placed.appointment.id;
    let (engine, shard) = (&world.members[0].engine, days[0].shard());
    world.lose_during_next_read(0, shard).await;
    assert_eq!(engine.appointment(id).await, Err(EngineError::NotHere { shard }));
    assert_eq!(engine.appointment(id).await.map(|placed| placed.appointment.id), Ok(id));
    // For holds that are due, and for the list itself.
    world.lose_during_next_read(0, shard).await;
    world.lose_during_next_read(0, shard).await;
    assert_eq!(world.listed(0, AppointmentScope::Patient(patient(1))).await.expect("a list").len(), 1);
}
