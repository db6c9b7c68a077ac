//! How old the oldest record is that somebody lacks who follows the log: positions with the times at which the log had reached them.
//! Must not know: which log, who follows.

use std::collections::VecDeque;

/// Most marks. Past it every second one is forgotten: who is so far behind (a day, at five marks a second) is told an age that is
/// right to within the distance of two marks.
const MARKS_MAX: usize = 4_096;

/// See the module.
#[derive(Debug, Default)]
pub struct Marks {
    /// Position and time in microseconds; both rise.
    marks: VecDeque<(u64, u64)>,
    last: u64,
}

impl Marks {
    /// The log reaches to `head` at `now_micros`.
    pub fn reached(&mut self, head: u64, now_micros: u64) {
        if head <= self.last {
            return;
        }
        self.last = head;
        if self.marks.len() >= MARKS_MAX {
            let mut keep = false;
            self.marks.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.marks.push_back((head, now_micros));
    }

    /// The follower has come to `applied`: the ages of the marks that it has passed.
    pub fn passed(&mut self, applied: u64, now_micros: u64) -> impl Iterator<Item = u64> + '_ {
        let count = self.marks.iter().take_while(|(position, _)| *position <= applied).count();
        self.marks.drain(..count).map(move |(_, at)| now_micros.saturating_sub(at))
    }

    /// The age of the oldest mark that is not passed; 0 if there is none.
    pub fn oldest_micros(&self, now_micros: u64) -> u64 {
        self.marks.front().map_or(0, |(_, at)| now_micros.saturating_sub(*at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_is_missing_says_how_far_behind_somebody_is() {
        let mut marks = Marks::default();
        assert_eq!(marks.oldest_micros(99), 0);
        marks.reached(10, 100);
        marks.reached(10, 150);
        marks.reached(30, 200);
        assert_eq!(marks.oldest_micros(1_000), 900);
        assert_eq!(marks.passed(29, 1_000).collect::<Vec<_>>(), [900]);
        assert_eq!(marks.oldest_micros(1_000), 800);
        assert_eq!(marks.passed(30, 1_100).collect::<Vec<_>>(), [900]);
        assert_eq!(marks.oldest_micros(5_000), 0);
    }

    #[test]
    fn a_follower_that_is_away_for_long_costs_bounded_memory_and_its_age_stays_true() {
        let mut marks = Marks::default();
        (1..100_000).for_each(|position| marks.reached(position, position * 200_000));
        assert!(marks.marks.len() <= MARKS_MAX);
        assert_eq!(marks.oldest_micros(100_000 * 200_000), 99_999 * 200_000, "the oldest is kept");
    }
}
