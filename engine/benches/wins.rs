//! What a durable win costs the engine alone, on one day and spread over many: `cargo bench -p engine --bench wins [days [wins]]`.
//! Must not know: HTTP. Figures are printed, not judged: they belong into the notes of whoever ran it.

#![expect(clippy::print_stdout, reason = "a benchmark tells its figures")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use booking_core::{
    AppointmentId, Booking, Date, DayDefinition, DayKey, DoctorId, Envelope, Fingerprint, PatientId, Release,
    RequestId, RequestKey, Role, SlotDefinition, SubjectId, UtcMillis,
};
use engine::view::{BookRequest, Caller, PublishRequest};
use engine::{Engine, EngineConfig, EngineHandle};
use uuid::Uuid;

const SLOTS: i64 = 200;
const CAPACITY: u32 = 1_000;
/// Requests under way at once, as of so many connections.
const CALLERS: u64 = 512;
const WINS: u64 = 100_000;

/// Sixteen bytes that look random (splitmix64, twice).
fn id(number: u64) -> Uuid {
    let mix = |mut value: u64| {
        value = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    };
    Uuid::from_u64_pair(mix(number * 2 + 1), mix(number * 2 + 2))
}

fn caller(number: u64, key: bool) -> Caller {
    let subject = SubjectId(id(number));
    let key =
        key.then(|| RequestKey { subject, key: id(number).to_string().into(), fingerprint: Fingerprint([0; 16]) });
    let role = if key.is_some() { Role::Patient } else { Role::Admin };
    Caller { envelope: Envelope { subject, role, request: RequestId(id(number)) }, key }
}

fn definition(now: UtcMillis) -> Arc<DayDefinition> {
    let midnight = UtcMillis((now.0 / 86_400_000 + 1) * 86_400_000);
    let slot = |number| SlotDefinition {
        start: midnight.plus_millis(number * 300_000),
        end: midnight.plus_millis((number + 1) * 300_000),
        capacity: CAPACITY,
        utc_offset_seconds: 0,
    };
    let release = Release { at: UtcMillis(0), places: None, audience: None };
    let slots = (0..SLOTS).map(slot).collect();
    Arc::new(DayDefinition { time_zone: "UTC".into(), time_zone_database: "".into(), slots, releases: vec![release] })
}

async fn publish(engine: &EngineHandle, days: u64) -> Vec<DayKey> {
    let now = engine.clock().now();
    let date = Date::from_days(i32::try_from(now.0 / 86_400_000 + 1).expect("this century")).expect("a date");
    let keys: Vec<DayKey> = (0..days).map(|number| DayKey { doctor: DoctorId(id(number)), date }).collect();
    let definition = definition(now);
    for (number, day) in keys.iter().enumerate() {
        let (definition, caller) = (Arc::clone(&definition), caller(number as u64, false));
        let request = PublishRequest { day: *day, definition, precondition: None, caller };
        engine.publish_day(request).await.expect("it is published");
    }
    keys
}

async fn book(engine: &EngineHandle, days: &[DayKey], number: u64) {
    let patient = PatientId(id(number));
    let booking = Booking {
        appointment: AppointmentId(Uuid::nil()),
        patient,
        start: None,
        hold_millis: None,
        audiences: Vec::new().into(),
        busy: Vec::new(),
    };
    let day = days[(number % days.len() as u64) as usize];
    engine.book(BookRequest { day, booking, caller: caller(number, true) }).await.expect("there is room");
}

/// Seconds of CPU that this process has used.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |field: usize| fields[field].parse::<f64>().expect("a number");
    (ticks(11) + ticks(12)) / 100.0
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
async fn storm(days: u64, wins: u64) {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = Engine::start(EngineConfig::embedded(directory.path().to_owned()), None).await.expect("it starts");
    let handle = engine.handle();
    let keys: Arc<[DayKey]> = publish(&handle, days).await.into();
    let (begun, before) = (Instant::now(), cpu_seconds());
    let next = Arc::new(AtomicU64::new(1));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (handle, keys, next) = (handle.clone(), Arc::clone(&keys), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number > wins {
                        return;
                    }
                    book(&handle, &keys, number).await;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("every booking wins");
    }
    let seconds = begun.elapsed().as_secs_f64();
    engine.stop().await;
    let micros = (cpu_seconds() - before) * 1e6 / wins as f64;
    println!("{days} days: {:.0} wins/s, {micros:.1} us of CPU a win, ledger drained", wins as f64 / seconds);
}

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let wins = numbers.get(1).copied().unwrap_or(WINS);
    let days = numbers.first().map_or_else(|| vec![1, 2_000], |days| vec![*days]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    for days in days {
        runtime.block_on(storm(days, wins));
    }
}
