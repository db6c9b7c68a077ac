//! Bookings and holds: who gets a place gets the right one; who does not could not at some instant.
//! Must not know: other calls.

use booking_core::{AppointmentId, DayKey, PatientId, Rejection, Status, UtcMillis};
use engine::view::{AppointmentReply, BookRequest};

use super::day::DayState;
use super::judge::{Finding, Judge, Outcome};
use super::offer::Who;
use super::patients::in_the_way;
use super::seek;
use super::violation::{Violation, ensure};

/// A place wanted on a day, by whom and for which appointment (none, if it is still to be born).
pub(super) struct Wish<'wish> {
    pub(super) day: DayKey,
    pub(super) patient: PatientId,
    pub(super) appointment: Option<AppointmentId>,
    pub(super) start: Option<UtcMillis>,
    pub(super) audiences: &'wish [Box<str>],
}

impl Judge<'_> {
    pub(super) fn booked(&self, asked: &BookRequest, reply: &AppointmentReply) -> Result<Finding, Violation> {
        if let Some(replay) = self.check_key_of_row(asked.caller.key.as_ref(), reply)? {
            return Ok(replay);
        }
        let standing = self.standing_of(&reply.placed)?;
        let (row, booking) = (&*standing.row, &asked.booking);
        let world = &self.oracle.world;
        let is_own = world
            .record(standing.position)
            .is_some_and(|record| record.event.envelope.request == asked.caller.envelope.request && row.version == 1);
        ensure!(is_own, ReplyDiffers, "{} was not born by this request", row.id);
        let is_certain = standing.position <= self.window.from.of(asked.day);
        let is_told = self.oracle.births.contains(&row.id);
        ensure!(!is_certain && !is_told, AcknowledgedTwice, "{} is told as new again", row.id);
        let hold_expires_at = booking.hold_millis.map(|millis| row.created_at.plus_millis(millis).min(row.start));
        let fits = standing.day == asked.day
            && row.patient == booking.patient
            && booking.start.is_none_or(|start| start == row.start)
            && row.hold_expires_at == hold_expires_at
            && row.status == if hold_expires_at.is_some() { Status::Held } else { Status::Booked };
        ensure!(fits, ReplyDiffers, "{row:?} is not what was asked: {booking:?} on {}", asked.day);
        let wish = Wish {
            day: asked.day,
            patient: booking.patient,
            appointment: Some(row.id),
            start: booking.start,
            audiences: &booking.audiences,
        };
        self.check_choice(&wish, standing.position, (row.start, row.place))?;
        Ok(Finding::success(standing.position, true))
    }

    pub(super) fn not_booked(&self, asked: &BookRequest, told: &Rejection) -> Result<Finding, Violation> {
        let booking = &asked.booking;
        let wish = Wish {
            day: asked.day,
            patient: booking.patient,
            appointment: None,
            start: booking.start,
            audiences: &booking.audiences,
        };
        self.refusal(told, asked.caller.key.as_ref(), &[asked.day], &self.outcomes(&wish))
    }

    /// The seat that the record at `position` gave is the one that the rules give on the day as it was before.
    pub(super) fn check_choice(
        &self,
        wish: &Wish<'_>,
        position: u64,
        (start, place): (UtcMillis, u32),
    ) -> Result<(), Violation> {
        let world = &self.oracle.world;
        let before = world.day_at(wish.day, position.saturating_sub(1));
        let (Some(state), Some(record)) = (before, world.record(position)) else { return Ok(()) };
        let at = record.event.at;
        let slot = state.offer.slot_at(start).unwrap_or(usize::MAX);
        let picked = if slot < state.slots() { state.pick(slot, Who::Holder(wish.audiences), at) } else { None };
        ensure!(
            picked == Some(place),
            WrongPlace,
            "place {place} of {start:?} at position {position}; by the rules {picked:?}"
        );
        if wish.start.is_none() {
            let earlier = seek::slots(state, None, wish.audiences, at).unwrap_or_default().into_iter();
            let missed = earlier.take_while(|other| *other < slot).find(|other| self.is_clear(wish, state, *other));
            ensure!(
                missed.is_none(),
                WrongPlace,
                "the slot at {start:?} at position {position}, though {missed:?} is earlier and free"
            );
        }
        Ok(())
    }

    /// Whether nothing can have kept the patient away from the slot.
    pub(super) fn is_clear(&self, wish: &Wish<'_>, state: &DayState, slot: usize) -> bool {
        self.blockers(wish, state, slot).is_empty()
    }

    fn blockers(&self, wish: &Wish<'_>, state: &DayState, slot: usize) -> Vec<AppointmentId> {
        let offered = &state.offer.definition.slots[slot];
        let who = (wish.patient, wish.appointment);
        let rows = in_the_way(&self.oracle.world, self.window, who, wish.day, (offered.start, offered.end));
        rows.iter().map(|row| row.id).collect()
    }

    /// Everything that the rules may have said to the wish in the window.
    pub(super) fn outcomes(&self, wish: &Wish<'_>) -> Vec<Outcome> {
        let from = self.window.from.of(wish.day);
        let mut outcomes = Vec::new();
        for state in self.oracle.world.states(wish.day, from, self.window.to_position) {
            let Some(state) = state else {
                outcomes.push(Err(Rejection::UnknownDay));
                continue;
            };
            for at in seek::instants(state, self.window.earliest(), self.window.latest()) {
                self.outcomes_at(wish, state, at, &mut outcomes);
            }
        }
        outcomes
    }

    fn outcomes_at(&self, wish: &Wish<'_>, state: &DayState, at: UtcMillis, outcomes: &mut Vec<Outcome>) {
        let slots = match seek::slots(state, wish.start, wish.audiences, at) {
            Ok(slots) => slots,
            Err(rejection) => return outcomes.push(Err(rejection)),
        };
        let refusal = |appointment| Err(Rejection::AlreadyBooked { appointment });
        let blockers: Vec<Vec<AppointmentId>> = slots.iter().map(|slot| self.blockers(wish, state, *slot)).collect();
        let here = state.live_of(wish.patient, wish.appointment, at).map(|row| (row.start, row.id)).min();
        if let Some((_, here)) = here {
            outcomes.push(refusal(here));
        } else if blockers.iter().any(Vec::is_empty) {
            return outcomes.push(Ok(()));
        }
        outcomes.extend(blockers.into_iter().flatten().map(refusal));
    }
}
