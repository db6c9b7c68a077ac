//! Storms on doctor-days over a journal that fails at random: whatever was answered with success is in the journal, once, and no
//! slot is oversold or leaked. Seeded: a failing seed is named.
//! Must not know: HTTP, real stores of the journal.

use std::collections::HashMap;
use std::sync::Arc;

use crate::support::{World, caller, day};
use booking_core::{AppointmentId, DoctorDay, Rejection, Role, Status, decode_event, invariant};
use engine::EngineError;
use engine::clock::Clock;
use engine::journal::Journal;
use engine::journal::memory::{Fault, MemoryJournal};
use engine::testing::Faults;
use engine::view::{AppointmentAction, AppointmentAddress, AppointmentReply};
use futures_util::future::join_all;
use uuid::Uuid;

/// A small generator (splitmix64, Steele, Lea and Flood 2014): the same seed, the same storm.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

pub(crate) fn plan_faults(journal: &MemoryJournal, chance: &mut Chance) {
    for _ in 0..60 {
        match chance.below(10) {
            0 => journal.fail_next(Fault::Failed),
            1 => journal.fail_next(Fault::UnknownBefore),
            2 => journal.fail_next(Fault::UnknownAfter),
            3 => journal.fail_next(Fault::UnknownLate),
            _ => journal.spare_next(),
        }
    }
}

/// What one client knows at its end.
enum Known {
    Booked(AppointmentReply),
    Cancelled(AppointmentId),
    Refused,
}

/// Books under one key until the answer is certain, then perhaps cancels until that is certain too.
async fn client(world: &World, number: u128, cancels: bool) -> Known {
    let key = format!("key {number}");
    let reply = loop {
        match world.book(day(number % 2), number, None, Some(&key)).await {
            Ok(reply) => break reply,
            Err(EngineError::Rejected(Rejection::SoldOut)) => return Known::Refused,
            Err(EngineError::Unavailable(_)) => {}
            Err(error) => panic!("client {number}: {error:?}"),
        }
        tokio::task::yield_now().await;
    };
    if !cancels {
        return Known::Booked(reply);
    }
    let address = AppointmentAddress { day: reply.placed.day, id: reply.placed.appointment.id };
    loop {
        let action = AppointmentAction::Cancel { reason: None };
        match world.engine.change(address, action, caller(Role::Admin, Uuid::from_u128(1), None)).await {
            Ok(cancelled) => break Known::Cancelled(cancelled.placed.appointment.id),
            Err(EngineError::Unavailable(_)) => tokio::task::yield_now().await,
            Err(error) => panic!("client {number}: {error:?}"),
        }
    }
}

/// The days as the journal tells them, and nothing else.
pub(crate) async fn folded(journal: &MemoryJournal) -> HashMap<booking_core::DayKey, DoctorDay> {
    let mut days: HashMap<_, DoctorDay> = HashMap::new();
    for record in journal.read_after(0, usize::MAX).await.expect("readable") {
        let event = decode_event(&record.body).expect("a record");
        days.entry(record.day).or_default().apply(record.version, &event);
    }
    days
}

async fn storm(seed: u64) {
    let mut chance = Chance(seed);
    let journal = Arc::new(MemoryJournal::default());
    let world = World::over(Arc::clone(&journal), Faults::default()).await;
    for number in 0..2 {
        world.publish(day(number), 3, 2).await.expect("published");
    }
    plan_faults(&journal, &mut chance);
    let cancels: Vec<bool> = (0..40).map(|_| chance.below(3) == 0).collect();
    let known = join_all((0..40_u128).map(|number| client(&world, number, cancels[number as usize]))).await;
    let days = folded(&journal).await;
    for (key, state) in &days {
        invariant::check(state, world.clock.now()).unwrap_or_else(|what| panic!("seed {seed}: {key}: {what}"));
    }
    let mut live = 0;
    for (number, known) in known.iter().enumerate() {
        let (id, status) = match known {
            Known::Booked(reply) => (reply.placed.appointment.id, Status::Booked),
            Known::Cancelled(id) => (*id, Status::Cancelled),
            Known::Refused => continue,
        };
        live += usize::from(status == Status::Booked);
        let row = days[&day((number % 2) as u128)].appointment(id);
        let row = row.unwrap_or_else(|| panic!("seed {seed}: the acknowledged appointment of client {number} is lost"));
        assert_eq!(row.status, status, "seed {seed}: client {number}");
        let read = world.engine.appointment(id).await.expect("own writes are visible");
        assert_eq!(&read.appointment, row, "seed {seed}: client {number}");
    }
    let stored: usize =
        days.values().flat_map(DoctorDay::appointments).filter(|row| row.status == Status::Booked).count();
    assert_eq!(stored, live, "seed {seed}: an appointment that nobody was told of");
    let free = world.remaining(day(0)).await + world.remaining(day(1)).await;
    assert_eq!(free as usize + live, 12, "seed {seed}: a place was leaked");
}

#[tokio::test]
async fn nothing_is_lost_oversold_or_leaked_whatever_the_journal_does() {
    for seed in 0..150 {
        storm(seed).await;
    }
}
