//! What a million timers cost, in memory and for each operation: `cargo bench -p engine --bench wheel`.
//! Must not know: reminders. Figures are printed, not judged: they belong into the notes of whoever ran it.

#![expect(clippy::print_stdout, reason = "a benchmark tells its figures")]

use std::hint::black_box;

use booking_core::UtcMillis;
use criterion::{BatchSize, Criterion, Throughput};
use engine::reminders::wheel::{Handle, Wheel};

const TIMERS: u64 = 1_000_000;
/// What a reminder is known by in memory.
type Value = [u32; 7];
/// As far ahead as the index of reminders reaches.
const WINDOW_MILLIS: u64 = 7_200_000;
const NOW: i64 = 1_800_000_000_000;

/// Looks random (splitmix64).
fn mixed(number: u64) -> u64 {
    let mut value = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn instant(number: u64, window_millis: u64) -> UtcMillis {
    UtcMillis(NOW + (mixed(number) % window_millis) as i64)
}

fn filled(window_millis: u64) -> (Wheel<Value>, Vec<Handle>) {
    let mut wheel = Wheel::new(UtcMillis(NOW));
    let handles = (0..TIMERS).map(|number| wheel.insert(instant(number, window_millis), [number as u32; 7])).collect();
    (wheel, handles)
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("a number") * 4_096
}

fn main() {
    let before = resident();
    let (wheel, handles) = filled(WINDOW_MILLIS);
    let grown = resident() - before - size_of_val(&*handles) as u64;
    println!(
        "a million timers of 28 bytes each: {} bytes a timer, {} of them resident",
        wheel.bytes() as u64 / TIMERS,
        grown / TIMERS
    );
    drop((wheel, handles));

    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let mut group = criterion.benchmark_group("a million timers");
    group.throughput(Throughput::Elements(TIMERS));
    group.bench_function("insert, within two hours", |bench| {
        bench.iter_batched(|| (), |()| black_box(filled(WINDOW_MILLIS)), BatchSize::PerIteration);
    });
    group.bench_function("cancel", |bench| {
        bench.iter_batched(
            || filled(WINDOW_MILLIS),
            |(mut wheel, handles)| {
                for handle in handles {
                    black_box(wheel.cancel(handle));
                }
                wheel
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("advance in looks of 100 ms, two hours", |bench| {
        bench.iter_batched(
            || filled(WINDOW_MILLIS).0,
            |wheel| advance(wheel, WINDOW_MILLIS, 100),
            BatchSize::PerIteration,
        );
    });
    let quarter = 90 * 24 * 3_600_000;
    group.bench_function("advance in looks of 10 min, ninety days", |bench| {
        let setup = || filled(quarter).0;
        bench.iter_batched(setup, |wheel| advance(wheel, quarter, 600_000), BatchSize::PerIteration);
    });
    group.finish();
    criterion.final_summary();
}

fn advance(mut wheel: Wheel<Value>, window_millis: u64, look_millis: u64) -> Wheel<Value> {
    let mut now = NOW;
    while now < NOW + window_millis as i64 {
        now += look_millis as i64;
        black_box(wheel.advance(UtcMillis(now)));
    }
    assert!(wheel.is_empty(), "every timer was due");
    wheel
}
