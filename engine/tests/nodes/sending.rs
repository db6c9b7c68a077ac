//! Messages of several nodes: each goes out by whoever owns its day, and what a dead node was sending is taken over.
//! Must not know: how messages are found.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use engine::clock::{SystemClock, timeout};
use engine::ledger::people::Channel;
use engine::reminders::{self, Capacity, Courier, Delivered, Letter};
use engine::signal::Signal;
use engine::spawn::{Spawn, Work};
use parking_lot::Mutex;
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::moves::days_apart;
use crate::world::World;

/// Beyond every interval of the reminders.
const PATIENCE: Duration = Duration::from_secs(20);

/// Tasks that can be killed.
#[derive(Default)]
struct Killable(Mutex<Vec<AbortHandle>>);

impl Spawn for Killable {
    fn spawn(&self, work: Work) {
        self.0.lock().push(tokio::spawn(work).abort_handle());
    }
}

/// The counter of one node.
#[derive(Default)]
struct Counter {
    is_stuck: AtomicBool,
    calls: Mutex<Vec<Uuid>>,
    taken: Mutex<Vec<Uuid>>,
}

#[async_trait]
impl Courier for Counter {
    fn channel(&self) -> Channel {
        Channel::File
    }

    fn capacity(&self) -> Capacity {
        Capacity { batch: 100, calls: 1, deadline: PATIENCE }
    }

    async fn send(&self, letters: &[Letter]) -> Vec<Delivered> {
        self.calls.lock().extend(letters.iter().map(|letter| letter.message_id));
        if self.is_stuck.load(Ordering::Acquire) {
            std::future::pending::<()>().await;
        }
        self.taken.lock().extend(letters.iter().map(|letter| letter.message_id));
        vec![Delivered::Sent; letters.len()]
    }
}

/// The reminders of one node.
struct Sender {
    counter: Arc<Counter>,
    tasks: Arc<Killable>,
    stop: Arc<Signal>,
}

impl Sender {
    fn start(world: &World, number: usize) -> Self {
        let (counter, tasks, stop) = (Arc::new(Counter::default()), Arc::new(Killable::default()), Arc::default());
        let parts = world.reminders(number, vec![Arc::clone(&counter) as _], Arc::clone(&tasks) as _);
        reminders::alone(parts, &stop).into_iter().for_each(|work| tasks.spawn(work));
        Self { counter, tasks, stop }
    }

    fn kill(&self) {
        self.tasks.0.lock().iter().for_each(AbortHandle::abort);
    }

    fn calls(&self) -> usize {
        self.counter.calls.lock().len()
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let clock = SystemClock::start();
    let looks = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    assert!(timeout(&clock, PATIENCE, looks).await.is_some(), "never: {what}");
}

#[tokio::test]
async fn each_is_sent_by_the_owner_of_its_day() {
    let (world, days) = days_apart(3).await;
    let senders: Vec<Sender> = (0..3).map(|number| Sender::start(&world, number)).collect();
    for (patient, day) in days.iter().chain(&days).enumerate() {
        world.book(patient % 3, *day, 1 + patient as u128, None).await.expect("booked");
    }
    until("all are confirmed", || senders.iter().map(Sender::calls).sum::<usize>() == 6).await;
    assert!(senders.iter().all(|sender| sender.calls() == 2), "two of each day");
    senders.iter().for_each(|sender| sender.stop.give());
}

#[tokio::test]
async fn what_a_dead_node_was_sending_is_sent_by_its_heir_under_the_same_id() {
    let (world, days) = days_apart(2).await;
    let senders: Vec<Sender> = (0..2).map(|number| Sender::start(&world, number)).collect();
    senders[0].counter.is_stuck.store(true, Ordering::Release);
    world.book(0, days[0], 1, None).await.expect("booked");
    until("the first is sending", || senders[0].calls() == 1).await;
    senders[0].kill();
    world.applied().await;
    world.take_over(0, 1).await;
    // Somebody else's claim is left to lapse: whoever made it may be alive.
    world.book(1, days[1], 2, None).await.expect("booked");
    until("the heir is at work", || senders[1].calls() == 1).await;
    let own = senders[1].counter.taken.lock().clone();
    assert_ne!(own, *senders[0].counter.calls.lock());
    world.pass_time(31_000);
    until("the heir has sent it", || senders[1].calls() == 2).await;
    assert_eq!(senders[1].counter.taken.lock()[1..], senders[0].counter.calls.lock()[..]);
    senders[1].stop.give();
}

#[tokio::test]
async fn what_was_due_with_a_dead_node_is_sent_by_its_heir() {
    let (world, days) = days_apart(2).await;
    let heir = Sender::start(&world, 1);
    for patient in 1..=3 {
        world.book(0, days[0], patient, None).await.expect("booked");
    }
    world.applied().await;
    world.take_over(0, 1).await;
    until("the heir has sent them", || heir.calls() == 3).await;
    heir.stop.give();
}
