//! An appointment that moves between days of different nodes: told once, where it is, by every node, at every moment.
//! Must not know: what goes wrong on the wire.

use booking_core::{Rejection, Status};
use engine::EngineError;
use engine::view::{AppointmentAction, AppointmentScope};
use futures_util::future::join_all;

use crate::wire::Mishap;
use crate::world::{World, day_of, patient};

/// A world of `count` nodes with one published day on each.
pub async fn days_apart(count: usize) -> (World, Vec<booking_core::DayKey>) {
    let world = World::new(count).await;
    let days: Vec<_> = (0..count).map(|owner| day_of(owner, count, 1)).collect();
    for day in &days {
        world.publish(0, *day, 1, 3).await.expect("published");
    }
    (world, days)
}

#[tokio::test]
async fn it_is_found_at_its_new_place_through_any_node_at_once() {
    for is_ledger_held in [true, false] {
        let (world, days) = days_apart(3).await;
        if is_ledger_held {
            world.hold_ledger();
        }
        let id = world.book(0, days[0], 1, None).await.expect("booked").placed.appointment.id;
        // Round and round, asked at each node in turn: every time the ones that know least are asked first.
        for round in 0..12 {
            let (asked, to) = ((round + 2) % 3, days[(round + 1) % 3]);
            let moved = world.reschedule(asked, id, to, None).await.expect("moved");
            assert_eq!((moved.placed.day, moved.placed.appointment.version), (to, round as u32 + 2));
            for at in 0..3 {
                let found = world.appointment(at, id).await.expect("found");
                assert_eq!((found.day, found.appointment.version), (to, round as u32 + 2), "round {round}, node {at}");
                let of_patient = world.listed(at, AppointmentScope::Patient(patient(1))).await.expect("a list");
                assert_eq!(of_patient, [(id, to, Status::Booked)], "round {round}, node {at}");
                for day in &days {
                    let expected = if *day == to { vec![(id, to, Status::Booked)] } else { Vec::new() };
                    let of_day = world.listed(at, AppointmentScope::Day(*day)).await.expect("a list");
                    assert_eq!(of_day, expected, "round {round}, node {at}, {day}");
                    let left = if *day == to { 2 } else { 3 };
                    assert_eq!(world.remaining(at, *day).await, Ok(left), "round {round}, node {at}, {day}");
                }
                let history = world.at(at, |engine| async move { engine.history(id).await }).await.expect("a history");
                assert_eq!(history.len(), round + 2, "round {round}, node {at}");
            }
        }
        let cancel = AppointmentAction::Cancel { reason: None };
        let cancelled = world.change(1, id, cancel, None).await.expect("cancelled");
        assert_eq!(cancelled.placed.appointment.status, Status::Cancelled);
        for at in 0..3 {
            assert_eq!(world.appointment(at, id).await.expect("found").appointment.status, Status::Cancelled);
            for day in &days {
                assert_eq!(world.remaining(at, *day).await, Ok(3));
            }
        }
    }
}

#[tokio::test]
async fn a_key_repeats_its_first_answer_through_any_node_wherever_the_appointment_is() {
    let (world, days) = days_apart(3).await;
    world.hold_ledger();
    let id = world.book(0, days[0], 1, None).await.expect("booked").placed.appointment.id;
    let moves = join_all((0..12).map(|at| world.reschedule(at % 3, id, days[1], Some("m")))).await;
    let moves: Vec<_> = moves.into_iter().map(|moved| moved.expect("the same success")).collect();
    assert_eq!(moves.iter().filter(|moved| !moved.replayed).count(), 1);
    assert!(moves.iter().all(|moved| moved.placed == moves[0].placed), "{moves:?}");
    world.reschedule(0, id, days[2], Some("n")).await.expect("moved on");
    for at in 0..3 {
        let again = world.reschedule(at, id, days[1], Some("m")).await.expect("remembered");
        assert!(again.replayed, "node {at}");
        assert_eq!(again.placed, moves[0].placed, "node {at}");
        assert_eq!(world.appointment(at, id).await.expect("found").day, days[2], "node {at}: it stays");
    }
    // Of a request that was made where the appointment has never been moved from, nobody else need be asked.
    let other = world.book(1, days[1], 2, Some(60_000)).await.expect("held").placed.appointment.id;
    let asked = world.wire.asked();
    for is_replayed in [false, true] {
        let confirmed = world.change(1, other, AppointmentAction::Confirm, Some("c")).await.expect("confirmed");
        assert_eq!(confirmed.replayed, is_replayed);
    }
    assert_eq!(world.wire.asked(), asked);
}

#[tokio::test]
async fn what_the_other_day_refuses_is_refused_and_the_old_place_stays() {
    let (world, days) = days_apart(2).await;
    for number in 2..5 {
        world.book(1, days[1], number, None).await.expect("booked");
    }
    let id = world.book(0, days[0], 1, None).await.expect("booked").placed.appointment.id;
    let refused = world.reschedule(1, id, days[1], None).await;
    assert!(matches!(refused, Err(EngineError::Rejected(Rejection::SoldOut))), "{refused:?}");
    let refused = world.reschedule(1, id, day_of(1, 2, 7), None).await;
    assert!(matches!(refused, Err(EngineError::Rejected(Rejection::UnknownDay))), "{refused:?}");
    assert_eq!(world.appointment(1, id).await.expect("found").day, days[0]);
    let unknown = booking_core::AppointmentId::born_in(uuid::Uuid::from_u128(77), &days[0]);
    for at in 0..2 {
        let refused = world.appointment(at, unknown).await;
        assert!(matches!(refused, Err(EngineError::Rejected(Rejection::UnknownAppointment))), "{refused:?}");
    }
}

