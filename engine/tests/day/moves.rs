//! An appointment that moves has one place at every moment and in the end, whoever races it and whatever fails.
//! Must not know: HTTP, real stores of the journal.

use std::sync::Arc;

use booking_core::{AppointmentId, DayKey, Rejection, Role, Status, UtcMillis};
use engine::EngineError;
use engine::journal::memory::{Fault, MemoryJournal};
use engine::testing::Faults;
use engine::view::{
    AppointmentAction, AppointmentAddress, AppointmentQuery, AppointmentReply, AppointmentScope, RescheduleRequest,
};
use futures_util::future::join_all;
use uuid::Uuid;

use crate::support::{HOUR, START, World, booking, caller, day};

type Answer = Result<AppointmentReply, EngineError>;

const CAPACITY: u64 = 3;

async fn two_days() -> World {
    let world = World::new().await;
    world.publish(day(0), 1, CAPACITY as u32).await.expect("published");
    world.publish(day(1), 1, CAPACITY as u32).await.expect("published");
    world
}

fn wish(id: AppointmentId, to: DayKey, patient: u128, key: Option<&str>) -> RescheduleRequest {
    let caller = caller(Role::Patient, Uuid::from_u128(1_000 + patient), key);
    RescheduleRequest { id, doctor: Some(to.doctor), date: to.date, start: None, audiences: Arc::from([]), caller }
}

async fn reschedule(world: &World, reply: &AppointmentReply, to: DayKey, key: Option<&str>) -> Answer {
    world.engine.reschedule(wish(reply.placed.appointment.id, to, 1, key)).await
}

async fn change(world: &World, reply: &AppointmentReply, action: AppointmentAction) -> Answer {
    let address = AppointmentAddress { day: reply.placed.day, id: reply.placed.appointment.id };
    world.engine.change(address, action, caller(Role::Admin, Uuid::from_u128(1), None)).await
}

fn start_of(slot: usize) -> UtcMillis {
    START.plus_millis(9 * HOUR + slot as i64 * 600_000)
}

async fn listed(world: &World, day: DayKey) -> Vec<(AppointmentId, Status)> {
    let query = AppointmentQuery {
        scope: AppointmentScope::Day(day),
        statuses: Vec::new(),
        from: None,
        to: None,
        after: None,
        limit: 200,
        now: world.clock_now(),
    };
    let rows = world.engine.appointments(query).await.expect("a list");
    rows.into_iter().map(|placed| (placed.appointment.id, placed.appointment.status)).collect()
}

/// Waits until nothing is under way, with the clock running on, and checks that `id` is told once, with the place that it has (or
/// none), and that all other places are free. Returns its day and status.
async fn settled(world: &World, id: AppointmentId) -> (DayKey, Status) {
    for _ in 0..20_000 {
        let placed = world.engine.appointment(id).await;
        let (Ok(placed), Ok(zero), Ok(one)) = (placed, world.counts(day(0)).await, world.counts(day(1)).await) else {
            world.pass_time(200);
            tokio::task::yield_now().await;
            continue;
        };
        let live = u64::from(placed.appointment.status.is_live());
        let here = |at: DayKey| if placed.day == at { live } else { 0 };
        if (CAPACITY - zero, CAPACITY - one) == (here(day(0)), here(day(1))) {
            for at in [day(0), day(1)] {
                let expected = if placed.day == at { vec![(id, placed.appointment.status)] } else { Vec::new() };
                assert_eq!(listed(world, at).await, expected, "told once, where it is");
            }
            return (placed.day, placed.appointment.status);
        }
        world.pass_time(200);
        tokio::task::yield_now().await;
    }
    panic!("a place is lost or leaked: {:?}, {:?}", world.counts(day(0)).await, world.counts(day(1)).await);
}

#[tokio::test]
async fn it_keeps_what_it_is_and_changes_where_it_is() {
    let world = two_days().await;
    let held = world.engine.book(booking(day(0), 1, None, Some(60_000), None)).await.expect("held");
    let moved = reschedule(&world, &held, day(1), None).await.expect("moved");
    let (before, after) = (&held.placed.appointment, &moved.placed.appointment);
    assert_eq!((moved.placed.day, after.id, after.status), (day(1), before.id, Status::Held));
    assert_eq!((after.hold_expires_at, after.created_at), (before.hold_expires_at, before.created_at));
    assert_eq!(after.version, before.version + 1);
    assert_eq!(settled(&world, before.id).await, (day(1), Status::Held));
    let history = world.engine.history(before.id).await.expect("a history");
    assert_eq!(
        history.iter().map(|step| (step.from, step.to)).collect::<Vec<_>>(),
        [(None, Status::Held), (Some(Status::Held), Status::Held)]
    );
    // From there on it is like any other: confirmed by whoever still has the old address, and moved back.
    let confirmed = change(&world, &held, AppointmentAction::Confirm).await.expect("confirmed");
    assert_eq!((confirmed.placed.day, confirmed.placed.appointment.status), (day(1), Status::Booked));
    reschedule(&world, &held, day(0), None).await.expect("moved back");
    assert_eq!(settled(&world, before.id).await, (day(0), Status::Booked));
    world.sleep_all().await;
    assert_eq!(settled(&world, before.id).await, (day(0), Status::Booked));
}

