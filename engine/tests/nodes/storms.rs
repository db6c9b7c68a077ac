//! Many moves, cancels and confirms of one appointment over a wire that loses, repeats and delays: in the end there is one place.
//! Must not know: the steps of a move.

use booking_core::{AppointmentId, DayKey};
use engine::EngineError;
use engine::view::{AppointmentAction, AppointmentReply};
use futures_util::future::join_all;

use crate::moves::{days_apart, settled};
use crate::wire::Dice;
use crate::world::World;

const SEEDS: u64 = 100;

async fn one(world: &World, dice: u64, id: AppointmentId, days: &[DayKey]) -> Result<AppointmentReply, EngineError> {
    let at = (dice % 3) as usize;
    match dice / 3 % 8 {
        0 => world.change(at, id, AppointmentAction::Confirm, None).await,
        1 if (dice / 24).is_multiple_of(4) => {
            world.change(at, id, AppointmentAction::Cancel { reason: None }, None).await
        }
        to => world.reschedule(at, id, days[to as usize % 3], None).await,
    }
}

/// `work`, while time passes: whoever waits for something that is lost gives up some day.
async fn beside_the_clock<T>(world: &World, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::task::yield_now() => world.pass_time(5),
        }
    }
}

#[tokio::test]
async fn one_place_is_left_whatever_the_wire_does() {
    let (mut moved, mut failed) = (0, 0);
    for seed in 0..SEEDS {
        let (world, days) = days_apart(3).await;
        if seed % 2 == 0 {
            world.hold_ledger();
        }
        let id = world.book(0, days[0], 1, Some(60_000)).await.expect("held").placed.appointment.id;
        let mut dice = Dice::new(seed);
        world.wire.dice(Some(Dice::new(seed + 1_000)));
        for _ in 0..4 {
            let wishes: Vec<u64> = (0..4).map(|_| dice.below(1 << 20)).collect();
            let answers = join_all(wishes.into_iter().map(|wish| one(&world, wish, id, &days)));
            let answers = beside_the_clock(&world, answers).await;
            moved += answers.iter().filter(|answer| answer.is_ok()).count();
            failed += answers.iter().filter(|answer| matches!(answer, Err(EngineError::Unavailable(_)))).count();
            for answer in &answers {
                let is_told = match answer {
                    Err(EngineError::Rejected(rejection)) => !rejection.is_internal(),
                    Err(EngineError::NotHere { .. } | EngineError::Internal(_)) => false,
                    _ => true,
                };
                assert!(is_told, "seed {seed}: {answer:?}");
            }
        }
        world.wire.dice(None);
        settled(&world, id, &days).await;
    }
    assert!(moved > 100 && failed > 20, "the storm is none: {moved} done, {failed} not known");
}
