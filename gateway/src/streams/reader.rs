//! One reader of a day: it gets the newest event at its own pace, and skips what it was too slow for.
//! Must not know: how changes are noticed, HTTP heads.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::web::Bytes;
use engine::telemetry::catalogue::{STREAM_CLIENTS, STREAM_EVENTS};
use tokio::sync::watch;

use super::connection::Connection;
use super::frame::Frame;
use super::pace::{Pace, Turn};
use super::{Frames, Streams};

/// What is sent in long silence, so that proxies keep the connection.
const HEARTBEAT: &[u8] = b": heartbeat\n\n";

/// Events are handed over in parts of this size, each when the last was taken: they fit in the buffer that every connection has anyway, so a
/// reader that is stuck costs no more on a large day than on a small one.
const PART_BYTES_MAX: usize = 7 * 1024;

/// One reader. It holds at most the event that its connection is sending, shared with others; the next is taken when that one has left.
pub(crate) struct Reader {
    pub(super) streams: Arc<Streams>,
    pub(super) connection: Arc<Connection>,
    pub(super) frames: Frames,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) seen: Option<u128>,
    pub(super) pace: Pace,
    /// What is left of the event being sent.
    pub(super) rest: Bytes,
}

impl Reader {
    /// The next bytes for this reader; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            tokio::select! {
                biased;
                // An event that was begun is ended; the socket sees to it that this does not take long.
                _ = self.stop.wait_for(|stop| *stop), if self.rest.is_empty() => return None,
                () = self.connection.taken() => {}
            }
            if !self.rest.is_empty() {
                return Some(self.part());
            }
            let now_millis = self.streams.monotonic_millis();
            let newest = self.newest();
            let (millis, listen) = match (self.pace.turn(now_millis, newest.is_some()), newest) {
                (Turn::Event, Some(frame)) => {
                    self.pace.told(now_millis);
                    self.seen = Some(frame.id);
                    metrics::counter!(STREAM_EVENTS).increment(1);
                    self.rest = frame.bytes.clone();
                    return Some(self.part());
                }
                (Turn::Heartbeat, _) => {
                    self.pace.beat(now_millis);
                    self.connection.give(false);
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

    fn part(&mut self) -> Bytes {
        let part = self.rest.split_to(self.rest.len().min(PART_BYTES_MAX));
        self.connection.give(!self.rest.is_empty());
        part
    }

    /// The newest event that this reader has not seen.
    fn newest(&mut self) -> Option<Arc<Frame>> {
        let newest = self.frames.borrow_and_update().clone();
        newest.filter(|frame| self.seen.is_none_or(|seen| frame.id > seen))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.streams.clients.fetch_sub(1, Ordering::AcqRel);
        metrics::gauge!(STREAM_CLIENTS).decrement(1.0);
    }
}
