//! A day's stream for another node, which shows it to its own readers: every picture, and a sign of life each second.
//! Must not know: HTTP heads, how changes are noticed, readers.
//!
//! It goes the plain way through its answer's body: there is one for each node that has readers of the day, not one for each reader.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::web::Bytes;
use booking_core::DayKey;
use engine::telemetry::catalogue::STREAM_CLIENTS;
use engine::view::DayView;
use futures_util::Stream;
use tokio::sync::watch;

use super::frame::{HEARTBEAT, id_of};
use super::{Frames, Streams, offer};

/// The other node is told so often that this one is there, and looks so often for itself whether it still speaks for the day.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// What one other node has been told.
struct Relay {
    streams: Arc<Streams>,
    day: DayKey,
    frames: Frames,
    seen: Option<u128>,
    stop: watch::Receiver<bool>,
}

impl Streams {
    /// The stream of `view`'s day, from what is newer than `seen`; ends with the process, and when the day is spoken
    /// for elsewhere. `None` if there are too many streams.
    pub(crate) fn relay(
        self: &Arc<Self>,
        view: &DayView,
        seen: Option<u128>,
    ) -> Option<impl Stream<Item = std::io::Result<Bytes>> + use<>> {
        self.enter()?;
        let (latest, frames) = self.frames_of(view.day);
        if seen.is_none_or(|seen| seen < id_of(view)) {
            offer(&latest, view, self.monotonic_millis());
        }
        let relay = Relay { streams: Arc::clone(self), day: view.day, frames, seen, stop: self.stop.subscribe() };
        Some(futures_util::stream::unfold(relay, |mut relay| async move {
            let bytes = relay.next().await?;
            Some((Ok(bytes), relay))
        }))
    }

    /// Counts a stream; `None` if there are too many.
    pub(super) fn enter(&self) -> Option<()> {
        if self.clients.fetch_add(1, Ordering::AcqRel) >= self.settings.clients_max {
            self.clients.fetch_sub(1, Ordering::AcqRel);
            metrics::counter!(engine::telemetry::catalogue::STREAMS_REFUSED).increment(1);
            return None;
        }
        metrics::gauge!(STREAM_CLIENTS).increment(1.0);
        Some(())
    }

    /// Open streams, and how many there may be.
    pub(crate) fn clients(&self) -> (usize, usize) {
        (self.clients.load(Ordering::Acquire), self.settings.clients_max)
    }

    /// A stream has ended.
    pub(super) fn leave_one(&self) {
        self.clients.fetch_sub(1, Ordering::AcqRel);
        metrics::gauge!(STREAM_CLIENTS).decrement(1.0);
    }
}

impl Relay {
    /// The next event or comment; asked for when the one before was taken, so a slow node is told the newest only.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.streams.engine.territory().is_here(self.day) || *self.stop.borrow() {
            return None;
        }
        if let Some(event) = self.news() {
            return Some(event);
        }
        tokio::select! {
            changed = self.frames.changed() => changed.ok()?,
            () = tokio::time::sleep(SIGN_OF_LIFE) => {}
            _ = self.stop.wait_for(|stop| *stop) => return None,
        }
        Some(self.news().unwrap_or_else(|| Bytes::from_static(HEARTBEAT)))
    }

    fn news(&mut self) -> Option<Bytes> {
        let frame = self.frames.borrow_and_update().clone()?;
        if self.seen.is_some_and(|seen| frame.id <= seen) {
            return None;
        }
        self.seen = Some(frame.id);
        Some(frame.event())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.streams.leave_one();
    }
}
