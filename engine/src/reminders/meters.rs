//! What the reminders measure, under the names of the catalogue.
//! Must not know: who scrapes. No patient, doctor or day is a label.

use std::collections::HashSet;

use booking_core::UtcMillis;
use metrics::{counter, gauge, histogram};

use crate::ledger::people::Channel;
use crate::ledger::reminders::{Outcome, ReminderKey, ReminderRow};
use crate::telemetry::catalogue as names;

/// See the module.
#[derive(Clone, Copy, Default)]
pub struct Meters;

impl Meters {
    /// Outcomes that are durable, and the rows of next channels that were written with them.
    pub fn recorded(&self, outcomes: &[(ReminderKey, Outcome)], written: &[ReminderRow]) {
        let follow: HashSet<_> = written.iter().map(|row| (row.key.appointment, row.key.version)).collect();
        let mut counts = [[0_u64; names::REMINDER_STATUSES.len()]; Channel::ALL.len()];
        for (key, outcome) in outcomes {
            let has_next = || follow.contains(&(key.appointment, key.version));
            let status = match outcome {
                Outcome::Sent => 0,
                Outcome::GivenUp { .. } if has_next() => 1,
                Outcome::GivenUp { .. } => 2,
                Outcome::Cancelled => 3,
                Outcome::Missed => 4,
                Outcome::Again { .. } | Outcome::Released { .. } => continue,
            };
            counts[key.channel as usize][status] += 1;
        }
        for (channel, counts) in Channel::ALL.into_iter().zip(counts) {
            for (status, count) in names::REMINDER_STATUSES.iter().zip(counts).filter(|(_, count)| *count > 0) {
                counter!(names::REMINDERS, "status" => *status, "channel" => channel.word()).increment(count);
            }
        }
    }

    /// A message went out at `now`.
    pub fn lateness(&self, row: &ReminderRow, now: UtcMillis) {
        let late = now.millis_since(row.due_at).max(0) as f64 / 1e3;
        histogram!(names::REMINDER_LATENESS, "channel" => row.key.channel.word()).record(late);
    }

    /// A message is to be tried again.
    pub fn retried(&self, channel: Channel) {
        counter!(names::REMINDER_RETRIES, "channel" => channel.word()).increment(1);
    }

    /// What is in hand.
    pub(super) fn in_hand(&self, timers: usize, channels: impl Iterator<Item = (Channel, usize, u8)>) {
        gauge!(names::REMINDERS_IN_WHEEL).set(timers as f64);
        for (channel, waiting, breaker) in channels {
            gauge!(names::REMINDER_QUEUE, "channel" => channel.word()).set(waiting as f64);
            gauge!(names::REMINDER_BREAKER, "channel" => channel.word()).set(f64::from(breaker));
        }
    }

    /// Messages that nobody takes.
    pub(super) fn dead(&self, count: u64) {
        gauge!(names::REMINDERS_DEAD).set(count as f64);
    }
}
