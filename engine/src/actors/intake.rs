//! The bounded way into a day: commands from outside, and word from the journal.
//! Must not know: the rules. It is the mailbox that actix's own is not: its bound holds (see `limits`).

use std::collections::VecDeque;
use std::sync::OnceLock;

use parking_lot::Mutex;

use super::admission::Lane;
use super::questions::Question;
use super::request::Request;
use crate::committer::CommitFailure;
use crate::journal::{LoadedDay, ReadError};
use crate::limits::DAY_COMMANDS_MAX;
use booking_core::{AppointmentId, DayVersion, MoveId};

/// Has a day take a turn soon.
pub trait Wake: Send + Sync + 'static {
    /// Schedules one turn. Called at most once between two turns.
    fn wake(&self);
}

/// Word from the engine's own parts; never refused, bounded by what the day itself has asked for.
pub enum Control {
    /// The load that the day asked for.
    Loaded {
        /// The incarnation that asked.
        generation: u64,
        /// What was read.
        result: Result<Option<LoadedDay>, ReadError>,
    },
    /// Records are durable.
    Committed {
        /// The incarnation that submitted them.
        generation: u64,
        /// The last of them.
        last: DayVersion,
        /// Its position.
        position: u64,
    },
    /// Records are not durable.
    Failed {
        /// The incarnation that submitted them.
        generation: u64,
        /// Why.
        failure: CommitFailure,
    },
    /// Something may be due: a hold, say.
    Due,
    /// Something that parked commands wait for is settled.
    Unblocked,
    /// Somebody wants to know of moves.
    Ask(Question),
    /// A prepared move is given up.
    GiveUpMove {
        /// Of which appointment.
        appointment: AppointmentId,
        /// Which attempt.
        move_id: MoveId,
    },
    /// Go to sleep if there is nothing to do.
    Sleep,
}

/// What became of an offered request.
pub enum Offered {
    /// It will be decided, or dropped with word to its caller.
    Taken,
    /// The day's queue is full.
    Full(Request),
    /// The day went to sleep: look it up again.
    Closed(Request),
}

/// See the module.
#[derive(Default)]
pub struct Intake {
    state: Mutex<State>,
    waker: OnceLock<Box<dyn Wake>>,
}

#[derive(Default)]
struct State {
    commands: VecDeque<Request>,
    controls: VecDeque<Control>,
    /// Commands of the sheddable lane among `commands`.
    sheddable: usize,
    scheduled: bool,
    closed: bool,
}

impl Intake {
    /// Says who is woken. Called once, before anybody else can see the intake.
    pub fn connect(&self, waker: Box<dyn Wake>) {
        let connected = self.waker.set(waker);
        debug_assert!(connected.is_ok(), "an intake is connected once");
    }

    /// Queues a request.
    pub fn offer(&self, request: Request) -> Offered {
        let mut state = self.state.lock();
        if state.closed {
            return Offered::Closed(request);
        }
        if request.lane == Lane::Sheddable {
            if state.sheddable >= DAY_COMMANDS_MAX {
                return Offered::Full(request);
            }
            state.sheddable += 1;
        }
        state.commands.push_back(request);
        self.schedule(state);
        Offered::Taken
    }

    /// Queues word from the engine. Word to a day that sleeps is dropped: it has nothing in flight.
    pub fn control(&self, control: Control) {
        let mut state = self.state.lock();
        if !state.closed {
            state.controls.push_back(control);
            self.schedule(state);
        }
    }

    fn schedule(&self, mut state: parking_lot::MutexGuard<'_, State>) {
        let wake = !std::mem::replace(&mut state.scheduled, true);
        drop(state);
        if wake && let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }

    /// Takes all controls and at most `limit` commands, for one turn.
    pub fn take(&self, limit: usize) -> (VecDeque<Control>, VecDeque<Request>) {
        let mut state = self.state.lock();
        let controls = std::mem::take(&mut state.controls);
        let commands = if state.commands.len() <= limit {
            std::mem::take(&mut state.commands)
        } else {
            state.commands.drain(..limit).collect()
        };
        state.sheddable -= commands.iter().filter(|request| request.lane == Lane::Sheddable).count();
        (controls, commands)
    }

    /// Ends a turn: true if there is more to do, for which another turn must be scheduled by the caller. `accepts_commands` says
    /// whether waiting commands count as something to do (not while the day is loading or has too much in flight).
    pub fn finish_turn(&self, accepts_commands: bool) -> bool {
        let mut state = self.state.lock();
        let more = !state.controls.is_empty() || (accepts_commands && !state.commands.is_empty());
        state.scheduled = more;
        more
    }

    /// Closes the intake for ever if nothing waits in it; false if something does.
    pub fn close_if_empty(&self) -> bool {
        let mut state = self.state.lock();
        if state.commands.is_empty() && state.controls.is_empty() {
            state.closed = true;
        }
        state.closed
    }
}
