//! What a day is asked about moves, and tells from its durable state alone.
//! Must not know: who asks, what is done about it.

use booking_core::{AppointmentId, DayKey, Departure, MoveId, planted};
use tokio::sync::oneshot;

use super::day::{Awake, DayActor, Phase};

/// A question, with where the answer goes. It is dropped unanswered if the day has no state to answer from: ask again later.
pub enum Question {
    /// Which moves are on their way in?
    Arrivals(oneshot::Sender<Vec<OpenMove>>),
    /// What became of an attempt to move an appointment out?
    Attempt {
        /// Of which appointment.
        appointment: AppointmentId,
        /// Which attempt.
        move_id: MoveId,
        /// Where the answer goes.
        reply: oneshot::Sender<Attempt>,
    },
}

/// A move on its way in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenMove {
    /// Which attempt.
    pub move_id: MoveId,
    /// Of which appointment.
    pub appointment: AppointmentId,
    /// The day that knows the outcome.
    pub from: DayKey,
}

/// What became of an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Attempt {
    /// The appointment has left by it.
    Committed(Box<Departure>),
    /// It can still commit, or is committing.
    Pending,
    /// It has not committed, and never will.
    Aborted,
}

pub(super) fn answer(actor: &DayActor, question: Question) {
    let Phase::Awake(awake) = &actor.phase else { return };
    // Whoever went away asks again if it still wants to know.
    match question {
        Question::Arrivals(reply) => {
            let open = awake.durable.arrivals().map(|(move_id, arrival)| OpenMove {
                move_id,
                appointment: arrival.row.id,
                from: arrival.from,
            });
            let _ = reply.send(open.collect());
        }
        Question::Attempt { appointment, move_id, reply } => {
            let _ = reply.send(attempt(awake, appointment, move_id));
        }
    }
}

fn attempt(awake: &Awake, appointment: AppointmentId, move_id: MoveId) -> Attempt {
    let is_it = |departure: &&Departure| departure.move_id == move_id;
    if let Some(departure) = awake.durable.departure(appointment).filter(is_it) {
        return Attempt::Committed(Box::new(departure.clone()));
    }
    let is_committing = awake.tip.departure(appointment).is_some_and(|departure| is_it(&departure));
    let is_pending = awake.moves.is_pending(appointment, move_id) && !planted!(PendingCalledGivenUp);
    if is_committing || is_pending { Attempt::Pending } else { Attempt::Aborted }
}
