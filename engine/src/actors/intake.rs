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
use crate::limits::{DAY_COMMANDS_MAX, WAITING_COMMANDS_MIN};
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
    /// This process is about not to speak for the day any more: end what is under way and go, keeping nothing. `at_once`: it does not
    /// speak for it already; whoever waits is told 503.
    Leave {
        /// See above.
        at_once: bool,
    },
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
    /// Word of the journal is certain to come: few commands can wait for the turn that it brings.
    expects_word: bool,
    closed: bool,
}

impl State {
    /// Whether the waiting commands are worth a turn of their own.
    fn has_worthwhile_commands(&self) -> bool {
        let least = if self.expects_word { WAITING_COMMANDS_MIN } else { 1 };
        self.commands.len() >= least
    }
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
        if state.has_worthwhile_commands() {
            self.schedule(state);
        }
        Offered::Taken
    }

    /// Queues word from the engine; false if the day is not there any more: a day that sleeps has nothing in flight, one that was left at
    /// once may have.
    pub fn control(&self, control: Control) -> bool {
        let mut state = self.state.lock();
        if state.closed {
            return false;
        }
        state.controls.push_back(control);
        self.schedule(state);
        true
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
    /// whether waiting commands count as something to do (not while the day is loading or has too much in flight). `expects_word`
    /// says that word of the journal is certain to come, and with it another turn.
    pub fn finish_turn(&self, accepts_commands: bool, expects_word: bool) -> bool {
        let mut state = self.state.lock();
        state.expects_word = expects_word;
        let more = !state.controls.is_empty() || (accepts_commands && state.has_worthwhile_commands());
        state.scheduled = more;
        more
    }

    /// Commands that wait.
    pub fn waiting(&self) -> usize {
        self.state.lock().commands.len()
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use booking_core::Command;

    use super::*;
    use crate::actors::admission::Admission;

    struct Count(Arc<AtomicUsize>);

    impl Wake for Count {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn offer(intake: &Intake, count: usize) {
        let admission = Arc::new(Admission::default());
        for _ in 0..count {
            let permit = admission.admit(Lane::Protected).expect("room");
            let (request, _) = Request::new(Command::expire(), Lane::Protected, 0, None, permit);
            assert!(matches!(intake.offer(request), Offered::Taken));
        }
    }

    #[test]
    fn few_commands_wait_for_the_word_that_is_to_come_and_many_do_not() {
        let (intake, woken) = (Intake::default(), Arc::new(AtomicUsize::new(0)));
        intake.connect(Box::new(Count(Arc::clone(&woken))));
        let woken = || woken.load(Ordering::SeqCst);
        offer(&intake, 1);
        assert_eq!(woken(), 1, "nothing is under way");
        assert_eq!(intake.take(usize::MAX).1.len(), 1);
        assert!(!intake.finish_turn(true, true));
        offer(&intake, WAITING_COMMANDS_MIN - 1);
        assert_eq!(woken(), 1, "they wait");
        offer(&intake, 1);
        assert_eq!(woken(), 2, "they are many");
        assert_eq!(intake.take(1).1.len(), 1);
        assert!(!intake.finish_turn(true, true), "the rest waits for the word");
        intake.control(Control::Due);
        assert_eq!(woken(), 3, "any word is heard");
        assert_eq!(intake.take(1).1.len(), 1);
        assert!(intake.finish_turn(true, false), "no word is to come any more");
    }
}
