//! One reader of a day: it gets the newest event at its own pace, and skips what it was too slow for.
//! Must not know: how changes are noticed, HTTP heads.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::web::Bytes;
use engine::telemetry::catalogue::{STREAM_CLIENTS, STREAM_EVENTS};
use tokio::sync::watch;

use super::Streams;
use super::connection::Connection;
use super::frame::Frame;
use super::pace::{Pace, Turn};

/// What is sent in long silence, so that proxies keep the connection.
const HEARTBEAT: &[u8] = b": heartbeat\n\n";

/// One reader. It holds at most the event that its connection is sending; the next is taken when that one has left.
pub(crate) struct Reader {
    pub(super) streams: Arc<Streams>,
    pub(super) connection: Arc<Connection>,
    /// The picture at the beginning, until an event was sent.
    pub(super) first: Option<Arc<Frame>>,
    pub(super) frames: watch::Receiver<Option<Arc<Frame>>>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) seen: Option<u128>,
    pub(super) pace: Pace,
}

impl Reader {
    /// The next bytes for this reader; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            tokio::select! {
                biased;
                _ = self.stop.wait_for(|stop| *stop) => return None,
                () = self.connection.taken() => {}
            }
            let now_millis = self.streams.monotonic_millis();
            let newest = self.newest();
            let (millis, listen) = match (self.pace.turn(now_millis, newest.is_some()), newest) {
                (Turn::Event, Some(frame)) => {
                    self.pace.told(now_millis);
                    self.first = None;
                    self.seen = Some(frame.id);
                    metrics::counter!(STREAM_EVENTS).increment(1);
                    return Some(frame.bytes.clone());
                }
                (Turn::Heartbeat, _) => {
                    self.pace.beat(now_millis);
                    return Some(Bytes::from_static(HEARTBEAT));
                }
                (Turn::Pause { millis }, _) => (millis, false),
                (Turn::Listen { millis }, _) => (millis, true),
                (Turn::Event, None) => (0, true),
            };
            tokio::select! {
                _ = self.stop.wait_for(|stop| *stop) => return None,
                () = tokio::time::sleep(Duration::from_millis(millis)) => {}
                changed = self.frames.changed(), if listen => changed.ok()?,
            }
        }
    }

    /// The newest event that this reader has not seen.
    fn newest(&mut self) -> Option<Arc<Frame>> {
        let shared = self.frames.borrow_and_update().clone();
        let unseen = |frame: &Arc<Frame>| self.seen.is_none_or(|seen| frame.id > seen);
        [self.first.clone(), shared].into_iter().flatten().filter(unseen).max_by_key(|frame| frame.id)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.streams.clients.fetch_sub(1, Ordering::AcqRel);
        metrics::gauge!(STREAM_CLIENTS).decrement(1.0);
    }
}
