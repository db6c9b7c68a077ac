//! Randomness from a seed, the same on every machine and in every version of the toolchain.
//! Must not know: what it decides.

/// SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014): small, and good enough to choose with.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The sequence of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A sequence of its own, which depends on this one's state and `purpose` alone: drawing more from one of them does not
    /// change the other.
    pub fn fork(&self, purpose: &str) -> Self {
        let folded = purpose.bytes().fold(self.state, |state, byte| Self::mix(state ^ u64::from(byte)));
        Self::new(folded)
    }

    const fn mix(state: u64) -> u64 {
        let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^ (state >> 31)
    }

    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        Self::mix(self.state)
    }

    /// A number below `bound`; 0 if that is 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }

    /// A number from `low` to `high`, both included.
    pub const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True `parts` times in a million.
    pub const fn chance(&mut self, parts_per_million: u64) -> bool {
        self.below(1_000_000) < parts_per_million
    }

    /// One of `items`; `None` if there is none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(usize::try_from(self.below(items.len() as u64)).unwrap_or(0))
    }

    /// An index into `weights`, each as likely as its weight; 0 if all are 0.
    pub fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (index, weight) in weights.iter().enumerate() {
            if left < *weight {
                return index;
            }
            left -= weight;
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_published_one() {
        let mut random = Random::new(1_234_567);
        // The first values of the reference implementation for this seed.
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn forks_differ_by_purpose_and_do_not_disturb_each_other() {
        let mut random = Random::new(7);
        let (mut first, mut second) = (random.fork("journal"), random.fork("ledger"));
        assert_ne!(first.next(), second.next());
        assert_eq!(random.fork("journal").next(), Random::new(7).fork("journal").next());
        let before = random.fork("journal").next();
        random.next();
        assert_ne!(random.fork("journal").next(), before);
    }

    #[test]
    fn weights_are_kept() {
        let mut random = Random::new(3);
        let mut hits = [0_u32; 3];
        for _ in 0..10_000 {
            hits[random.weighted(&[1, 0, 3])] += 1;
        }
        assert_eq!(hits[1], 0);
        assert!((2_000..3_000).contains(&hits[0]), "{hits:?}");
    }
}
