//! Drives moves from day to day (`protocols.md` A): prepare, hold a place, commit, take in. Also settles those that nobody drives
//! any more, after a crash or a failure.
//! Must not know: HTTP, who may move what, how a day decides.
//!
//! The day of departure commits. A driver that stops at any step leaves either nothing but a kept place, which the day of arrival
//! asks about by itself, or a committed move, which the same question completes.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use booking_core::{
    Action, Appointment, AppointmentId, Arriving, Command, DayKey, Envelope, Home, Leaving, MoveId, Rejection,
    Relocation, RequestKey, Seat,
};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{EngineHandle, Parts};
use crate::actors::admission::Permit;
use crate::actors::entry::DayEntry;
use crate::actors::intake::Control;
use crate::actors::questions::{Attempt, OpenMove, Question};
use crate::actors::request::{CommandReply, CommandResult};
use crate::clock::timeout;
use crate::error::EngineError;
use crate::limits::MOVE_HOLD_MILLIS_MAX;
use crate::signal::Signal;
use crate::telemetry::meters::MoveOutcome;

/// Days whose open moves are settled at once: each is a few messages, and a day that does not answer must not hold up the others.
const SETTLING_MAX: usize = 16;

/// One move.
pub(super) struct Move {
    pub(super) move_id: MoveId,
    pub(super) from: DayKey,
    pub(super) to: Home,
    pub(super) wish: Relocation,
    pub(super) envelope: Envelope,
    pub(super) key: Option<RequestKey>,
}

/// The moves on their way to a day.
pub(super) struct Arrivals {
    /// How many there were.
    pub(super) open: usize,
    /// Of how many nobody could say what became of them.
    pub(super) unknown: usize,
}

/// Where the answer to a move goes: the caller, and whoever sends the same key meanwhile. Dropped unanswered, both look again.
pub(super) struct MoveAnswer {
    pub(super) reply: Option<oneshot::Sender<CommandResult>>,
    /// The day in whose keys in flight the key was entered.
    pub(super) in_flight: Option<(Arc<DayEntry>, RequestKey)>,
    /// Given back with the answer.
    pub(super) permit: Option<Permit>,
}

impl MoveAnswer {
    /// Tells it once; what comes later is not told.
    fn tell(&mut self, result: CommandResult) {
        if let Some((entry, key)) = self.in_flight.take() {
            entry.in_flight().leave(&key, Some(&result));
        }
        if let Some(reply) = self.reply.take() {
            // A caller that went away has no wish to know; its key tells it later.
            let _ = reply.send(result);
        }
        self.permit = None;
    }
}

impl Drop for MoveAnswer {
    fn drop(&mut self) {
        if let Some((entry, key)) = self.in_flight.take() {
            entry.in_flight().leave(&key, None);
        }
    }
}

/// The appointments that are being moved: a second move of one waits for the first (`protocols.md` A 2).
#[derive(Default)]
pub(crate) struct MovingAppointments {
    /// Bounded by admission: each is one admitted move.
    moving: Mutex<HashMap<AppointmentId, Arc<Signal>>>,
}

/// The right to move one appointment, until it is dropped.
pub(super) struct MoveTurn {
    parts: Arc<Parts>,
    appointment: AppointmentId,
}

impl MoveTurn {
    pub(super) async fn wait(parts: &Arc<Parts>, appointment: AppointmentId) -> Self {
        loop {
            let other = match parts.moving.moving.lock().entry(appointment) {
                std::collections::hash_map::Entry::Occupied(other) => Arc::clone(other.get()),
                std::collections::hash_map::Entry::Vacant(free) => {
                    free.insert(Arc::default());
                    return Self { parts: Arc::clone(parts), appointment };
                }
            };
            other.wait().await;
        }
    }
}

impl Drop for MoveTurn {
    fn drop(&mut self) {
        let over = self.parts.moving.moving.lock().remove(&self.appointment);
        over.iter().for_each(|turn| turn.give());
    }
}

