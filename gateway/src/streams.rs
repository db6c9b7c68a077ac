//! Live days: who reads which day, how many there may be, and when all of them end.
//! Must not know: HTTP heads, routes, how a day decides.

pub(crate) mod connection;
pub(crate) mod crowd;
mod elsewhere;
mod follow;
mod frame;
mod pace;
pub(crate) mod reader;
mod relay;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use booking_core::DayKey;
use engine::EngineHandle;
use engine::view::DayView;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::nodes::Nodes;
use connection::Connection;
use crowd::Crowds;
use frame::{Frame, id_of};
use pace::Pace;
use reader::{Member, Reader};

/// Least time between two events of one stream.
const EVENT_INTERVAL_MILLIS: u64 = 200;

/// The newest event of a day.
type Latest = watch::Sender<Option<Arc<Frame>>>;

type Frames = watch::Receiver<Option<Arc<Frame>>>;

/// How streams run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamSettings {
    /// Most open streams of the whole process.
    pub(crate) clients_max: usize,
    /// A comment is sent after so much silence.
    pub(crate) heartbeat_seconds: u64,
}

/// All streams of the process.
pub(crate) struct Streams {
    engine: EngineHandle,
    /// For days that other nodes speak for.
    nodes: Option<Arc<Nodes>>,
    runtime: Handle,
    settings: StreamSettings,
    clients: AtomicUsize,
    /// Bounded by the readers: each worker's crowd of a day is one receiver.
    days: Mutex<HashMap<DayKey, Arc<Latest>>>,
    stop: watch::Sender<bool>,
}

impl Streams {
    /// Must be called on the runtime that is to run the days' tasks.
    pub(crate) fn new(engine: EngineHandle, settings: StreamSettings, nodes: Option<Arc<Nodes>>) -> Self {
        Self {
            engine,
            nodes,
            runtime: Handle::current(),
            settings,
            clients: AtomicUsize::new(0),
            days: Mutex::default(),
            stop: watch::Sender::new(false),
        }
    }

    /// Ends all streams, also those to come.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// A reader of `day` in one of this worker's `crowds`, on `connection`, that has seen everything up to `seen` and
    /// is shown `view` at once if that is newer. Without a view the day is elsewhere: the reader is shown what the node
    /// there tells. `None` if there are too many.
    pub(crate) fn join(
        self: &Arc<Self>,
        crowds: &Rc<Crowds>,
        day: DayKey,
        view: Option<&DayView>,
        seen: Option<u128>,
        connection: Rc<Connection>,
    ) -> Option<Reader> {
        self.enter()?;
        connection.begin_stream(self.stop.subscribe());
        let (latest, frames) = self.frames_of(day);
        let now_millis = self.monotonic_millis();
        if let Some(view) = view.filter(|view| seen.is_none_or(|seen| seen < id_of(view))) {
            offer(&latest, view, now_millis);
        }
        let crowd = crowds.of(self, day, frames);
        let pace = Pace::new(EVENT_INTERVAL_MILLIS, self.heartbeat_millis(), now_millis);
        let member = Rc::new(Member::new(connection, seen, pace));
        let place = crowd.join(Rc::clone(&member));
        Some(Reader { streams: Arc::clone(self), crowd, member, place })
    }

    /// The events of `day`, whose task is started if there is none.
    fn frames_of(self: &Arc<Self>, day: DayKey) -> (Arc<Latest>, Frames) {
        let mut days = self.days.lock();
        if let Some(latest) = days.get(&day) {
            return (Arc::clone(latest), latest.subscribe());
        }
        let (latest, frames) = watch::channel(None);
        let latest = Arc::new(latest);
        days.insert(day, Arc::clone(&latest));
        self.runtime.spawn(follow::follow(Arc::clone(self), day, Arc::clone(&latest)));
        (latest, frames)
    }

    /// Forgets `day` if nobody reads it.
    fn leave(&self, day: DayKey, latest: &Arc<Latest>) -> bool {
        let mut days = self.days.lock();
        let left = latest.receiver_count() == 0;
        if left {
            Self::remove(&mut days, day, latest);
        }
        left
    }

    /// Forgets `day`, read or not.
    fn forget(&self, day: DayKey, latest: &Arc<Latest>) {
        Self::remove(&mut self.days.lock(), day, latest);
    }

    /// Not what a later task has put there.
    fn remove(days: &mut HashMap<DayKey, Arc<Latest>>, day: DayKey, latest: &Arc<Latest>) {
        if days.get(&day).is_some_and(|known| Arc::ptr_eq(known, latest)) {
            days.remove(&day);
        }
    }

    fn heartbeat_millis(&self) -> u64 {
        self.settings.heartbeat_seconds.saturating_mul(1_000)
    }

    fn monotonic_micros(&self) -> u64 {
        self.engine.clock().monotonic_micros()
    }

    fn monotonic_millis(&self) -> u64 {
        self.monotonic_micros() / 1_000
    }
}

/// Puts the picture before the readers. One that they have already is rendered again only if it has become old: whoever
/// opens a stream then is not shown the `server_time` of the last change, and those who open at the same time share one
/// event.
fn offer(latest: &Latest, view: &DayView, now_millis: u64) {
    let id = id_of(view);
    let fresh = |frame: &Frame| now_millis.saturating_sub(frame.rendered_millis) < EVENT_INTERVAL_MILLIS;
    let known = latest.borrow().as_ref().is_some_and(|frame| frame.id > id || (frame.id == id && fresh(frame)));
    if known {
        return;
    }
    if let Some(frame) = Frame::of(view, now_millis) {
        offer_frame(latest, frame);
    }
}

/// Puts an event before the readers, unless they have a newer one.
fn offer_frame(latest: &Latest, frame: Frame) {
    let id = frame.id;
    latest.send_if_modified(|slot| {
        let before = slot.as_ref().map(|frame| frame.id);
        if before <= Some(id) {
            *slot = Some(Arc::new(frame));
        }
        before < Some(id)
    });
}
