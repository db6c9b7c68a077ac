//! One patient in one place and one key on one day although the days are decided by two engines that know nothing of each other but a
//! store of claims, and may ask each other.
//! Must not know: HTTP, real stores.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use booking_core::{AppointmentId, DayKey, DayVersion, PatientId, Rejection, RequestKey, Role, UtcMillis};
use engine::claims::Visit;
use engine::claims::guard::{ClaimGuard, ClaimStates, RecordClaims};
use engine::claims::guarded::Guard;
use engine::claims::memory::{GuardFault, MemoryGuard};
use engine::journal::memory::MemoryJournal;
use engine::ownership::peers::{ClaimState, KeyClaimState};
use engine::testing::Faults;
use engine::view::{AppointmentAction, AppointmentAddress, AppointmentReply, RescheduleRequest};
use engine::{EngineError, EngineHandle};
use futures_util::future::join_all;
use uuid::Uuid;

use crate::support::{HOUR, START, World, caller, day};

type Answer = Result<AppointmentReply, EngineError>;

/// Who has which day: the even doctors one engine, the odd ones the other.
#[derive(Default)]
struct Owners {
    engines: [OnceLock<EngineHandle>; 2],
    is_cut_off: AtomicBool,
}

impl Owners {
    fn of(&self, day: DayKey) -> Result<&EngineHandle, EngineError> {
        if self.is_cut_off.load(Ordering::SeqCst) {
            return Err(EngineError::Unavailable("cut off".to_owned()));
        }
        let number = usize::from(day.doctor.as_bytes()[15] - 77) % 2;
        Ok(self.engines[number].get().expect("both have begun"))
    }
}

#[async_trait]
impl ClaimStates for Owners {
    async fn claim_state(&self, day: DayKey, appointment: AppointmentId) -> Result<ClaimState, EngineError> {
        self.of(day)?.claim_state(day, appointment).await
    }

    async fn key_state(&self, day: DayKey, key: &RequestKey) -> Result<KeyClaimState, EngineError> {
        self.of(day)?.key_claim_state(day, key.subject, &key.key).await
    }
}

/// Two engines over one journal and one store of claims.
struct Pair {
    worlds: [World; 2],
    store: MemoryGuard,
    owners: Arc<Owners>,
}

impl Pair {
    async fn with_days(days: u128, slots: usize, capacity: u32) -> Self {
        let (journal, store) = (Arc::new(MemoryJournal::default()), MemoryGuard::default());
        let owners = Arc::new(Owners::default());
        let begin = async || {
            let guard = Arc::new(Guard::new(Arc::new(store.clone())));
            guard.connect(Arc::clone(&owners) as Arc<dyn ClaimStates>);
            World::beside(Arc::clone(&journal), Faults::default(), Some(guard)).await
        };
        let worlds = [begin().await, begin().await];
        for (world, engine) in worlds.iter().zip(&owners.engines) {
            assert!(engine.set(world.engine.clone()).is_ok());
        }
        let pair = Self { worlds, store, owners };
        for number in 0..days {
            pair.of(number).publish(day(number), slots, capacity).await.expect("published");
        }
        pair
    }

    fn of(&self, number: u128) -> &World {
        &self.worlds[(number % 2) as usize]
    }

    async fn book(&self, number: u128, patient: u128, slot: Option<usize>, key: Option<&str>) -> Answer {
        self.of(number).book(day(number), patient, slot, key).await
    }

