//! The stream of a day that another node speaks for: read there once, for all readers here.
//! Must not know: readers, how a day decides.
//!
//! The readers notice nothing of the way, nor that the day changes hands: ids are the same on every node, so each is
//! told what is newer than what it has seen, wherever it comes from.

use std::time::Duration;

use actix_web::web::Bytes;
use booking_core::DayKey;
use engine::ownership::Place;
use engine::telemetry::catalogue::STREAMS_RELAYED;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::HeaderValue;

use super::frame::{Frame, chunk_of};
use super::{Latest, Streams, offer_frame};
use crate::nodes::Nodes;
use crate::nodes::client::Question;
use crate::nodes::question::on_wire::{HOP, LAST_EVENT_ID};

/// What the first byte may take.
const OPEN_DEADLINE: Duration = Duration::from_secs(2);
/// A node that has given no sign of life for this long is looked for anew: it gives one each second.
const SILENCE_MAX: Duration = Duration::from_millis(3_500);
/// Most bytes of one event: the largest day has well under this.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// Shows what the node that speaks for `day` tells, until that ends; at once if nobody does. Whoever calls looks again then.
pub(super) async fn read(streams: &Streams, nodes: &Nodes, day: DayKey, latest: &Latest) {
    let Place::There { address } = nodes.territory.place_of(day.shard()) else { return };
    let seen = latest.borrow().as_ref().map(|frame| frame.id);
    let opened = nodes.client.open(&address, &question(day, seen), OPEN_DEADLINE).await;
    let mut body = match opened {
        Ok(answer) if answer.status() == hyper::StatusCode::OK => answer.into_body(),
        Ok(answer) => return tracing::debug!(node = %address, status = %answer.status(), "a day is not streamed there"),
        Err(error) => return tracing::debug!(node = %address, %error, "a day is not streamed there"),
    };
    metrics::gauge!(STREAMS_RELAYED).increment(1.0);
    let _relayed = Relayed;
    let mut events = Events::default();
    // Asked for bit by bit, so that the other node is told by its socket when this one is slow.
    while let Ok(Some(bytes)) = tokio::time::timeout(SILENCE_MAX, next_bytes(&mut body)).await {
        if !events.push(&bytes) {
            return tracing::warn!(node = %address, "a stream between nodes has an event without end");
        }
        while let Some((id, event)) = events.next() {
            let frame = Frame { id, rendered_millis: streams.monotonic_millis(), chunk: chunk_of(&event) };
            offer_frame(latest, frame);
        }
    }
}

struct Relayed;

impl Drop for Relayed {
    fn drop(&mut self) {
        metrics::gauge!(STREAMS_RELAYED).decrement(1.0);
    }
}

fn question(day: DayKey, seen: Option<u128>) -> Question {
    let mut headers = hyper::HeaderMap::new();
    headers.insert(HOP, HeaderValue::from_static("1"));
    if let Some(seen) = seen.and_then(|seen| HeaderValue::from_str(&seen.to_string()).ok()) {
        headers.insert(LAST_EVENT_ID, seen);
    }
    let target = format!("/v1/doctors/{}/days/{}/stream", day.doctor, day.date);
    Question { method: hyper::Method::GET, target, headers, body: Bytes::new() }
}

/// The next data; `None` at the end, and after a failure.
async fn next_bytes(body: &mut Incoming) -> Option<Bytes> {
    loop {
        match body.frame().await?.ok()?.into_data() {
            Ok(bytes) => return Some(bytes),
            // Trailers.
            Err(_) => continue,
        }
    }
}

/// Events in the making, out of bytes that are cut anywhere.
#[derive(Default)]
struct Events {
    buffer: Vec<u8>,
}

impl Events {
    /// Takes more; false if what is there is no event of ours.
    fn push(&mut self, bytes: &[u8]) -> bool {
        self.buffer.extend_from_slice(bytes);
        self.buffer.len() <= EVENT_BYTES_MAX
    }

    /// The next whole event as it is sent on, with its id; comments are passed over.
    fn next(&mut self) -> Option<(u128, Vec<u8>)> {
        loop {
            let end = self.buffer.windows(2).position(|pair| pair == b"\n\n")? + 2;
            let event: Vec<u8> = self.buffer.drain(..end).collect();
            if let Some(id) = id_of(&event) {
                return Some((id, event));
            }
        }
    }
}

/// The id of an event of ours, which stands in its first line.
fn id_of(event: &[u8]) -> Option<u128> {
    let line = event.strip_prefix(b"id: ")?.split(|byte| *byte == b'\n').next()?;
    std::str::from_utf8(line).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_whole_wherever_the_bytes_are_cut() {
        let text =
            b"id: 5\nevent: day\ndata: {\"a\":1}\n\n: heartbeat\n\nid: 6\nevent: day\ndata: {}\n\nid: x\n\nid: 7\nev";
        for size in 1..text.len() {
            let mut events = Events::default();
            let mut told = Vec::new();
            for part in text.chunks(size) {
                assert!(events.push(part));
                while let Some((id, event)) = events.next() {
                    told.push((id, event.len()));
                }
            }
            assert_eq!(told, [(5, 32), (6, 27)], "{size}");
        }
    }

    #[test]
    fn an_event_without_end_is_not_kept() {
        let mut events = Events::default();
        assert!(events.push(&vec![b'x'; EVENT_BYTES_MAX]));
        assert!(!events.push(b"x"));
    }
}
