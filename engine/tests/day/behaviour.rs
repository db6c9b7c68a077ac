//! What a doctor-day does when everything works, and when storage, memory or patience fail: gate, twins, replay, sleep, shedding.
//! Must not know: HTTP, real stores of the journal.

use std::sync::Arc;

use crate::support::{World, caller, day};
use booking_core::{DayKey, Rejection, Role, Status};
use engine::EngineError;
use engine::journal::Journal;
use engine::journal::memory::{Fault, MemoryJournal};
use engine::limits::{DAY_COMMANDS_MAX, WAITING_COMMANDS_MIN};
use engine::testing::Faults;
use engine::view::{AppointmentAction, AppointmentAddress, AppointmentReply};
use futures_util::future::join_all;
use uuid::Uuid;

type Answer = Result<AppointmentReply, EngineError>;

fn is_unavailable(answer: &Answer) -> bool {
    matches!(answer, Err(EngineError::Unavailable(_)))
}

fn is_rejected(answer: &Answer, rejection: &Rejection) -> bool {
    matches!(answer, Err(EngineError::Rejected(found)) if found == rejection)
}

fn address(reply: &AppointmentReply) -> AppointmentAddress {
    AppointmentAddress { day: reply.placed.day, id: reply.placed.appointment.id }
}

async fn cancel(world: &World, reply: &AppointmentReply) -> Answer {
    let action = AppointmentAction::Cancel { reason: None };
    world.engine.change(address(reply), action, caller(Role::Admin, Uuid::from_u128(1), None)).await
}

#[tokio::test]
async fn a_thousand_at_once_and_exactly_the_capacity_wins() {
    let world = World::new().await;
    world.publish(day(0), 20, 1).await.expect("published");
    let answers = join_all((0..1_000).map(|patient| world.book(day(0), patient, None, None))).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 20);
    assert!(lost.iter().all(|answer| is_rejected(answer, &Rejection::SoldOut)));
    let mut starts: Vec<_> = won.iter().flatten().map(|reply| reply.placed.appointment.start).collect();
    starts.sort();
    starts.dedup();
    assert_eq!(starts.len(), 20);
    assert_eq!(world.remaining(day(0)).await, 0);
}

#[tokio::test]
async fn nothing_leaves_before_it_is_durable_neither_success_nor_the_refusal_it_causes() {
    let world = World::new().await;
    world.publish(day(0), 1, 1).await.expect("published");
    world.journal.hold();
    let mut winner = std::pin::pin!(world.book(day(0), 1, Some(0), None));
    let mut loser = std::pin::pin!(world.book(day(0), 2, Some(0), None));
    tokio::select! {
        biased;
        _ = &mut winner => panic!("told of a success that is not durable"),
        _ = &mut loser => panic!("told of a refusal whose cause is not durable"),
        () = world.journal.held(1) => {}
    }
    assert_eq!(world.remaining(day(0)).await, 1, "the published picture is durable state only");
    world.journal.release();
    assert!(winner.await.is_ok());
    assert!(is_rejected(&loser.await, &Rejection::SlotTaken));
    assert_eq!(world.remaining(day(0)).await, 0);
}

#[tokio::test]
async fn a_day_whose_append_failed_serves_again_after_it_has_slept() {
    let world = World::new().await;
    world.publish(day(0), 3, 1).await.expect("published");
    world.journal.fail_next(Fault::Failed);
    assert!(is_unavailable(&world.book(day(0), 1, None, None).await));
    world.book(day(0), 2, None, None).await.expect("it has read itself again");
    world.sleep_all().await;
    let patience = std::time::Duration::from_secs(10);
    let answer = tokio::time::timeout(patience, world.book(day(0), 3, None, None)).await.expect("an answer");
    answer.expect("it is awake and has a place");
}

