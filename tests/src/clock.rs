//! The tests' own clock, stopwatch, ids and dice: the only place of the tests that reads time or chance.
//! Must not know: the program under test.

use std::time::{Duration, Instant, SystemTime};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// The wall clock, which the program on this machine shares.
#[expect(clippy::disallowed_methods, reason = "a test plans days around the real clock of the program it drives")]
pub fn now() -> Timestamp {
    Timestamp::try_from(SystemTime::now()).expect("the wall clock lies in the range of instants")
}

/// A new random id, as text.
#[expect(clippy::disallowed_methods, reason = "a test needs ids that no other run has used")]
pub fn fresh_id() -> String {
    Uuid::new_v4().to_string()
}

/// Measures how long something takes.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "bounds on durations are part of the contract")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A small seeded generator (splitmix64), so that a failure names what to run again.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that always fall the same way.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Dice with a seed of the moment, which is printed: a failing test shows it.
    pub fn thrown() -> Self {
        let seed = now().as_nanosecond() as u64;
        eprintln!("dice seed: {seed}");
        Self(seed)
    }

    /// A number from `0` to `bound - 1`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % bound.max(1) as u64) as usize
    }

    /// When, from an instant `lead` after all of them began, each of `count` (8 and more) asks: an eighth at once, an
    /// eighth just after the instant, the others by chance within 140 ms before it and 20 ms after it. So both sides
    /// are seen on a machine that takes any time shorter than `lead` for an answer, and the instant itself is aimed at.
    pub fn around_an_instant(&mut self, count: usize, lead: SignedDuration) -> Vec<SignedDuration> {
        let near = |dice: &mut Self| dice.below(160) as i64 - 140;
        (0..count)
            .map(|number| match number % 8 {
                0 => -lead,
                1 => SignedDuration::from_millis(20),
                _ => SignedDuration::from_millis(near(self)),
            })
            .collect()
    }
}