impl EngineHandle {
    /// Drives `job` to its end, telling the outcome as soon as it is certain. Must not be cancelled: it is spawned.
    pub(super) async fn drive(self, job: Move, mut answer: MoveAnswer) {
        let _turn = MoveTurn::wait(&self.parts, job.wish.appointment).await;
        let row = match self.step_here(job.from, job.prepare()).await {
            Ok(CommandReply::Appointment { appointment, replayed: false, .. }) => appointment,
            // The first answer again, or a refusal: nothing is pending.
            other => return self.tell(&mut answer, other),
        };
        crash_point!(MovePrepared);
        let version = row.version;
        let mut holding = std::pin::pin!(self.step(job.to.day, job.hold(row)));
        let limit = Duration::from_millis(MOVE_HOLD_MILLIS_MAX);
        let held = match timeout(&*self.parts.clock, limit, &mut holding).await {
            Some(held) => held,
            None => {
                self.give_up(&job);
                let slow = EngineError::Unavailable("the day to move to does not answer".to_owned());
                self.tell(&mut answer, Err(slow));
                // What comes late is given back.
                let late = holding.await;
                return self.drop_unless_refused(&job, &late).await;
            }
        };
        match held {
            Ok(CommandReply::Appointment { appointment: held, .. }) => self.commit(job, version, held, answer).await,
            other => {
                self.give_up(&job);
                self.tell(&mut answer, other.clone());
                self.drop_unless_refused(&job, &other).await;
            }
        }
    }

    async fn commit(&self, job: Move, version: u32, held: Appointment, mut answer: MoveAnswer) {
        crash_point!(MoveHeld);
        let outcome = self.step_here(job.from, job.commit(version, &held)).await;
        match &outcome {
            Ok(CommandReply::Appointment { appointment, replayed: false, .. }) => {
                let row = appointment.clone();
                crash_point!(MoveCommitted);
                self.tell(&mut answer, outcome);
                crash_point!(MoveTold);
                self.accept(job.to.day, job.move_id, row).await;
            }
            // Tried again at once: the place that was kept for this attempt must not refuse the next.
            Err(EngineError::Rejected(rejection)) if rejection.is_internal() => {
                self.drop_move(job.to.day, job.move_id).await;
                self.tell(&mut answer, outcome);
            }
            Ok(_) | Err(EngineError::Rejected(_)) => {
                self.tell(&mut answer, outcome);
                self.drop_move(job.to.day, job.move_id).await;
            }
            // Not known: the day of departure tells, once it has read itself again.
            Err(_) => match self.attempt_of(job.from, job.wish.appointment, job.move_id).await {
                Some(Attempt::Committed(departure)) => {
                    let (row, home) = (departure.row.clone(), Some(departure.to.clone()));
                    let at = row.updated_at;
                    let appointment = row.clone();
                    let moved = CommandReply::Appointment { appointment, home, replayed: false, at };
                    self.tell(&mut answer, Ok(moved));
                    self.accept(job.to.day, job.move_id, row).await;
                }
                Some(Attempt::Aborted) => {
                    self.tell(&mut answer, outcome);
                    self.drop_move(job.to.day, job.move_id).await;
                }
                // Left to the sweep of the open-work index.
                Some(Attempt::Pending) | None => {
                    self.parts.meters.count_move(MoveOutcome::Unknown);
                    answer.tell(outcome);
                }
            },
        }
    }

    /// Tells and counts an outcome that is certain.
    fn tell(&self, answer: &mut MoveAnswer, result: CommandResult) {
        match &result {
            Ok(CommandReply::Appointment { replayed: true, .. }) => {}
            Ok(_) => self.parts.meters.count_move(MoveOutcome::Moved),
            Err(EngineError::Rejected(_)) => self.parts.meters.count_move(MoveOutcome::Refused),
            Err(_) => self.parts.meters.count_move(MoveOutcome::Unavailable),
        }
        answer.tell(result);
    }

    /// Takes the appointment in. If that fails, the day asks by itself as soon as it has read itself again.
    pub(super) async fn accept(&self, day: DayKey, move_id: MoveId, row: Appointment) {
        match self.step(day, system(Action::AcceptMove { move_id, row })).await {
            Ok(_) => {
                crash_point!(MoveAccepted);
            }
            Err(EngineError::Rejected(rejection)) => {
                tracing::error!(%move_id, %rejection, "a day does not take in an appointment that it keeps a place for");
            }
            Err(error) => tracing::warn!(%move_id, %error, "a moved appointment is not taken in yet; its day will ask"),
        }
    }

    pub(super) async fn drop_move(&self, day: DayKey, move_id: MoveId) {
        if let Err(error) = self.step(day, system(Action::DropMove { move_id })).await {
            tracing::warn!(%move_id, %error, "a place kept for a move is not given back yet; its day will ask");
        }
        crash_point!(MoveDropped);
    }

