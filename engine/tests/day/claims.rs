//! One patient is in one place at a time, and one key wins on one day, whatever happens at the same instant and whatever fails.
//! Must not know: HTTP, real stores of the journal.

use booking_core::{Rejection, UtcMillis};
use engine::EngineError;
use engine::journal::memory::Fault;
use engine::view::{AppointmentAction, AppointmentAddress, AppointmentReply};
use futures_util::future::join_all;
use uuid::Uuid;

use crate::support::{HOUR, START, World, booking, caller, day};
use booking_core::Role;

type Answer = Result<AppointmentReply, EngineError>;

fn in_the_way(answer: &Answer) -> Option<booking_core::AppointmentId> {
    match answer {
        Err(EngineError::Rejected(Rejection::AlreadyBooked { appointment })) => Some(*appointment),
        _ => None,
    }
}

async fn cancel(world: &World, reply: &AppointmentReply) -> Answer {
    let address = AppointmentAddress { day: reply.placed.day, id: reply.placed.appointment.id };
    let action = AppointmentAction::Cancel { reason: None };
    world.engine.change(address, action, caller(Role::Admin, Uuid::from_u128(1), None)).await
}

/// Waits until a record stands before the journal's closed gate. Neither may be answered before it has passed.
async fn until_held(
    world: &World,
    first: &mut (impl Future<Output = Answer> + Unpin),
    second: &mut (impl Future<Output = Answer> + Unpin),
) {
    tokio::select! {
        biased;
        _ = first => panic!("told before it is durable"),
        _ = second => panic!("told before the first is settled"),
        () = world.journal.held(1) => {}
    }
}

async fn published(days: u128, slots: usize) -> World {
    let world = World::new().await;
    for number in 0..days {
        world.publish(day(number), slots, 5).await.expect("published");
    }
    world
}

#[tokio::test]
async fn six_doctors_at_one_hour_and_one_instant() {
    let world = published(6, 1).await;
    for round in 0..100 {
        let answers = join_all((0..6).map(|number| world.book(day(number), 1, Some(0), None))).await;
        let won: Vec<_> = answers.iter().flatten().collect();
        assert_eq!(won.len(), 1, "round {round}: {answers:?}");
        let id = won[0].placed.appointment.id;
        assert!(answers.iter().filter(|answer| answer.is_err()).all(|answer| in_the_way(answer) == Some(id)));
        cancel(&world, won[0]).await.expect("cancelled");
    }
    for number in 0..6 {
        assert_eq!(world.remaining(day(number)).await, 5);
    }
}

#[tokio::test]
async fn nobody_is_told_of_an_appointment_that_is_not_durable() {
    let world = published(2, 1).await;
    world.journal.hold();
    let mut first = std::pin::pin!(world.book(day(0), 1, Some(0), None));
    let mut second = std::pin::pin!(world.book(day(1), 1, Some(0), None));
    until_held(&world, &mut first, &mut second).await;
    world.journal.release();
    let won = first.await.expect("won");
    assert_eq!(in_the_way(&second.await), Some(won.placed.appointment.id));
}

#[tokio::test]
async fn a_booking_that_fails_gives_its_claim_back_to_who_waits() {
    for fault in [Fault::Failed, Fault::UnknownBefore] {
        let world = published(2, 1).await;
        world.journal.hold();
        let mut first = std::pin::pin!(world.book(day(0), 1, Some(0), Some("a")));
        let mut second = std::pin::pin!(world.book(day(1), 1, Some(0), Some("b")));
        until_held(&world, &mut first, &mut second).await;
        world.journal.fail_next(fault);
        world.journal.release();
        let (first, second) = tokio::join!(first, second);
        assert!(matches!(first, Err(EngineError::Unavailable(_))), "{fault:?}: {first:?}");
        let second = second.expect("the other day's place, now that the first has failed");
        let retried = world.book(day(0), 1, Some(0), Some("a")).await;
        assert_eq!(in_the_way(&retried), Some(second.placed.appointment.id));
    }
}

#[tokio::test]
async fn an_unknown_append_that_landed_keeps_its_claim() {
    let world = published(2, 1).await;
    world.journal.fail_next(Fault::UnknownAfter);
    let won = world.book(day(0), 1, Some(0), Some("k")).await.expect("its record was found");
    assert_eq!(in_the_way(&world.book(day(1), 1, Some(0), None).await), Some(won.placed.appointment.id));
    // A key from another day stands in place of a success only: what is refused anyway stays that refusal.
    let reused = world.book(day(1), 1, None, Some("k")).await;
    assert_eq!(in_the_way(&reused), Some(won.placed.appointment.id));
}

