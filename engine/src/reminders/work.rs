//! The reminders at work: the actor with its mailbox, the scout, the jobs, on the engine's ports.
//! Must not know: which stores, which runtime, which couriers.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use tokio::sync::mpsc;

use super::actor::{Actor, Job, Message, Now};
use super::alerts::{Alarm, Alerts, Tally};
use super::breaker::BreakerPolicy;
use super::check::Check;
use super::courier::{Courier, Ways};
use super::delivery::Delivery;
use super::meters::Meters;
use super::notices::Notices;
use super::retry::Backoff;
use super::scout::Scout;
use crate::actors::ports::DayPorts;
use crate::clock::{Clock, timeout};
use crate::config::ReminderSettings;
use crate::handle::EngineHandle;
use crate::ledger::reminders::{Claimer, ReminderStore};
use crate::ownership::Territory;
use crate::signal::Signal;
use crate::spawn::{Spawn, Work};
use crate::upkeep::Stopped;

/// Messages that wait for the actor: pages of rows, and the ends of two jobs a channel. Whoever fills it waits.
const MAILBOX: usize = 32;
/// Between two settings of the gauges.
const GAUGES_MICROS: u64 = 1_000_000;
/// What a stop grants the jobs under way; they have a second of their own for their calls.
const STOP_MAX: Duration = Duration::from_secs(2);

/// Who sends, and how: what a running engine is given beside its own parts.
pub(crate) struct Sending {
    /// The ways out that this server has.
    pub(crate) ways: Ways,
    /// This start.
    pub(crate) claimer: Claimer,
    /// See [`Parts::is_alone`].
    pub(crate) is_alone: bool,
}

impl Sending {
    /// The work over the parts of an engine, which tells it what it applies from now on.
    pub(crate) fn works(
        self,
        handle: &EngineHandle,
        ports: &DayPorts,
        settings: &ReminderSettings,
        stopped: &Stopped,
    ) -> Vec<Work> {
        let notices = Arc::new(Notices::default());
        handle.parts.applier.tell(Arc::clone(&notices));
        let parts = Parts {
            store: Arc::clone(&handle.parts.reminders),
            couriers: self.ways.couriers,
            alarms: self.ways.alarms,
            alert_interval: Duration::from_secs(settings.alert_interval_seconds),
            check: Arc::new(handle.clone()),
            notices,
            territory: Arc::clone(&handle.parts.territory),
            claimer: self.claimer,
            is_alone: self.is_alone,
            backoff: Backoff { waits_millis: settings.retry_waits_millis.clone() },
            clock: Arc::clone(&handle.parts.clock),
            spawn: Arc::clone(&ports.spawn),
        };
        works(parts, stopped)
    }
}

/// What the reminders use.
pub struct Parts {
    /// The rows.
    pub store: Arc<dyn ReminderStore>,
    /// The channels that this server has.
    pub couriers: Vec<Arc<dyn Courier>>,
    /// How operators are told of messages that no channel takes, in the order in which it is tried.
    pub alarms: Vec<Arc<dyn Alarm>>,
    /// Least time between two alerts.
    pub alert_interval: Duration,
    /// The engine's own door.
    pub check: Arc<dyn Check>,
    /// What the applier tells.
    pub notices: Arc<Notices>,
    /// What this process speaks for.
    pub territory: Arc<Territory>,
    /// This start.
    pub claimer: Claimer,
    /// Whether no other process can be alive that has claimed rows of this one's shards.
    pub is_alone: bool,
    /// Waits between attempts.
    pub backoff: Backoff,
    /// The engine's time.
    pub clock: Arc<dyn Clock>,
    /// Runs jobs.
    pub spawn: Arc<dyn Spawn>,
}

/// [`works`] alone, without an engine around it; `stop` ends it.
pub fn alone(parts: Parts, stop: &Arc<Signal>) -> Vec<Work> {
    // Nobody waits for its end.
    let (working, _) = mpsc::channel(1);
    works(parts, &Stopped { signal: Arc::clone(stop), _working: working })
}