    /// Gives back what a day may keep: a plain refusal kept nothing.
    async fn drop_unless_refused(&self, job: &Move, held: &CommandResult) {
        if !matches!(held, Err(EngineError::Rejected(_))) {
            self.drop_move(job.to.day, job.move_id).await;
        }
    }

    /// Tells the day of departure. Nothing depends on it: an attempt commits only if its driver asks for it.
    pub(super) fn give_up(&self, job: &Move) {
        let now = self.parts.clock.now();
        let control = Control::GiveUpMove { appointment: job.wish.appointment, move_id: job.move_id };
        if let Ok(entry) = self.entry(job.from, now) {
            entry.intake().control(control);
        }
    }

    /// Settles every move on its way to `day` of which the outcome is known.
    pub(super) async fn settle_arrivals(&self, day: DayKey) -> Result<Arrivals, EngineError> {
        let open = self.ask_here(day, Question::Arrivals).await?.unwrap_or_default();
        let mut arrivals = Arrivals { open: open.len(), unknown: 0 };
        for OpenMove { move_id, appointment, from } in open {
            match self.attempt_of(from, appointment, move_id).await {
                Some(Attempt::Committed(departure)) => {
                    self.parts.meters.moves_settled.increment(1);
                    crash_point!(MoveFoundCommitted);
                    self.accept(day, move_id, departure.row).await;
                }
                Some(Attempt::Aborted) => {
                    self.parts.meters.moves_settled.increment(1);
                    crash_point!(MoveFoundAborted);
                    self.drop_move(day, move_id).await;
                }
                // Somebody drives it: it is asked again.
                Some(Attempt::Pending) => {}
                // The day cannot be read now: it is asked again.
                None => arrivals.unknown += 1,
            }
        }
        Ok(arrivals)
    }

    /// Asks a day of this process, which is read first if need be; `None` if it cannot answer now.
    pub(super) async fn ask_here<T>(
        &self,
        day: DayKey,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Result<Option<T>, EngineError> {
        match self.day(day).await {
            Ok(_) | Err(EngineError::Rejected(Rejection::UnknownDay)) => {}
            Err(error) => return Err(error),
        }
        let (reply, answer) = oneshot::channel();
        self.entry(day, self.parts.clock.now())?.intake().control(Control::Ask(question(reply)));
        let answer = answer.await.ok();
        // Looked at last: what another node has recorded since is not known here.
        self.parts.territory.require(day).map(|()| answer)
    }
}

impl Move {
    fn command(&self, key: Option<&RequestKey>, action: Action) -> Command {
        Command { envelope: self.envelope, key: key.cloned(), action }
    }

    pub(super) fn prepare(&self) -> Command {
        let action = Action::PrepareMove { move_id: self.move_id, appointment: self.wish.appointment };
        self.command(self.key.as_ref(), action)
    }

    pub(super) fn hold(&self, row: Appointment) -> Command {
        let arriving = Arriving { move_id: self.move_id, from: self.from, row, wish: self.wish.clone() };
        self.command(None, Action::HoldForMove(arriving))
    }

    pub(super) fn commit(&self, version: u32, held: &Appointment) -> Command {
        let leaving = Leaving {
            move_id: self.move_id,
            appointment: self.wish.appointment,
            version,
            to: self.to.clone(),
            seat: Seat::of(held),
            end: held.end,
        };
        self.command(self.key.as_ref(), Action::CommitMove(leaving))
    }
}

pub(super) fn system(action: Action) -> Command {
    Command { action, ..Command::expire() }
}

/// Settles the open moves of the days that ask for it, as long as the engine is there.
pub(crate) async fn settle_open_moves(mut days: mpsc::Receiver<DayKey>, parts: Weak<Parts>) {
    let room = Arc::new(Semaphore::new(SETTLING_MAX));
    while let Some(day) = days.recv().await {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let Some(parts) = parts.upgrade() else { return };
        let handle = EngineHandle { parts: Arc::clone(&parts) };
        parts.spawn.spawn(Box::pin(async move {
            if let Err(error) = handle.settle_arrivals(day).await {
                tracing::debug!(%error, "moves on their way are not settled yet; their day will ask");
            }
            drop(place);
        }));
    }
}