#[tokio::test]
async fn the_time_moves_with_it() {
    let world = two_days().await;
    world.publish(day(2), 2, 1).await.expect("published");
    let booked = world.book(day(0), 1, Some(0), None).await.expect("booked");
    // Its own time is not in its way, neither on the other day nor on its own.
    reschedule(&world, &booked, day(1), None).await.expect("moved to the same hour");
    let other = world.book(day(2), 1, None, None).await.expect("the second slot suits");
    assert_eq!(other.placed.appointment.start, start_of(1));
    let to_second =
        RescheduleRequest { start: Some(start_of(1)), ..wish(booked.placed.appointment.id, day(2), 1, None) };
    let refused = world.engine.reschedule(to_second).await;
    assert!(matches!(refused, Err(EngineError::Rejected(Rejection::SlotTaken))), "{refused:?}");
    let refused = reschedule(&world, &booked, day(2), None).await;
    let in_the_way = Rejection::AlreadyBooked { appointment: other.placed.appointment.id };
    assert!(matches!(&refused, Err(EngineError::Rejected(found)) if *found == in_the_way), "{refused:?}");
    assert_eq!(settled(&world, booked.placed.appointment.id).await, (day(1), Status::Booked));
    assert_eq!(world.claims.visits(), 2);
}

#[tokio::test]
async fn two_who_want_to_swap_full_places_are_both_refused() {
    let world = World::new().await;
    world.publish(day(0), 1, 1).await.expect("published");
    world.publish(day(1), 1, 1).await.expect("published");
    let one = world.book(day(0), 1, None, None).await.expect("booked");
    let two = world.book(day(1), 2, None, None).await.expect("booked");
    let answers = join_all([
        world.engine.reschedule(wish(one.placed.appointment.id, day(1), 1, None)),
        world.engine.reschedule(wish(two.placed.appointment.id, day(0), 2, None)),
    ])
    .await;
    for answer in answers {
        assert!(matches!(answer, Err(EngineError::Rejected(Rejection::SoldOut))), "{answer:?}");
    }
}

#[tokio::test]
async fn a_key_repeats_its_first_answer_wherever_the_appointment_is_now() {
    let world = two_days().await;
    let booked = world.book(day(0), 1, None, Some("b")).await.expect("booked");
    let twins = join_all((0..20).map(|_| reschedule(&world, &booked, day(1), Some("m")))).await;
    let replies: Vec<_> = twins.into_iter().map(|answer| answer.expect("the same success")).collect();
    assert_eq!(replies.iter().filter(|reply| !reply.replayed).count(), 1);
    assert!(replies.iter().all(|reply| reply.placed == replies[0].placed));
    change(&world, &booked, AppointmentAction::Cancel { reason: None }).await.expect("cancelled");
    for _ in 0..2 {
        let again = reschedule(&world, &booked, day(1), Some("m")).await.expect("remembered");
        assert!(again.replayed);
        assert_eq!(again.placed, replies[0].placed);
        world.sleep_all().await;
    }
    assert_eq!(settled(&world, booked.placed.appointment.id).await, (day(1), Status::Cancelled));
}

/// Has `action` race a move when `passed` of its three records are durable.
async fn race(
    passed: usize,
    hold_millis: Option<i64>,
    action: Option<AppointmentAction>,
) -> (Answer, Option<Answer>, World, AppointmentId) {
    let world = two_days().await;
    let held = world.engine.book(booking(day(0), 1, None, hold_millis, None)).await.expect("held");
    let id = held.placed.appointment.id;
    world.journal.hold();
    let (moved, raced) = {
        let mut moving = std::pin::pin!(reschedule(&world, &held, day(1), None));
        let mut answer = None;
        for step in 0..=passed {
            tokio::select! {
                biased;
                moved = &mut moving, if answer.is_none() => answer = Some(moved),
                () = world.journal.held(1) => {}
            }
            if answer.is_some() && step < passed {
                world.journal.held(1).await;
            }
            if step < passed {
                world.journal.pass();
                while world.journal.is_passing() {
                    tokio::select! {
                        biased;
                        moved = &mut moving, if answer.is_none() => answer = Some(moved),
                        () = tokio::task::yield_now() => {}
                    }
                }
            }
        }
        let raced = async {
            match action {
                Some(action) => Some(change(&world, &held, action).await),
                None => {
                    world.pass_time(hold_millis.expect("a hold"));
                    None
                }
            }
        };
        let release = async {
            tokio::task::yield_now().await;
            world.journal.release();
        };
        let rest = async {
            match answer {
                Some(answer) => answer,
                None => moving.await,
            }
        };
        let (moved, raced, ()) = tokio::join!(rest, raced, release);
        (moved, raced)
    };
    (moved, raced, world, id)
}

