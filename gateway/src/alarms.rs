//! How operators are told of messages that no channel takes: the engine's alerts over the channels of messages.
//! Must not know: when there is something to tell, in which order it is tried, how a provider is talked to.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::clock::Clock;
use engine::ledger::people::Channel;
use engine::reminders::{Alarm, Alert};
use messages::Address;

use crate::couriers::kind_of;

/// Where dead letters are listed.
const WHERE_TO_LOOK: &str = "GET /v1/dead-letters";

/// One address of an operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct AlertTarget {
    /// By which channel.
    pub(crate) channel: Channel,
    /// Where to.
    pub(crate) to: Address,
}

/// An operator behind an open channel.
pub(crate) struct ChannelAlarm {
    pub(crate) target: AlertTarget,
    pub(crate) out: Arc<dyn messages::Channel>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The channel's own.
    pub(crate) deadline: Duration,
}

#[async_trait]
impl Alarm for ChannelAlarm {
    fn channel(&self) -> Channel {
        self.target.channel
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }

    async fn ring(&self, alert: &Alert) -> Result<(), String> {
        let told = self.out.alert(&self.target.to, &in_words(alert), self.clock.now().0).await;
        told.map(drop).map_err(|error| error.to_string())
    }
}

fn in_words(alert: &Alert) -> messages::Alert {
    let channels = Channel::ALL.into_iter().zip(alert.dead).filter(|(_, count)| *count > 0);
    messages::Alert {
        message_id: alert.id,
        dead_letters: alert.dead.iter().sum(),
        since_ms: alert.since.0,
        channels: channels.map(|(channel, count)| (kind_of(channel), count)).collect(),
        where_to_look: WHERE_TO_LOOK.to_owned(),
    }
}
