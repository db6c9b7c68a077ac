//! Whether the applier stands back: in a burst the processor belongs to those who wait for an answer.
//! Must not know: how records are applied, who waits for the next turn.
//!
//! The ledger takes a good fifth of the processor time that a booking costs in all, and nobody waits for it: the overlay answers
//! meanwhile. So the applier puts off its work while records come fast, within three bounds: a time,
//! a number of records (memory of the overlay, and what a start would have to apply after a crash), and until it has caught up it
//! does not stand back again. A load that it cannot keep up with so finds an applier that follows without a pause.

/// Records a second from which on it is a burst: below it the applier takes a few per cent of one core.
const BURST_RECORDS_PER_SECOND: u64 = 2_000;

/// How long the applier stands back at most, counted from when it was last caught up: the release of a popular day is over
/// within seconds.
const STAND_BACK_MICROS_MAX: u64 = 10_000_000;

/// A shorter look than this says nothing of a rate.
const LOOK_MICROS_MIN: u64 = 50_000;

/// What was seen at the last look.
pub(super) struct Pace {
    records_max: u64,
    looked_at_micros: u64,
    head: u64,
    caught_up_at_micros: u64,
}

impl Pace {
    /// Nothing is behind at `now_micros`, and the journal reaches to `head`. `records_max` is how many records may wait.
    pub(super) const fn new(records_max: u64, now_micros: u64, head: u64) -> Self {
        Self { records_max, looked_at_micros: now_micros, head, caught_up_at_micros: now_micros }
    }

    /// Something has come after nothing was to be done: the next look is to tell of what came since `now_micros`, where the ledger had
    /// come to `applied`.
    pub(super) const fn begin(&mut self, now_micros: u64, applied: u64) {
        (self.looked_at_micros, self.head, self.caught_up_at_micros) = (now_micros, applied, now_micros);
    }

    /// Looks at the journal's `head` and at how far the ledger has come, `applied`, at `now_micros`: true if the next turn can wait
    /// until another look.
    pub(super) fn stands_back(&mut self, now_micros: u64, head: u64, applied: u64) -> bool {
        let (elapsed, arrived) = (now_micros.saturating_sub(self.looked_at_micros), head.saturating_sub(self.head));
        (self.looked_at_micros, self.head) = (now_micros, head);
        let lag = head.saturating_sub(applied);
        // What came since the last look is not behind yet.
        if lag <= arrived {
            self.caught_up_at_micros = now_micros;
        }
        let is_burst = elapsed >= LOOK_MICROS_MIN
            && arrived.saturating_mul(1_000_000) >= BURST_RECORDS_PER_SECOND.saturating_mul(elapsed);
        is_burst
            && lag < self.records_max
            && now_micros.saturating_sub(self.caught_up_at_micros) < STAND_BACK_MICROS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: u64 = 200_000;

    /// Looks every 200 ms at a load of `records_per_second` for `seconds`, applying nothing; how long it stood back at first.
    fn stood_back_micros(pace: &mut Pace, records_per_second: u64, seconds: u64) -> u64 {
        let looks = 1..=seconds * 1_000_000 / LOOK;
        let end =
            looks.map(|look| look * LOOK).find(|at| !pace.stands_back(*at, records_per_second * at / 1_000_000, 0));
        end.unwrap_or(seconds * 1_000_000)
    }

    #[test]
    fn a_steady_trickle_is_applied_at_once() {
        assert_eq!(stood_back_micros(&mut Pace::new(500_000, 0, 0), 1_900, 60), LOOK);
    }

    #[test]
    fn a_burst_is_waited_for_until_it_ends() {
        let mut pace = Pace::new(500_000, 0, 0);
        assert_eq!(stood_back_micros(&mut pace, 20_000, 5), 5_000_000, "it lasts longer than the look");
        assert!(!pace.stands_back(5_200_000, 100_010, 0), "ten records in 200 ms are no burst");
    }

    #[test]
    fn a_load_that_lasts_is_followed_after_ten_seconds_and_from_then_on() {
        let mut pace = Pace::new(10_000_000, 0, 0);
        assert_eq!(stood_back_micros(&mut pace, 20_000, 60), STAND_BACK_MICROS_MAX + LOOK);
        assert!(!pace.stands_back(20_000_000, 400_000, 150_000), "it is still behind");
        assert!(pace.stands_back(20_200_000, 404_000, 400_000), "it has caught up, and there is a burst");
    }

    #[test]
    fn a_burst_after_a_quiet_hour_is_known_at_its_first_look() {
        let hour = 3_600_000_000;
        let mut pace = Pace::new(500_000, 0, 0);
        assert!(!pace.stands_back(hour, 1_000, 1_000), "a thousand in an hour");
        pace.begin(hour + 7_000_000, 1_000);
        assert!(pace.stands_back(hour + 7_000_000 + LOOK, 5_096, 1_000));
    }

    #[test]
    fn no_more_wait_than_may() {
        let at = stood_back_micros(&mut Pace::new(100_000, 0, 0), 50_000, 60);
        assert_eq!(at, 2_000_000, "50,000 a second reach 100,000 after two");
    }

    #[test]
    fn a_clock_that_stands_is_no_burst() {
        assert!(!Pace::new(500_000, 7, 0).stands_back(7, 1_000_000, 0));
    }
}
