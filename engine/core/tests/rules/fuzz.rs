//! What the decoders do with bytes that are made from good ones: for as long as `HOTSLOT_FUZZ_SECONDS` says, a minute each.
//! They never panic, set aside no more memory than a small multiple of what they read, and what they accept is written and
//! read again as it is. A failure names the words that repeat it.
//! Must not know: the format.

mod plan;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use booking_core::{Action, DoctorDay, UtcMillis, encode_event, invariant};

use self::plan::{Dice, Plan};
use crate::decoder::{samples, use_event};
use crate::driver::{appointment_id, booking, keyed, subject_of};

/// What found a defect once, or looks as if it could: each is tried first.
const REGRESSIONS: [&[u8]; 5] = [
    &[],
    // A number of changes that no bytes follow.
    &[
        1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3,
        255, 255, 255, 255, 15,
    ],
    // A number with a byte that says nothing: taken, until numbers had one form only.
    &[1, 0x80, 0x00],
    // A day of many slots that no bytes follow.
    &[1, 1, 1, 1, 3, b'U', b'T', b'C', 0, 0, 255, 255, 255, 255, 255, 255, 255, 127],
    &[2, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
];
/// More than the decoders may take at once of the longest input here, and more than the rest of the process grows by.
const MEMORY_KIB_MAX: u64 = 64 << 10;
/// Between two looks at the memory.
const ROUNDS: u64 = 2_000;

/// Up to sixteen of `length` bytes.
fn any_range(dice: &mut Dice, length: usize) -> Range<usize> {
    let start = dice.below(length + 1);
    start..(start + dice.below(17)).min(length)
}

/// A sample with up to four mutations, or bytes made up.
fn input(dice: &mut Dice, corpus: &[Vec<u8>]) -> Vec<u8> {
    const EDGES: [u8; 8] = [0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff];
    if dice.below(16) == 0 {
        let length = dice.below(400);
        return std::iter::once(1 + dice.below(2) as u8).chain((0..length).map(|_| dice.next() as u8)).collect();
    }
    let mut bytes = dice.one_of(corpus).clone();
    for _ in 0..=dice.below(4) {
        let (at, range) = (dice.below(bytes.len().max(1)), any_range(dice, bytes.len()));
        match dice.below(9) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << dice.below(8),
            1 if !bytes.is_empty() => bytes[at] = *dice.one_of(&EDGES),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(range)),
            4 => drop(bytes.splice(at..at, range.map(|_| dice.next() as u8).collect::<Vec<_>>())),
            // A large number where a small one was.
            5 => drop(bytes.splice(at..at, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])),
            6 => {
                let again = bytes[range].to_vec();
                drop(bytes.splice(at..at, again));
            }
            // The end of another sample.
            7 => {
                let other = dice.one_of(corpus);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[dice.below(other.len())..]);
            }
            _ => bytes.push(dice.next() as u8),
        }
    }
    bytes
}

/// The most memory that the process ever had mapped; 0 where the system does not tell.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Tries `target` on mutations of `corpus` until the time is up.
fn fuzz(name: &str, corpus: &[Vec<u8>], target: impl Fn(&[u8])) {
    REGRESSIONS.iter().for_each(|bytes| target(bytes));
    let plan = Plan::from_environment();
    let before = peak_kib();
    let check_memory = |cases: u64| {
        let grown = peak_kib().saturating_sub(before);
        let seed = plan.seed;
        assert!(
            grown < MEMORY_KIB_MAX,
            "one of the last {ROUNDS} before case {cases} of seed {seed}: up to {grown} KiB"
        );
    };
    let mut cases = 0;
    for case in plan.cases() {
        let bytes = input(&mut plan.dice(case), corpus);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(&bytes))) {
            let again = plan.again(case, &format!("cargo test -p booking-core --test rules fuzz::{name}"));
            eprintln!("{again}\nand keep it: {bytes:?}");
            resume_unwind(panic);
        }
        cases += 1;
        if cases % ROUNDS == 0 {
            check_memory(cases);
        }
    }
    check_memory(cases);
    eprintln!("{name}: {cases} cases of seed {}; the process grew by {} KiB", plan.seed, peak_kib() - before);
}

#[test]
fn events() {
    let (events, day) = samples();
    let corpus: Vec<Vec<u8>> = events.iter().map(encode_event).collect();
    fuzz("events", &corpus, |bytes| use_event(&day, bytes));
}

#[test]
fn packed_days() {
    let (events, day) = samples();
    let mut state = DoctorDay::default();
    let mut corpus = vec![day.pack()];
    for event in &events {
        state.apply(state.next_version(), event);
        corpus.push(state.pack());
    }
    fuzz("packed_days", &corpus, use_live_day);
}

/// Whatever is unpacked is in order, comes back as it is, and goes on: with ids of its own, as the engine gives them.
fn use_live_day(bytes: &[u8]) {
    let Ok(mut day) = DoctorDay::unpack(bytes) else { return };
    let packed = day.pack();
    assert_eq!(DoctorDay::unpack(&packed).map(|again| again.pack()).as_deref(), Ok(packed.as_slice()));
    let actions = [
        booking(7_001, 7_001, None, Some(1_000)),
        booking(7_002, 7_002, None, None),
        Action::Confirm { appointment: appointment_id(7_001) },
        Action::Cancel { appointment: appointment_id(7_002), reason: None },
        Action::Expire,
        Action::Close { reason: None },
    ];
    for (number, action) in actions.into_iter().enumerate() {
        let at = UtcMillis(37_000 + number as i64 * 700);
        assert_eq!(invariant::check(&day, at), Ok(()));
        if let Some(event) = day.decide(&keyed(action, subject_of(7_001), &number.to_string(), 1), at).event {
            day.apply(day.next_version(), &event);
        }
        assert_eq!(invariant::check(&day, at), Ok(()));
    }
}
