//! Chance: a small generator for what people choose. Pure.
//! Must not know: what is chosen. No secret may hang on it.

/// A sequence of numbers (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    /// The sequence of this seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    const fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Evenly in `0..bound`; 0 where the bound is 0.
    pub(crate) const fn below(&mut self, bound: u64) -> u64 {
        // The upper half of the product: its bias is below bound / 2^64.
        ((self.number() as u128 * bound as u128) >> 64) as u64
    }

    /// True in `times` of `of` cases.
    pub(crate) const fn happens(&mut self, times: u64, of: u64) -> bool {
        self.below(of) < times
    }

    /// One of these; `None` where there is none.
    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        let index = usize::try_from(self.below(choices.len() as u64)).ok()?;
        choices.get(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_comes_up_about_equally_often() {
        let mut dice = Dice::new(5);
        let mut counts = [0_u32; 4];
        for _ in 0..8_000 {
            counts[*dice.pick(&[0_usize, 1, 2, 3]).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (1_800..2_200).contains(count)), "{counts:?}");
        assert_eq!(dice.pick::<u8>(&[]), None);
        let happened = (0..8_000).filter(|_| dice.happens(1, 4)).count();
        assert!((1_800..2_200).contains(&happened), "{happened}");
    }
}
