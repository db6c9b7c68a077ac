//! What a command costs from its submission to its reply, with a journal in memory, and what the claims in it cost:
//! `cargo bench -p engine --features testing --bench round_trip`.
//! Must not know: HTTP, disks that sync. Figures are told, not judged.

mod common;

use std::sync::Arc;
use std::time::Duration;

use booking_core::{AppointmentId, PatientId, Rejection};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use engine::EngineError;
use engine::claims::{Claimed, Claims, Visit, Waiter, Wish};
use engine::telemetry::meters::EngineMeters;
use engine::testing::ManualClock;
use engine::view::BookRequest;
use futures_util::future::join_all;
use uuid::Uuid;

use common::{DAYS, NOW, SLOT_MILLIS, SOLD_OUT, WINS_OF_A_DAY, booking, day, id};

/// Patients whose times are claimed before claims are measured.
const CLAIMED: u64 = 100_000;

fn answering(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let directory = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(ManualClock::at(NOW));
    let engine = runtime.block_on(common::engine(directory.path(), clock, EngineMeters::new()));
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
