//! When patients come: from the shape of a load to instants, in microseconds from the start of the run. Pure.
//! Must not know: what they ask for, what time it is.

use crate::run::dice::Dice;

/// A shape of arrivals.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Arrivals {
    /// A rate that goes evenly from one value to another; the same twice is a constant one.
    Rate {
        /// Arrivals a second at the beginning.
        from_per_second: f64,
        /// Arrivals a second at the end.
        to_per_second: f64,
        /// As a Poisson process, which is how people who do not know of each other come; otherwise evenly spaced.
        random: bool,
    },
    /// So many at one instant, each after a delay of its own (log-normal): seconds for humans, milliseconds for
    /// scripts.
    Spike {
        /// How many come.
        patients: u64,
        /// Half have come after this many milliseconds.
        median_ms: f64,
        /// Deviation of the delay's logarithm; 0 lets all come after the median.
        spread: f64,
    },
    /// These offsets from the beginning, in microseconds.
    Replay(Vec<u64>),
}

impl Arrivals {
    /// The instants of all arrivals that begin at `begin_micros`, in order. Those of a rate lie before `end_micros`;
    /// a spike and a replay have an end of their own.
    pub(crate) fn instants(&self, begin_micros: u64, end_micros: u64, dice: &mut Dice) -> Vec<u64> {
        match self {
            Self::Rate { from_per_second, to_per_second, random } => {
                let seconds = end_micros.saturating_sub(begin_micros) as f64 / 1e6;
                rate(*from_per_second, *to_per_second, seconds, *random, dice)
                    .map(|after_seconds| begin_micros + micros(after_seconds * 1e3))
                    .collect()
            }
            Self::Spike { patients, median_ms, spread } => {
                let delay = |_| begin_micros + micros(median_ms * (spread * dice.normal()).exp());
                let mut instants: Vec<u64> = (0..*patients).map(delay).collect();
                instants.sort_unstable();
                instants
            }
            Self::Replay(offsets) => {
                let mut instants: Vec<u64> = offsets.iter().map(|offset| begin_micros + offset).collect();
                instants.sort_unstable();
                instants
            }
        }
    }
}

fn micros(millis: f64) -> u64 {
    // Beyond an hour is beyond every run; a cast of a float saturates.
    (millis * 1e3).clamp(0.0, 3.6e9) as u64
}

/// Seconds of the arrivals of a rate that changes evenly: the instants at which its integral reaches each level.
fn rate(from: f64, to: f64, seconds: f64, random: bool, dice: &mut Dice) -> impl Iterator<Item = f64> {
    let growth = if seconds > 0.0 { (to - from) / seconds } else { 0.0 };
    let expected = (from + to) / 2.0 * seconds;
    let mut level = if random { 0.0 } else { -0.5 };
    std::iter::from_fn(move || {
        level += if random { dice.exponential() } else { 1.0 };
        (level < expected).then(|| instant_of(level, from, growth))
    })
}

/// The time at which `from · t + growth · t² / 2` reaches `level`, written so that a growth of 0 divides nothing.
fn instant_of(level: f64, from: f64, growth: f64) -> f64 {
    2.0 * level / (from + (from * from + 2.0 * growth * level).max(0.0).sqrt())
}

/// Reads offsets to be replayed: seconds with decimals, one a line; empty lines and lines after `#` do not count.
/// The line number of the first that is no offset is the error.
pub(crate) fn read_offsets(text: &str) -> Result<Vec<u64>, usize> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let offsets = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).map(|(number, line)| {
        let seconds = line.parse::<f64>().ok().filter(|seconds| (0.0..=3_600.0).contains(seconds));
        seconds.map(|seconds| micros(seconds * 1e3)).ok_or(number)
    });
    offsets.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(from_per_second: f64, to_per_second: f64, random: bool) -> Arrivals {
        Arrivals::Rate { from_per_second, to_per_second, random }
    }

    #[test]
    fn an_even_constant_rate_is_evenly_spaced_and_stays_inside() {
        let instants = rate(10.0, 10.0, false).instants(1_000_000, 2_000_000, &mut Dice::new(1));
        let expected: Vec<u64> = (0..10).map(|number| 1_050_000 + number * 100_000).collect();
        assert_eq!(instants, expected);
    }

    #[test]
    fn a_random_rate_has_its_mean_and_repeats_with_its_seed() {
        let draw = |seed| rate(1_000.0, 1_000.0, true).instants(0, 10_000_000, &mut Dice::new(seed));
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
        let instants = draw(3);
        assert!((9_700..10_300).contains(&instants.len()), "{}", instants.len());
        assert!(instants.is_sorted() && instants.iter().all(|instant| *instant < 10_000_000));
    }

    #[test]
    fn a_ramp_has_a_quarter_of_its_arrivals_in_its_first_half() {
        let instants = rate(0.0, 2_000.0, false).instants(0, 10_000_000, &mut Dice::new(1));
        assert_eq!(instants.len(), 10_000);
        let early = instants.iter().filter(|instant| **instant < 5_000_000).count();
        assert!((2_499..=2_501).contains(&early), "{early}");
        let falling = rate(2_000.0, 0.0, false).instants(0, 10_000_000, &mut Dice::new(1));
        assert!(falling.iter().filter(|instant| **instant < 5_000_000).count() > 7_400);
    }

    #[test]
    fn a_spike_has_its_median_and_all_its_patients() {
        let spike = Arrivals::Spike { patients: 10_001, median_ms: 800.0, spread: 0.6 };
        let instants = spike.instants(2_000_000, 0, &mut Dice::new(5));
        assert_eq!(instants.len(), 10_001);
        let median = instants[5_000];
        assert!((2_770_000..2_830_000).contains(&median), "{median}");
        let together = Arrivals::Spike { patients: 3, median_ms: 2.0, spread: 0.0 };
        assert_eq!(together.instants(0, 0, &mut Dice::new(5)), [2_000, 2_000, 2_000]);
    }

    #[test]
    fn a_replay_is_read_and_sorted() {
        let offsets = read_offsets("# seconds\n0.5\n\n0.25\n").unwrap();
        assert_eq!(Arrivals::Replay(offsets).instants(1_000, 0, &mut Dice::new(1)), [251_000, 501_000]);
        assert_eq!(read_offsets("1\nsoon\n"), Err(2));
        assert_eq!(read_offsets("-1\n"), Err(1));
    }

    #[test]
    fn no_rate_and_no_time_have_no_arrivals() {
        for arrivals in [rate(0.0, 0.0, true), rate(5.0, 5.0, false)] {
            assert_eq!(arrivals.instants(7, 7, &mut Dice::new(1)), Vec::<u64>::new());
        }
    }
}
