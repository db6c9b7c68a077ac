//! One kept-alive HTTP/1.1 connection: prepared bytes out, one answer back.
//! Must not know: what the requests mean, when to try again, time.
//!
//! Written by hand because the generator shares its cores with the server: one request in flight, prepared bytes and
//! a borrowed answer need no header map, no channel between two tasks and no allocation. Measured against hyper 1.12
//! with 256 connections on loopback, processor time for each booking request and refusal: 8 µs here, 15 µs there.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::driver::response::{Head, ProtocolError, parse_head};

/// Room made for each read, in bytes: a refusal or an appointment with its head fits in one.
const READ_BYTES: usize = 2048;

/// Why there is no answer. What became of the request is then unknown.
#[derive(Debug, Error)]
pub(crate) enum TransportError {
    /// The socket failed, or the server closed it before the answer was whole.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// An answer that is not understood.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// Nothing came in time.
    #[error("no answer in time")]
    Timeout,
}

/// An answer, borrowed from its connection until the next exchange.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    /// What the head says.
    pub(crate) head: Head,
    /// The whole body.
    pub(crate) body: &'a [u8],
}

/// A connection with at most one request in flight. After any error, or an exchange that was dropped half-way, it
/// must not be used again.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    usable: bool,
}

impl Connection {
    /// Connects, with Nagle's delay off. Sets no deadline of its own.
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }

    /// Over a stream that is open already.
    pub(crate) fn over(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::with_capacity(READ_BYTES), usable: true }
    }

    /// Whether the server has closed it, or sent what nobody asked for, since the last exchange. Costs a system call
    /// only where something has come.
    pub(crate) fn is_stale(&self) -> bool {
        let read = self.stream.try_read(&mut [0]);
        !read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether another exchange may be started: the last one ended well and the server did not announce a close.
    pub(crate) const fn is_usable(&self) -> bool {
        self.usable
    }

    /// Sends the bytes of one whole request and waits for its answer. Sets no deadline of its own; dropping the
    /// future half-way leaves the connection unusable.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>, TransportError> {
        self.usable = false;
        self.buffer.clear();
        self.stream.write_all(request).await?;
        let head = loop {
            self.read_some().await?;
            if let Some(head) = parse_head(&self.buffer)? {
                break head;
            }
        };
        let whole = head.head_bytes + head.body_bytes;
        while self.buffer.len() < whole {
            self.read_some().await?;
        }
        if self.buffer.len() > whole {
            return Err(ProtocolError::Surplus.into());
        }
        self.usable = !head.closes;
        Ok(Answer { head, body: &self.buffer[head.head_bytes..] })
    }

    async fn read_some(&mut self) -> io::Result<()> {
        self.buffer.reserve(READ_BYTES);
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}
