//! What the interface does with requests and texts that are made from good ones: for as long as `HOTSLOT_FUZZ_SECONDS` says, a
//! minute each. A failure names the words that repeat it.
//! Must not know: which call takes what, but for a good example of each.

mod requests;
mod shapes;
mod texts;
mod world;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

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

    /// A number below `bound`; 0 if that is 0.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// How long a target runs, and with which cases. Every case is made from the seed and its number alone.
struct Plan {
    seed: u64,
    only: Option<u64>,
    began: Instant,
    duration: Duration,
}

impl Plan {
    fn from_environment() -> Self {
        Self {
            seed: setting("HOTSLOT_FUZZ_SEED").unwrap_or_else(|| RandomState::new().build_hasher().finish()),
            only: setting("HOTSLOT_FUZZ_CASE"),
            began: now(),
            duration: Duration::from_secs(setting("HOTSLOT_FUZZ_SECONDS").unwrap_or(60)),
        }
    }

    /// The cases to be tried: one, or as many as there is time for.
    fn cases(&self) -> impl Iterator<Item = u64> {
        let (began, duration, only) = (self.began, self.duration, self.only);
        let all = (0..).take_while(move |_| only.is_none() && now().duration_since(began) < duration);
        only.into_iter().chain(all)
    }

    fn dice(&self, case: u64) -> Dice {
        Dice(self.seed ^ case.wrapping_mul(0xD134_2543_DE82_EF95))
    }

    /// How `case` of the target `name` is tried again.
    fn again(&self, name: &str, case: u64) -> String {
        let seed = self.seed;
        format!(
            "repeat with: HOTSLOT_FUZZ_SEED={seed} HOTSLOT_FUZZ_CASE={case} cargo test -p gateway --lib fuzz::{name}"
        )
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a test runs is no time of the engine")]
fn now() -> Instant {
    Instant::now()
}
