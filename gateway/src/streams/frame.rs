//! One event of a stream: its id and its bytes.
//! Must not know: who reads it, when it is sent.

use actix_web::web::Bytes;
use engine::view::DayView;

use crate::api::day_view;

/// Bits of the id below the version: releases and slots of a day that have passed fit in them.
const PHASE_BITS: u32 = 12;

/// What is sent in long silence, so that proxies keep the connection.
pub(super) const HEARTBEAT: &[u8] = b": heartbeat\n\n";

/// These bytes, which are not none, as one chunk of a chunked body (RFC 9112, section 7.1): every stream's answer has such a body.
pub(super) fn chunk_of(bytes: &[u8]) -> Bytes {
    let mut chunk = format!("{:X}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk.into()
}

/// A comment, as it goes over the wire.
pub(crate) fn heartbeat() -> Bytes {
    chunk_of(HEARTBEAT)
}

/// One event, rendered.
pub(crate) struct Frame {
    /// Never falls for a day.
    pub(crate) id: u128,
    /// When it was rendered, on the monotonic scale.
    pub(crate) rendered_millis: u64,
    /// What goes over the wire, shared by all readers.
    pub(crate) chunk: Bytes,
}

impl Frame {
    /// The event without the framing of a chunk, for a body that is framed on its way.
    pub(super) fn event(&self) -> Bytes {
        let from = self.chunk.iter().position(|byte| *byte == b'\n').map_or(0, |line| line + 1);
        self.chunk.slice(from..self.chunk.len().saturating_sub(2).max(from))
    }

    /// The picture as an event; `None` if it cannot be written, which is a defect that reading the day tells as well.
    pub(crate) fn of(view: &DayView, rendered_millis: u64) -> Option<Self> {
        let id = id_of(view);
        let body = day_view::body(view, view.snapshot.version()).ok()?;
        let mut bytes = format!("id: {id}\nevent: day\ndata: ").into_bytes();
        bytes.extend_from_slice(&body);
        bytes.extend_from_slice(b"\n\n");
        Some(Self { id, rendered_millis, chunk: chunk_of(&bytes) })
    }
}

/// The version, then how many releases and starts have passed: it never falls, and is the same after a restart.
pub(crate) fn id_of(view: &DayView) -> u128 {
    let phase_max = (1 << PHASE_BITS) - 1;
    let version = u128::from(day_view::version_number(view.snapshot.version()));
    (version << PHASE_BITS) | u128::from(view.snapshot.phase_at(view.now).min(phase_max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_what_its_chunk_holds() {
        let frame = Frame { id: 1, rendered_millis: 0, chunk: chunk_of(b"id: 1\ndata: x\n\n") };
        assert_eq!(&frame.event()[..], b"id: 1\ndata: x\n\n");
    }

    #[test]
    fn a_chunk_says_its_length() {
        assert_eq!(&heartbeat()[..], b"D\r\n: heartbeat\n\n\r\n");
    }
}
