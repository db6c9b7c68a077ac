//! When a stream may speak: the first change after silence at once, later ones together, and a comment in long silence.
//! Must not know: clocks (time is an argument, in milliseconds of any monotonic scale), what is said.

/// Keeps things at least an interval apart. Nothing is lost by it: what waits is done when the interval is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spacing {
    interval_millis: u64,
    last_millis: Option<u64>,
}

impl Spacing {
    /// Nothing has happened yet.
    pub(crate) fn new(interval_millis: u64) -> Self {
        Self { interval_millis, last_millis: None }
    }

    /// How long the next one must still wait; 0: it may be done now.
    pub(crate) fn wait_millis(&self, now_millis: u64) -> u64 {
        let due = self.last_millis.map_or(0, |last| last.saturating_add(self.interval_millis));
        due.saturating_sub(now_millis)
    }

    /// One was done.
    pub(crate) fn done(&mut self, now_millis: u64) {
        self.last_millis = Some(now_millis);
    }
}

/// When a crowd is told next. The first change after silence at once; then rounds come so slowly that they cost a bounded share of
/// their thread's time, but not more slowly than bounds what a reader can miss.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rounds {
    least: Spacing,
    most: Spacing,
}

impl Rounds {
    /// At least `least_millis` apart, and not made to wait longer than `most_millis` for what they cost.
    pub(crate) fn new(least_millis: u64, most_millis: u64) -> Self {
        Self { least: Spacing::new(least_millis), most: Spacing::new(most_millis) }
    }

    /// How long the next round must still wait, if all rounds so far are paid for at `paid_millis`; 0: it may begin.
    pub(crate) fn wait_millis(&self, now_millis: u64, paid_millis: u64) -> u64 {
        let for_cost = paid_millis.saturating_sub(now_millis).min(self.most.wait_millis(now_millis));
        self.least.wait_millis(now_millis).max(for_cost)
    }

    /// One begins.
    pub(crate) fn begin(&mut self, now_millis: u64) {
        self.least.done(now_millis);
        self.most.done(now_millis);
    }
}

/// How many readers are told at once in a round that began so long ago. Few at first: a request on the same worker waits for them, about
/// 10 µs each. More where the worker has so many requests between that the round would take too long.
pub(crate) fn slice_readers(round_millis: u64) -> usize {
    match round_millis {
        0..50 => 32,
        50..100 => 64,
        100..150 => 128,
        _ => 256,
    }
}

/// What a stream does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// Send the newest event.
    Event,
    /// Send a comment.
    Heartbeat,
    /// There is something new, but it is too early: newer events until then take its place.
    Pause {
        /// How long.
        millis: u64,
    },
    /// Nothing is new: wait for news, or this long.
    Listen {
        /// How long.
        millis: u64,
    },
}

/// The pace of one stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    events: Spacing,
    heartbeat_millis: u64,
    spoke_millis: u64,
}

impl Pace {
    /// A stream that opens at `now_millis`. Events are `interval_millis` apart; after `heartbeat_millis` without a byte comes a comment.
    pub(crate) fn new(interval_millis: u64, heartbeat_millis: u64, now_millis: u64) -> Self {
        Self { events: Spacing::new(interval_millis), heartbeat_millis, spoke_millis: now_millis }
    }

    /// What to do now; `news` says whether there is an event that the reader has not seen.
    pub(crate) fn turn(&self, now_millis: u64, news: bool) -> Turn {
        let heartbeat = self.silence_millis(now_millis);
        match (news, self.events.wait_millis(now_millis)) {
            (true, 0) => Turn::Event,
            (true, millis) => Turn::Pause { millis },
            (false, _) if heartbeat == 0 => Turn::Heartbeat,
            (false, _) => Turn::Listen { millis: heartbeat },
        }
    }

    /// How long there may still be silence.
    pub(crate) fn silence_millis(&self, now_millis: u64) -> u64 {
        self.spoke_millis.saturating_add(self.heartbeat_millis).saturating_sub(now_millis)
    }

