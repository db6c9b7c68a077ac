//! What a command costs from its submission to its reply, with a journal in memory, and what the claims in it cost:
//! `cargo bench -p engine --features testing --bench round_trip`.
//! Must not know: HTTP, disks that sync. Figures are told, not judged.

use std::sync::Arc;
use std::time::Duration;

use booking_core::{
    AppointmentId, Booking, Date, DayDefinition, DayKey, DoctorId, Envelope, Fingerprint, PatientId, Rejection,
    Release, RequestId, RequestKey, Role, SlotDefinition, SubjectId, UtcMillis,
};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use engine::assembly::Assembly;
use engine::claims::{Claimed, Claims, Visit, Waiter, Wish};
use engine::clock::Clock;
use engine::committer::Committer;
use engine::ids::SystemIds;
use engine::journal::Journal;
use engine::journal::memory::MemoryJournal;
use engine::ledger::Ledger;
use engine::ledger::applier::Applier;
use engine::ledger::overlay::Overlay;
use engine::ledger::sqlite::SqliteLedger;
use engine::ownership::{Tenures, Territory};
use engine::spawn::TokioSpawn;
use engine::telemetry::meters::EngineMeters;
use engine::testing::{Faults, ManualClock, TaskActors};
use engine::view::{BookRequest, Caller, PublishRequest};
use engine::{EngineConfig, EngineError, EngineHandle};
use futures_util::future::join_all;
use uuid::Uuid;

/// 2030-01-01T00:00:00Z.
const NOW: UtcMillis = UtcMillis(1_893_456_000_000);
const SLOT_MILLIS: i64 = 300_000;
const SLOTS: i64 = 200;
const CAPACITY: u32 = 1_000;
/// Wins of one day before the next has its turn: no day is ever sold out.
const WINS_OF_A_DAY: u64 = 100_000;
/// Days with room, more than any run can fill.
const DAYS: u64 = 40;
/// Number of the day on which one patient has the only place.
const SOLD_OUT: u64 = 1_000;
/// Patients whose times are claimed before claims are measured.
const CLAIMED: u64 = 100_000;

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

fn day(number: u64) -> DayKey {
    DayKey { doctor: DoctorId(id(number)), date: Date::from_days(21_915).expect("a date") }
}

fn caller(number: u64, role: Role) -> Caller {
    let subject = SubjectId(id(number));
    let key = RequestKey { subject, key: id(number).to_string().into(), fingerprint: Fingerprint([7; 16]) };
    let envelope = Envelope { subject, role, request: RequestId(id(number)) };
    Caller { envelope, key: (role == Role::Patient).then_some(key) }
}

fn booking(day: DayKey, patient: u64) -> BookRequest {
    let booking = Booking {
        appointment: AppointmentId(Uuid::nil()),
        patient: PatientId(id(patient)),
        start: None,
        hold_millis: None,
        audiences: Arc::from([]),
        busy: Vec::new(),
    };
    BookRequest { day, booking, caller: caller(patient, Role::Patient) }
}

async fn publish(engine: &EngineHandle, day: DayKey, slots: i64, capacity: u32) {
    let slot = |number: i64| {
        let start = NOW.plus_millis(3_600_000 + number * SLOT_MILLIS);
        SlotDefinition { start, end: start.plus_millis(SLOT_MILLIS), capacity, utc_offset_seconds: 0 }
    };
    let releases = vec![Release { at: UtcMillis(0), places: None, audience: None }];
    let slots = (0..slots).map(slot).collect();
    let definition = DayDefinition::validate("UTC".into(), "".into(), slots, releases).expect("a good definition");
    let (definition, caller) = (Arc::new(definition), caller(1, Role::Admin));
    let request = PublishRequest { day, definition, precondition: None, caller };
    engine.publish_day(request).await.expect("it is published");
}