#[tokio::test]
async fn a_cancel_wins_at_whatever_step_it_meets_the_move() {
    for passed in 0..3 {
        let (moved, cancelled, world, id) = race(passed, None, Some(AppointmentAction::Cancel { reason: None })).await;
        let cancelled = cancelled.expect("asked").expect("cancelled");
        assert_eq!(cancelled.placed.appointment.status, Status::Cancelled, "step {passed}");
        let (at, status) = settled(&world, id).await;
        assert_eq!((at, status), (cancelled.placed.day, Status::Cancelled), "step {passed}: {moved:?}");
        assert_eq!(moved.is_ok(), at == day(1), "step {passed}: {moved:?}");
        assert_eq!(world.claims.visits(), 0, "step {passed}");
    }
}

#[tokio::test]
async fn a_confirm_that_meets_the_move_is_kept() {
    for passed in 0..3 {
        let (moved, confirmed, world, id) = race(passed, Some(60_000), Some(AppointmentAction::Confirm)).await;
        assert!(confirmed.expect("asked").is_ok(), "step {passed}");
        moved.unwrap_or_else(|error| panic!("step {passed}: {error}"));
        assert_eq!(settled(&world, id).await, (day(1), Status::Booked), "step {passed}");
        assert_eq!(world.claims.visits(), 1, "step {passed}");
    }
}

#[tokio::test]
async fn a_hold_that_ends_during_the_move_is_over_wherever_it_is() {
    for passed in 0..3 {
        let (_, _, world, id) = race(passed, Some(60_000), None).await;
        let (_, status) = settled(&world, id).await;
        assert_eq!(status, Status::Expired, "step {passed}");
        assert_eq!(world.claims.visits(), 0, "step {passed}");
    }
}

#[tokio::test]
async fn a_fault_at_any_record_leaves_one_place() {
    let faults = [Fault::Failed, Fault::UnknownBefore, Fault::UnknownAfter, Fault::UnknownLate];
    for (at, fault) in (0..3).flat_map(|at| faults.map(|fault| (at, fault))) {
        let world = two_days().await;
        let booked = world.book(day(0), 1, None, None).await.expect("booked");
        (0..at).for_each(|_| world.journal.spare_next());
        world.journal.fail_next(fault);
        let moved = reschedule(&world, &booked, day(1), Some("m")).await;
        let id = booked.placed.appointment.id;
        let (home, status) = settled(&world, id).await;
        assert_eq!(status, Status::Booked, "record {at}, {fault:?}");
        assert!(moved.is_err() || home == day(1), "record {at}, {fault:?}: told {moved:?}");
        let again = reschedule(&world, &booked, day(1), Some("m")).await;
        let again = again.unwrap_or_else(|error| panic!("record {at}, {fault:?}: the same key: {error}"));
        assert_eq!(again.replayed, home == day(1), "record {at}, {fault:?}: {again:?}");
        assert_eq!(settled(&world, id).await, (day(1), Status::Booked), "record {at}, {fault:?}");
        assert_eq!(world.claims.visits(), 1, "record {at}, {fault:?}");
    }
}

#[tokio::test]
async fn a_crash_after_any_record_leaves_one_place() {
    for passed in 0..4 {
        let journal = Arc::new(MemoryJournal::default());
        let world = World::over(Arc::clone(&journal), Faults::default()).await;
        world.publish(day(0), 1, CAPACITY as u32).await.expect("published");
        world.publish(day(1), 1, CAPACITY as u32).await.expect("published");
        let booked = world.book(day(0), 1, None, None).await.expect("booked");
        let id = booked.placed.appointment.id;
        journal.hold();
        (0..passed).for_each(|_| journal.pass());
        {
            let mut moving = std::pin::pin!(reschedule(&world, &booked, day(1), Some("m")));
            let mut answered = false;
            while world.records().await < 3 + passed.min(3) {
                tokio::select! {
                    biased;
                    answer = &mut moving, if !answered => { answer.expect("moved"); answered = true; }
                    () = tokio::task::yield_now() => {}
                }
            }
        }
        // The next process sees what is durable. What the first still had in hand never gets there: its epoch is over.
        let next = World::over(Arc::new(journal.reopen()), Faults::default()).await;
        let (home, status) = settled(&next, id).await;
        assert_eq!((home == day(1), status), (passed >= 2, Status::Booked), "after {passed} records");
        assert_eq!(next.claims.visits(), 1, "after {passed} records");
        let again = reschedule(&next, &booked, day(1), Some("m")).await.expect("the same key");
        assert_eq!(again.replayed, passed >= 2, "after {passed} records");
        assert_eq!(settled(&next, id).await, (day(1), Status::Booked), "after {passed} records");
    }
}

#[tokio::test]
async fn many_movers_of_one_appointment_agree_in_the_end() {
    let world = two_days().await;
    let booked = world.book(day(0), 1, None, None).await.expect("booked");
    let id = booked.placed.appointment.id;
    for round in 0..30 {
        let answers = join_all((0..6).map(|number| world.engine.reschedule(wish(id, day(number % 2), 1, None)))).await;
        for answer in answers {
            answer.unwrap_or_else(|error| panic!("round {round}: {error}"));
        }
        let (_, status) = settled(&world, id).await;
        assert_eq!(status, Status::Booked);
    }
}
