//! Confirms, cancels, no-shows and reschedules of one appointment.
//! Must not know: other calls.

use std::sync::Arc;

use booking_core::{Appointment, AppointmentId, DayKey, Fact, Rejection, RequestId, Role, Status, UtcMillis};
use engine::view::{AppointmentAction, AppointmentAddress, AppointmentReply, Caller, RescheduleRequest};

use super::day::{DayState, is_due};
use super::judge::{Finding, Judge, Outcome};
use super::judge_book::Wish;
use super::seek;
use super::violation::{Violation, ensure};
use super::world::Standing;

/// What the rules say to a change of `row` at `at`; an unchanged success is one too.
fn outcome(action: &AppointmentAction, row: &Appointment, at: UtcMillis) -> Outcome {
    let status = if is_due(row, at) { Status::Expired } else { row.status };
    match (action, status) {
        (AppointmentAction::Confirm, Status::Held | Status::Booked) => Ok(()),
        (AppointmentAction::Confirm, Status::Expired) => Err(Rejection::HoldExpired),
        (AppointmentAction::Cancel { .. }, Status::Held | Status::Booked) if at < row.start => Ok(()),
        (AppointmentAction::Cancel { .. }, Status::Cancelled) => Ok(()),
        (AppointmentAction::NoShow, Status::Booked) if at >= row.start => Ok(()),
        (AppointmentAction::NoShow, Status::NoShow) => Ok(()),
        _ => Err(Rejection::NotChangeable),
    }
}

/// The status to which it leads.
fn target(action: &AppointmentAction) -> Status {
    match action {
        AppointmentAction::Confirm => Status::Booked,
        AppointmentAction::Cancel { .. } => Status::Cancelled,
        AppointmentAction::NoShow => Status::NoShow,
    }
}

/// Whether it may be moved.
fn is_movable(row: &Appointment, at: UtcMillis) -> bool {
    matches!(row.status, Status::Held | Status::Booked) && !is_due(row, at) && at < row.start
}

