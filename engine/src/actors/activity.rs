//! How much one day is asked: counters that its callers bump, and rates that forget.
//! Must not know: who wants to know, what the day is asked for.

use std::sync::atomic::{AtomicU32, Ordering};

/// After so many seconds a rate has forgotten half of what it was: quick enough to follow a release, slow enough to be read.
const HALF_LIFE_SECONDS: f32 = 3.0;

/// Requests of one day a second.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Rates {
    /// Bookings, holds and everything else that may change it.
    pub commands: f32,
    /// Pictures shown.
    pub reads: f32,
    /// Records made durable.
    pub records: f32,
}

/// See the module. 24 bytes in every day that is awake, and nothing of a day that is not.
#[derive(Debug, Default)]
pub struct Activity {
    commands: Meter,
    reads: Meter,
    records: Meter,
}

#[derive(Debug, Default)]
struct Meter {
    /// Since the last look.
    count: AtomicU32,
    /// The bits of an `f32`.
    rate: AtomicU32,
}

impl Activity {
    /// Somebody asks for a change.
    pub fn asked(&self) {
        self.commands.bump(1);
    }

    /// Somebody was shown the day.
    pub fn shown(&self) {
        self.reads.bump(1);
    }

    /// So many records are durable.
    pub fn recorded(&self, records: usize) {
        self.records.bump(u32::try_from(records).unwrap_or(u32::MAX));
    }

    /// The rates, brought up to date; `seconds` have passed since the last look. One caller at a time.
    pub fn look(&self, seconds: f32) -> Rates {
        Rates {
            commands: self.commands.look(seconds),
            reads: self.reads.look(seconds),
            records: self.records.look(seconds),
        }
    }
}

impl Meter {
    fn bump(&self, count: u32) {
        self.count.fetch_add(count, Ordering::Relaxed);
    }

    fn look(&self, seconds: f32) -> f32 {
        let count = self.count.swap(0, Ordering::Relaxed) as f32;
        let before = f32::from_bits(self.rate.load(Ordering::Relaxed));
        if seconds <= 0.0 {
            return before;
        }
        let kept = 0.5_f32.powf(seconds / HALF_LIFE_SECONDS);
        let after = before * kept + (count / seconds) * (1.0 - kept);
        // A day that is left alone comes to rest: no tail of ever smaller numbers.
        let after = if after < 0.01 { 0.0 } else { after };
        self.rate.store(after.to_bits(), Ordering::Relaxed);
        after
    }
}

impl Rates {
    /// What a day is ranked by: changes weigh as much as pictures.
    pub fn requests(&self) -> f32 {
        self.commands + self.reads
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_comes_near_to_what_is_asked_and_forgets_it() {
        let activity = Activity::default();
        let mut rates = Rates::default();
        for _ in 0..30 {
            (0..100).for_each(|_| activity.asked());
            activity.recorded(20);
            rates = activity.look(1.0);
        }
        assert!((rates.commands - 100.0).abs() < 1.0, "{rates:?}");
        assert!((rates.records - 20.0).abs() < 1.0, "{rates:?}");
        assert_eq!(rates.reads, 0.0);
        let after = activity.look(HALF_LIFE_SECONDS);
        assert!((after.commands - rates.commands / 2.0).abs() < 1.0, "{after:?}");
        (0..60).for_each(|_| _ = activity.look(1.0));
        assert_eq!(activity.look(1.0), Rates::default(), "it comes to rest");
    }

    #[test]
    fn a_look_twice_in_one_instant_changes_nothing() {
        let activity = Activity::default();
        activity.shown();
        assert_eq!(activity.look(0.0), Rates::default());
    }
}