#[tokio::test]
async fn a_failed_append_is_told_as_unavailable_and_leaves_the_place_free() {
    let world = World::new().await;
    world.publish(day(0), 1, 1).await.expect("published");
    world.journal.fail_next(Fault::Failed);
    assert!(is_unavailable(&world.book(day(0), 1, None, Some("k")).await));
    let retried = world.book(day(0), 1, None, Some("k")).await.expect("the place is free again");
    assert!(!retried.replayed);
    assert!(is_rejected(&world.book(day(0), 2, None, None).await, &Rejection::SoldOut));
}

#[tokio::test]
async fn an_unknown_append_that_landed_is_a_success() {
    let world = World::new().await;
    world.publish(day(0), 1, 1).await.expect("published");
    world.journal.fail_next(Fault::UnknownAfter);
    let won = world.book(day(0), 1, None, Some("k")).await.expect("its record was found");
    let again = world.book(day(0), 1, None, Some("k")).await.expect("remembered");
    assert!(again.replayed);
    assert_eq!(again.placed, won.placed);
    let read = world.engine.appointment(won.placed.appointment.id).await.expect("own writes are visible");
    assert_eq!(read, won.placed);
    assert_eq!(world.records().await, 2);
}

#[tokio::test]
async fn an_unknown_append_that_did_not_land_is_told_as_unavailable() {
    let world = World::new().await;
    world.publish(day(0), 1, 1).await.expect("published");
    world.journal.fail_next(Fault::UnknownBefore);
    assert!(is_unavailable(&world.book(day(0), 1, None, Some("k")).await));
    assert_eq!(world.remaining(day(0)).await, 1);
    assert!(world.book(day(0), 2, None, None).await.is_ok());
}

#[tokio::test]
async fn a_poisoned_journal_confirms_nothing_any_more() {
    let world = World::new().await;
    world.publish(day(0), 5, 1).await.expect("published");
    world.journal.fail_next(Fault::Poisoned);
    assert!(is_unavailable(&world.book(day(0), 1, None, None).await));
    assert!(is_unavailable(&world.book(day(0), 2, None, None).await));
    world.publish(day(1), 5, 1).await.expect_err("neither does another day");
    assert_eq!(world.journal.reopen().last_position().await.expect("readable again"), 1);
}

#[tokio::test]
async fn a_day_that_cannot_be_read_is_unavailable_until_it_can() {
    let world = World::new().await;
    world.publish(day(0), 1, 1).await.expect("published");
    world.journal.fail_next(Fault::Failed);
    world.journal.fail_reads(true);
    assert!(is_unavailable(&world.book(day(0), 1, None, None).await));
    assert!(is_unavailable(&world.book(day(0), 1, None, None).await));
    world.journal.fail_reads(false);
    world.book(day(0), 1, None, None).await.expect("the first command after the store is back is served");
}

#[tokio::test]
async fn a_day_that_falls_asleep_between_two_looks_is_read_all_the_same() {
    let world = World::new().await;
    world.publish(day(0), 1, 1).await.expect("published");
    world.sleep_all().await;
    let mut read = std::pin::pin!(world.engine.day(day(0)));
    assert!(futures_util::poll!(&mut read).is_pending(), "the day is asleep");
    assert_eq!(world.engine.days_awake(), 1);
    // It wakes, answers, and sleeps again before the reader looks.
    world.sleep_all().await;
    read.await.expect("a view");
}

#[tokio::test]
async fn twins_in_flight_get_the_one_answer_and_are_told_so() {
    let world = World::new().await;
    world.publish(day(0), 2, 1).await.expect("published");
    let answers = join_all((0..200).map(|_| world.book(day(0), 1, None, Some("k")))).await;
    let replies: Vec<_> = answers.into_iter().map(|answer| answer.expect("the same success")).collect();
    assert_eq!(replies.iter().filter(|reply| !reply.replayed).count(), 1);
    assert!(replies.iter().all(|reply| reply.placed == replies[0].placed));
    assert_eq!(world.remaining(day(0)).await, 1);
}

