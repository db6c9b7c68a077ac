//! One reader of a day: what it has seen, what it gets now, and its end.
//! Must not know: how changes are noticed, when a crowd is told, HTTP heads.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::web::Bytes;
use futures_util::Stream;

use super::Streams;
use super::connection::Connection;
use super::crowd::Crowd;
use super::frame::Frame;
use super::pace::{Pace, Turn};

/// What a reader did with its turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Took {
    /// An event was handed to its connection.
    Event,
    /// Nothing is to be done before so many milliseconds have passed, unless something new comes.
    Nothing {
        /// How long.
        millis: u64,
    },
    /// Its connection has not taken what it was given. It takes its next turn by itself when it has.
    Busy,
}

/// One reader as its crowd has it.
pub(super) struct Member {
    connection: Rc<Connection>,
    seen: Cell<Option<u128>>,
    pace: Cell<Pace>,
}

impl Member {
    /// A reader that has seen everything up to `seen`.
    pub(super) fn new(connection: Rc<Connection>, seen: Option<u128>, pace: Pace) -> Self {
        Self { connection, seen: Cell::new(seen), pace: Cell::new(pace) }
    }

    /// Gives the newest event, if this reader has not seen it and its pace allows, or a comment after long silence. An event that was
    /// begun is ended first; what came meanwhile is skipped.
    pub(super) fn turn(&self, newest: Option<&Arc<Frame>>, heartbeat: &Bytes, now_millis: u64) -> Took {
        if !self.connection.takes_event() {
            return Took::Busy;
        }
        let news = newest.filter(|frame| self.seen.get().is_none_or(|seen| frame.id > seen));
        let mut pace = self.pace.get();
        match (pace.turn(now_millis, news.is_some()), news) {
            (Turn::Event, Some(frame)) => {
                pace.told(now_millis);
                self.pace.set(pace);
                self.seen.set(Some(frame.id));
                self.connection.send(&frame.chunk);
                Took::Event
            }
            (Turn::Heartbeat, _) => {
                pace.beat(now_millis);
                self.pace.set(pace);
                self.connection.send(heartbeat);
                Took::Nothing { millis: pace.silence_millis(now_millis) }
            }
            (Turn::Pause { millis } | Turn::Listen { millis }, _) => Took::Nothing { millis },
            (Turn::Event, None) => Took::Nothing { millis: 0 },
        }
    }

    /// Has the HTTP server ask the reader again.
    pub(super) fn wake(&self) {
        self.connection.wake();
    }
}

/// One reader as the body of its answer, which brings no bytes: they go past it (see `connection`). It ends when the crowd does.
pub(crate) struct Reader {
    pub(super) streams: Arc<Streams>,
    pub(super) crowd: Rc<Crowd>,
    pub(super) member: Rc<Member>,
    /// Of the member in its crowd.
    pub(super) place: usize,
}

impl Stream for Reader {
    type Item = std::io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let connection = &self.member.connection;
        connection.asked_by(context.waker());
        if self.crowd.has_ended() {
            // An event that was begun is ended; the socket sees to it that this does not take long.
            return if connection.is_idle() { Poll::Ready(None) } else { Poll::Pending };
        }
        self.crowd.turn_of(&self.member);
        Poll::Pending
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.crowd.leave(self.place);
        self.streams.leave_one();
    }
}
