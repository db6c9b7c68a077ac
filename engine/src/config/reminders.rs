//! The settings of reminders: what is told where neither doctor nor clinic says, and which ways there are.
//! Must not know: flags, how a message leaves.

use crate::ledger::people::Channel;

/// Seconds before the start, if nothing else is said: a day and two hours.
pub const REMINDER_OFFSETS_DEFAULT: [u32; 2] = [86_400, 7_200];

/// Waits between the attempts of one message, if nothing else is said.
pub const RETRY_WAITS_MILLIS_DEFAULT: [u64; 3] = [2_000, 4_000, 8_000];

/// Least time between two alerts of messages that no channel takes, if nothing else is said.
pub const ALERT_INTERVAL_SECONDS_DEFAULT: u64 = 300;

/// What holds where nobody says otherwise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReminderSettings {
    /// Seconds before the start, of everybody whose doctor and clinic have no policy. At least 1 each, no two equal; empty: no
    /// reminders.
    pub offsets_seconds: Vec<u32>,
    /// Where messages go to patients who have not said, in the order in which they are tried.
    pub default_channels: Vec<Channel>,
    /// How long to wait after the first failed attempt, after the second, and so on; after one more the channel gives up.
    pub retry_waits_millis: Vec<u64>,
    /// Least time between two alerts to operators of messages that no channel takes.
    pub alert_interval_seconds: u64,
    /// The ways that this server has.
    pub configured: Vec<Channel>,
}

impl Default for ReminderSettings {
    fn default() -> Self {
        Self {
            offsets_seconds: REMINDER_OFFSETS_DEFAULT.to_vec(),
            default_channels: vec![Channel::File],
            retry_waits_millis: RETRY_WAITS_MILLIS_DEFAULT.to_vec(),
            alert_interval_seconds: ALERT_INTERVAL_SECONDS_DEFAULT,
            configured: vec![Channel::File],
        }
    }
}
