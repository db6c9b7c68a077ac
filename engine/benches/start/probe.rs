//! What is measured, each in a process of its own: restoring the claims alone, a start until the first booking, days that sleep.
//! Must not know: how the directory was filled.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use booking_core::{AppointmentId, Booking, Envelope, Fingerprint, PatientId, RequestId, RequestKey, Role, SubjectId};
use engine::claims::{self, Claims};
use engine::clock::{Clock, SystemClock};
use engine::ledger::overlay::Overlay;
use engine::ledger::sqlite::SqliteLedger;
use engine::view::{BookRequest, Caller};
use engine::{Engine, EngineConfig, EngineHandle};
use uuid::Uuid;

use crate::fill::{Plan, id};
use crate::measure::{Stopwatch, cpu_of_threads, cpu_seconds, quantile, resident};

/// Requests under way at once while every day is woken.
const WAKERS: u64 = 32;
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
    claims::restore(&claims, &ledger, &Overlay::default(), now).await.expect("they are restored");
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
    let engine = Engine::start(EngineConfig::embedded(directory.to_owned())).await.expect("it starts");
    println!("ready");
    book(&engine.handle(), plan, plan.days / 2).await;
    println!("{:.2} s of CPU, {} MiB resident", cpu_seconds(), resident() >> 20);
    engine.stop().await;
    println!("stopped");
}

async fn sleep(directory: &Path, plan: Plan) {
    let engine = Engine::start(EngineConfig::embedded(directory.to_owned())).await.expect("it starts");
    let handle = engine.handle();
    let before = resident();
    println!("ready, {} MiB resident", before >> 20);
    let next = Arc::new(AtomicU64::new(0));
    let wakers: Vec<_> =
        (0..WAKERS).map(|_| tokio::spawn(wake_in_turn(handle.clone(), plan, Arc::clone(&next)))).collect();
    for waker in wakers {
        waker.await.expect("every day is there");
    }
    println!("every day was awake once, read from the journal");
    all_asleep(&handle).await;
    let grown = resident().saturating_sub(before);
    println!("all asleep, {} MiB resident, {} bytes a day", resident() >> 20, grown / plan.days);
    let mut micros = Vec::new();
    for number in 0..SAMPLES {
        let day = plan.day(id(number).as_u64_pair().0 % plan.days, handle.clock().now());
        let begun = Stopwatch::start();
        handle.day(day).await.expect("it is there");
        micros.push(begun.seconds() * 1e6);
        if plan.days < SAMPLES && number % 100 == 99 {
            all_asleep(&handle).await;
        }
        if plan.days < 100 {
            all_asleep(&handle).await;
            if number >= 20 {
                break;
            }
        }
    }
    micros.sort_unstable_by(f64::total_cmp);
    let at = |share| quantile(&micros, share);
    println!("waking one, us: p50 {:.0}, p99 {:.0}, p99.9 {:.0}, max {:.0}", at(0.5), at(0.99), at(0.999), at(1.0));
    engine.stop().await;
}

async fn wake_in_turn(handle: EngineHandle, plan: Plan, next: Arc<AtomicU64>) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= plan.days {
            return;
        }
        handle.day(plan.day(number, handle.clock().now())).await.expect("it is there");
    }
}

async fn all_asleep(handle: &EngineHandle) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    while handle.days_awake() > 0 {
        ticks.tick().await;
        handle.sweep(handle.clock().now().plus_millis(1), 0, 0);
    }
}
