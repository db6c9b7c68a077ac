//! Where the head of an HTTP/1.1 response ends and what it says, of the little that a load driver asks.
//! Must not know: sockets, bodies, booking.

use thiserror::Error;

/// The longest head that is read, in bytes; a server of ours sends a few hundred.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// The longest body that is read, in bytes; the longest honest one is a page of 200 appointments.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// Why bytes are no response that this client understands.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum ProtocolError {
    /// The first line is no status line of HTTP/1.1.
    #[error("the answer does not begin with an HTTP/1.1 status line")]
    StatusLine,
    /// A `Transfer-Encoding` was used; the answers of interest all have a length.
    #[error("the answer has a transfer encoding, which this client does not speak")]
    TransferEncoding,
    /// Neither absent nor a number within bounds.
    #[error("the answer has a Content-Length that is missing, no number or too large")]
    ContentLength,
    /// No end of the head within the bound.
    #[error("the head of the answer is longer than {MAX_HEAD_BYTES} bytes")]
    HeadTooLong,
    /// More bytes than the answer is long.
    #[error("bytes follow the answer that nobody asked for")]
    Surplus,
}

/// What the head of a response says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The status code.
    pub(crate) status: u16,
    /// Bytes up to and including the empty line.
    pub(crate) head_bytes: usize,
    /// Bytes of body that follow.
    pub(crate) body_bytes: usize,
    /// The server closes the connection after this answer.
    pub(crate) closes: bool,
    /// `Idempotency-Replayed: true`.
    pub(crate) replayed: bool,
    /// `Retry-After`, where it is a number of seconds.
    pub(crate) retry_after_seconds: Option<u32>,
}

/// Reads the head at the start of `bytes`; `None` while it is not complete.
pub(crate) fn parse_head(bytes: &[u8]) -> Result<Option<Head>, ProtocolError> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if bytes.len() > MAX_HEAD_BYTES { Err(ProtocolError::HeadTooLong) } else { Ok(None) };
    };
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| ProtocolError::StatusLine)?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(status_of).ok_or(ProtocolError::StatusLine)?;
    let mut head =
        Head { status, head_bytes: end + 4, body_bytes: 0, closes: false, replayed: false, retry_after_seconds: None };
    let mut has_length = matches!(status, 204 | 304);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            head.body_bytes = value.parse().map_err(|_| ProtocolError::ContentLength)?;
            has_length = true;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(ProtocolError::TransferEncoding);
        } else if name.eq_ignore_ascii_case("connection") {
            head.closes = value.eq_ignore_ascii_case("close");
        } else if name.eq_ignore_ascii_case("idempotency-replayed") {
            head.replayed = value.eq_ignore_ascii_case("true");
        } else if name.eq_ignore_ascii_case("retry-after") {
            head.retry_after_seconds = value.parse().ok();
        }
    }
    if has_length && head.body_bytes <= MAX_BODY_BYTES { Ok(Some(head)) } else { Err(ProtocolError::ContentLength) }
}

/// The code of a line such as `HTTP/1.1 201 Created`.
fn status_of(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("HTTP/1.1 ")?;
    rest.get(..3)?.parse().ok().filter(|code| (100..600).contains(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_only_once_it_is_whole() {
        let bytes =
            b"HTTP/1.1 409 Conflict\r\nContent-Length: 12\r\nRetry-After: 3\r\nidempotency-replayed: true\r\n\r\nbody";
        for cut in 0..bytes.len() - 4 {
            assert_eq!(parse_head(&bytes[..cut]), Ok(None), "cut at {cut}");
        }
        let head = parse_head(bytes).unwrap().unwrap();
        assert_eq!((head.status, head.head_bytes, head.body_bytes), (409, bytes.len() - 4, 12));
        assert_eq!((head.closes, head.replayed, head.retry_after_seconds), (false, true, Some(3)));
    }

    #[test]
    fn closing_is_seen_and_is_not_a_replay() {
        let head = parse_head(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length:0\r\n\r\n").unwrap().unwrap();
        assert!(head.closes && !head.replayed);
    }

    #[test]
    fn what_it_does_not_speak_is_an_error() {
        for (bytes, error) in [
            (&b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"[..], ProtocolError::StatusLine),
            (b"HTTP/1.1 xyz\r\n\r\n", ProtocolError::StatusLine),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ProtocolError::TransferEncoding),
            (b"HTTP/1.1 200 OK\r\n\r\n", ProtocolError::ContentLength),
            (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", ProtocolError::ContentLength),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", ProtocolError::ContentLength),
        ] {
            assert_eq!(parse_head(bytes), Err(error));
        }
        assert_eq!(parse_head(&vec![b'a'; MAX_HEAD_BYTES + 1]), Err(ProtocolError::HeadTooLong));
    }
}
