//! What the rules cost: deciding and applying a win, a refusal, a replay; events and days as bytes.
//! Must not know: stores, actors. Run: `cargo bench -p booking-core`. Figures are told, not judged.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use booking_core::{
    Action, AppointmentId, Booking, Command, DayDefinition, DoctorDay, Envelope, Event, Fingerprint, PatientId,
    Release, RequestId, RequestKey, Role, SlotDefinition, SubjectId, Success, UtcMillis, decode_event, encode_event,
};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use uuid::Uuid;

/// Before every slot.
const NOW: UtcMillis = UtcMillis(0);
const SLOT_MILLIS: i64 = 300_000;
/// Sizes of days, in appointments.
const SIZES: [u32; 3] = [20, 1_000, 100_000];
/// Sizes of days that are packed; the time rises with the size.
const PACKED_SIZES: [u32; 3] = [20, 1_000, 10_000];

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

/// A patient's booking of any slot, under a key of its own.
fn booking(number: u64) -> Command {
    let patient = id(number * 2);
    let subject = SubjectId(patient);
    let booking = Booking {
        appointment: AppointmentId(id(number * 2 + 1)),
        patient: PatientId(patient),
        start: None,
        hold_millis: None,
        audiences: Arc::from([]),
        busy: Vec::new(),
    };
    Command {
        envelope: Envelope { subject, role: Role::Patient, request: RequestId(id(number)) },
        key: Some(RequestKey { subject, key: id(number).to_string().into(), fingerprint: Fingerprint([7; 16]) }),
        action: Action::Book(booking),
    }
}

/// A day of 20 slots with `capacity` places each, open to everyone.
fn published(capacity: u32) -> DoctorDay {
    let slot = |number: i64| SlotDefinition {
        start: UtcMillis(3_600_000 + number * SLOT_MILLIS),
        end: UtcMillis(3_600_000 + (number + 1) * SLOT_MILLIS),
        capacity,
        utc_offset_seconds: 0,
    };
    let releases = vec![Release { at: NOW, places: None, audience: None }];
    let slots = (0..20).map(slot).collect();
    let definition = DayDefinition::validate("UTC".into(), "".into(), slots, releases).expect("a good definition");
    let mut day = DoctorDay::default();
    let mut publish = booking(0);
    publish.action = Action::Publish { definition: Arc::new(definition), precondition: None };
    take(&mut day, &publish).expect("a first definition");
    day
}

/// Decides and applies; answers the event.
fn take(day: &mut DoctorDay, command: &Command) -> Option<Event> {
    let decision = day.decide(command, NOW);
    decision.outcome.as_ref().ok()?;
    if let Some(event) = &decision.event {
        day.apply(day.next_version(), event);
    }
    decision.event
}

/// A day with room for one more in each slot after `appointments` bookings.
fn booked(appointments: u32) -> DoctorDay {
    let mut day = published(appointments / 20 + 1);
    for number in 1..=u64::from(appointments) {
        take(&mut day, &booking(number)).expect("a place");
    }
    day
}

/// A win of its patient on a day with room, as event.
fn win() -> Event {
    take(&mut booked(20), &booking(1_000_000)).expect("a place")
}

fn deciding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide");
    for size in SIZES {
        let day = booked(size);
        let stranger = booking(10_000_000);
        group.bench_function(format!("win/{size}"), |bencher| bencher.iter(|| day.decide(black_box(&stranger), NOW)));
        let replayed = booking(u64::from(size) / 2);
        let outcome = day.decide(&replayed, NOW).outcome;
        assert!(matches!(outcome, Ok(Success::Appointment { replayed: true, .. })), "{outcome:?}");
        group
            .bench_function(format!("replay/{size}"), |bencher| bencher.iter(|| day.decide(black_box(&replayed), NOW)));
        let mut full = day;
        let fillers = 20_000_000_u64..20_000_100;
        assert!(fillers.clone().any(|number| take(&mut full, &booking(number)).is_none()), "the day is sold out");
        group.bench_function(format!("sold-out/{size}"), |bencher| {
            bencher.iter(|| full.decide(black_box(&stranger), NOW));
        });
    }
    group.finish();
}

fn winning(criterion: &mut Criterion) {
    /// Wins on one fresh day.
    const WINS: u64 = 1_000;
    let commands: Vec<Command> = (1..=WINS).map(booking).collect();
    let empty = published(1_000);
    let mut group = criterion.benchmark_group("decide and apply");
    group.throughput(Throughput::Elements(WINS));
    group.bench_function(format!("{WINS} wins"), |bencher| {
        let all = |mut day: DoctorDay| {
            for command in &commands {
                black_box(take(&mut day, command));
            }
            day
        };
        bencher.iter_batched(|| empty.clone(), all, BatchSize::LargeInput);
    });
    group.finish();
}

fn coding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec");
    let event = win();
    let bytes = encode_event(&event);
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("encode win", |bencher| bencher.iter(|| encode_event(black_box(&event))));
    group.bench_function("decode win", |bencher| bencher.iter(|| decode_event(black_box(&bytes))));
    for size in PACKED_SIZES {
        let day = booked(size);
        let packed = day.pack();
        group.throughput(Throughput::Bytes(packed.len() as u64));
        group.bench_function(format!("pack day/{size}"), |bencher| bencher.iter(|| black_box(&day).pack()));
        group.bench_function(format!("unpack day/{size}"), |bencher| {
            bencher.iter(|| DoctorDay::unpack(black_box(&packed)));
        });
    }
    group.finish();
}

/// Half a minute in all.
fn bounded() -> Criterion {
    let criterion = Criterion::default().warm_up_time(Duration::from_millis(300));
    criterion.measurement_time(Duration::from_secs(1)).sample_size(20)
}

criterion_group! { name = benches; config = bounded(); targets = deciding, winning, coding }
criterion_main!(benches);
