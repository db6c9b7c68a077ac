//! How long days were without service during a fault, from the tries of patients.
//! Must not know: which fault it was, how a try is made.

use std::time::Duration;

use super::storm::Try;

/// What patients noticed of a fault, in one run or in several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outage {
    /// Of each day: the longest time in which somebody asked for it and nobody was answered. Without a fault, what an answer takes.
    pub unanswered: Vec<Duration>,
    pub tries: usize,
    pub failed: usize,
}

impl Outage {
    /// Of one run with so many days.
    pub fn of(tries: &[Try], days: usize) -> Self {
        let of_day = |day| tries.iter().filter(|it| it.day == day).copied().collect::<Vec<Try>>();
        Self {
            unanswered: (0..days).map(|day| longest_unanswered(&of_day(day))).collect(),
            tries: tries.len(),
            failed: tries.iter().filter(|it| !it.is_answered).count(),
        }
    }

    /// Of both.
    pub fn and(mut self, other: &Self) -> Self {
        self.unanswered.extend(&other.unanswered);
        Self { tries: self.tries + other.tries, failed: self.failed + other.failed, ..self }
    }

    pub fn longest(&self) -> Duration {
        self.unanswered.iter().max().copied().unwrap_or_default()
    }

    pub fn median(&self) -> Duration {
        let mut sorted = self.unanswered.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }
}

/// Between two answers one after the other, from when on somebody waited for the second.
fn longest_unanswered(of_day: &[Try]) -> Duration {
    let mut answers: Vec<Duration> = of_day.iter().filter(|it| it.is_answered).map(|it| it.ended).collect();
    answers.sort_unstable();
    let (mut longest, mut before) = (Duration::ZERO, Duration::ZERO);
    for answered in answers {
        let waiting = of_day.iter().filter(|it| it.ended > before && it.began < answered).map(|it| it.began);
        if let Some(since) = waiting.min() {
            longest = longest.max(answered - since.max(before));
        }
        before = answered;
    }
    longest
}

/// What the columns of the table are.
pub const HEAD: &str =
    "| profile | fault | runs | longest without service (ms) | median of the days (ms) | tries | failed tries |";

/// One line of the table.
pub fn line(profile: &str, fault: &str, runs: usize, outage: &Outage) -> String {
    let (longest, median) = (outage.longest().as_millis(), outage.median().as_millis());
    format!("| {profile} | {fault} | {runs} | {longest} | {median} | {} | {} |", outage.tries, outage.failed)
}

#[test]
fn a_day_is_without_service_while_somebody_waits_and_nobody_is_answered() {
    let at = Duration::from_millis;
    let tried = |day, began, ended, is_answered| Try { day, began: at(began), ended: at(ended), is_answered };
    let tries = [
        tried(0, 0, 10, true),
        // Nobody asks between 10 and 20: that is no outage.
        tried(0, 20, 30, false),
        tried(0, 50, 60, false),
        tried(0, 55, 520, true),
        tried(0, 600, 610, true),
        // One that hangs, while others are answered.
        tried(1, 10, 90, true),
        tried(1, 40, 45, true),
        tried(1, 50, 55, false),
    ];
    let outage = Outage::of(&tries, 3);
    assert_eq!(outage.unanswered, [at(500), at(45), at(0)]);
    assert_eq!((outage.tries, outage.failed, outage.longest(), outage.median()), (8, 3, at(500), at(45)));
    let twice = outage.clone().and(&Outage::of(&tries[5..], 2));
    assert_eq!((twice.unanswered.len(), twice.tries, twice.failed), (5, 11, 4));
}
