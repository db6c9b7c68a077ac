//! Patients who book, move, confirm and cancel over several days at once, over a journal that fails at random: each appointment has one
//! place, no patient is in two places at a time, no key wins twice, and no place is lost or leaked. Seeded: a failing seed is named.
//! Must not know: HTTP, real stores of the journal.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use booking_core::{Appointment, AppointmentId, DayKey, DoctorDay, Rejection, Role, Status, invariant};
use engine::EngineError;
use engine::clock::Clock;
use engine::journal::memory::MemoryJournal;
use engine::testing::Faults;
use engine::view::{AppointmentAction, AppointmentAddress, AppointmentReply, RescheduleRequest};
use futures_util::future::join_all;
use uuid::Uuid;

use crate::faulty_storms::{Chance, folded, plan_faults};
use crate::support::{World, caller, day};

const DAYS: u64 = 3;
const SLOTS: usize = 3;
const CAPACITY: u32 = 2;
const CLIENTS: u128 = 14;
/// Clients share patients, so that some meet themselves elsewhere.
const PATIENTS: u128 = 7;

/// What a client knows of its appointment in the end, for certain.
struct Known {
    last: AppointmentReply,
}

/// Repeats `attempt` until its answer is certain.
async fn certain<F: Future<Output = Result<AppointmentReply, EngineError>>>(
    attempt: impl Fn() -> F,
) -> Result<AppointmentReply, Rejection> {
    for number in 0.. {
        assert!(number < 2_000, "the answer never becomes certain");
        match attempt().await {
            Ok(reply) => return Ok(reply),
            Err(EngineError::Rejected(rejection)) => return Err(rejection),
            Err(EngineError::Repeated(first)) => match *first {
                EngineError::Rejected(rejection) => return Err(rejection),
                other => panic!("repeated: {other:?}"),
            },
            Err(EngineError::Unavailable(_)) => {
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    unreachable!("it returns or panics")
}

async fn client(world: &World, number: u128, mut chance: Chance) -> Option<Known> {
    let patient = number % PATIENTS;
    let person = Uuid::from_u128(1_000 + patient);
    let key = format!("book-{number}");
    let first = day(u128::from(chance.below(DAYS)));
    let booked = certain(|| world.book(first, patient, None, Some(&key))).await;
    let mut last = match booked {
        Ok(reply) => reply,
        Err(Rejection::SoldOut | Rejection::AlreadyBooked { .. }) => return None,
        Err(other) => panic!("client {number}: {other}"),
    };
    let id = last.placed.appointment.id;
    for step in 0..chance.below(6) {
        let target = day(u128::from(chance.below(DAYS)));
        let key = format!("move-{number}-{step}");
        let wish = || RescheduleRequest {
            id,
            doctor: Some(target.doctor),
            date: target.date,
            start: None,
            audiences: Arc::from([]),
            caller: caller(Role::Patient, person, Some(&key)),
        };
        match certain(|| world.engine.reschedule(wish())).await {
            Ok(reply) => {
                assert!(reply.placed.day == target, "client {number}: told of another day than it asked for");
                last = reply;
            }
            Err(Rejection::SoldOut | Rejection::AlreadyBooked { .. }) => {}
            Err(other) => panic!("client {number}: {other}"),
        }
    }
    if chance.below(3) == 0 {
        let address = AppointmentAddress { day: first, id };
        let cancel = || AppointmentAction::Cancel { reason: None };
        let by = || caller(Role::Admin, Uuid::from_u128(1), None);
        last = certain(|| world.engine.change(address, cancel(), by())).await.expect("a cancel is never refused");
    }
    Some(Known { last })
}

/// Every appointment with the day whose state has it; a place that is kept for a move is none.
fn homes(seed: u64, days: &HashMap<DayKey, DoctorDay>) -> HashMap<AppointmentId, (DayKey, Appointment)> {
    let mut homes = HashMap::new();
    for (key, state) in days {
        for row in state.appointments() {
            let before = homes.insert(row.id, (*key, row.clone()));
            assert!(before.is_none(), "seed {seed}: appointment {} stands on two days", row.id);
        }
    }
    homes
}

fn assert_one_place_each(seed: u64, homes: &HashMap<AppointmentId, (DayKey, Appointment)>) {
    let live: Vec<&Appointment> = homes.values().map(|(_, row)| row).filter(|row| row.status.is_live()).collect();
    for (number, one) in live.iter().enumerate() {
        for other in live.iter().skip(number + 1).filter(|other| other.patient == one.patient) {
            let apart = one.end <= other.start || other.end <= one.start;
            assert!(apart, "seed {seed}: a patient is in two places at a time: {one:?} {other:?}");
        }
    }
}

fn assert_keys_won_once(seed: u64, days: &HashMap<DayKey, DoctorDay>) {
    let mut keys = HashSet::new();
    for (subject, known) in days.values().flat_map(DoctorDay::remembered) {
        assert!(keys.insert((subject, known.key.clone())), "seed {seed}: {} has won twice", known.key);
    }
}

/// The journal's days once no move is under way, and how many places are free in the published pictures. A client is refused from the
/// picture of the day to go to while an attempt that it gave up is still under way there: such an attempt is waited for, and it is over
/// when it claims nothing any more.
async fn at_rest(world: &World, journal: &MemoryJournal, seed: u64) -> (HashMap<DayKey, DoctorDay>, u64) {
    for _ in 0..20_000 {
        let days = folded(journal).await;
        let mut free = Some(0);
        for number in 0..DAYS {
            let count = world.counts(day(u128::from(number))).await.ok();
            free = free.zip(count).map(|(sum, count)| sum + count);
        }
        match free {
            Some(free) if is_quiet(world, &days) => return (days, free),
            _ => world.pass_time(200),
        }
        tokio::task::yield_now().await;
    }
    let claims = world.claims.visits();
    panic!("seed {seed}: a place is kept for ever, or one of {claims} claims is");
}

fn is_quiet(world: &World, days: &HashMap<DayKey, DoctorDay>) -> bool {
    let live = days.values().flat_map(DoctorDay::appointments).filter(|row| row.status.is_live()).count();
    days.values().all(|state| state.arrivals().next().is_none()) && world.claims.visits() == live
}

/// A millisecond whenever everybody has had a turn.
async fn pass_time(world: &World) {
    loop {
        world.pass_time(1);
        tokio::task::yield_now().await;
    }
}

async fn storm(seed: u64) {
    let mut chance = Chance(seed);
    let journal = Arc::new(MemoryJournal::default());
    let world = World::over(Arc::clone(&journal), Faults::default()).await;
    for number in 0..DAYS {
        world.publish(day(u128::from(number)), SLOTS, CAPACITY).await.expect("published");
    }
    plan_faults(&journal, &mut chance);
    let clients = (0..CLIENTS).map(|number| client(&world, number, Chance(chance.below(u64::MAX))));
    let known = tokio::select! {
        known = join_all(clients) => known,
        () = pass_time(&world) => unreachable!("time has no end"),
    };
    let (days, free) = at_rest(&world, &journal, seed).await;
    for (key, state) in &days {
        invariant::check(state, world.clock.now()).unwrap_or_else(|what| panic!("seed {seed}: {key}: {what}"));
    }
    let homes = homes(seed, &days);
    assert_one_place_each(seed, &homes);
    assert_keys_won_once(seed, &days);
    for Known { last } in known.iter().flatten() {
        let (home, row) = &homes[&last.placed.appointment.id];
        assert_eq!((*home, row), (last.placed.day, &last.placed.appointment), "seed {seed}: not as it was told");
        let read = world.engine.appointment(row.id).await.expect("own writes are visible");
        assert_eq!((read.day, &read.appointment), (*home, row), "seed {seed}");
    }
    let live = homes.values().filter(|(_, row)| row.status == Status::Booked).count();
    assert_eq!(known.iter().flatten().count(), homes.len(), "seed {seed}: an appointment that nobody was told of");
    assert_eq!(free as usize + live, DAYS as usize * SLOTS * CAPACITY as usize, "seed {seed}: a place was leaked");
}

#[tokio::test]
async fn one_place_each_whatever_the_journal_does() {
    for seed in 0..100 {
        storm(seed).await;
    }
}
