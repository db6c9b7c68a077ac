//! The bytes of one stream, put together into events. Pure.
//! Must not know: sockets, what an event says.
//!
//! Written by hand because thousands of streams share the cores with the server: a chunk that came whole is looked at where it was
//! read, and nothing is allocated for it.

use thiserror::Error;

/// The longest head and the longest line of a chunk's length, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The longest event, in bytes: a day of 500 slots is far below.
const EVENT_BYTES_MAX: usize = 1 << 20;
/// What ends an event.
const EVENT_END: &str = "\n\n";

/// Why a stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum WireError {
    /// Not 200, or not HTTP/1.1.
    #[error("the stream was refused")]
    Refused,
    /// No chunked body, or not text.
    #[error("the stream is not understood")]
    Malformed,
    /// The body has ended.
    #[error("the stream has ended")]
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    /// In the line with a chunk's length, of which this was read.
    Length(usize),
    /// In a chunk, of which so much is left.
    Chunk(usize),
    /// In the line end after a chunk.
    ChunkEnd,
}

/// One stream being read.
#[derive(Debug)]
pub(crate) struct Wire {
    state: State,
    /// A head or an event that is not whole yet.
    begun: Vec<u8>,
}

impl Wire {
    /// Before the answer's head.
    pub(crate) const fn new() -> Self {
        Self { state: State::Head, begun: Vec::new() }
    }

    /// Takes what was read; each event that is whole now is given to `event`, without the empty line after it.
    pub(crate) fn take(&mut self, mut bytes: &[u8], event: &mut impl FnMut(&str)) -> Result<(), WireError> {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Head => self.take_head(bytes)?,
                State::Length(length) => self.take_length(length, bytes)?,
                State::Chunk(left) => {
                    let (part, rest) = bytes.split_at(left.min(bytes.len()));
                    self.take_text(part, event)?;
                    self.state = if part.len() == left { State::ChunkEnd } else { State::Chunk(left - part.len()) };
                    rest
                }
                State::ChunkEnd => {
                    let end = bytes.iter().position(|byte| *byte == b'\n');
                    if end.is_some() {
                        self.state = State::Length(0);
                    }
                    end.map_or(&[], |end| &bytes[end + 1..])
                }
            };
        }
        Ok(())
    }

    fn take_head<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], WireError> {
        let before = self.begun.len();
        self.begun.extend_from_slice(bytes);
        let Some(end) = self.begun.windows(4).position(|window| window == b"\r\n\r\n") else {
            return if self.begun.len() > HEAD_BYTES_MAX { Err(WireError::Malformed) } else { Ok(&[]) };
        };
        let head = std::str::from_utf8(&self.begun[..end]).map_err(|_| WireError::Malformed)?.to_ascii_lowercase();
        if !head.starts_with("http/1.1 200") {
            return Err(WireError::Refused);
        }
        if !head.contains("\r\ntransfer-encoding: chunked") {
            return Err(WireError::Malformed);
        }
        self.state = State::Length(0);
        self.begun = Vec::new();
        Ok(&bytes[end + 4 - before..])
    }

    fn take_length<'a>(&mut self, mut length: usize, bytes: &'a [u8]) -> Result<&'a [u8], WireError> {
        for (index, byte) in bytes.iter().enumerate() {
            match char::from(*byte).to_digit(16) {
                Some(digit) if length <= EVENT_BYTES_MAX => length = length * 16 + digit as usize,
                None if *byte == b'\r' => {}
                None if *byte == b'\n' && length == 0 => return Err(WireError::Ended),
                None if *byte == b'\n' => {
                    self.state = State::Chunk(length);
                    return Ok(&bytes[index + 1..]);
                }
                _ => return Err(WireError::Malformed),
            }
        }
        self.state = State::Length(length);
        Ok(&[])
    }

    /// A part of the body.
    fn take_text(&mut self, part: &[u8], event: &mut impl FnMut(&str)) -> Result<(), WireError> {
        if self.begun.is_empty() {
            let rest = whole_events(part, event)?;
            self.begun.extend_from_slice(rest);
        } else {
            self.begun.extend_from_slice(part);
            if part.contains(&b'\n') {
                let begun = std::mem::take(&mut self.begun);
                self.begun = whole_events(&begun, event)?.to_vec();
            }
        }
        if self.begun.len() > EVENT_BYTES_MAX { Err(WireError::Malformed) } else { Ok(()) }
    }
}

/// Gives each whole event at the beginning of `bytes`; answers the rest.
fn whole_events<'a>(bytes: &'a [u8], event: &mut impl FnMut(&str)) -> Result<&'a [u8], WireError> {
    // The contract's days are ASCII but for the names of zones, and those are, too; a part may end anywhere.
    let mut text = std::str::from_utf8(bytes).map_err(|_| WireError::Malformed)?;
    let mut searched = 0;
    // One character is found faster than two.
    while let Some(found) = text[searched..].find('\n') {
        let line_end = searched + found;
        if text[line_end..].starts_with(EVENT_END) {
            event(&text[..line_end]);
            text = &text[line_end + EVENT_END.len()..];
            searched = 0;
        } else {
            searched = line_end + 1;
        }
    }
    Ok(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        12\r\nid: 1\ndata: {one}\n\r\n2\r\n\n\n\r\nD\r\n: heartbeat\n\n\r\n1b\r\nid: 2\ndata: x\n\nid: 3\ndata: \r\n3\r\ny\n\n\r\n";

    fn events_of(parts: impl Iterator<Item = &'static [u8]>) -> Result<Vec<String>, WireError> {
        let (mut wire, mut events) = (Wire::new(), Vec::new());
        for part in parts {
            wire.take(part, &mut |event| events.push(event.to_owned()))?;
        }
        Ok(events)
    }

    #[test]
    fn events_are_the_same_however_the_bytes_come() {
        let whole = events_of(std::iter::once(ANSWER)).unwrap();
        assert_eq!(whole, ["id: 1\ndata: {one}", "\n: heartbeat", "id: 2\ndata: x", "id: 3\ndata: y"]);
        for size in 1..ANSWER.len() {
            assert_eq!(events_of(ANSWER.chunks(size)).unwrap(), whole, "parts of {size} bytes");
        }
    }

    #[test]
    fn refusals_ends_and_other_bodies_are_told() {
        let one = |text: &'static [u8]| events_of(std::iter::once(text));
        assert_eq!(one(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"), Err(WireError::Refused));
        assert_eq!(one(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), Err(WireError::Malformed));
        assert_eq!(one(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"), Err(WireError::Ended));
        assert_eq!(one(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n"), Err(WireError::Malformed));
    }
}
