//! What holds of appointments that move between days, whatever is lost on the way: each stands on one day, as its callers
//! were told; and once all is settled no place is kept for nobody.
//! Must not know: the steps of a move.

use std::sync::Arc;

use booking_core::{Action, Booking, DayDefinition, Relocation};
use proptest::prelude::*;

use crate::driver::{Driver, appointment_id, command, definition, patient_id};
use crate::random::{PlaceWish, any_definition, any_place};
use crate::world::World;

const DAYS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Book { day: usize, patient: u64, hold_millis: Option<i64>, place: PlaceWish },
    Move { appointment: usize, to: usize, place: PlaceWish, has_key: bool },
    Deliver { position: usize, is_copy: bool },
    Lose(usize),
    GiveUp { day: usize, position: usize },
    Crash(usize),
    Settle(usize),
    Confirm(usize),
    Cancel(usize),
    NoShow(usize),
    Expire(usize),
    Close(usize),
    Publish { day: usize, definition: DayDefinition },
}

fn play(world: &mut World, number: usize, step: &Step) {
    match step {
        Step::Book { day, patient, hold_millis, place } => {
            let booking = Booking {
                appointment: appointment_id(number as u64),
                patient: patient_id(*patient),
                start: place.start(),
                hold_millis: *hold_millis,
                audiences: place.audiences(),
                busy: place.busy(),
            };
            world.run(*day, &command(Action::Book(booking)));
        }
        Step::Move { appointment, to, place, has_key } => {
            let Some(appointment) = world.chosen(*appointment) else { return };
            let (start, audiences, busy) = (place.start(), place.audiences(), place.busy());
            world.begin_move(appointment, *to, Relocation { appointment, start, audiences, busy }, *has_key);
        }
        Step::Deliver { position, is_copy } => world.deliver(*position, *is_copy),
        Step::Lose(position) => world.lose(*position),
        Step::GiveUp { day, position } => world.give_up(*day, *position),
        Step::Crash(day) => world.crash(*day),
        Step::Settle(day) => {
            world.settle(*day);
        }
        Step::Confirm(position) => change(world, *position, |appointment| Action::Confirm { appointment }),
        Step::Cancel(position) => change(world, *position, |appointment| Action::Cancel { appointment, reason: None }),
        Step::NoShow(position) => change(world, *position, |appointment| Action::NoShow { appointment }),
        Step::Expire(day) => {
            world.run(*day, &command(Action::Expire));
        }
        Step::Close(day) => {
            world.run(*day, &command(Action::Close { reason: None }));
        }
        Step::Publish { day, definition } => {
            let definition = Arc::new(definition.clone());
            world.run(*day, &command(Action::Publish { definition, precondition: None }));
        }
    }
}

fn change(world: &mut World, position: usize, action: impl Fn(booking_core::AppointmentId) -> Action) {
    if let Some(appointment) = world.chosen(position) {
        world.ask(appointment, &command(action(appointment)));
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let hold_millis = proptest::option::of(1000_i64..400_000);
    let booking = (0..DAYS, 0_u64..5, hold_millis, any_place());
    let moving = (0_usize..60, 0..DAYS, any_place(), any::<bool>());
    prop_oneof![
        8 => booking.prop_map(|(day, patient, hold_millis, place)| Step::Book { day, patient, hold_millis, place }),
        12 => moving.prop_map(|(appointment, to, place, has_key)| Step::Move { appointment, to, place, has_key }),
        24 => (0_usize..60, proptest::bool::weighted(0.2))
            .prop_map(|(position, is_copy)| Step::Deliver { position, is_copy }),
        1 => (0_usize..60).prop_map(Step::Lose),
        1 => (0..DAYS, 0_usize..6).prop_map(|(day, position)| Step::GiveUp { day, position }),
        1 => (0..DAYS).prop_map(Step::Crash),
        1 => (0..DAYS).prop_map(Step::Settle),
        2 => (0_usize..60).prop_map(Step::Confirm),
        2 => (0_usize..60).prop_map(Step::Cancel),
        1 => (0_usize..60).prop_map(Step::NoShow),
        1 => (0..DAYS).prop_map(Step::Expire),
        1 => (0..DAYS, any_definition()).prop_map(|(day, definition)| Step::Publish { day, definition }),
    ]
}

fn any_steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let later_millis = prop_oneof![6 => Just(0_i64), 3 => 1_i64..2000, 1 => 2000_i64..60_000];
    let step = prop_oneof![120 => any_step(), 1 => (0..DAYS).prop_map(Step::Close)];
    proptest::collection::vec((later_millis, step), 1..90)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_appointment_stands_on_one_day(
        definitions in proptest::collection::vec(any_definition(), DAYS),
        steps in any_steps(),
        echoes in proptest::collection::vec(0_usize..60, 0..20),
    ) {
        let mut world = World::of(definitions.into_iter().map(Driver::published).collect());
        travel(&mut world, &steps, &echoes);
    }

    #[test]
    fn a_single_traveller_and_its_echoes_stay_one(
        steps in proptest::collection::vec((0_i64..50, any_leg()), 1..120),
        echoes in proptest::collection::vec(0_usize..60, 0..40),
    ) {
        let wide = definition(&[(5000, 5100, 3), (5200, 5300, 3)], &[(0, None, None)]).expect("a good definition");
        let mut world = World::of(vec![Driver::published(wide); DAYS]);
        let birth = Step::Book { day: 0, patient: 0, hold_millis: None, place: PlaceWish::any() };
        play(&mut world, 0, &birth);
        travel(&mut world, &steps, &echoes);
        prop_assert!(world.days.iter().map(|day| day.day.appointments().count()).sum::<usize>() == 1);
    }
}

/// Moves of one appointment, most of whose messages are delivered more than once.
fn any_leg() -> impl Strategy<Value = Step> {
    let anywhere = |(to, has_key)| Step::Move { appointment: 0, to, place: PlaceWish::any(), has_key };
    prop_oneof![
        4 => (0..DAYS, any::<bool>()).prop_map(anywhere),
        12 => (0_usize..60, proptest::bool::weighted(0.4))
            .prop_map(|(position, is_copy)| Step::Deliver { position, is_copy }),
        1 => (0..DAYS, 0_usize..6).prop_map(|(day, position)| Step::GiveUp { day, position }),
        1 => (0..DAYS).prop_map(Step::Crash),
        1 => (0..DAYS).prop_map(Step::Settle),
        1 => Just(Step::Confirm(0)),
    ]
}

/// Plays the steps and settles what they leave; then come the echoes, in some order.
fn travel(world: &mut World, steps: &[(i64, Step)], echoes: &[usize]) {
    for (number, (later_millis, step)) in steps.iter().enumerate() {
        world.now = world.now.plus_millis(*later_millis);
        play(world, number + 1, step);
        world.check();
    }
    world.settle_all();
    // What is delivered after everything was settled may at most keep places anew, which are given back.
    for position in echoes {
        if world.has_mail() {
            world.deliver(*position, false);
            world.check();
        }
    }
    world.settle_all();
    world.check();
}