#[tokio::test]
async fn a_twin_of_a_refusal_in_flight_hears_the_same_refusal() {
    let world = World::new().await;
    world.publish(day(0), 1, 1).await.expect("published");
    world.journal.hold();
    let answers = join_all([
        world.book(day(0), 1, Some(0), None),
        world.book(day(0), 2, Some(0), Some("k")),
        world.book(day(0), 2, Some(0), Some("k")),
    ]);
    let mut answers = std::pin::pin!(answers);
    tokio::select! {
        biased;
        _ = &mut answers => panic!("answered before durable"),
        () = world.journal.held(1) => world.journal.release(),
    }
    let answers = answers.await;
    assert!(answers[0].is_ok());
    let repeated = answers[1..].iter().filter(|answer| matches!(answer, Err(EngineError::Repeated(_)))).count();
    assert_eq!(repeated, 1, "{answers:?}");
    assert!(answers[1..].iter().any(|answer| is_rejected(answer, &Rejection::SlotTaken)));
}

#[tokio::test]
async fn a_client_that_goes_away_is_booked_all_the_same_and_its_key_says_so() {
    let world = World::new().await;
    world.publish(day(0), 1, 1).await.expect("published");
    world.journal.hold();
    {
        let mut vanishing = std::pin::pin!(world.book(day(0), 1, None, Some("k")));
        tokio::select! {
            biased;
            _ = &mut vanishing => panic!("answered before durable"),
            () = world.journal.held(1) => {}
        }
    }
    world.journal.release();
    let again = world.book(day(0), 1, None, Some("k")).await.expect("it had won");
    assert!(again.replayed);
    assert_eq!(world.remaining(day(0)).await, 0);
}

#[tokio::test]
async fn a_panic_costs_one_request_and_a_repeated_one_parks_the_day_alone() {
    let poison = Uuid::from_u128(1_000 + 666);
    let faults = Faults { panic_on_patient: Some(booking_core::PatientId(poison)), ..Faults::default() };
    let world = World::over(Arc::new(MemoryJournal::default()), faults).await;
    world.publish(day(0), 5, 1).await.expect("published");
    world.publish(day(1), 5, 1).await.expect("published");
    let kept = world.book(day(0), 1, None, Some("k")).await.expect("booked before");
    for _ in 0..2 {
        assert!(is_unavailable(&world.book(day(0), 666, None, None).await));
        let again = world.book(day(0), 1, None, Some("k")).await.expect("the day has read itself again");
        assert_eq!(again.placed, kept.placed);
        assert!(world.engine.day(day(0)).await.is_ok());
    }
    assert!(is_unavailable(&world.book(day(0), 666, None, None).await));
    assert!(is_unavailable(&world.book(day(0), 2, None, None).await), "parked");
    assert!(world.book(day(1), 2, None, None).await.is_ok(), "the neighbour is not touched");
}

#[tokio::test]
async fn a_day_that_is_parked_with_records_under_way_does_not_stop_the_ledger() {
    for fault in [None, Some(Fault::UnknownAfter)] {
        let poison = Uuid::from_u128(1_000 + 666);
        let faults = Faults { panic_on_patient: Some(booking_core::PatientId(poison)), ..Faults::default() };
        let world = World::over(Arc::new(MemoryJournal::default()), faults).await;
        world.publish(day(0), 5, 1).await.expect("published");
        world.publish(day(1), 5, 1).await.expect("published");
        for _ in 0..2 {
            assert!(is_unavailable(&world.book(day(0), 666, None, None).await));
        }
        world.journal.hold();
        fault.into_iter().for_each(|fault| world.journal.fail_next(fault));
        let mut under_way = std::pin::pin!(world.book(day(0), 1, None, None));
        tokio::select! {
            biased;
            _ = &mut under_way => panic!("answered before durable"),
            () = world.journal.held(1) => {}
        }
        // So many do not wait for the journal's word.
        let poisonous = join_all((0..WAITING_COMMANDS_MIN).map(|_| world.book(day(0), 666, None, None))).await;
        assert!(poisonous.iter().all(is_unavailable));
        assert!(is_unavailable(&under_way.await), "parked");
        world.journal.release();
        world.book(day(1), 2, None, None).await.expect("the neighbour is not touched");
        assert_eq!(world.records().await, 4, "what was under way has landed");
        assert!(world.ledger_follows().await, "after {fault:?}");
    }
}

