//! Another place for an appointment: within its day as one command, to another day as a move.
//! Must not know: HTTP, the steps of a move.

use std::sync::Arc;

use booking_core::{Action, Command, DayKey, Home, MoveId, Rejection, Relocation, UtcMillis};
use tokio::sync::oneshot;

use super::moves::{Move, MoveAnswer};
use super::submit::Attempt;
use super::{EngineHandle, HOPS_MAX, appointment_reply};
use crate::actors::admission::Lane;
use crate::actors::request::CommandResult;
use crate::error::EngineError;
use crate::view::{AppointmentReply, DayView, PlacedAppointment, RescheduleRequest};

impl EngineHandle {
    /// Gives an appointment another place, on whatever day: the same id, status and expiry. The answer leaves after it is
    /// durable; until then, and if it is refused, the old place stays. A move is driven where the appointment stands: elsewhere it is
    /// `NotHere`, wherever it is to go.
    pub async fn reschedule(&self, request: RescheduleRequest) -> Result<AppointmentReply, EngineError> {
        for _ in 0..HOPS_MAX {
            let placed = self.appointment(request.id).await?;
            // Before the day to go to is looked for: if no doctor is named, it was another one when the key won.
            if let Some(result) = self.replay_wherever(request.caller.key.as_ref(), None).await {
                return result.and_then(appointment_reply);
            }
            if let Some(result) = self.replay_of_moved(request.caller.key.as_ref(), placed.day, request.id).await {
                return result.and_then(appointment_reply);
            }
            let target = DayKey { doctor: request.doctor.unwrap_or(placed.day.doctor), date: request.date };
            let goal = self.goal(target).await?;
            let result = if target == placed.day {
                self.submit(target, command_of(&request, Action::Move(wish_of(&request))), Lane::Sheddable).await
            } else {
                match self.move_to(&goal, &placed, &request).await {
                    Attempt::Settled(result) => result,
                    Attempt::Again => continue,
                }
            };
            match result {
                Err(EngineError::Rejected(rejection)) if rejection.is_internal() => {}
                result => return result.and_then(appointment_reply),
            }
        }
        Err(EngineError::Unavailable("the appointment was moved again and again".to_owned()))
    }

    /// The day to go to. One of another node is known in outline, and refuses for itself what does not suit.
    async fn goal(&self, day: DayKey) -> Result<Goal, EngineError> {
        match self.day(day).await {
            Err(EngineError::NotHere { .. }) if self.has_peers() => {
                let time_zone = self.outline(day).await?.time_zone;
                Ok(Goal { home: Home { day, time_zone }, view: None })
            }
            view => {
                let view = view?;
                let time_zone = Arc::from(&*view.snapshot.definition().time_zone);
                Ok(Goal { home: Home { day, time_zone }, view: Some(view) })
            }
        }
    }

    /// One attempt to move an appointment from the day it stands on.
    async fn move_to(&self, goal: &Goal, placed: &PlacedAppointment, request: &RescheduleRequest) -> Attempt {
        let now = self.parts.clock.now();
        let entry = match self.entry(placed.day, now) {
            Ok(entry) => entry,
            Err(error) => return Attempt::Settled(Err(error)),
        };
        let command = command_of(request, Action::PrepareMove { move_id: self.move_id(), appointment: request.id });
        if let Some(key) = &command.key
            && let Some(attempt) = self.follow(entry.in_flight().look(key)).await
        {
            return attempt;
        }
        if let Some(result) = self.answer_early(&entry, &command, now) {
            return Attempt::Settled(self.parts.territory.require(placed.day).and(result));
        }
        if let Some(refusal) = early_refusal(goal, placed, request, now) {
            return Attempt::Settled(refusal);
        }
        let permit = match self.admit(Lane::Sheddable, &command) {
            Ok(permit) => permit,
            Err(refusal) => return Attempt::Settled(Err(refusal)),
        };
        if let Some(key) = &command.key
            && let Some(attempt) = self.follow(entry.in_flight().enter(key)).await
        {
            return attempt;
        }
        let (reply, outcome) = oneshot::channel();
        let in_flight = command.key.clone().map(|key| (entry, key));
        let answer = MoveAnswer { reply: Some(reply), in_flight, permit: Some(permit) };
        let job = Move {
            move_id: self.move_id(),
            from: placed.day,
            to: goal.home.clone(),
            wish: wish_of(request),
            envelope: command.envelope,
            key: command.key,
        };
        // Beside the caller: one that goes away must not leave a place kept.
        self.parts.spawn.spawn(Box::pin(self.clone().drive(job, answer)));
        let interrupted = || Err(EngineError::Unavailable("the move was interrupted".to_owned()));
        Attempt::Settled(outcome.await.unwrap_or_else(|_| interrupted()))
    }

    fn move_id(&self) -> MoveId {
        MoveId(self.parts.ids.next())
    }
}

/// Where an appointment is to go.
struct Goal {
    home: Home,
    /// Its picture, if it is here.
    view: Option<DayView>,
}

/// What the published picture of the day to go to refuses for certain, of an appointment that may leave.
fn early_refusal(
    goal: &Goal,
    placed: &PlacedAppointment,
    request: &RescheduleRequest,
    now: UtcMillis,
) -> Option<CommandResult> {
    let row = &placed.appointment;
    let now = goal.view.as_ref().map_or(now, |view| view.now);
    if !row.is_live_at(now) || row.start <= now {
        return Some(Err(Rejection::NotChangeable.into()));
    }
    let target = goal.view.as_ref()?;
    let refusal = target.snapshot.refusal_at(request.start, &request.audiences, target.now)?;
    Some(Err(refusal.into()))
}

fn wish_of(request: &RescheduleRequest) -> Relocation {
    let audiences = Arc::clone(&request.audiences);
    Relocation { appointment: request.id, start: request.start, audiences, busy: Vec::new() }
}

fn command_of(request: &RescheduleRequest, action: Action) -> Command {
    Command { envelope: request.caller.envelope, key: request.caller.key.clone(), action }
}