/// Everything that runs beside the requests, each to be spawned. It ends within some two seconds after `stopped` says
/// so.
pub(crate) fn works(parts: Parts, stopped: &Stopped) -> Vec<Work> {
    let (mailbox, messages) = mpsc::channel(MAILBOX);
    // An attempt must be left when the breaker opens, or a provider that is away would cost its first messages their
    // last one.
    let policy = BreakerPolicy::default();
    let failures_max = (parts.backoff.waits_millis.len() as u32).clamp(1, policy.failures_max);
    let policy = BreakerPolicy { failures_max, ..policy };
    let stop = Arc::clone(&stopped.signal);
    let scout = Scout {
        store: Arc::clone(&parts.store),
        notices: parts.notices,
        territory: parts.territory,
        clock: Arc::clone(&parts.clock),
        mailbox: mailbox.clone(),
        stop: Arc::clone(&stop),
        claimers_are_dead: parts.is_alone,
        meters: Meters,
    };
    let tally = Arc::new(Tally::default());
    let alerts = Alerts {
        tally: Arc::clone(&tally),
        alarms: parts.alarms,
        interval: parts.alert_interval,
        claimer: parts.claimer,
        clock: Arc::clone(&parts.clock),
        stop: Arc::clone(&stop),
        meters: Meters,
    };
    let delivery = Delivery {
        store: parts.store,
        check: parts.check,
        couriers: parts.couriers.into_iter().map(|courier| (courier.channel(), courier)).collect(),
        clock: Arc::clone(&parts.clock),
        claimer: parts.claimer,
        backoff: parts.backoff,
        failures_max,
        meters: Meters,
        tally,
        stop: Arc::clone(&stop),
    };
    let capacity = |channel| delivery.couriers.get(&channel).map(|courier| courier.capacity());
    let actor = Actor::new(parts.clock.now(), capacity, policy);
    let runner = Runner {
        delivery: Arc::new(delivery),
        clock: parts.clock,
        spawn: parts.spawn,
        mailbox,
        stop,
        stopped: stopped.clone(),
    };
    let mut works: Vec<Work> = vec![until_ended(scout.run(), stopped.clone()), Box::pin(runner.run(actor, messages))];
    if !alerts.alarms.is_empty() {
        works.push(until_ended(alerts.run(), stopped.clone()));
    }
    works
}

/// `work`, to whose end a stop waits.
fn until_ended(work: impl Future<Output = ()> + Send + 'static, stopped: Stopped) -> Work {
    Box::pin(async move {
        work.await;
        drop(stopped);
    })
}

struct Runner {
    delivery: Arc<Delivery>,
    clock: Arc<dyn Clock>,
    spawn: Arc<dyn Spawn>,
    mailbox: mpsc::Sender<Message>,
    stop: Arc<Signal>,
    stopped: Stopped,
}

impl Runner {
    async fn run(self, mut actor: Actor, mut messages: mpsc::Receiver<Message>) {
        let mut gauged = None;
        while !self.stop.is_given() {
            let rest = actor.rest(self.now());
            let jobs = {
                let (told, stop) = (std::pin::pin!(messages.recv()), std::pin::pin!(self.stop.wait()));
                let woken = timeout(&*self.clock, rest, select(told, stop)).await;
                match woken {
                    Some(Either::Left((Some(message), _))) => actor.handle(message, self.now()),
                    _ => actor.tick(self.now()),
                }
            };
            jobs.into_iter().for_each(|job| self.begin(job));
            let micros = self.clock.monotonic_micros();
            if gauged.is_none_or(|last| micros.saturating_sub(last) >= GAUGES_MICROS) {
                gauged = Some(micros);
                let timers = actor.timers();
                self.delivery.meters.in_hand(timers, actor.channels());
            }
        }
        actor.stop();
        let rest = async {
            while !actor.is_quiet()
                && let Some(message) = messages.recv().await
            {
                actor.handle(message, self.now());
            }
        };
        if timeout(&*self.clock, STOP_MAX, rest).await.is_none() {
            tracing::warn!("messages under way are left: their claims lapse, and they go out again");
        }
    }

    /// Runs `job` beside the actor.
    fn begin(&self, job: Job) {
        let (delivery, mailbox, stopped) = (Arc::clone(&self.delivery), self.mailbox.clone(), self.stopped.clone());
        self.spawn.spawn(Box::pin(async move {
            let lost = job.clone();
            let settled = AssertUnwindSafe(delivery.run(job)).catch_unwind().await.unwrap_or_else(|_| {
                tracing::error!(
                    channel = lost.channel.word(),
                    "a job of the reminders has panicked; its messages go out when their claims lapse"
                );
                lost.forgotten()
            });
            // Nobody listens any more after a stop.
            let _ = mailbox.send(Message::Settled(Box::new(settled))).await;
            drop(stopped);
        }));
    }

    fn now(&self) -> Now {
        Now { utc: self.clock.now(), micros: self.clock.monotonic_micros() }
    }
}
