//! A connection's socket: as it is until a stream begins on it, then with a deadline for what it is given.
//! Must not know: days, events, HTTP.
//!
//! A body is not asked for more while its socket is full, so it cannot notice a reader that has stopped reading, nor end for it. The
//! socket can: it knows when it took no more, and an error from it makes the HTTP server drop the connection with all it holds.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use engine::telemetry::catalogue::STREAMS_DROPPED;
use futures_util::task::AtomicWaker;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// An event must have been taken whole, and what the kernel has sent must have been acknowledged, within this. Longer than a phone needs to
/// change its network; short, because a reader that is dropped loses nothing: it comes back with its last id.
const TAKE_DEADLINE: Duration = Duration::from_secs(10);
/// What a reader that was slow when the process was asked to end still has to take the rest.
const STOP_DEADLINE: Duration = Duration::from_millis(500);
/// Most bytes that the kernel holds unsent for a reader: a usual day fits, and a crowd that does not read stays small.
const UNSENT_BYTES_MAX: u32 = 16 * 1024;

/// What a connection's socket and the reader on it tell each other.
#[derive(Default)]
pub(crate) struct Connection {
    /// Set once a stream runs here; says when the process is to end.
    stream: OnceLock<watch::Receiver<bool>>,
    /// Whether something was given that the socket has not taken whole yet.
    given: AtomicBool,
    /// Whether what was given is not the end of its event.
    unfinished: AtomicBool,
    waiter: AtomicWaker,
}

impl Connection {
    /// From now on this is a stream's connection.
    pub(crate) fn begin_stream(&self, stop: watch::Receiver<bool>) {
        // A second stream can only follow the first on the same connection; its signal is the same.
        let _ = self.stream.set(stop);
    }

    /// Something is being handed to the socket, a part of an event if `unfinished`.
    pub(crate) fn give(&self, unfinished: bool) {
        self.unfinished.store(unfinished, Ordering::Release);
        self.given.store(true, Ordering::Release);
    }

    /// Ready when the socket has taken what was given. One waiter at a time.
    pub(crate) async fn taken(&self) {
        poll_fn(|context| {
            self.waiter.register(context.waker());
            if self.given.load(Ordering::Acquire) { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    /// Answers whether an event ends with what was taken.
    fn mark_taken(&self) -> bool {
        if self.given.swap(false, Ordering::AcqRel) {
            self.waiter.wake();
        }
        !self.unfinished.load(Ordering::Acquire)
    }
}

/// Why a connection is cut.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    TooSlow,
    Stopping,
}

type Patience = Pin<Box<dyn Future<Output = Cut>>>;

/// The socket of one connection.
pub(crate) struct Socket {
    stream: TcpStream,
    connection: Arc<Connection>,
    /// Runs from when the socket was full until the event has been taken whole.
    patience: Option<Patience>,
    /// Whether the kernel was told the bounds of a stream.
    bounded: bool,
}

impl Socket {
    /// An accepted connection.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, connection: Arc::default(), patience: None, bounded: false }
    }

    /// What handlers on this connection use.
    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// The socket is full: pending, or the end of the patience.
    fn poll_patience(&mut self, stop: watch::Receiver<bool>, context: &mut Context<'_>) -> Poll<io::Error> {
        let patience = self.patience.get_or_insert_with(|| Box::pin(patience(stop)));
        let cut = ready!(patience.as_mut().poll(context));
        // Closed with a reset: nothing stays behind in the kernel.
        let reset = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        tracing::debug!(too_slow = cut == Cut::TooSlow, failed = ?reset.err(), "a stream's connection is cut");
        if cut == Cut::TooSlow {
            metrics::counter!(STREAMS_DROPPED).increment(1);
        }
        Poll::Ready(io::ErrorKind::ConnectionAborted.into())
    }

    /// The kernel gives up by itself what stays unacknowledged.
    fn noted<T>(&self, outcome: io::Result<T>) -> io::Result<T> {
        if outcome.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut) && self.bounded {
            metrics::counter!(STREAMS_DROPPED).increment(1);
        }
        outcome
    }
}

async fn patience(mut stop: watch::Receiver<bool>) -> Cut {
    let stopping = async {
        // The sender goes with the process.
        let _ = stop.wait_for(|stop| *stop).await;
        tokio::time::sleep(STOP_DEADLINE).await;
    };
    tokio::select! {
        () = tokio::time::sleep(TAKE_DEADLINE) => Cut::TooSlow,
        () = stopping => Cut::Stopping,
    }
}

/// Bounds what the kernel keeps for a stream, and how long. Without them a reader still meets the deadline of its events, only later.
fn bound(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let outcome =
        socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX).and_then(|()| socket.set_tcp_user_timeout(Some(TAKE_DEADLINE)));
    if let Err(error) = outcome {
        tracing::debug!(%error, "a stream's socket stays without bounds");
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let filled = buffer.filled().len();
        let outcome = ready!(Pin::new(&mut this.stream).poll_read(context, buffer));
        // A reader that says no more has left: the server would write to it until a write fails.
        if outcome.is_ok() && this.bounded && buffer.filled().len() == filled && buffer.remaining() > 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Poll::Ready(this.noted(outcome))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let Some(stop) = this.connection.stream.get() else {
            return Pin::new(&mut this.stream).poll_write(context, bytes);
        };
        if !this.bounded {
            bound(&this.stream);
            this.bounded = true;
        }
        match Pin::new(&mut this.stream).poll_write(context, bytes) {
            Poll::Ready(outcome) => Poll::Ready(this.noted(outcome)),
            Poll::Pending => {
                let stop = stop.clone();
                this.poll_patience(stop, context).map(Err)
            }
        }
    }

    /// Called when all that was given has been taken.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.connection.mark_taken() {
            this.patience = None;
        }
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