    /// Waits, while the clocks run, until the store has this many visits.
    async fn until_claimed(&self, visits: usize) {
        for _ in 0..100_000 {
            if self.store.visits().len() == visits {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("{:?} are claimed, not {visits}", self.store.visits());
    }

    fn pass_time(&self, millis: i64) {
        self.worlds.iter().for_each(|world| world.pass_time(millis));
    }
}

async fn cancel(world: &World, reply: &AppointmentReply) -> Answer {
    let address = AppointmentAddress { day: reply.placed.day, id: reply.placed.appointment.id };
    let action = AppointmentAction::Cancel { reason: None };
    world.engine.change(address, action, caller(Role::Admin, Uuid::from_u128(1), None)).await
}

fn in_the_way(answer: &Answer) -> Option<AppointmentId> {
    match answer {
        Err(EngineError::Rejected(Rejection::AlreadyBooked { appointment })) => Some(*appointment),
        _ => None,
    }
}

fn orphan(number: u128, patient: u128) -> RecordClaims {
    let start = START.plus_millis(9 * HOUR);
    let visit = Visit {
        patient: PatientId(Uuid::from_u128(1_000 + patient)),
        appointment: AppointmentId(Uuid::from_u128(55)),
        start,
        end: start.plus_millis(600_000),
        hold_expires_at: None,
    };
    RecordClaims::of(day(number), DayVersion { epoch: 1, sequence: 9 }, 9, Some(visit), None).expect("a claim")
}

#[tokio::test]
async fn one_patient_at_one_hour_on_days_of_two_engines_at_once() {
    let pair = Pair::with_days(2, 1, 5).await;
    for round in 0..100 {
        let answers = join_all((0..2).map(|number| pair.book(number, 1, Some(0), None))).await;
        let won: Vec<_> =
            answers.iter().enumerate().filter_map(|(at, answer)| Some((at, answer.as_ref().ok()?))).collect();
        assert_eq!(won.len(), 1, "round {round}: {answers:?}");
        let (at, reply) = won[0];
        assert_eq!(in_the_way(&answers[1 - at]), Some(reply.placed.appointment.id), "round {round}");
        cancel(&pair.worlds[at], reply).await.expect("cancelled");
        // What is known of the other engine's visits is known as of an instant.
        pair.pass_time(1);
    }
    pair.until_claimed(0).await;
}

#[tokio::test]
async fn one_key_for_days_of_two_engines_at_once() {
    let pair = Pair::with_days(2, 3, 200).await;
    for round in 0..100_usize {
        let (key, patient) = (format!("key-{round}"), round as u128);
        let answers = join_all([
            pair.book(0, patient, Some(round % 3), Some(&key)),
            pair.book(1, patient, Some((round + 1) % 3), Some(&key)),
        ])
        .await;
        assert_eq!(answers.iter().flatten().count(), 1, "round {round}: {answers:?}");
        let lost = answers.iter().find(|answer| answer.is_err());
        assert!(matches!(lost, Some(Err(EngineError::Rejected(Rejection::KeyReused)))), "round {round}: {lost:?}");
    }
}

#[tokio::test]
async fn who_was_refused_finds_the_other_gone_as_soon_as_it_is() {
    let pair = Pair::with_days(2, 1, 5).await;
    for _ in 0..20 {
        let there = pair.book(0, 1, Some(0), None).await.expect("booked");
        assert_eq!(in_the_way(&pair.book(1, 1, Some(0), None).await), Some(there.placed.appointment.id));
        cancel(pair.of(0), &there).await.expect("cancelled");
        pair.pass_time(1);
        let here = pair.book(1, 1, Some(0), None).await.expect("the patient is nowhere else");
        cancel(pair.of(1), &here).await.expect("cancelled");
    }
}

#[tokio::test]
async fn a_blocked_day_decides_everybody_again_and_refuses_nobody_for_a_place_that_was_not_taken() {
    let pair = Pair::with_days(2, 1, 20).await;
    pair.book(0, 1, Some(0), None).await.expect("booked");
    let before = pair.of(1).records().await;
    // All are decided before any is written: the first takes a place until it is known that it may not.
    let answers = join_all((1..=21).map(|patient| pair.book(1, patient, Some(0), None))).await;
    // When it could be decided whether it may, the others had every place.
    assert!(matches!(answers[0], Err(EngineError::Rejected(Rejection::SlotTaken))), "{:?}", answers[0]);
    let places: Vec<u32> =
        answers[1..].iter().map(|answer| answer.as_ref().expect("booked").placed.appointment.place).collect();
    assert_eq!(places, (0..20).collect::<Vec<_>>(), "in their order");
    assert_eq!(pair.of(1).records().await, before + 20);
    assert_eq!(pair.store.visits().len(), 21);
}

#[tokio::test]
async fn any_slot_is_another_one_than_the_patient_has_elsewhere() {
    let pair = Pair::with_days(2, 2, 1).await;
    let there = pair.book(0, 1, None, None).await.expect("the first slot");
    let here = pair.book(1, 1, None, None).await.expect("the second slot");
    assert_eq!(here.placed.appointment.start, there.placed.appointment.end);
}

#[tokio::test]
async fn a_claim_without_a_record_is_taken_over() {
    let pair = Pair::with_days(2, 1, 5).await;
    pair.store.plant(&orphan(0, 1));
    pair.book(1, 1, Some(0), None).await.expect("the day of the claim knows nothing of it");
    assert_eq!(pair.store.visits().iter().map(|(at, _)| *at).collect::<Vec<_>>(), [day(1)]);
}

#[tokio::test]
async fn nothing_is_booked_while_nobody_says_what_became_of_a_claim() {
    let pair = Pair::with_days(2, 1, 5).await;
    pair.store.plant(&orphan(0, 1));
    pair.owners.is_cut_off.store(true, Ordering::SeqCst);
    let before = pair.of(1).records().await;
    let mut waiting = std::pin::pin!(pair.book(1, 1, Some(0), None));
    let answer = loop {
        tokio::select! {
            answer = &mut waiting => break answer,
            () = tokio::task::yield_now() => pair.pass_time(1),
        }
    };
    assert!(matches!(answer, Err(EngineError::Unavailable(_))), "{answer:?}");
    assert_eq!(pair.of(1).records().await, before);
    pair.owners.is_cut_off.store(false, Ordering::SeqCst);
    pair.book(1, 1, Some(0), None).await.expect("now it is known");
}

#[tokio::test]
async fn without_the_store_nothing_is_booked_and_everything_can_be_cancelled() {
    let pair = Pair::with_days(2, 1, 5).await;
    let booked = pair.book(0, 1, Some(0), None).await.expect("booked");
    pair.store.set_away(true);
    let refused = pair.book(0, 2, Some(0), None).await;
    assert!(matches!(refused, Err(EngineError::Unavailable(_))), "{refused:?}");
    cancel(pair.of(0), &booked).await.expect("a cancellation claims nothing");
    assert_eq!(pair.of(0).remaining(day(0)).await, 5);
    pair.store.set_away(false);
    pair.pass_time(1_000);
    pair.book(0, 2, Some(0), None).await.expect("the store is back");
}

#[tokio::test]
async fn an_attempt_of_unknown_outcome_is_repeated_under_its_names() {
    for fault in [GuardFault::UnknownBefore, GuardFault::UnknownAfter] {
        let pair = Pair::with_days(2, 1, 5).await;
        pair.store.fail_next(fault);
        pair.book(0, 1, Some(0), Some("k")).await.expect("claimed at last");
        let calls = pair.store.calls();
        assert_eq!(calls.len(), 2, "{fault:?}");
        assert_eq!(calls[0], calls[1], "{fault:?}");
        assert_eq!((pair.store.visits().len(), pair.store.keys()), (1, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn a_move_keeps_the_claim_of_the_place_that_it_leads_to() {
    let pair = Pair::with_days(3, 2, 2).await;
    let booked = pair.book(0, 1, Some(0), None).await.expect("booked");
    let id = booked.placed.appointment.id;
    let wish = |to: DayKey, slot: usize| RescheduleRequest {
        id,
        doctor: Some(to.doctor),
        date: to.date,
        start: Some(START.plus_millis(9 * HOUR + slot as i64 * 600_000)),
        audiences: Arc::from([]),
        caller: caller(Role::Patient, Uuid::from_u128(1_001), None),
    };
    pair.of(0).engine.reschedule(wish(day(0), 1)).await.expect("within the day");
    pair.until_claimed(1).await;
    assert_eq!(pair.store.visits()[0].1.start, start_of(1));
    pair.of(0).engine.reschedule(wish(day(2), 0)).await.expect("to another day");
    pair.until_claimed(1).await;
    assert_eq!((pair.store.visits()[0].0, pair.store.visits()[0].1.start), (day(2), start_of(0)));
    assert_eq!(in_the_way(&pair.book(1, 1, Some(0), None).await), Some(id));
    pair.book(1, 1, Some(1), None).await.expect("where it was is free");
}

fn start_of(slot: usize) -> UtcMillis {
    START.plus_millis(9 * HOUR + slot as i64 * 600_000)
}

#[tokio::test]
async fn what_is_over_is_deleted() {
    let pair = Pair::with_days(1, 1, 5).await;
    pair.book(0, 1, Some(0), None).await.expect("booked");
    assert_eq!(pair.store.sweep(START).await.expect("swept"), 0);
    assert_eq!(pair.store.sweep(START.plus_millis(10 * HOUR)).await.expect("swept"), 1);
}