/// What the node of departure remembers of its patients ends where it cannot hear of changes any more.
#[tokio::test]
async fn a_patient_whose_visit_has_left_for_another_node_is_not_busy_for_ever() {
    let (world, days) = days_apart(2).await;
    let id = world.book(0, days[0], 1, None).await.expect("booked").placed.appointment.id;
    world.reschedule(0, id, days[1], None).await.expect("moved");
    world.change(0, id, AppointmentAction::Cancel { reason: None }, None).await.expect("cancelled");
    // The same hour, on the first node.
    world.book(0, days[0], 1, None).await.expect("it is free again");
}

/// A cancel, a confirm or a move back meets the move at whatever step, whatever is late.
#[tokio::test]
async fn what_races_a_move_ends_in_one_place() {
    for (late, delay) in (0..3).flat_map(|late| [0, 1, 3, 8, 20, 60].map(|delay| (late, delay))) {
        let (world, days) = days_apart(2).await;
        world.hold_ledger();
        let id = world.book(0, days[0], 1, Some(60_000)).await.expect("held").placed.appointment.id;
        // The definition, the place, the taking in: one of them is late.
        (0..late).for_each(|_| world.wire.plan(None));
        world.wire.plan(Some(Mishap::Late(40)));
        let raced = async {
            for _ in 0..delay {
                tokio::task::yield_now().await;
            }
            match delay % 2 {
                0 => world.change(1, id, AppointmentAction::Cancel { reason: None }, None).await,
                _ => world.change(1, id, AppointmentAction::Confirm, None).await,
            }
        };
        let (moved, raced) = tokio::join!(world.reschedule(0, id, days[1], None), raced);
        let raced = raced.unwrap_or_else(|error| panic!("late {late}, delay {delay}: {error}"));
        let status = if delay % 2 == 0 { Status::Cancelled } else { Status::Booked };
        assert_eq!(raced.placed.appointment.status, status);
        let at = settled(&world, id, &days).await;
        if let Ok(moved) = &moved {
            assert_eq!((moved.placed.day, at), (days[1], (days[1], status)), "late {late}, delay {delay}");
        } else {
            assert_eq!(at, (days[0], status), "late {late}, delay {delay}: {moved:?}");
        }
    }
}

/// Waits until nothing is under way, with the clock running on, and checks that every node tells `id` once, with the place that it has
/// (or none), and that all other places of `days` (three each) are free. Returns its day and status.
pub async fn settled(
    world: &World,
    id: booking_core::AppointmentId,
    days: &[booking_core::DayKey],
) -> (booking_core::DayKey, Status) {
    let alive: Vec<usize> =
        (0..world.members.len()).filter(|at| !world.members[*at].tenures.owned().is_empty()).collect();
    let mut last = String::new();
    for _ in 0..10_000 {
        match told(world, id, days, &alive).await {
            Ok(told) => return told,
            Err(what) => last = what,
        }
        world.pass_time(100);
        tokio::task::yield_now().await;
    }
    panic!("a place is lost or leaked, or a node does not know: {last}");
}

async fn told(
    world: &World,
    id: booking_core::AppointmentId,
    days: &[booking_core::DayKey],
    alive: &[usize],
) -> Result<(booking_core::DayKey, Status), String> {
    let mut answers = Vec::new();
    for at in alive {
        let failed = |error: EngineError| format!("node {at}: {error}");
        let placed = world.appointment(*at, id).await.map_err(failed)?;
        let (day, status) = (placed.day, placed.appointment.status);
        for other in days {
            let taken = u64::from(*other == day && status.is_live());
            let left = world.remaining(*at, *other).await.map_err(failed)?;
            if left != 3 - taken {
                return Err(format!("node {at}: {left} places are left on {other}"));
            }
            let listed = world.listed(*at, AppointmentScope::Day(*other)).await.map_err(failed)?;
            let expected = if *other == day { vec![(id, day, status)] } else { Vec::new() };
            if listed != expected && world.appointment(*at, id).await.as_ref() != Ok(&placed) {
                return Err("it has changed just now".to_owned());
            }
            assert_eq!(listed, expected, "node {at}: told once, where it is");
        }
        let listed = world.listed(*at, AppointmentScope::Patient(placed.appointment.patient)).await.map_err(failed)?;
        if listed != [(id, day, status)] && world.appointment(*at, id).await.as_ref() != Ok(&placed) {
            return Err("it has changed just now".to_owned());
        }
        assert_eq!(listed, [(id, day, status)], "node {at}: told once, where it is");
        answers.push((day, status));
    }
    match answers.iter().all(|answer| *answer == answers[0]) {
        true => Ok(answers[0]),
        false => Err(format!("{answers:?}")),
    }
}
