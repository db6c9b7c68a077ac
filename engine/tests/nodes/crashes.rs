//! A node that dies in the middle of a move: whoever takes its days over finds out what became of it.
//! Must not know: how a takeover is agreed upon.

use booking_core::Status;
use futures_util::future::{Either, select};

use crate::moves::{days_apart, settled};
use crate::wire::Mishap;

/// Has `dead` die when so many records of the move (place kept, left, taken in) are durable.
async fn die(dead: usize, records: u64) {
    let what = format!("node {dead} dies after {records} records");
    let (world, days) = days_apart(2).await;
    let id = world.book(0, days[0], 1, None).await.expect("booked").placed.appointment.id;
    let before = world.records().await;
    // The records alternate: the day to go to, the day of departure, the day to go to.
    world.members[0].journal.allow(usize::from(records >= 2));
    world.members[1].journal.allow([0, 1, 1, 2][records as usize]);
    let answered = {
        let mut moving = Box::pin(world.reschedule(0, id, days[1], Some("m")));
        let mut answered = None;
        while world.records().await < before + records || (records >= 2 && answered.is_none()) {
            match select(&mut moving, Box::pin(tokio::task::yield_now())).await {
                Either::Left((answer, _)) => answered = Some(answer),
                Either::Right(_) => continue,
            }
            break;
        }
        while world.records().await < before + records {
            tokio::task::yield_now().await;
        }
        answered
    };
    if let Some(answered) = &answered {
        assert_eq!(answered.as_ref().expect("moved").placed.day, days[1], "{what}");
    }
    world.take_over(dead, 1 - dead).await;
    world.members[1 - dead].journal.allow(usize::MAX);
    // A driver that lives has its record written yet.
    let is_moved = records >= 2 || dead == 1;
    let (home, status) = settled(&world, id, &days).await;
    assert_eq!((home == days[1], status), (is_moved, Status::Booked), "{what}");
    let again =
        world.reschedule(1 - dead, id, days[1], Some("m")).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(again.replayed, is_moved, "{what}");
    assert_eq!(settled(&world, id, &days).await, (days[1], Status::Booked), "{what}");
}

#[tokio::test]
async fn the_driver_dies_after_any_record() {
    for records in 0..4 {
        die(0, records).await;
    }
}

#[tokio::test]
async fn the_node_to_go_to_dies_after_any_record() {
    for records in 1..4 {
        die(1, records).await;
    }
}

/// The place is kept on one node, and the other does not hear of it: it gives up, and nothing stays kept.
#[tokio::test]
async fn a_node_that_cannot_be_reached_keeps_nothing_for_ever() {
    let (world, days) = days_apart(2).await;
    let id = world.book(0, days[0], 1, None).await.expect("booked").placed.appointment.id;
    world.wire.plan(None);
    world.wire.plan(Some(Mishap::Unanswered));
    world.wire.plan(Some(Mishap::Lost));
    let moved = world.reschedule(0, id, days[1], None).await;
    assert!(matches!(moved, Err(engine::EngineError::Unavailable(_))), "{moved:?}");
    assert_eq!(settled(&world, id, &days).await, (days[0], Status::Booked));
}

/// Whoever is asked by an old address says so, and the next owner is asked.
#[tokio::test]
async fn a_day_that_has_gone_to_another_node_is_asked_there() {
    let (world, days) = days_apart(3).await;
    let id = world.book(0, days[0], 1, None).await.expect("booked").placed.appointment.id;
    let count = world.members.len();
    let at_2 = |shard: u16| if shard == days[1].shard() { 2 } else { usize::from(shard) % count };
    // The first node does not hear of it until its first question was answered.
    world.share_out_but(at_2, 0);
    let asked = world.wire.asked();
    world.wire.plan(Some(Mishap::Late(20)));
    let moving = world.reschedule(0, id, days[1], None);
    let heard = async {
        while world.wire.asked() == asked {
            tokio::task::yield_now().await;
        }
        world.share_out(at_2);
    };
    let (moved, ()) = tokio::join!(moving, heard);
    assert_eq!(moved.expect("moved").placed.day, days[1]);
    assert_eq!(settled(&world, id, &days).await, (days[1], Status::Booked));
}