    /// An event was sent.
    pub(crate) fn told(&mut self, now_millis: u64) {
        self.events.done(now_millis);
        self.spoke_millis = now_millis;
    }

    /// A comment was sent.
    pub(crate) fn beat(&mut self, now_millis: u64) {
        self.spoke_millis = now_millis;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays changes at these instants, each millisecond a look; answers when which change was the newest told.
    fn play(changes: &[u64], until: u64) -> Vec<(u64, u64)> {
        let mut pace = Pace::new(200, 15_000, 0);
        let mut told: Vec<(u64, u64)> = Vec::new();
        for now in 0..until {
            let newest = changes.iter().copied().filter(|change| *change <= now).max();
            let seen = told.last().map(|(_, change)| *change);
            if pace.turn(now, newest > seen) == Turn::Event {
                pace.told(now);
                told.push((now, newest.expect("news")));
            }
        }
        told
    }

    #[test]
    fn the_first_change_after_silence_is_told_at_once() {
        assert_eq!(play(&[5], 1_000), [(5, 5)]);
        assert_eq!(play(&[5, 205, 2_000], 3_000), [(5, 5), (205, 205), (2_000, 2_000)]);
    }

    #[test]
    fn changes_in_between_are_told_together_and_the_last_is_never_lost() {
        assert_eq!(play(&[0, 1, 2, 3, 199], 1_000), [(0, 0), (200, 199)]);
        assert_eq!(play(&[0, 150, 250, 390], 1_000), [(0, 0), (200, 150), (400, 390)]);
    }

    #[test]
    fn a_storm_is_told_each_interval_and_nothing_is_older_than_one() {
        let changes: Vec<u64> = (0..2_000).step_by(3).collect();
        let told = play(&changes, 3_000);
        assert!(told.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 200), "{told:?}");
        for change in &changes {
            let when = told.iter().find(|(_, newest)| newest >= change).map(|(when, _)| *when);
            assert!(when.is_some_and(|when| when - change <= 200), "{change}: {when:?}");
        }
    }

    #[test]
    fn a_comment_comes_after_silence_only() {
        let mut pace = Pace::new(200, 15_000, 100);
        assert_eq!(pace.turn(100, false), Turn::Listen { millis: 15_000 });
        assert_eq!(pace.turn(15_100, false), Turn::Heartbeat);
        pace.beat(15_100);
        assert_eq!(pace.turn(15_101, true), Turn::Event, "a comment delays no event");
        pace.told(15_101);
        assert_eq!(pace.turn(15_150, true), Turn::Pause { millis: 151 });
        assert_eq!(pace.turn(15_150, false), Turn::Listen { millis: 14_951 });
        assert_eq!(pace.turn(30_101, false), Turn::Heartbeat);
    }

    #[test]
    fn a_clock_that_does_not_move_lets_nothing_pass_twice() {
        let mut spacing = Spacing::new(20);
        assert_eq!(spacing.wait_millis(7), 0);
        spacing.done(7);
        assert_eq!((spacing.wait_millis(7), spacing.wait_millis(26), spacing.wait_millis(27)), (20, 1, 0));
    }

    #[test]
    fn rounds_wait_for_what_they_cost_but_only_so_long() {
        let mut rounds = Rounds::new(200, 600);
        assert_eq!(rounds.wait_millis(5_000, 9_000), 0, "the first one pays for nobody");
        rounds.begin(5_000);
        assert_eq!(rounds.wait_millis(5_001, 5_010), 199, "cheap");
        assert_eq!(rounds.wait_millis(5_001, 5_400), 399, "dear");
        assert_eq!(rounds.wait_millis(5_001, 7_000), 599, "too dear");
        assert_eq!(rounds.wait_millis(5_600, 7_000), 0);
        assert_eq!(rounds.wait_millis(9_000, 5_400), 0, "after silence at once");
    }
}
