//! A connection's socket: as it is until a stream begins on it, then also a way around the HTTP server, with a deadline for what it is given.
//! Must not know: days, who is told when, HTTP.
//!
//! An event goes from the shared bytes straight into the socket: through the body of its answer it would be copied into a buffer of its
//! connection, which would have to be woken and looked through for it. What the socket does not take at once is written by the HTTP
//! server's own task, when it flushes. Nor could a body, which is not asked for more while its socket is full, notice a reader that has
//! stopped reading, or end for it: the socket knows when it took no more, and an error from it makes the HTTP server drop the connection
//! with all it holds.

use std::cell::{Cell, OnceCell, RefCell};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use actix_web::web::Bytes;
use engine::telemetry::catalogue::STREAMS_DROPPED;
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

/// How far the answer that is a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// Its head is not in the HTTP server's buffer yet.
    Unwritten,
    /// Its head is in that buffer.
    Buffered,
    /// Its head has left: events may follow.
    Open,
}

/// One connection, as its socket, the HTTP server and the reader on it share it. None of its borrows outlives a call.
pub(crate) struct Connection {
    stream: RefCell<TcpStream>,
    /// Set once a stream runs here; says when the process is to end.
    stop: OnceCell<watch::Receiver<bool>>,
    answer: Cell<Answer>,
    /// What is left of the event being sent; shared with others.
    rest: RefCell<Bytes>,
    /// Why the last sending failed; told at the next flush.
    failed: Cell<Option<io::ErrorKind>>,
    /// The HTTP server's task of this connection.
    task: RefCell<Option<Waker>>,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream: RefCell::new(stream),
            stop: OnceCell::new(),
            answer: Cell::new(Answer::Unwritten),
            rest: RefCell::default(),
            failed: Cell::new(None),
            task: RefCell::default(),
        }
    }

    /// From now on this is a stream's connection.
    pub(crate) fn begin_stream(&self, stop: watch::Receiver<bool>) {
        // A second stream can only follow the first on the same connection; its signal is the same.
        let _ = self.stop.set(stop);
    }

    /// The HTTP server asks for the body, so the head is in its buffer; `task` is woken when there is something for it to do.
    pub(crate) fn asked_by(&self, task: &Waker) {
        if self.answer.get() == Answer::Unwritten {
            self.answer.set(Answer::Buffered);
        }
        let mut known = self.task.borrow_mut();
        if !known.as_ref().is_some_and(|known| known.will_wake(task)) {
            *known = Some(task.clone());
        }
    }

    /// Has the HTTP server look at this connection.
    pub(crate) fn wake(&self) {
        if let Some(task) = &*self.task.borrow() {
            task.wake_by_ref();
        }
    }

    /// Whether all that was given has been taken; after a failure nothing is any more.
    pub(crate) fn is_idle(&self) -> bool {
        self.rest.borrow().is_empty() && self.failed.get().is_none()
    }

    /// Whether an event may be sent now.
    pub(crate) fn takes_event(&self) -> bool {
        self.answer.get() == Answer::Open && self.is_idle()
    }

    /// Sends an event, framed as the answer's body is. Only if one may be sent now.
    pub(crate) fn send(&self, event: &Bytes) {
        let written = match self.stream.borrow().try_write(event) {
            Ok(written) if written == event.len() => return,
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => {
                self.failed.set(Some(error.kind()));
                event.len()
            }
        };
        *self.rest.borrow_mut() = event.slice(written..);
        self.wake();
    }

    /// Writes what is left of an event; answers whether there was something.
    fn poll_rest(&self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if let Some(kind) = self.failed.get() {
            return Poll::Ready(Err(kind.into()));
        }
        let mut rest = self.rest.borrow_mut();
        let was_left = !rest.is_empty();
        while !rest.is_empty() {
            let written = ready!(Pin::new(&mut *self.stream.borrow_mut()).poll_write(context, &rest[..]))?;
            drop(rest.split_to(written));
        }
        // Not even an empty part of an event is kept.
        *rest = Bytes::new();
        Poll::Ready(Ok(was_left))
    }

    /// All that the HTTP server had has left; answers whether this opens the stream.
    fn open(&self) -> bool {
        let opens = self.answer.get() == Answer::Buffered;
        if opens {
            self.answer.set(Answer::Open);
        }
        opens
    }
}

/// Why a connection is cut.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    TooSlow,
    Stopping,
}

type Patience = Pin<Box<dyn Future<Output = Cut>>>;

/// The socket of one connection, as the HTTP server has it.
pub(crate) struct Socket {
    connection: Rc<Connection>,
    /// Runs from when the socket was full until the event has been taken whole.
    patience: Option<Patience>,
    /// Whether the kernel was told the bounds of a stream.
    bounded: bool,
}

impl Socket {
    /// An accepted connection.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { connection: Rc::new(Connection::new(stream)), patience: None, bounded: false }
    }

    /// What handlers on this connection use.
    pub(crate) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    /// The socket is full: pending, or the end of the patience.
    fn poll_patience(&mut self, stop: watch::Receiver<bool>, context: &mut Context<'_>) -> Poll<io::Error> {
        let patience = self.patience.get_or_insert_with(|| Box::pin(patience(stop)));
        let cut = ready!(patience.as_mut().poll(context));
        // Closed with a reset: nothing stays behind in the kernel.
        let reset = SockRef::from(&*self.connection.stream.borrow()).set_linger(Some(Duration::ZERO));
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

    /// Of something that a stream writes: pending only while there is patience.
    fn patiently<T>(&mut self, outcome: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        match (outcome, self.connection.stop.get().cloned()) {
            (Poll::Ready(outcome), _) => Poll::Ready(self.noted(outcome)),
            (Poll::Pending, Some(stop)) => self.poll_patience(stop, context).map(Err),
            (Poll::Pending, None) => Poll::Pending,
        }
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
        let outcome = ready!(Pin::new(&mut *this.connection.stream.borrow_mut()).poll_read(context, buffer));
        // A reader that says no more has left: the server would write to it until a write fails.
        if outcome.is_ok() && this.bounded && buffer.filled().len() == filled && buffer.remaining() > 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Poll::Ready(this.noted(outcome))
    }
}

impl AsyncWrite for Socket {
    /// What the HTTP server has itself: heads, other answers, the end of a stream. Never amid an event, which the reader sees to.
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.connection.stop.get().is_none() {
            return Pin::new(&mut *this.connection.stream.borrow_mut()).poll_write(context, bytes);
        }
        if !this.bounded {
            bound(&this.connection.stream.borrow());
            this.bounded = true;
        }
        let outcome = Pin::new(&mut *this.connection.stream.borrow_mut()).poll_write(context, bytes);
        this.patiently(outcome, context)
    }

    /// Called when all that the HTTP server had has been taken.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.connection.stop.get().is_none() {
            return Pin::new(&mut *this.connection.stream.borrow_mut()).poll_flush(context);
        }
        let outcome = this.connection.poll_rest(context);
        let was_left = ready!(this.patiently(outcome, context))?;
        this.patience = None;
        if this.connection.open() || was_left {
            // The reader is asked again: it may go on.
            context.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().connection.stream.borrow_mut()).poll_shutdown(context)
    }
}
