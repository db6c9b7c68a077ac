//! One kept-alive HTTP/1.1 connection with one request in flight: bytes out, one answer back.
//! Must not know: what the requests mean.
//!
//! Written by hand because a hundred callers share two cores with the program: a client library costs more than the program.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Room made for each read, in bytes.
const READ_BYTES: usize = 4_096;

/// A whole answer.
#[derive(Debug)]
pub(super) struct Response {
    /// Status code.
    pub(super) status: u16,
    /// `Idempotency-Replayed: true`.
    pub(super) replayed: bool,
    /// The body.
    pub(super) body: Vec<u8>,
}

/// An open connection. After an error it must not be used again.
#[derive(Debug)]
pub(super) struct Connection(TcpStream);

impl Connection {
    /// Connects.
    pub(super) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// Whether the other side has closed it since the last answer.
    pub(super) fn is_stale(&self) -> bool {
        !self.0.try_read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Sends the bytes of a whole request and waits for its answer.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> io::Result<Response> {
        self.0.write_all(request).await?;
        let mut bytes = Vec::with_capacity(READ_BYTES);
        let head_bytes = loop {
            self.read(&mut bytes).await?;
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = String::from_utf8_lossy(&bytes[..head_bytes]).into_owned();
        let status = head.get(9..12).and_then(|code| code.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        let header = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(':'));
            lines.into_iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
        };
        let length: usize =
            header("content-length").and_then(|text| text.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        while bytes.len() < head_bytes + length {
            self.read(&mut bytes).await?;
        }
        let replayed = header("idempotency-replayed") == Some("true");
        Ok(Response { status, replayed, body: bytes.split_off(head_bytes) })
    }

    async fn read(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        bytes.reserve(READ_BYTES);
        if self.0.read_buf(bytes).await? == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}