#[tokio::test]
async fn a_day_sleeps_and_wakes_with_everything_it_knew() {
    let world = World::new().await;
    world.publish(day(0), 2, 1).await.expect("published");
    let won = world.book(day(0), 1, None, Some("k")).await.expect("booked");
    world.sleep_all().await;
    let again = world.book(day(0), 1, None, Some("k")).await.expect("remembered");
    assert!(again.replayed);
    assert_eq!(again.placed, won.placed);
    let refused = world.book(day(0), 1, None, Some("other")).await;
    assert!(is_rejected(&refused, &Rejection::AlreadyBooked { appointment: won.placed.appointment.id }));
    assert_eq!(world.remaining(day(0)).await, 1);
}

#[tokio::test]
async fn a_hold_expires_on_a_day_that_sleeps_and_its_place_can_be_booked_at_once() {
    let world = World::new().await;
    world.publish(day(0), 1, 1).await.expect("published");
    let held = world.hold(day(0), 1, 300_000).await.expect("held");
    world.sleep_all().await;
    world.clock.advance(300_000);
    assert_eq!(world.remaining(day(0)).await, 1);
    let read = world.engine.appointment(held.placed.appointment.id).await.expect("still known");
    assert_eq!(read.appointment.status, Status::Expired);
    assert!(world.book(day(0), 2, None, None).await.is_ok());
}

#[tokio::test]
async fn a_full_queue_sheds_bookings_and_never_a_cancel() {
    let world = World::new().await;
    world.publish(day(0), 1, 2).await.expect("published");
    let won = world.book(day(0), 1, None, None).await.expect("booked");
    world.journal.hold();
    let count = DAY_COMMANDS_MAX + 100;
    let flood = join_all((10..10 + count as u128).map(|patient| world.book(day(0), patient, None, None)));
    let mut flood = std::pin::pin!(flood);
    tokio::select! {
        biased;
        _ = &mut flood => panic!("told before the winner among them is durable"),
        () = world.journal.held(1) => {}
    }
    let mut freed = std::pin::pin!(cancel(&world, &won));
    tokio::select! {
        biased;
        _ = &mut freed => panic!("answered before durable"),
        () = tokio::task::yield_now() => {}
    }
    world.journal.release();
    let (freed, answers) = tokio::join!(freed, flood);
    assert_eq!(freed.expect("never shed").placed.appointment.status, Status::Cancelled);
    let shed = answers.iter().filter(|answer| matches!(answer, Err(EngineError::Overloaded { .. }))).count();
    let won = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(shed, 100);
    assert_eq!(won as u64 + world.remaining(day(0)).await, 2);
}

#[tokio::test]
async fn of_two_overlapping_days_published_at_once_one_is_refused() {
    let world = World::new().await;
    for round in 0..20 {
        let first = day(100 + round);
        let second = DayKey { date: first.date.plus_days(1).expect("a date"), ..first };
        let (one, other) = tokio::join!(world.publish(first, 3, 1), world.publish(second, 3, 1));
        let refused = [&one, &other].into_iter().filter_map(|answer| answer.as_ref().err()).collect::<Vec<_>>();
        assert!(
            matches!(refused[..], [EngineError::Rejected(Rejection::OverlapsOtherDay { .. })]),
            "round {round}: {refused:?}"
        );
    }
}
