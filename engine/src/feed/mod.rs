//! The event feed: what is durable and published is told to others, in order, at least once, under ids that stay.
//! Must not know: how a day decides, who consumes.
//!
//! The journal is the outbox. A relay follows it for each sink by itself, from a cursor in the ledger's database; it reads what it
//! needs and
//! queues nothing, so that a sink that is away costs lag and no memory. Nobody who books waits for it.

pub mod cursors;
mod delivery;
pub mod event;
pub mod hints;
pub mod nats;
pub mod redis_streams;
pub mod relay;

use std::sync::Arc;

use async_trait::async_trait;

pub use self::cursors::{FeedCursors, WHOLE_LOG};
pub use self::event::Outgoing;
use self::relay::{Relay, Source};
use crate::actors::ports::DayPorts;
use crate::config::{FeedSettings, StartError};
use crate::handle::EngineHandle;
use crate::ownership::Tenures;
use crate::ownership::keeper::Control;
use crate::spawn::Work;
use crate::upkeep::Stopped;

/// Largest event, in bytes of JSON. The largest that the engine makes, a day with a hundred releases, has about ten thousand.
pub const EVENT_BYTES_MAX: usize = 65_536;

/// What became of one event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Published {
    /// The sink has it.
    Done,
    /// The sink will never take this one: why.
    Refused(String),
    /// Perhaps it has it, perhaps not: to be tried again.
    Away(String),
}

/// Where events go.
#[async_trait]
pub trait Sink: Send + Sync + 'static {
    /// One word: a label of metrics and the key of the cursors. Never changes.
    fn name(&self) -> &'static str;

    /// Publishes `events`; what became of each, in their order. Within one shard they are published in their order, and none after one
    /// that is not [`Published::Done`]. Returns within a few seconds.
    async fn publish(&self, events: &[Outgoing]) -> Vec<Published>;

    /// Puts an event that cannot be published to the dead letters, with the reason; why that failed, in words.
    async fn bury(&self, event: &Outgoing, reason: &str) -> Result<(), String>;
}

/// What is put together once at a start.
#[derive(Clone)]
pub struct Feed {
    /// Where events go.
    pub sinks: Vec<Arc<dyn Sink>>,
    /// How far each is.
    pub cursors: Arc<dyn FeedCursors>,
    /// How nodes tell each other to look again.
    pub hints: Option<Arc<dyn hints::HintChannel>>,
}

/// The feed that `settings` name, or none. Connects to nobody yet: a sink that is away holds up no start.
pub fn open(settings: &FeedSettings, cursors: Arc<dyn FeedCursors>) -> Result<Option<Arc<Feed>>, StartError> {
    let mut feed = Feed { sinks: Vec::new(), cursors, hints: None };
    let refused = |reason: String| StartError::Store(format!("the feed: {reason}"));
    if let Some(url) = &settings.nats {
        let sink = Arc::new(nats::NatsSink::new(url.reveal(), settings.events_max).map_err(refused)?);
        feed.hints = Some(Arc::clone(&sink) as _);
        feed.sinks.push(sink);
    }
    if let Some(url) = &settings.redis {
        let sink = Arc::new(redis_streams::RedisSink::new(url.reveal(), settings.events_max).map_err(refused)?);
        feed.hints = Some(Arc::clone(&sink) as _);
        feed.sinks.push(sink);
    }
    Ok((!feed.sinks.is_empty()).then(|| Arc::new(feed)))
}

impl Feed {
    /// Everything that runs beside the requests, each to be spawned; all of it ends soon after `stopped` says so.
    pub(crate) fn works(
        &self,
        handle: &EngineHandle,
        ports: &DayPorts,
        tenures: &Arc<Tenures>,
        keeper: Option<&Arc<Control>>,
        stopped: &Stopped,
    ) -> Vec<Work> {
        let (parts, publications) = (&handle.parts, Arc::clone(&ports.publications));
        let applier = parts.applier.clone();
        let source = Arc::new(Source {
            journal: Arc::clone(&parts.journal),
            head: Box::new(move || applier.head()),
            changes_of: Box::new(move |shard| publications.changes_of(shard)),
            tenures: Arc::clone(tenures),
            clock: Arc::clone(&parts.clock),
        });
        let mut works: Vec<Work> = Vec::new();
        for sink in &self.sinks {
            let (cursors, source) = (Arc::clone(&self.cursors), Arc::clone(&source));
            let relay = Relay::new(Arc::clone(sink), cursors, source, Arc::clone(&stopped.signal));
            works.push(until_done(relay.run(), stopped));
        }
        if let (Some(channel), Some(keeper)) = (&self.hints, keeper) {
            let common =
                || (Arc::clone(channel), Arc::clone(keeper), Arc::clone(&parts.clock), Arc::clone(&stopped.signal));
            let (channel, keeper, clock, stop) = common();
            works.push(until_done(hints::tell(channel, keeper, clock, stop), stopped));
            let (channel, keeper, clock, stop) = common();
            works.push(until_done(hints::listen(channel, keeper, clock, stop), stopped));
        }
        works
    }
}

/// `work`, for whose end a stop waits.
fn until_done(work: impl Future<Output = ()> + Send + 'static, stopped: &Stopped) -> Work {
    let stopped = stopped.clone();
    Box::pin(async move {
        work.await;
        drop(stopped);
    })
}

/// What the dead letters keep of an event: nothing of one that is too large for anything.
pub(crate) fn body_of_dead(event: &Outgoing) -> &str {
    event.body.as_deref().ok().filter(|body| body.len() <= EVENT_BYTES_MAX).unwrap_or_default()
}

/// Why `event` cannot go anywhere, if so.
pub(crate) fn unfit(event: &Outgoing) -> Option<String> {
    match &event.body {
        Err(reason) => Some(reason.clone()),
        Ok(body) if body.len() > EVENT_BYTES_MAX => Some(format!("{} bytes are too many", body.len())),
        Ok(_) => None,
    }
}
