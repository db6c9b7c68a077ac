//! How long to wait before the next attempt, and when to give up: pure.
//! Must not know: what is tried, clocks.

use std::time::Duration;

use crate::config::RETRY_WAITS_MILLIS_DEFAULT;

/// Waits are spread by so much to either side, so that what failed together does not come back together.
const SPREAD_PERCENT: u64 = 20;

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Backoff {
    /// The wait after the first failed attempt, after the second, and so on; after one more the channel gives up.
    pub waits_millis: Vec<u64>,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { waits_millis: RETRY_WAITS_MILLIS_DEFAULT.to_vec() }
    }
}

impl Backoff {
    /// The wait after the `attempts`-th attempt has failed (the first is 1), up to a fifth more or less than said;
    /// `None`: no other is made.
    /// The same `seed` gives the same wait.
    pub fn after(&self, attempts: u32, seed: u64) -> Option<Duration> {
        let wait = *self.waits_millis.get(attempts.max(1) as usize - 1)?;
        let spread = wait * SPREAD_PERCENT / 100;
        let wait = wait - spread + mixed(seed ^ (u64::from(attempts) << 56)) % (2 * spread + 1);
        Some(Duration::from_millis(wait))
    }
}

/// `seed` as a number that looks random (splitmix64): ids differ in a few bits only.
fn mixed(seed: u64) -> u64 {
    let mut value = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn by_default_it_is_tried_after_two_four_and_eight_seconds() {
        let waits = |seed| (1..=4).map(|attempts| Backoff::default().after(attempts, seed)).collect::<Vec<_>>();
        let mut sums = [0; 3];
        for seed in 0..1_000 {
            let waits = waits(seed);
            assert_eq!((waits.len(), waits[3]), (4, None));
            sums.iter_mut().zip(waits).for_each(|(sum, wait)| *sum += wait.map_or(0, |wait| wait.as_millis()));
        }
        for (sum, wait) in sums.into_iter().zip([2_000, 4_000, 8_000]) {
            assert!((sum / 1_000).abs_diff(wait) < wait / 50, "on average {}", sum / 1_000);
        }
    }

    #[test]
    fn what_failed_together_does_not_come_back_together() {
        let backoff = Backoff::default();
        let mut waits: Vec<_> = (0..100).filter_map(|seed| backoff.after(1, seed)).collect();
        waits.sort_unstable();
        waits.dedup();
        assert!(waits.len() > 80, "{} different waits", waits.len());
    }

    proptest! {
        #[test]
        fn a_wait_is_within_a_fifth_and_ends_with_the_list(
            waits_millis in prop::collection::vec(0_u64..100_000_000, 0..8),
            attempts in 0_u32..12,
            seed: u64,
        ) {
            let backoff = Backoff { waits_millis: waits_millis.clone() };
            let wait = backoff.after(attempts, seed);
            prop_assert_eq!(wait, backoff.after(attempts, seed));
            match waits_millis.get(attempts.max(1) as usize - 1) {
                None => prop_assert_eq!(wait, None),
                Some(said) => {
                    let wait = wait.map_or(u64::MAX, |wait| wait.as_millis() as u64);
                    prop_assert!(wait.abs_diff(*said) <= said / 5, "{wait} for {said}");
                }
            }
        }
    }
}
