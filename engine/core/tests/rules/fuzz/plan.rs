//! How long a fuzz target runs, with which cases, and how one of them is repeated. The gateway's targets use this file too.
//! Must not know: what a target is given, or does with it.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct Dice(u64);

impl Dice {
    /// Any number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// One of `all`, of which there must be some.
    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// See the module. Every case is made from the seed and its number alone.
pub struct Plan {
    /// `HOTSLOT_FUZZ_SEED`, or any.
    pub seed: u64,
    only: Option<u64>,
    began: Instant,
    duration: Duration,
}

impl Plan {
    /// As `HOTSLOT_FUZZ_SEED`, `HOTSLOT_FUZZ_CASE` and `HOTSLOT_FUZZ_SECONDS` say; a minute of any seed if they are not set.
    pub fn from_environment() -> Self {
        Self {
            seed: setting("HOTSLOT_FUZZ_SEED").unwrap_or_else(|| RandomState::new().build_hasher().finish()),
            only: setting("HOTSLOT_FUZZ_CASE"),
            began: now(),
            duration: Duration::from_secs(setting("HOTSLOT_FUZZ_SECONDS").unwrap_or(60)),
        }
    }

    /// The cases to be tried: one, or as many as there is time for.
    pub fn cases(&self) -> impl Iterator<Item = u64> {
        let (began, duration, only) = (self.began, self.duration, self.only);
        let all = (0..).take_while(move |_| only.is_none() && now().duration_since(began) < duration);
        only.into_iter().chain(all)
    }

    /// What decides `case`.
    pub fn dice(&self, case: u64) -> Dice {
        Dice(self.seed ^ case.wrapping_mul(0xD134_2543_DE82_EF95))
    }

    /// How `case` is tried again, by `command`.
    pub fn again(&self, case: u64, command: &str) -> String {
        format!("repeat with: HOTSLOT_FUZZ_SEED={} HOTSLOT_FUZZ_CASE={case} {command}", self.seed)
    }
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[expect(clippy::disallowed_methods, reason = "how long a test runs is no time of the engine")]
fn now() -> Instant {
    Instant::now()
}