impl Judge<'_> {
    pub(super) fn changed(
        &self,
        id: AppointmentId,
        action: &AppointmentAction,
        caller: &Caller,
        reply: &AppointmentReply,
    ) -> Result<Finding, Violation> {
        if let Some(replay) = self.check_key_of_row(caller.key.as_ref(), reply)? {
            return Ok(replay);
        }
        let standing = self.standing_of(&reply.placed)?;
        let row = &standing.row;
        ensure!(row.id == id, ReplyDiffers, "{} is told of, {id} was asked for", row.id);
        ensure!(row.status == target(action), ReplyDiffers, "{id} is {:?} after {action:?}", row.status);
        let fact = self.fact_of(standing, caller.envelope.request);
        let is_due_to = match (action, &fact) {
            (_, None) => true,
            (AppointmentAction::Confirm, Some(fact)) => *fact == Fact::Confirmed,
            (AppointmentAction::Cancel { reason }, Some(fact)) => {
                *fact == Fact::Cancelled && row.cancellation_reason == *reason
            }
            (AppointmentAction::NoShow, Some(fact)) => *fact == Fact::NoShow,
        };
        ensure!(is_due_to, ReplyDiffers, "{row:?} is not what {action:?} does");
        Ok(Finding { shown: self.shown(standing), ..Finding::success(standing.position, false) })
    }

    /// What the record of a standing is, if the request made it and not another one before.
    fn fact_of(&self, standing: &Standing, request: RequestId) -> Option<Fact> {
        let record = self.oracle.world.record(standing.position)?;
        (record.event.envelope.request == request).then(|| record.event.fact.clone())
    }

    pub(super) fn not_changed(
        &self,
        address: &AppointmentAddress,
        action: &AppointmentAction,
        caller: &Caller,
        told: &Rejection,
    ) -> Result<Finding, Violation> {
        let world = &self.oracle.world;
        let (seen, may_be_unknown) = world.seen(address.id, &self.window.from, self.window.to_position);
        let mut outcomes = self.at_address(address, may_be_unknown);
        let mut days = vec![address.day];
        for standing in seen {
            days.push(standing.day);
            for at in self.instants_of(&standing.row) {
                outcomes.push(outcome(action, &standing.row, at));
            }
        }
        if let Rejection::MovedAway { to } = told {
            // The addressed day tells where it let the appointment go, which may have moved on since.
            let is_elsewhere =
                seen.iter().any(|standing| standing.day != address.day) && to.doctor != address.day.doctor;
            ensure!(is_elsewhere && caller.envelope.role == Role::Doctor, InternalRefusal, "{told:?} is told");
            return Ok(Finding::refused());
        }
        self.refusal(told, caller.key.as_ref(), &days, &outcomes)
    }

    /// What a day says that does not know the appointment.
    fn at_address(&self, address: &AppointmentAddress, may_be_unknown: bool) -> Vec<Outcome> {
        let from = self.window.from.of(address.day);
        let states = self.oracle.world.states(address.day, from, self.window.to_position);
        let mut outcomes = Vec::new();
        for state in states {
            match state {
                None => outcomes.push(Err(Rejection::UnknownDay)),
                Some(state) if may_be_unknown || !state.knows(address.id) => {
                    outcomes.push(Err(Rejection::UnknownAppointment));
                }
                Some(_) => {}
            }
        }
        outcomes
    }

    /// The instants of the window at which the row by itself means something new.
    fn instants_of(&self, row: &Appointment) -> Vec<UtcMillis> {
        let (from, to) = (self.window.earliest(), self.window.latest());
        let bounds = [Some(row.start), Some(row.end), row.hold_expires_at];
        let within = bounds.into_iter().flatten().filter(|at| *at > from && *at <= to);
        std::iter::once(from).chain(within).collect()
    }

    pub(super) fn moved(&self, asked: &RescheduleRequest, reply: &AppointmentReply) -> Result<Finding, Violation> {
        if let Some(replay) = self.check_key_of_row(asked.caller.key.as_ref(), reply)? {
            return Ok(replay);
        }
        let standing = self.standing_of(&reply.placed)?;
        let row = &standing.row;
        let fits = row.id == asked.id
            && standing.day.date == asked.date
            && asked.doctor.is_none_or(|doctor| doctor == standing.day.doctor)
            && matches!(row.status, Status::Held | Status::Booked);
        ensure!(fits, ReplyDiffers, "{row:?} on {} is not what was asked: {asked:?}", standing.day);
        let wish = Wish {
            day: standing.day,
            patient: row.patient,
            appointment: Some(row.id),
            start: asked.start,
            audiences: &asked.audiences,
        };
        ensure!(asked.start.is_none_or(|start| start == row.start), ReplyDiffers, "{} is at {:?}", row.id, row.start);
        let seat = (row.start, row.place);
        match self.fact_of(standing, asked.caller.envelope.request) {
            Some(Fact::Moved { .. }) => self.check_choice(&wish, standing.position, seat)?,
            Some(Fact::MovedOut { move_id, .. }) => {
                let target = self.oracle.world.day_at(standing.day, standing.position);
                if let Some(coming) = target.and_then(|target| target.coming.get(&move_id)) {
                    self.check_choice(&wish, coming.position, seat)?;
                }
            }
            _ => self.check_stays(&wish, row)?,
        }
        Ok(Finding { shown: self.shown(standing), ..Finding::success(standing.position, false) })
    }

    /// It was left where it is: at its own start, or because at some instant nothing earlier would have done.
    fn check_stays(&self, wish: &Wish<'_>, row: &Arc<Appointment>) -> Result<(), Violation> {
        if wish.start.is_some() {
            return Ok(());
        }
        let from = self.window.from.of(wish.day);
        let states = self.oracle.world.states(wish.day, from, self.window.to_position);
        let may_stay = states.into_iter().flatten().any(|state| {
            let mut instants = seek::instants(state, self.window.earliest(), self.window.latest()).into_iter();
            instants.any(|at| self.stays(wish, state, row, at))
        });
        ensure!(may_stay, WrongPlace, "{} stays at {:?}, though an earlier slot is free", row.id, row.start);
        Ok(())
    }

    fn stays(&self, wish: &Wish<'_>, state: &DayState, row: &Appointment, at: UtcMillis) -> bool {
        let earlier = match seek::slots(state, None, wish.audiences, at) {
            Ok(slots) => slots.into_iter().filter(|slot| state.start(*slot) < row.start).collect(),
            Err(Rejection::SoldOut) => Vec::new(),
            Err(_) => return false,
        };
        let is_here = state.live_of(row.patient, Some(row.id), at).next().is_some();
        is_here || earlier.iter().all(|slot| !self.is_clear(wish, state, *slot))
    }

    pub(super) fn not_moved(&self, asked: &RescheduleRequest, told: &Rejection) -> Result<Finding, Violation> {
        let world = &self.oracle.world;
        let (seen, may_be_unknown) = world.seen(asked.id, &self.window.from, self.window.to_position);
        let mut outcomes = Vec::new();
        if may_be_unknown {
            outcomes.push(Err(Rejection::UnknownAppointment));
        }
        let mut days = Vec::new();
        for standing in seen {
            let day = DayKey { doctor: asked.doctor.unwrap_or(standing.day.doctor), date: asked.date };
            days.extend([standing.day, day]);
            self.outcomes_of_move(asked, standing, day, &mut outcomes);
        }
        self.refusal(told, asked.caller.key.as_ref(), &days, &outcomes)
    }

    /// What the rules may have said to a move of an appointment that stood so.
    fn outcomes_of_move(
        &self,
        asked: &RescheduleRequest,
        standing: &Standing,
        day: DayKey,
        outcomes: &mut Vec<Outcome>,
    ) {
        let row = &standing.row;
        let movable: Vec<bool> = self.instants_of(row).into_iter().map(|at| is_movable(row, at)).collect();
        if movable.contains(&false) {
            outcomes.push(Err(Rejection::NotChangeable));
        }
        let wish = Wish {
            day,
            patient: row.patient,
            appointment: Some(row.id),
            start: asked.start,
            audiences: &asked.audiences,
        };
        let in_the_target = self.outcomes(&wish);
        if day != standing.day {
            if movable.contains(&true) || in_the_target.contains(&Err(Rejection::UnknownDay)) {
                outcomes.extend(in_the_target);
            }
            // The place that was kept may lie in a slot that has begun by the time of the commit.
            if self.has_begun_meanwhile(day) {
                outcomes.push(Err(Rejection::Closed));
            }
        } else if movable.contains(&true) {
            let is_own = asked.start == Some(row.start);
            let stays = |outcome: &Outcome| {
                let is_no_place = matches!(outcome, Err(Rejection::SoldOut | Rejection::AlreadyBooked { .. }));
                is_own || (asked.start.is_none() && is_no_place)
            };
            let told = in_the_target.into_iter().map(|outcome| if stays(&outcome) { Ok(()) } else { outcome });
            outcomes.extend(told);
        }
    }

    fn has_begun_meanwhile(&self, day: DayKey) -> bool {
        let state = self.oracle.world.day_at(day, self.window.to_position);
        let (from, to) = (self.window.earliest(), self.window.latest());
        state.is_some_and(|state| (0..state.slots()).any(|slot| state.start(slot) > from && state.start(slot) <= to))
    }
}
