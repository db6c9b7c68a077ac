//! What a day is asked about moves, claims and its rows, and tells from its durable state alone.
//! Must not know: who asks, what is done about it.

use std::sync::Arc;

use booking_core::{Appointment, AppointmentId, DayKey, Departure, MoveId, SubjectId, UtcMillis, planted};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::day::{Awake, DayActor, Phase};
use crate::ledger::{AppointmentQuery, PlacedAppointment};
use crate::ownership::peers::{ClaimState, KeyClaimState};

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
    /// Which of its rows does the query admit? By (start, id), at most as many as the query says.
    Rows(Box<AppointmentQuery>, oneshot::Sender<Vec<PlacedAppointment>>),
    /// Does an appointment take its patient's time here?
    Claim(AppointmentId, oneshot::Sender<ClaimState>),
    /// How does an appointment stand here?
    Appointment(AppointmentId, oneshot::Sender<Known>),
    /// Has this key of this subject won here?
    Key(SubjectId, Box<str>, oneshot::Sender<KeyClaimState>),
}

/// What a day knows of an appointment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Known {
    /// It is here, or was until it was over.
    Here(Box<Appointment>),
    /// It was here, and left.
    Left(Box<Departure>),
    /// It has never been here.
    Never,
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
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
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
        Question::Rows(query, reply) => {
            let _ = reply.send(rows(awake, actor.entry.day(), &query));
        }
        Question::Claim(appointment, reply) => {
            let _ = reply.send(claim(awake, appointment, actor.ports.clock.now()));
        }
        Question::Appointment(appointment, reply) => {
            let _ = reply.send(known(awake, appointment));
        }
        Question::Key(subject, key, reply) => {
            let _ = reply.send(key_claim(awake, subject, &key));
        }
    }
}

fn known(awake: &Awake, appointment: AppointmentId) -> Known {
    match (awake.durable.appointment(appointment), awake.durable.departure(appointment)) {
        (Some(row), _) => Known::Here(Box::new(row.clone())),
        (None, Some(departure)) => Known::Left(Box::new(departure.clone())),
        (None, None) => Known::Never,
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

/// Looks at every appointment of the day: 100,000 take a few milliseconds.
fn rows(awake: &Awake, day: DayKey, query: &AppointmentQuery) -> Vec<PlacedAppointment> {
    let time_zone: Arc<str> = awake.durable.definition().map_or("".into(), |definition| (*definition.time_zone).into());
    let placed =
        |row: &Appointment| PlacedAppointment { day, time_zone: Arc::clone(&time_zone), appointment: row.clone() };
    let mut page: Vec<PlacedAppointment> =
        awake.durable.appointments().map(placed).filter(|placed| query.admits(placed)).collect();
    page.sort_unstable_by_key(|placed| (placed.appointment.start, placed.appointment.id));
    page.truncate(query.limit);
    page
}

fn claim(awake: &Awake, appointment: AppointmentId, now: UtcMillis) -> ClaimState {
    if let Some(row) = awake.durable.appointment(appointment).filter(|row| row.status.is_live()) {
        // A hold that has ended just now is recorded first; so is whatever else is decided and takes it from there.
        let stays = |tip: &Appointment| tip.status.is_live() && tip.start == row.start;
        let is_settled = awake.tip.appointment(appointment).is_some_and(stays) && !row.is_due(now);
        return match is_settled {
            true => ClaimState::Live { start: row.start, end: row.end },
            false => ClaimState::Pending,
        };
    }
    let is_decided = awake.tip.appointment(appointment).is_some_and(|row| row.status.is_live());
    let is_arriving = [&awake.durable, &awake.tip]
        .iter()
        .any(|state| state.arrivals().any(|(_, arrival)| arrival.row.id == appointment));
    if is_decided || is_arriving { ClaimState::Pending } else { ClaimState::Absent }
}

fn key_claim(awake: &Awake, subject: SubjectId, key: &str) -> KeyClaimState {
    match (awake.durable.remembered_key(subject, key), awake.tip.remembered_key(subject, key)) {
        (Some(_), _) => KeyClaimState::Won,
        (None, Some(_)) => KeyClaimState::Pending,
        (None, None) => KeyClaimState::Absent,
    }
}
