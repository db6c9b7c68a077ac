//! What the reminders measure, under the names of the catalogue.
//! Must not know: who scrapes. No patient, doctor or day is a label.

use std::collections::HashSet;

use booking_core::UtcMillis;
use metrics::{counter, gauge, histogram};

use super::alerts::ByChannel;
use crate::ledger::people::Channel;
use crate::ledger::reminders::{Outcome, ReminderKey, ReminderRow};
use crate::telemetry::catalogue as names;

/// The place of dead letters among [`names::REMINDER_STATUSES`].
const DEAD: usize = 2;

/// See the module.
#[derive(Clone, Copy, Default)]
pub struct Meters;

impl Meters {
    /// Outcomes that are durable; `last` are the messages that have no other channel to go to. How many became dead letters.
    pub fn recorded(&self, outcomes: &[(ReminderKey, Outcome)], last: &HashSet<ReminderKey>) -> ByChannel {
        let mut counts = [[0_u64; names::REMINDER_STATUSES.len()]; Channel::ALL.len()];
        for (key, outcome) in outcomes {
            let status = match outcome {
                Outcome::Sent => 0,
                Outcome::GivenUp { .. } if !last.contains(key) => 1,
                Outcome::GivenUp { .. } => DEAD,
                Outcome::Cancelled => 3,
                Outcome::Missed => 4,
                Outcome::Again { .. } | Outcome::Released { .. } => continue,
            };
            counts[key.channel as usize][status] += 1;
        }
        for (channel, of_channel) in Channel::ALL.into_iter().zip(counts) {
            for (status, count) in names::REMINDER_STATUSES.iter().zip(of_channel).filter(|(_, count)| *count > 0) {
                counter!(names::REMINDERS, "status" => *status, "channel" => channel.word()).increment(count);
            }
        }
        counts.map(|of_channel| of_channel[DEAD])
    }

    /// What an alert to operators came to.
    pub(super) fn alerted(&self, outcome: &'static str) {
        counter!(names::REMINDER_ALERTS, "outcome" => outcome).increment(1);
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

#[cfg(test)]
mod tests {
    use booking_core::AppointmentId;
    use uuid::Uuid;

    use super::*;
    use crate::ledger::reminders::{Kind, Recipient};

    fn key(recipient: Recipient, channel: Channel) -> ReminderKey {
        let appointment = AppointmentId(Uuid::from_u128(1));
        ReminderKey { appointment, version: 1, kind: Kind::Confirmation, offset_seconds: 0, channel, recipient }
    }

    #[test]
    fn a_message_is_dead_if_it_has_nowhere_else_to_go_whatever_becomes_of_others_of_its_visit() {
        let (patient, doctor) = (key(Recipient::Patient, Channel::Sms), key(Recipient::Doctor, Channel::Webhook));
        let given_up = || Outcome::GivenUp { error: "no".to_owned() };
        let outcomes = [(patient, given_up()), (doctor, given_up())];
        let mut expected = ByChannel::default();
        expected[Channel::Webhook as usize] = 1;
        assert_eq!(Meters.recorded(&outcomes, &HashSet::from([doctor])), expected);
        expected[Channel::Sms as usize] = 1;
        assert_eq!(Meters.recorded(&outcomes, &HashSet::from([doctor, patient])), expected);
        let gone = [(patient, Outcome::Sent), (doctor, Outcome::Missed)];
        assert_eq!(Meters.recorded(&gone, &HashSet::from([doctor, patient])), ByChannel::default());
        assert_eq!(names::REMINDER_STATUSES[DEAD], "dead");
    }
}
