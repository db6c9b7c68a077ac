//! How long days were without service during a fault, from the tries of patients.
//! Must not know: which fault it was, how a try is made.

use std::time::Duration;

use super::storm::Try;

/// What patients noticed of a fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outage {
    /// Days of which at least one try failed.
    pub days: usize,
    /// The longest that a day was without service: from its first failing try to the end of the first one that is answered after it began.
    pub longest: Duration,
    /// The median of the days concerned.
    pub median: Duration,
    /// The longest time in which no try of a day was answered, whether any failed or all just hung.
    pub longest_silence: Duration,
    pub tries: usize,
    pub failed: usize,
}

impl Outage {
    /// Of one run with so many days.
    pub fn of(tries: &[Try], days: usize) -> Self {
        let (mut gaps, mut longest_silence) = (Vec::new(), Duration::ZERO);
        for day in 0..days {
            let mut of_day: Vec<Try> = tries.iter().filter(|it| it.day == day).copied().collect();
            of_day.sort_by_key(|it| it.began);
            gaps.extend(longest_gap(&of_day));
            longest_silence = longest_silence.max(silence(&of_day));
        }
        gaps.sort_unstable();
        Self {
            days: gaps.len(),
            longest: gaps.last().copied().unwrap_or_default(),
            median: gaps.get(gaps.len() / 2).copied().unwrap_or_default(),
            longest_silence,
            tries: tries.len(),
            failed: tries.iter().filter(|it| !it.is_answered).count(),
        }
    }

    /// Both together: the worst of each.
    pub fn worst(self, other: Self) -> Self {
        Self {
            days: self.days.max(other.days),
            longest: self.longest.max(other.longest),
            median: self.median.max(other.median),
            longest_silence: self.longest_silence.max(other.longest_silence),
            tries: self.tries + other.tries,
            failed: self.failed + other.failed,
        }
    }
}

/// From a failing try until the day answers again.
fn longest_gap(of_day: &[Try]) -> Option<Duration> {
    let mut longest = None;
    let mut answered_until = Duration::ZERO;
    for failing in of_day.iter().filter(|it| !it.is_answered) {
        if failing.began < answered_until {
            continue;
        }
        let answers = of_day.iter().filter(|it| it.is_answered && it.ended > failing.began);
        let Some(end) = answers.map(|it| it.ended).min() else { continue };
        answered_until = end;
        longest = longest.max(Some(end - failing.began));
    }
    longest
}

/// Between two answers one after the other.
fn silence(of_day: &[Try]) -> Duration {
    let mut ends: Vec<Duration> = of_day.iter().filter(|it| it.is_answered).map(|it| it.ended).collect();
    ends.sort_unstable();
    ends.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

/// One line of the table.
pub fn line(journal: &str, fault: &str, runs: usize, outage: Outage) -> String {
    let Outage { days, longest, median, longest_silence, tries, failed } = outage;
    let millis = |time: Duration| time.as_millis();
    format!(
        "| {journal} | {fault} | {runs} | {} | {} | {} | {days} | {tries} | {failed} |",
        millis(longest),
        millis(median),
        millis(longest_silence)
    )
}

/// What the columns of the table are.
pub const HEAD: &str = "| journal | fault | runs | without service, longest (ms) | median day (ms) | longest silence of a day (ms) \
                        | days concerned | tries | failed tries |";

#[test]
fn a_gap_ends_with_the_first_answer_and_days_are_apart() {
    let at = Duration::from_millis;
    let tried = |day, began, ended, is_answered| Try { day, began: at(began), ended: at(ended), is_answered };
    let tries = [
        tried(0, 0, 10, true),
        tried(0, 20, 30, false),
        tried(0, 50, 60, false),
        tried(0, 55, 520, true),
        tried(0, 600, 610, true),
        tried(1, 40, 45, true),
        tried(1, 50, 55, false),
        tried(1, 60, 65, true),
    ];
    let outage = Outage::of(&tries, 2);
    let expected = Outage { days: 2, longest: at(500), median: at(500), longest_silence: at(510), tries: 8, failed: 3 };
    assert_eq!(outage, expected);
    assert_eq!(Outage::of(&tries[5..], 2).longest, at(15));
}
