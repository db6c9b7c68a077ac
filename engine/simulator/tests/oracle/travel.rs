//! Moves between days in their steps: prepared, kept, committed, taken in; or given up on the way.
//! Must not know: what else happens meanwhile.

use std::sync::Arc;

use booking_core::{Action, Arriving, DayKey, Home, Leaving, MoveId, Rejection, Relocation, Seat, Success, UtcMillis};
use engine::EngineError;
use engine::view::{Caller, RescheduleRequest};
use simulator::oracle::Asked;

use crate::hand::{ZONE, attempt};
use crate::tour::Tour;
use crate::town::command;

/// A move between days that has begun.
pub(crate) struct UnderWay {
    pub(crate) asked: RescheduleRequest,
    pub(crate) sent: (u64, UtcMillis),
    pub(crate) move_id: MoveId,
    pub(crate) from: DayKey,
    pub(crate) to: DayKey,
    pub(crate) row: booking_core::Appointment,
    pub(crate) stage: Stage,
}

pub(crate) enum Stage {
    Prepared,
    Kept(booking_core::Appointment),
    Committed(booking_core::Appointment),
}

impl Tour {
    pub(crate) fn reschedule(&mut self, request: &RescheduleRequest) {
        let (sent, asked) = (self.sent_now(), Asked::Reschedule(request.clone()));
        if self.moves.iter().any(|moving| moving.asked.id == request.id) {
            return;
        }
        let refuse = |rejection| Err(EngineError::Rejected(rejection));
        let Some(placed) = self.placed(request.id) else {
            return self.town.answer(asked, refuse(Rejection::UnknownAppointment), sent);
        };
        if let Some(reply) = self.town.replay(request.caller.key.as_ref()) {
            return self.town.answer(asked, reply, sent);
        }
        let to = DayKey { doctor: request.doctor.unwrap_or(placed.day.doctor), date: request.date };
        if self.town.day(to).definition().is_none() {
            return self.town.answer(asked, refuse(Rejection::UnknownDay), sent);
        }
        let wish = wish_of(request);
        if to == placed.day {
            return self.run(to, &command(&request.caller, Action::Move(wish)), &asked);
        }
        let move_id = attempt(self.requests);
        let prepare = command(&request.caller, Action::PrepareMove { move_id, appointment: request.id });
        let Some(decision) = self.town.run(placed.day, &prepare) else { return };
        match &decision.outcome {
            Ok(Success::Appointment { appointment, replayed: false, .. }) => {
                let (asked, row) = (request.clone(), appointment.clone());
                self.moves.push(UnderWay { asked, sent, move_id, from: placed.day, to, row, stage: Stage::Prepared });
            }
            _ => {
                let reply = self.town.reply(placed.day, &decision);
                self.town.answer(asked, reply, sent);
            }
        }
    }

    /// The next step of a move.
    pub(crate) fn advance(&mut self, position: usize, gives_up: bool) {
        let moving = self.moves.remove(position);
        let asked = Asked::Reschedule(moving.asked.clone());
        let (from, to, sent) = (moving.from, moving.to, moving.sent);
        match &moving.stage {
            Stage::Prepared => {
                let (wish, row) = (wish_of(&moving.asked), moving.row.clone());
                let hold = Action::HoldForMove(Arriving { move_id: moving.move_id, from, row, wish });
                let keyless = Caller { key: None, ..moving.asked.caller.clone() };
                match self.town.run(to, &command(&keyless, hold)) {
                    None if gives_up => {}
                    None => self.moves.push(moving),
                    Some(decision) => match &decision.outcome {
                        Ok(Success::Appointment { appointment, .. }) => {
                            self.moves.push(UnderWay { stage: Stage::Kept(appointment.clone()), ..moving });
                        }
                        _ => {
                            let reply = self.town.reply(to, &decision);
                            self.town.answer(asked, reply, sent);
                        }
                    },
                }
            }
            Stage::Kept(_) if gives_up => {
                let reply = Err(EngineError::Unavailable("given up".to_owned()));
                self.town.answer(asked, reply, sent);
                self.give_back(&moving);
            }
            Stage::Kept(kept) => {
                let leaving = Leaving {
                    move_id: moving.move_id,
                    appointment: moving.asked.id,
                    version: moving.row.version,
                    to: Home { day: to, time_zone: ZONE.into() },
                    seat: Seat::of(kept),
                    end: kept.end,
                };
                let commit = command(&moving.asked.caller, Action::CommitMove(leaving));
                let Some(decision) = self.town.run(from, &commit) else { return self.moves.push(moving) };
                match &decision.outcome {
                    Ok(Success::Appointment { appointment, replayed: false, .. }) => {
                        let stage = Stage::Committed(appointment.clone());
                        let reply = self.town.reply(from, &decision);
                        self.town.answer(asked, reply, sent);
                        self.moves.push(UnderWay { stage, ..moving });
                    }
                    outcome => {
                        // The engine would begin again.
                        if !matches!(outcome, Err(rejection) if rejection.is_internal()) {
                            let reply = self.town.reply(from, &decision);
                            self.town.answer(asked, reply, sent);
                        }
                        self.give_back(&moving);
                    }
                }
            }
            Stage::Committed(_) => {
                self.moves.push(moving);
                self.take_in(self.moves.len() - 1);
                self.moves.pop();
            }
        }
    }

    pub(crate) fn give_back(&mut self, moving: &UnderWay) {
        let caller = self.caller();
        self.town.run(moving.to, &command(&caller, Action::DropMove { move_id: moving.move_id }));
    }

    /// Takes in what was let go.
    pub(crate) fn take_in(&mut self, position: usize) {
        let caller = self.caller();
        let moving = &self.moves[position];
        if let Stage::Committed(row) = &moving.stage {
            let accept = Action::AcceptMove { move_id: moving.move_id, row: row.clone() };
            self.town.run(moving.to, &command(&caller, accept)).expect("nothing stands in the way");
        }
    }
}

fn wish_of(request: &RescheduleRequest) -> Relocation {
    let audiences = Arc::clone(&request.audiences);
    Relocation { appointment: request.id, start: request.start, audiences, busy: Vec::new() }
}
