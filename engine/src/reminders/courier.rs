//! How messages leave, as a port: one courier a channel, given in by whoever puts the engine together.
//! Must not know: what a message says, providers, stores.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::alerts::Alarm;
use crate::clock::Clock;
use crate::ledger::PlacedAppointment;
use crate::ledger::people::Channel;
use crate::ledger::registry::Registry;
use crate::ledger::reminders::ReminderRow;

/// A message to be sent: what the courier needs to find its recipient and its words.
#[derive(Clone, Debug)]
pub struct Letter {
    /// The same however often it is sent: what a recipient tells two copies by.
    pub message_id: Uuid,
    /// Why, to whom, which attempt.
    pub row: ReminderRow,
    /// The visit as it stands, durable, at the version of the row.
    pub placed: PlacedAppointment,
}

/// What became of one letter. Reasons are without personal data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Delivered {
    /// The provider has taken it.
    Sent,
    /// The provider is there and does not take this one now: tried again.
    Later {
        /// Why.
        reason: String,
        /// When the provider said so: not before so long.
        after: Option<Duration>,
    },
    /// The provider is not there, or does not answer: nothing else is worth a try now either.
    Away {
        /// Why.
        reason: String,
    },
    /// Nobody was asked, because of something on this side: soon looked at again, and no attempt is counted.
    NotTried {
        /// Why.
        reason: String,
    },
    /// Never: there is no address, or the provider does not know it.
    Refused {
        /// Why.
        reason: String,
    },
}

/// How much a courier is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capacity {
    /// Letters of one call.
    pub batch: usize,
    /// Calls at once.
    pub calls: usize,
    /// How long a call may take; past it the letters count as [`Delivered::Away`] and are sent again under the same
    /// ids.
    pub deadline: Duration,
}

/// One channel.
#[async_trait]
pub trait Courier: Send + Sync + 'static {
    /// Which.
    fn channel(&self) -> Channel;

    /// How much it is given.
    fn capacity(&self) -> Capacity;

    /// Sends `letters`, at most [`Capacity::batch`]; what became of each, in their order. May be dropped at its
    /// deadline: what it reads
    /// of the stores must not need an end.
    async fn send(&self, letters: &[Letter]) -> Vec<Delivered>;
}

/// Every way out of this server.
#[derive(Clone, Default)]
pub struct Ways {
    /// One courier each channel that this server has.
    pub couriers: Vec<Arc<dyn Courier>>,
    /// How operators are told of messages that no channel takes, in the order in which it is tried; empty: they are not.
    pub alarms: Vec<Arc<dyn Alarm>>,
}

/// Opens the ways out when the stores are open.
pub trait OpenCouriers: Send + Sync + 'static {
    /// All of them; or why one cannot be opened, in words.
    fn open(&self, registry: &Arc<dyn Registry>, clock: &Arc<dyn Clock>) -> Result<Ways, String>;
}
