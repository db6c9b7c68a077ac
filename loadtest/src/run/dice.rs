//! Chance that repeats itself: the same seed gives the same numbers on every machine. Pure.
//! Must not know: what is drawn. Good enough to spread arrivals; no secret may hang on it.

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

    /// Any number.
    pub(crate) const fn number(&mut self) -> u64 {
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

    /// Evenly in `[0, 1)`.
    pub(crate) fn share(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The gap of a Poisson process with one arrival a unit on average.
    pub(crate) fn exponential(&mut self) -> f64 {
        -(1.0 - self.share()).ln()
    }

    /// Normally distributed around 0 with deviation 1 (Box and Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * (std::f64::consts::TAU * self.share()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_sequence_and_another_another() {
        let draw = |seed| {
            let mut dice = Dice::new(seed);
            [(); 8].map(|()| dice.number())
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn draws_have_the_mean_that_they_say() {
        let mut dice = Dice::new(7);
        let mean = |draw: &mut dyn FnMut() -> f64| (0..20_000).map(|_| draw()).sum::<f64>() / 20_000.0;
        assert!((mean(&mut || dice.share()) - 0.5).abs() < 0.02);
        assert!((mean(&mut || dice.exponential()) - 1.0).abs() < 0.04);
        assert!(mean(&mut || dice.normal()).abs() < 0.04);
        assert!((mean(&mut || dice.below(10) as f64) - 4.5).abs() < 0.1);
        assert_eq!(dice.below(0), 0);
    }
}