#[tokio::test]
async fn any_slot_is_one_that_suits() {
    let world = published(3, 3).await;
    let first = world.book(day(0), 1, Some(0), None).await.expect("the first slot");
    let second = world.book(day(1), 1, None, None).await.expect("the second slot");
    assert_eq!(second.placed.appointment.start, first.placed.appointment.end);
    let third = world.book(day(2), 1, None, None).await.expect("the third slot");
    assert_eq!(third.placed.appointment.start, second.placed.appointment.end);
    world.publish(day(3), 3, 1).await.expect("published");
    assert_eq!(in_the_way(&world.book(day(3), 1, None, None).await), Some(first.placed.appointment.id), "the earliest");
    assert_eq!(
        in_the_way(&world.book(day(3), 1, Some(2), None).await),
        Some(third.placed.appointment.id),
        "the one that overlaps"
    );
}

#[tokio::test]
async fn a_hold_elsewhere_that_is_due_stands_in_nobodys_way() {
    let world = published(2, 1).await;
    let held = world.engine.book(booking(day(0), 1, Some(0), Some(1_000), None)).await.expect("held");
    assert_eq!(in_the_way(&world.book(day(1), 1, Some(0), None).await), Some(held.placed.appointment.id));
    world.clock.advance(1_000);
    // No timer runs in this world: the day of the hold is told by whoever meets it.
    let mut booked = std::pin::pin!(world.book(day(1), 1, Some(0), None));
    let booked = loop {
        tokio::select! {
            answer = &mut booked => break answer,
            () = tokio::task::yield_now() => world.run_deadlines(),
        }
    };
    booked.expect("the hold is over");
    let expired = world.engine.appointment(held.placed.appointment.id).await.expect("known");
    assert_eq!(expired.appointment.status, booking_core::Status::Expired);
}

#[tokio::test]
async fn what_waits_too_long_is_told_to_come_back() {
    let world = published(2, 1).await;
    world.journal.hold();
    let mut first = std::pin::pin!(world.book(day(0), 1, Some(0), None));
    let mut second = std::pin::pin!(world.book(day(1), 1, Some(0), None));
    until_held(&world, &mut first, &mut second).await;
    world.clock.advance(2_000);
    world.run_deadlines();
    let second = second.await;
    assert!(matches!(second, Err(EngineError::Unavailable(_))), "{second:?}");
    world.journal.release();
    first.await.expect("won");
}

#[tokio::test]
async fn one_key_sent_for_two_days_at_once_wins_once() {
    let world = published(2, 3).await;
    for round in 0..100_usize {
        let (key, patient) = (format!("key-{round}"), round as u128);
        let (one, two) = (round % 3, (round + 1) % 3);
        let answers = join_all([
            world.book(day(0), patient, Some(one), Some(&key)),
            world.book(day(1), patient, Some(two), Some(&key)),
        ])
        .await;
        let won: Vec<_> = answers.iter().flatten().collect();
        assert_eq!(won.len(), 1, "round {round}: {answers:?}");
        let lost = answers.iter().find(|answer| answer.is_err());
        assert!(matches!(lost, Some(Err(EngineError::Rejected(Rejection::KeyReused)))), "round {round}: {lost:?}");
        cancel(&world, won[0]).await.expect("cancelled");
    }
}

#[tokio::test]
async fn a_refusal_on_another_day_stays_that_refusal() {
    let world = published(1, 1).await;
    world.publish(day(1), 1, 1).await.expect("published");
    world.book(day(1), 2, Some(0), None).await.expect("the only place");
    world.book(day(0), 1, Some(0), Some("k")).await.expect("won");
    let refused = world.book(day(1), 1, Some(0), Some("k")).await;
    assert!(matches!(refused, Err(EngineError::Rejected(Rejection::SlotTaken))), "{refused:?}");
}

#[tokio::test]
async fn visits_that_are_over_are_forgotten() {
    let world = published(2, 1).await;
    world.book(day(0), 1, Some(0), Some("k")).await.expect("won");
    assert_eq!((world.claims.visits(), world.claims.keys()), (1, 1));
    world.clock.advance(10 * HOUR);
    let now = UtcMillis(START.0 + 10 * HOUR);
    let tomorrow = day(0).date.plus_days(1).expect("a date");
    (0..64).for_each(|_| world.claims.sweep(now, tomorrow));
    assert_eq!((world.claims.visits(), world.claims.keys()), (0, 0));
}

#[tokio::test]
async fn a_day_does_not_sleep_before_it_knows_what_its_dropped_records_claimed() {
    let world = published(2, 1).await;
    let booked = world.book(day(0), 1, Some(0), None).await.expect("booked");
    // The cancellation lands, nobody knows, and the day cannot be read while it is asked to sleep.
    world.journal.fail_next(Fault::UnknownAfter);
    world.journal.fail_reads(true);
    assert!(matches!(cancel(&world, &booked).await, Err(EngineError::Unavailable(_))));
    world.clock.advance(2 * 60_000);
    for _ in 0..100 {
        world.engine.sweep(world.clock_now(), 60_000, 1_000);
        tokio::task::yield_now().await;
    }
    world.journal.fail_reads(false);
    world.sleep_all().await;
    world.book(day(1), 1, Some(0), None).await.expect("the patient is nowhere else any more");
}
