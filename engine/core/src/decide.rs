//! Whether a command may happen, and what happens then: `decide(&day, &command, at)`.
//! Must not know: how events are made durable, how answers are rendered.

use crate::appointment::Appointment;
use crate::command::Command;
use crate::day::{DayVersion, DoctorDay};
use crate::event::Event;
use crate::rejection::Rejection;
use crate::time::UtcMillis;

/// What a command leads to. `event`, if any, must be durable before `outcome` is told to anyone: a refusal too can
/// depend on it (`HoldExpired` is the refusal, the expiry the event).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision {
    /// What is to be recorded; `None` if nothing changes.
    pub event: Option<Event>,
    /// What the caller is told.
    pub outcome: Result<Success, Rejection>,
}

/// A command that was carried out, or had been before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Success {
    /// The appointment as it stands after the command (or as first answered, if `replayed`).
    Appointment {
        /// Whole.
        appointment: Appointment,
        /// The key had won before: this is its first answer.
        replayed: bool,
    },
    /// The day was created, replaced, closed, or left as it was.
    Day {
        /// The version after the command.
        version: DayVersion,
        /// The day did not exist before.
        created: bool,
        /// Of a close under a key that had won before: when it was first answered.
        replayed_at: Option<UtcMillis>,
    },
    /// So many holds were recorded as expired.
    Expired {
        /// Number of holds.
        holds: usize,
    },
}

impl DoctorDay {
    /// Decides `command` at the instant `at`. Pure: the same day, command and instant give the same decision.
    pub fn decide(&self, command: &Command, at: UtcMillis) -> Decision {
        let _ = (command, at);
        todo!("core helper")
    }
}
