//! Live days: one task a watched day renders each change once, and every reader gets the same bytes.
//! Must not know: HTTP heads, routes, how a day decides.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::web::Bytes;
use booking_core::DayKey;
use engine::EngineHandle;
use engine::telemetry::catalogue::{STREAM_CLIENTS, STREAM_EVENTS, STREAMS_DROPPED};
use engine::view::DayView;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::api::day_view;

/// Least time between two events of one stream.
const EVENT_INTERVAL: Duration = Duration::from_millis(200);
/// A comment is sent after so much silence, so that proxies keep the connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A watched day is looked at this often even if nothing is due: the clock may have been slewed, the last reader may have left.
const LOOK_MILLIS_MAX: i64 = 1_000;
/// Bits of the id below the version: releases and slots of a day that have passed fit in them.
const PHASE_BITS: u32 = 12;

/// One event, rendered.
struct Frame {
    id: u128,
    bytes: Bytes,
}

type Latest = watch::Sender<Option<Arc<Frame>>>;

/// All streams of the process.
pub(crate) struct Streams {
    engine: EngineHandle,
    runtime: Handle,
    clients: AtomicUsize,
    clients_max: usize,
    /// Bounded by the readers.
    days: Mutex<HashMap<DayKey, Arc<Latest>>>,
    stop: watch::Sender<bool>,
}

impl Streams {
    /// At most `clients_max` readers. Must be called on the runtime that is to run the days' tasks.
    pub(crate) fn new(engine: EngineHandle, clients_max: usize) -> Self {
        Self {
            engine,
            runtime: Handle::current(),
            clients: AtomicUsize::new(0),
            clients_max,
            days: Mutex::default(),
            stop: watch::Sender::new(false),
        }
    }

    /// Ends all streams, also those to come.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// A reader of `day` that has seen everything up to `seen`; `None` if there are too many.
    pub(crate) fn join(self: &Arc<Self>, day: DayKey, seen: Option<u128>) -> Option<Reader> {
        if self.clients.fetch_add(1, Ordering::AcqRel) >= self.clients_max {
            self.clients.fetch_sub(1, Ordering::AcqRel);
            metrics::counter!(STREAMS_DROPPED).increment(1);
            return None;
        }
        metrics::gauge!(STREAM_CLIENTS).increment(1.0);
        let mut days = self.days.lock();
        let frames = match days.get(&day) {
            Some(latest) => latest.subscribe(),
            None => {
                let (latest, frames) = watch::channel(None);
                let latest = Arc::new(latest);
                days.insert(day, Arc::clone(&latest));
                self.runtime.spawn(follow(Arc::clone(self), day, latest));
                frames
            }
        };
        drop(days);
        Some(Reader { streams: Arc::clone(self), frames, stop: self.stop.subscribe(), seen, told: false })
    }

    /// Forgets `day` if nobody reads it.
    fn leave(&self, day: DayKey, latest: &Latest) -> bool {
        let mut days = self.days.lock();
        let left = latest.receiver_count() == 0;
        if left {
            days.remove(&day);
        }
        left
    }
}

/// Renders `day` at every change until nobody reads it.
async fn follow(streams: Arc<Streams>, day: DayKey, latest: Arc<Latest>) {
    let mut stop = streams.stop.subscribe();
    let mut notices = streams.engine.watch(day);
    loop {
        let pause_millis = match streams.engine.day(day).await {
            Ok(view) => {
                offer(&view, &latest);
                until_next_change(&view)
            }
            // Not readable now: the readers keep what they have, and the day is asked again.
            Err(_) => LOOK_MILLIS_MAX,
        };
        tokio::time::sleep(EVENT_INTERVAL).await;
        if *stop.borrow() || streams.leave(day, &latest) {
            return;
        }
        let pause = Duration::from_millis(pause_millis.unsigned_abs()).saturating_sub(EVENT_INTERVAL);
        tokio::select! {
            () = notices.changed() => {}
            () = tokio::time::sleep(pause) => {}
            _ = stop.changed() => return,
        }
    }
}

/// Puts the picture before the readers if it is newer than the last.
fn offer(view: &DayView, latest: &Latest) {
    let id = event_id(view);
    if latest.borrow().as_ref().is_some_and(|frame| frame.id >= id) {
        return;
    }
    let Ok(body) = day_view::body(view, view.snapshot.version()) else { return };
    let mut bytes = format!("id: {id}\nevent: day\ndata: ").into_bytes();
    bytes.extend_from_slice(&body);
    bytes.extend_from_slice(b"\n\n");
    latest.send_replace(Some(Arc::new(Frame { id, bytes: bytes.into() })));
}

/// The version, then how many releases and starts have passed: it never falls, and is the same after a restart.
fn event_id(view: &DayView) -> u128 {
    let phase_max = (1 << PHASE_BITS) - 1;
    let version = u128::from(day_view::version_number(view.snapshot.version()));
    (version << PHASE_BITS) | u128::from(view.snapshot.phase_at(view.now).min(phase_max))
}

fn until_next_change(view: &DayView) -> i64 {
    let changes = view.snapshot.next_change_after(view.now).into_iter().chain(view.snapshot.next_hold_expiry());
    let millis = changes.map(|at| at.millis_since(view.now)).min().unwrap_or(LOOK_MILLIS_MAX);
    millis.clamp(0, LOOK_MILLIS_MAX)
}

/// One reader: it holds no more than the latest event, and one that is slow skips to it.
pub(crate) struct Reader {
    streams: Arc<Streams>,
    frames: watch::Receiver<Option<Arc<Frame>>>,
    stop: watch::Receiver<bool>,
    seen: Option<u128>,
    told: bool,
}

impl Reader {
    /// The next bytes for this reader; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        if *self.stop.borrow() {
            return None;
        }
        if self.told {
            self.told = false;
            tokio::select! {
                () = tokio::time::sleep(EVENT_INTERVAL) => {}
                _ = self.stop.changed() => return None,
            }
        }
        let seen = self.seen;
        let newer =
            |frame: &Option<Arc<Frame>>| frame.as_ref().is_some_and(|frame| seen.is_none_or(|seen| frame.id > seen));
        let frame = tokio::select! {
            _ = self.stop.changed() => return None,
            frame = self.frames.wait_for(newer) => frame.ok()?.clone()?,
            () = tokio::time::sleep(HEARTBEAT) => return Some(Bytes::from_static(b": heartbeat\n\n")),
        };
        self.seen = Some(frame.id);
        self.told = true;
        metrics::counter!(STREAM_EVENTS).increment(1);
        Some(frame.bytes.clone())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.streams.clients.fetch_sub(1, Ordering::AcqRel);
        metrics::gauge!(STREAM_CLIENTS).decrement(1.0);
    }
}
