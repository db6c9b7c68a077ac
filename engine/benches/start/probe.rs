//! What is measured, each in a process of its own: restoring the claims alone, a start until the first booking, days that sleep.
//! Must not know: how the directory was filled.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use booking_core::{
    AppointmentId, Booking, DayKey, Envelope, Fingerprint, PatientId, RequestId, RequestKey, Role, SubjectId,
};
use engine::claims::{self, Claims};
use engine::clock::{Clock, SystemClock};
use engine::ledger::overlay::Overlay;
use engine::ledger::sqlite::SqliteLedger;
use engine::ownership::ShardSet;
use engine::view::{BookRequest, Caller};
use engine::{Engine, EngineConfig, EngineError, EngineHandle};
use uuid::Uuid;

use crate::fill::{Plan, id};
use crate::measure::{Stopwatch, cpu_of_threads, cpu_seconds, quantile, resident};

/// Requests under way at once while every day is woken.
const WAKERS: u64 = 32;
/// Days that are awake at once meanwhile, about.
const AWAKE_MAX: usize = 512;
/// Days that are woken one after another.
const SAMPLES: u64 = 20_000;

pub(crate) async fn run(probe: &str, directory: &Path, plan: Plan) {
    match probe {
        "claims" => restore_claims(directory).await,
        "start" => start(directory, plan).await,
        "sleep" => sleep(directory, plan).await,
        other => panic!("{other} is no probe"),
    }
}

async fn restore_claims(directory: &Path) {
    let ledger = SqliteLedger::open(directory).await.expect("it opens");
    println!("ledger is open, {:.2} s of CPU", cpu_seconds());
    let (before, claims) = (resident(), Claims::default());
    let now = SystemClock::start().now();
    claims::restore(&claims, &ledger, &Overlay::default(), &ShardSet::ALL, now).await.expect("they are restored");
    let bytes = resident() - before;
    println!("{} visits, {} keys, {:.2} s of CPU, {bytes} bytes", claims.visits(), claims.keys(), cpu_seconds());
    println!("seconds of CPU: {}", cpu_of_threads());
}

async fn book(engine: &EngineHandle, plan: Plan, number: u64) {
    let now = engine.clock().now();
    let subject = SubjectId(id((2 << 40) + number));
    let key = Some(RequestKey { subject, key: "first".into(), fingerprint: Fingerprint([0; 16]) });
    let envelope = Envelope { subject, role: Role::Patient, request: RequestId(id(number)) };
    let booking = Booking {
        appointment: AppointmentId(Uuid::nil()),
        patient: PatientId(subject.0),
        start: None,
        hold_millis: None,
        audiences: Arc::from([]),
        busy: Vec::new(),
    };
    let request = BookRequest { day: plan.day(number, now), booking, caller: Caller { envelope, key } };
    match engine.book(request).await {
        Ok(_) => println!("first booking is answered: won"),
        Err(refusal) => println!("first booking is answered: {refusal}"),
    }
}

async fn start(directory: &Path, plan: Plan) {
    let engine = Engine::start(EngineConfig::embedded(directory.to_owned()), None).await.expect("it starts");
    println!("ready");
    book(&engine.handle(), plan, plan.days / 2).await;
    println!("{:.2} s of CPU, {} MiB resident", cpu_seconds(), resident() >> 20);
    engine.stop().await;
    println!("stopped");
}

async fn sleep(directory: &Path, plan: Plan) {
    let engine = Engine::start(EngineConfig::embedded(directory.to_owned()), None).await.expect("it starts");
    let handle = engine.handle();
    let before = resident();
    println!("ready, {} MiB resident", before >> 20);
    let next = Arc::new(AtomicU64::new(0));
    let wakers: Vec<_> =
        (0..WAKERS).map(|_| tokio::spawn(wake_in_turn(handle.clone(), plan, Arc::clone(&next)))).collect();
    for waker in wakers {
        waker.await.expect("every day is there");
    }
    println!("every day was awake once, read from the journal, {} MiB resident", resident() >> 20);
    all_asleep(&handle).await;
    let grown = resident().saturating_sub(before);
    println!("all asleep, {} MiB resident, {} bytes a day", resident() >> 20, grown / plan.days);
    let mut micros = Vec::new();
    let samples = SAMPLES.min(50 * plan.days);
    for number in 0..samples {
        if number.is_multiple_of((plan.days / 20).max(1)) {
            all_asleep(&handle).await;
        }
        let day = plan.day(id(number).as_u64_pair().0 % plan.days, handle.clock().now());
        let begun = Stopwatch::start();
        look(&handle, day).await;
        micros.push(begun.seconds() * 1e6);
    }
    micros.sort_unstable_by(f64::total_cmp);
    let at = |share| quantile(&micros, share);
    println!("waking one, us: p50 {:.0}, p99 {:.0}, p99.9 {:.0}, max {:.0}", at(0.5), at(0.99), at(0.999), at(1.0));
    engine.stop().await;
}

/// Wakes days, and lets them sleep again soon: what is measured is sleep, not the room that many days take while they are awake.
async fn wake_in_turn(handle: EngineHandle, plan: Plan, next: Arc<AtomicU64>) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= plan.days {
            return;
        }
        look(&handle, plan.day(number, handle.clock().now())).await;
        if number % 256 == 255 {
            handle.sweep(handle.clock().now(), i64::MAX, AWAKE_MAX);
        }
    }
}

/// A day that falls asleep between two looks is looked at again.
async fn look(handle: &EngineHandle, day: DayKey) {
    loop {
        match handle.day(day).await {
            Ok(_) => return,
            Err(EngineError::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn all_asleep(handle: &EngineHandle) {
    // A day that is asked again while it packs itself does not sleep: large ones need their time.
    let mut ticks = tokio::time::interval(Duration::from_millis(500));
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    while handle.days_awake() > 0 {
        tokio::select! {
            _ = ticks.tick() => handle.sweep(handle.clock().now().plus_millis(1), 0, 0),
            _ = looks.tick() => {}
        }
    }
}
