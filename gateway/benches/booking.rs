//! What HTTP's side of a booking costs beside the engine: `cargo bench -p gateway --features testing`.
//! Must not know: sockets, engines. Figures are told, not judged.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hotslot::probes::{TokenCheck, answer_sold_out, answer_win, is_booking, won};

/// The body of a booking of any slot.
const BOOKING: &str = r#"{"doctor_id":"0190a3c4-0000-7000-8000-000000000000","date":"2030-01-01"}"#;
/// The body of a booking of one slot.
const BOOKING_OF_SLOT: &str =
    r#"{"doctor_id":"0190a3c4-0000-7000-8000-000000000000","date":"2030-01-01","start":"2030-01-01T09:00:00+01:00"}"#;
/// A body with a field too many.
const WRONG: &str = r#"{"doctor_id":"0190a3c4-0000-7000-8000-000000000000","date":"2030-01-01","when":"now"}"#;

fn reading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("JSON in");
    for (name, body, is_good) in
        [("booking", BOOKING, true), ("booking of a slot", BOOKING_OF_SLOT, true), ("wrong field", WRONG, false)]
    {
        assert_eq!(is_booking(body.as_bytes()), is_good, "{body}");
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| is_booking(black_box(body.as_bytes()))));
    }
    group.finish();
}

fn writing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("JSON out");
    let reply = won();
    group.throughput(Throughput::Bytes(answer_win(&reply)));
    group.bench_function("won", |bencher| bencher.iter(|| answer_win(black_box(&reply))));
    group.throughput(Throughput::Bytes(answer_sold_out()));
    group.bench_function("sold out", |bencher| bencher.iter(answer_sold_out));
    group.finish();
}

fn checking(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("token");
    let check = TokenCheck::default();
    let token = check.mint(7).expect("a token");
    assert!(check.verify(&token), "it counts");
    group.bench_function("mint", |bencher| bencher.iter(|| check.mint(black_box(7))));
    group.bench_function("known", |bencher| bencher.iter(|| check.verify(black_box(&token))));
    group.bench_function("new", |bencher| {
        let verify = |check: TokenCheck| {
            assert!(check.verify(black_box(&token)), "it counts");
            check
        };
        bencher.iter_batched(TokenCheck::default, verify, BatchSize::SmallInput);
    });
    group.finish();
}

/// Ten seconds in all.
fn bounded() -> Criterion {
    let criterion = Criterion::default().warm_up_time(Duration::from_millis(300));
    criterion.measurement_time(Duration::from_secs(1)).sample_size(20)
}

criterion_group! { name = benches; config = bounded(); targets = reading, writing, checking }
criterion_main!(benches);