/// The engine over a journal in memory, on the one thread of the caller's runtime, under a clock that stands still.
async fn engine(directory: &std::path::Path) -> EngineHandle {
    let journal = Arc::new(MemoryJournal::default()) as Arc<dyn Journal>;
    let clock = Arc::new(ManualClock::at(NOW)) as Arc<dyn Clock>;
    let ledger = Arc::new(SqliteLedger::open(directory).await.expect("a ledger"));
    let overlay = Arc::new(Overlay::default());
    let follower = Arc::clone(&ledger) as Arc<dyn Ledger>;
    let spawn = TokioSpawn(tokio::runtime::Handle::current());
    let applier =
        Applier::start(Arc::clone(&journal), follower, Arc::clone(&overlay), Arc::clone(&clock), 500_000, &spawn);
    let applier = applier.await.expect("an applier");
    let committer = Committer::start(Arc::clone(&journal), Arc::clone(&clock));
    let territory = Arc::new(Territory::new(Arc::new(Tenures::sole(1)), Arc::clone(&clock)));
    let assembly = Assembly {
        clock,
        territory,
        cluster: engine::ownership::Cluster::default(),
        ids: Arc::new(SystemIds),
        journal,
        ledger: Arc::clone(&ledger) as Arc<dyn Ledger>,
        registry: Arc::clone(&ledger) as _,
        reminders: ledger,
        overlay,
        claims: Arc::new(Claims::default()),
        applier,
        committer,
        starter: Arc::new(TaskActors),
        spawn: Arc::new(TokioSpawn(tokio::runtime::Handle::current())),
        meters: Arc::new(EngineMeters::new()),
        faults: Faults::default(),
    };
    let (engine, _ports) = assembly.assemble(&EngineConfig::embedded(directory.to_owned()));
    for number in 0..DAYS {
        publish(&engine, day(number), SLOTS, CAPACITY).await;
    }
    publish(&engine, day(SOLD_OUT), 1, 1).await;
    engine.book(booking(day(SOLD_OUT), SOLD_OUT)).await.expect("the only place");
    engine
}

fn answering(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let directory = tempfile::tempdir().expect("a directory");
    let engine = runtime.block_on(engine(directory.path()));
    let mut patients = 10_000_000_u64..;
    let mut group = criterion.benchmark_group("round trip");
    for together in [1, 64] {
        group.throughput(Throughput::Elements(together));
        group.bench_function(format!("{together} wins at once"), |bencher| {
            let next = || {
                let patients = patients.by_ref().take(together as usize);
                patients.map(|patient| booking(day(patient / WINS_OF_A_DAY % DAYS), patient)).collect::<Vec<_>>()
            };
            let book = |requests: Vec<BookRequest>| {
                let replies = join_all(requests.into_iter().map(|request| engine.book(request)));
                let replies = runtime.block_on(replies);
                assert!(replies.iter().all(Result::is_ok), "a place for everyone");
            };
            bencher.iter_batched(next, book, BatchSize::PerIteration);
        });
    }
    group.throughput(Throughput::Elements(1));
    group.bench_function("sold-out refusal", |bencher| {
        let refuse = |request| {
            let reply = runtime.block_on(engine.book(request));
            assert!(matches!(reply, Err(EngineError::Rejected(Rejection::SoldOut))));
        };
        bencher.iter_batched(|| booking(day(SOLD_OUT), 5), refuse, BatchSize::PerIteration);
    });
    group.bench_function("replay", |bencher| {
        let repeat = |request| {
            let reply = runtime.block_on(engine.book(request)).expect("the first answer");
            assert!(reply.replayed);
        };
        bencher.iter_batched(|| booking(day(SOLD_OUT), SOLD_OUT), repeat, BatchSize::PerIteration);
    });
    group.finish();
}

struct Nobody;

impl Waiter for Nobody {
    fn settled(&self) {}
}

fn visit(number: u64) -> Visit {
    let start = NOW.plus_millis(3_600_000 * (1 + (number % 8) as i64));
    let (patient, appointment) = (PatientId(id(number)), AppointmentId(id(number + CLAIMED * 10)));
    Visit { patient, appointment, start, end: start.plus_millis(SLOT_MILLIS), hold_expires_at: None }
}

fn claiming(criterion: &mut Criterion) {
    let waiter: Arc<dyn Waiter> = Arc::new(Nobody);
    let claims = Claims::default();
    let claim = |number: u64| {
        let visit = visit(number);
        let wish = Wish { day: day(number % 2_000), sequence: 1, visit: Some(visit), key: None, now: NOW };
        assert!(matches!(claims.claim(&wish, &waiter), Claimed::Granted));
        claims.settle(visit.patient, visit.appointment, day(number % 2_000), 1, Some(visit));
        visit
    };
    for number in 0..CLAIMED {
        claim(number);
    }
    let mut group = criterion.benchmark_group("claims");
    group.bench_function("claim, settle and give back", |bencher| {
        bencher.iter(|| {
            let visit = claim(CLAIMED + 1);
            claims.settle(visit.patient, visit.appointment, day((CLAIMED + 1) % 2_000), 2, None);
        });
    });
    group.bench_function("where a patient is", |bencher| {
        let visit = visit(CLAIMED / 2);
        bencher.iter(|| claims.busy(visit.patient, day(1), AppointmentId(Uuid::nil()), NOW));
    });
    group.finish();
}

/// A quarter of a minute in all.
fn bounded() -> Criterion {
    let criterion = Criterion::default().warm_up_time(Duration::from_millis(300));
    criterion.measurement_time(Duration::from_secs(1)).sample_size(20)
}

criterion_group! { name = benches; config = bounded(); targets = answering, claiming }
criterion_main!(benches);
