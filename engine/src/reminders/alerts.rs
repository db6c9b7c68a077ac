//! Operators are told of messages that no channel takes: of the first at once, then once in an interval of all that have come meanwhile.
//! Must not know: what an alert says, how it leaves, who reads it.
//!
//! Nothing waits for it: whoever gives a message up adds to a tally of fixed size. What becomes of an alert is a line and a number,
//! and never an alert. Dead letters are durable and their number is a gauge; so a tally that is lost with its process is no harm.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use booking_core::UtcMillis;
use futures_util::future::{Either, select};
use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

use super::meters::Meters;
use crate::clock::{Clock, timeout};
use crate::ids::derived;
use crate::ledger::people::Channel;
use crate::ledger::reminders::Claimer;
use crate::signal::Signal;

/// A number for each channel, in the order of [`Channel::ALL`].
pub type ByChannel = [u64; Channel::ALL.len()];

/// What operators are told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alert {
    /// The same on every channel on which this alert is tried.
    pub id: Uuid,
    /// Messages that have become dead letters since the last alert: at least one, by the channel that gave up last.
    pub dead: ByChannel,
    /// When the first of them did.
    pub since: UtcMillis,
}

/// One way to an operator, given in by whoever puts the engine together.
#[async_trait]
pub trait Alarm: Send + Sync + 'static {
    /// How it goes.
    fn channel(&self) -> Channel;

    /// How long it may take; past it the next way is tried.
    fn deadline(&self) -> Duration;

    /// Tells; or why it could not, without personal data. May be dropped at its deadline.
    async fn ring(&self, alert: &Alert) -> Result<(), String>;
}

/// Messages that have become dead letters since the last alert.
#[derive(Default)]
pub(super) struct Tally {
    counted: Mutex<Counted>,
    grown: Notify,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Counted {
    dead: ByChannel,
    /// When the first did; `None`: there is none.
    since: Option<UtcMillis>,
}

impl Tally {
    /// So many more, as of `now`.
    pub(super) fn add(&self, dead: &ByChannel, now: UtcMillis) {
        if dead.iter().all(|count| *count == 0) {
            return;
        }
        {
            let mut counted = self.counted.lock();
            counted.dead.iter_mut().zip(dead).for_each(|(all, more)| *all += more);
            counted.since = Some(counted.since.map_or(now, |since| since.min(now)));
        }
        self.grown.notify_one();
    }

    /// Takes them all, if there are any.
    fn take(&self) -> Option<(ByChannel, UtcMillis)> {
        let counted = std::mem::take(&mut *self.counted.lock());
        counted.since.map(|since| (counted.dead, since))
    }
}

/// The task. See the module.
pub(super) struct Alerts {
    pub(super) tally: Arc<Tally>,
    /// In the order in which they are tried.
    pub(super) alarms: Vec<Arc<dyn Alarm>>,
    /// Least time between two alerts.
    pub(super) interval: Duration,
    /// This start: ids of alerts follow from it.
    pub(super) claimer: Claimer,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stop: Arc<Signal>,
    pub(super) meters: Meters,
}

impl Alerts {
    /// Tells until the engine stops, which cuts an alert under way short.
    pub(super) async fn run(self) {
        let mut number = 0;
        while !self.stop.is_given() {
            let (grown, stop) = (std::pin::pin!(self.tally.grown.notified()), std::pin::pin!(self.stop.wait()));
            select(grown, stop).await;
            let Some((dead, since)) = self.tally.take() else { continue };
            number += 1;
            let alert = Alert { id: id(self.claimer, number), dead, since };
            let (telling, stop) = (std::pin::pin!(self.tell(&alert)), std::pin::pin!(self.stop.wait()));
            match select(telling, stop).await {
                Either::Left((true, _)) => {}
                // Nobody knows of them yet: the next alert counts them too.
                Either::Left((false, _)) => self.tally.add(&alert.dead, alert.since),
                Either::Right(_) => return,
            }
            // Over early only if the engine stops.
            let _ = timeout(&*self.clock, self.interval, self.stop.wait()).await;
        }
    }

    /// By the first way that works; whether there was one.
    async fn tell(&self, alert: &Alert) -> bool {
        let messages: u64 = alert.dead.iter().sum();
        for alarm in &self.alarms {
            let channel = alarm.channel().word();
            let rung = timeout(&*self.clock, alarm.deadline(), alarm.ring(alert)).await;
            let Err(reason) = rung.unwrap_or_else(|| Err("no answer in time".to_owned())) else {
                self.meters.alerted("sent");
                tracing::info!(messages, channel, "an operator was told of dead letters");
                return true;
            };
            self.meters.alerted("refused");
            tracing::warn!(messages, channel, reason, "an alert of dead letters did not leave by this channel");
        }
        self.meters.alerted("untold");
        tracing::error!(messages, "no operator could be told of dead letters; trying again with the next alert");
        false
    }
}

/// Of the alert of this number: it follows from the start and the number.
fn id(claimer: Claimer, number: u64) -> Uuid {
    derived(&[claimer.incarnation.as_bytes(), &number.to_be_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead(channel: Channel, count: u64) -> ByChannel {
        let mut dead = ByChannel::default();
        dead[channel as usize] = count;
        dead
    }

    #[test]
    fn a_tally_adds_up_and_knows_the_first_instant() {
        let tally = Tally::default();
        tally.add(&ByChannel::default(), UtcMillis(1));
        assert_eq!(tally.take(), None, "none is none");
        tally.add(&dead(Channel::Sms, 2), UtcMillis(7));
        tally.add(&dead(Channel::Email, 1), UtcMillis(9));
        // What could not be told is older than what has come meanwhile.
        tally.add(&dead(Channel::Sms, 3), UtcMillis(5));
        let (all, since) = tally.take().expect("some");
        assert_eq!((all[Channel::Sms as usize], all[Channel::Email as usize], since), (5, 1, UtcMillis(5)));
        assert_eq!(tally.take(), None, "they are taken once");
    }

    #[test]
    fn ids_differ_by_start_and_number() {
        let start = |number| Claimer { incarnation: Uuid::from_u128(number) };
        let ids = [id(start(1), 1), id(start(1), 2), id(start(2), 1)];
        assert!(ids[0] != ids[1] && ids[0] != ids[2] && ids[1] != ids[2], "{ids:?}");
        assert_eq!(ids[0], id(start(1), 1));
    }
}
