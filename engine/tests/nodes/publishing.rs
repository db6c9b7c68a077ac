//! Days of one doctor that overlap, published at once on two nodes: one of them is refused.
//! Must not know: how a lock is kept.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use booking_core::{DayDefinition, DayKey, DoctorId, Rejection, Release, Role, SlotDefinition, UtcMillis};
use engine::EngineError;
use engine::ownership::{PublishGuard, PublishLock};
use engine::view::{DayReply, PublishRequest};
use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

use crate::world::{HOUR, World, caller, day_of};

/// A lock in memory, which can be lost.
#[derive(Default)]
struct MemoryLock {
    doctors: Mutex<HashMap<DoctorId, Arc<tokio::sync::Mutex<()>>>>,
    is_lost: Mutex<bool>,
    losses: Arc<Losses>,
}

/// Locks are lost right after somebody has looked whether he has his.
#[derive(Default)]
struct Losses {
    to_come: AtomicUsize,
    happened: AtomicUsize,
}

impl MemoryLock {
    /// Everybody else can have what is lost.
    fn lose_after_next_look(&self) {
        self.losses.to_come.store(1, Ordering::SeqCst);
    }

    async fn is_lost_now(&self, losses: usize) {
        while self.losses.happened.load(Ordering::SeqCst) < losses {
            tokio::task::yield_now().await;
        }
        self.doctors.lock().clear();
    }
}

struct Held {
    _guard: OwnedMutexGuard<()>,
    is_lost: bool,
    losses: Arc<Losses>,
}

#[async_trait]
impl PublishLock for MemoryLock {
    async fn lock(&self, doctor: DoctorId) -> Result<Box<dyn PublishGuard>, String> {
        let mutex = Arc::clone(self.doctors.lock().entry(doctor).or_default());
        let losses = Arc::clone(&self.losses);
        Ok(Box::new(Held { _guard: mutex.lock_owned().await, is_lost: *self.is_lost.lock(), losses }))
    }
}

#[async_trait]
impl PublishGuard for Held {
    async fn is_held(&mut self) -> bool {
        let was_held = !self.is_lost;
        if self.losses.to_come.swap(0, Ordering::SeqCst) > 0 {
            self.is_lost = true;
            self.losses.happened.fetch_add(1, Ordering::SeqCst);
        }
        was_held
    }

    async fn release(self: Box<Self>) {}
}

/// One slot from `hour` of the day's date for 24 hours: it reaches into the next date.
fn long(day: DayKey, hour: i64) -> Arc<DayDefinition> {
    let start = UtcMillis(i64::from(day.date.days()) * 24 * HOUR).plus_millis(hour * HOUR);
    let slot = SlotDefinition { start, end: start.plus_millis(24 * HOUR), capacity: 1, utc_offset_seconds: 0 };
    let releases = vec![Release { at: UtcMillis(0), places: None, audience: None }];
    Arc::new(DayDefinition::validate("UTC".into(), "".into(), vec![slot], releases).expect("a valid day"))
}

async fn publish(world: &World, at: usize, day: DayKey, hour: i64) -> Result<DayReply, EngineError> {
    let caller = caller(Role::Admin, Uuid::from_u128(1), None);
    let request = PublishRequest { day, definition: long(day, hour), precondition: None, caller };
    let ask = |engine: engine::EngineHandle| {
        let request = request.clone();
        async move { engine.publish_day(request).await }
    };
    world.at(at, ask).await
}

/// Two neighbouring dates of one doctor, on two nodes.
fn neighbours(number: u128) -> (DayKey, DayKey) {
    let next = |day: DayKey| DayKey { date: day.date.plus_days(1).expect("a date"), ..day };
    let days = (0..).map(|salt| day_of(0, 2, 10_000 + 100 * number + salt)).map(|day| (day, next(day)));
    days.into_iter().find(|(_, next)| next.shard() % 2 == 1).expect("one of many")
}

#[tokio::test]
async fn of_two_that_overlap_one_is_published() {
    let world = World::with_lock(2, Some(Arc::new(MemoryLock::default()))).await;
    for round in 0..20 {
        let (one, next) = neighbours(round);
        let (first, second) = tokio::join!(publish(&world, 1, one, 12), publish(&world, 0, next, 6));
        let refused = [(&first, next), (&second, one)].into_iter().filter_map(|(answer, other)| {
            let refusal = answer.as_ref().err()?;
            assert_eq!(*refusal, Rejection::OverlapsOtherDay { date: other.date }.into(), "round {round}");
            Some(())
        });
        assert_eq!(refused.count(), 1, "round {round}: {first:?}, {second:?}");
    }
}

#[tokio::test]
async fn a_neighbour_that_cannot_be_asked_and_a_lock_that_is_lost_refuse() {
    let lock = Arc::new(MemoryLock::default());
    let world = World::with_lock(2, Some(Arc::clone(&lock) as Arc<dyn PublishLock>)).await;
    let (one, next) = neighbours(1);
    publish(&world, 1, next, 9).await.expect("published");
    world.wire.cut(&crate::world::address(1));
    let refused = publish(&world, 0, one, 0).await;
    assert!(matches!(refused, Err(EngineError::Unavailable(_))), "{refused:?}");
    world.wire.mend(&crate::world::address(1));
    *lock.is_lost.lock() = true;
    let refused = publish(&world, 0, one, 0).await;
    assert!(matches!(refused, Err(EngineError::Unavailable(_))), "{refused:?}");
    *lock.is_lost.lock() = false;
    publish(&world, 0, one, 0).await.expect("it touches the other, and that is all");
}

/// Between the last look at the lock and the record, another node gets the lock and publishes beside the day.
#[tokio::test]
async fn a_lock_that_is_lost_while_the_record_is_under_way_takes_it_back() {
    let lock = Arc::new(MemoryLock::default());
    let world = World::with_lock(2, Some(Arc::clone(&lock) as Arc<dyn PublishLock>)).await;
    for (round, was_published) in [false, true].into_iter().enumerate() {
        let (one, next) = neighbours(round as u128);
        if was_published {
            publish(&world, 0, one, 0).await.expect("published");
        }
        world.members[0].journal.allow(0);
        lock.lose_after_next_look();
        let other = async {
            lock.is_lost_now(round + 1).await;
            publish(&world, 1, next, 6).await.expect("nobody sees what is not durable");
            world.members[0].journal.allow(usize::MAX);
        };
        let (refused, ()) = tokio::join!(publish(&world, 0, one, 12), other);
        let overlaps: EngineError = Rejection::OverlapsOtherDay { date: next.date }.into();
        assert_eq!(refused.err(), Some(overlaps), "round {round}");
        let view = world.members[0].engine.day(one).await.expect("a day");
        match was_published {
            true => assert_eq!(*view.snapshot.definition(), long(one, 0), "as it was before"),
            false => assert!(view.snapshot.is_closed_by_hand(), "nothing of it can be booked"),
        }
        assert_eq!(world.members[1].engine.day(next).await.expect("a day").snapshot.definition(), &long(next, 6));
    }
}

/// Nobody was there meanwhile: it stays.
#[tokio::test]
async fn a_lock_that_is_lost_in_vain_costs_nothing() {
    let lock = Arc::new(MemoryLock::default());
    let world = World::with_lock(2, Some(Arc::clone(&lock) as Arc<dyn PublishLock>)).await;
    let (one, _) = neighbours(5);
    lock.lose_after_next_look();
    publish(&world, 0, one, 12).await.expect("published");
    assert_eq!(world.members[0].engine.day(one).await.expect("a day").snapshot.definition(), &long(one, 12));
}
