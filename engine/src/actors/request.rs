//! A command on its way through a day, with everything that must happen when it ends, however it ends.
//! Must not know: the rules, how answers become durable.

use std::sync::Arc;

use booking_core::{Appointment, Command, DaySnapshot, DayVersion, Home, UtcMillis};
use tokio::sync::oneshot;

use super::admission::{Lane, Permit};
use super::entry::DayEntry;
use crate::error::EngineError;
use crate::telemetry::trace::Trace;

/// What a day answers.
pub type CommandResult = Result<CommandReply, EngineError>;

/// A success, as it leaves the day.
#[derive(Clone, Debug)]
pub enum CommandReply {
    /// Of a command on an appointment.
    Appointment {
        /// As answered.
        appointment: Appointment,
        /// The day on which it stands (in a replay: stood). `None` only inside the day that answers, and means that day.
        home: Option<Home>,
        /// Whether this repeats an earlier answer.
        replayed: bool,
        /// The engine's time of the decision.
        at: UtcMillis,
    },
    /// Of a command on the day itself.
    Day {
        /// The day's durable picture when the answer left.
        snapshot: Arc<DaySnapshot>,
        /// The version that the answer names.
        version: DayVersion,
        /// The day did not exist before.
        created: bool,
        /// Whether this repeats an earlier answer.
        replayed: bool,
        /// The engine's time of the decision (of the first one, in a replay).
        at: UtcMillis,
    },
    /// Of a command on the day itself, before its picture is known. Never leaves the day.
    Decided {
        /// As in `Day`.
        version: DayVersion,
        /// As in `Day`.
        created: bool,
        /// As in `Day`.
        replayed: bool,
        /// As in `Day`.
        at: UtcMillis,
    },
    /// Holds that were due are recorded, or there is nothing to tell.
    Done,
}

impl CommandReply {
    /// The same answer, marked as repeated.
    pub fn repeated(mut self) -> Self {
        if let Self::Appointment { replayed, .. } | Self::Day { replayed, .. } = &mut self {
            *replayed = true;
        }
        self
    }
}

/// One command inside a day. Dropped unsettled (a panic, a stop), it tells its caller 503, leaves the map of keys in flight,
/// and gives its permit back: no path can forget one of these.
pub struct Request {
    /// What is asked.
    pub command: Command,
    /// How it was admitted.
    pub lane: Lane,
    /// When it was queued, on the clock's monotonic scale.
    pub queued_micros: u64,
    /// What it leaves behind, if it is looked at.
    pub trace: Trace,
    ticket: Ticket,
}

impl Request {
    /// A request of the present task. `in_flight` is the day into whose keys in flight the caller has entered its key.
    pub fn new(
        command: Command,
        lane: Lane,
        queued_micros: u64,
        in_flight: Option<Arc<DayEntry>>,
        permit: Permit,
    ) -> (Self, oneshot::Receiver<CommandResult>) {
        let (reply, answer) = oneshot::channel();
        let ticket = Ticket { reply: Some(reply), in_flight, _permit: permit };
        (Self { command, lane, queued_micros, trace: Trace::present(), ticket }, answer)
    }

    /// Answers the caller and every twin that waits for the same answer.
    pub fn settle(mut self, result: CommandResult) {
        if let (Some(entry), Some(key)) = (self.ticket.in_flight.take(), self.command.key.as_ref()) {
            entry.in_flight().leave(key, Some(&result));
        }
        if let Some(reply) = self.ticket.reply.take() {
            // A caller that went away has no wish to know; its key tells it later.
            let _ = reply.send(result);
        }
    }
}

impl Request {
    /// Takes the request back before anybody has seen it: the key leaves, its twins look again, the caller goes on itself.
    pub fn withdraw(mut self) {
        if let (Some(entry), Some(key)) = (self.ticket.in_flight.take(), self.command.key.as_ref()) {
            entry.in_flight().leave(key, None);
        }
        self.ticket.reply = None;
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if let (Some(entry), Some(key)) = (self.ticket.in_flight.take(), self.command.key.as_ref()) {
            entry.in_flight().leave(key, None);
        }
        if let Some(reply) = self.ticket.reply.take() {
            let _ = reply.send(Err(EngineError::Unavailable("the day was interrupted".to_owned())));
        }
    }
}

struct Ticket {
    reply: Option<oneshot::Sender<CommandResult>>,
    in_flight: Option<Arc<DayEntry>>,
    _permit: Permit,
}
