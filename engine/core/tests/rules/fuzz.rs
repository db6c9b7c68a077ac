//! What the decoders do with bytes that are made from good ones: for as long as `HOTSLOT_FUZZ_SECONDS` says, a minute each.
//! They never panic, set aside no more memory than a small multiple of what they read, and what they accept is written and
//! read again as it is. A failure names the words that repeat it.
//! Must not know: the format.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use booking_core::{Action, DoctorDay, UtcMillis, encode_event, invariant};

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

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn range(&mut self, length: usize) -> Range<usize> {
        let start = self.below(length + 1);
        start..(start + self.below(17)).min(length)
    }
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// A sample with up to four mutations, or bytes made up.
fn input(dice: &mut Dice, corpus: &[Vec<u8>]) -> Vec<u8> {
    const EDGES: [u8; 8] = [0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff];
    if dice.below(16) == 0 {
        let length = dice.below(400);
        return std::iter::once(1 + dice.below(2) as u8).chain((0..length).map(|_| dice.next() as u8)).collect();
    }
    let mut bytes = corpus[dice.below(corpus.len())].clone();
    for _ in 0..=dice.below(4) {
        let (at, range) = (dice.below(bytes.len().max(1)), dice.range(bytes.len()));
        match dice.below(9) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << dice.below(8),
            1 if !bytes.is_empty() => bytes[at] = EDGES[dice.below(EDGES.len())],
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
                let other = &corpus[dice.below(corpus.len())];
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

#[expect(clippy::disallowed_methods, reason = "how long a test runs is no time of the engine")]
fn now() -> Instant {
    Instant::now()
}

/// Tries `target` on mutations of `corpus` until the time is up; every case is made from the seed and its number alone.
fn fuzz(name: &str, corpus: &[Vec<u8>], target: impl Fn(&[u8])) {
    REGRESSIONS.iter().for_each(|bytes| target(bytes));
    let seed = setting("HOTSLOT_FUZZ_SEED").unwrap_or_else(|| RandomState::new().build_hasher().finish());
    let attempt = |case: u64| {
        let bytes = input(&mut Dice(seed ^ case.wrapping_mul(0xD134_2543_DE82_EF95)), corpus);
        let outcome = catch_unwind(AssertUnwindSafe(|| target(&bytes)));
        if let Err(panic) = outcome {
            let again =
                format!("HOTSLOT_FUZZ_SEED={seed} HOTSLOT_FUZZ_CASE={case} cargo test -p booking-core --test rules");
            eprintln!("repeat with: {again} fuzz::{name}\nand keep it: {bytes:?}");
            resume_unwind(panic);
        }
    };
    if let Some(case) = setting("HOTSLOT_FUZZ_CASE") {
        return attempt(case);
    }
    let before = peak_kib();
    let (began, duration) = (now(), Duration::from_secs(setting("HOTSLOT_FUZZ_SECONDS").unwrap_or(60)));
    let mut cases = 0;
    while now().duration_since(began) < duration {
        (cases..cases + ROUNDS).for_each(attempt);
        let grown = peak_kib().saturating_sub(before);
        let words = format!("HOTSLOT_FUZZ_SEED={seed}, a case between {cases} and {}", cases + ROUNDS);
        assert!(grown < MEMORY_KIB_MAX, "{words} takes up to {grown} KiB");
        cases += ROUNDS;
    }
    eprintln!("{name}: {cases} cases of seed {seed} in {duration:?}; the process grew by {} KiB", peak_kib() - before);
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
