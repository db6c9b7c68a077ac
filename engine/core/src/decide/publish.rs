//! Whether a day may be created, replaced or closed.
//! Must not know: templates, time zones, other days of the doctor.

use std::sync::Arc;

use super::Effect;
use super::moment::Moment;
use crate::appointment::PersonalText;
use crate::command::Precondition;
use crate::definition::DayDefinition;
use crate::rejection::Rejection;

/// The first definition of a day. No precondition can hold: there is nothing yet that it could be about.
pub(super) fn create(definition: &Arc<DayDefinition>, precondition: Option<Precondition>) -> Result<Effect, Rejection> {
    match precondition {
        Some(_) => Err(Rejection::PreconditionFailed),
        None => Ok(Effect::Published { definition: Some(Arc::clone(definition)), created: true }),
    }
}

impl Moment<'_> {
    /// Another definition of a day. The same one changes nothing, also on a closed day.
    pub(super) fn publish(
        &self,
        definition: &Arc<DayDefinition>,
        precondition: Option<Precondition>,
    ) -> Result<Effect, Rejection> {
        let holds = match precondition {
            None | Some(Precondition::Exists) => true,
            Some(Precondition::Version(version)) => version == self.day.version,
            Some(Precondition::Never) => false,
        };
        if !holds {
            return Err(Rejection::PreconditionFailed);
        }
        if definition == self.definition {
            return Ok(Effect::Published { definition: None, created: false });
        }
        if self.day.closure.is_some() {
            return Err(Rejection::Closed);
        }
        self.keeps_taken_places(definition)?;
        Ok(Effect::Published { definition: Some(Arc::clone(definition)), created: false })
    }

    /// A slot with a place taken keeps its start and end, and a capacity of at least its places taken (`protocols.md`
    /// rule 18). Places are never renumbered: a number may so lie beyond the new capacity.
    fn keeps_taken_places(&self, definition: &DayDefinition) -> Result<(), Rejection> {
        let places = self.places();
        for (index, slot) in self.definition.slots.iter().enumerate() {
            let (held, booked) = places.held_and_booked(index);
            let held = if planted!(AmendedUnderHolds) { 0 } else { held };
            if held + booked == 0 {
                continue;
            }
            let successor = definition.slot_at(slot.start).map(|position| &definition.slots[position]);
            if !successor.is_some_and(|next| next.end == slot.end && next.capacity >= held + booked) {
                return Err(Rejection::SlotHasBookings { start: slot.start });
            }
        }
        Ok(())
    }

    /// Nothing more can be booked. Of a closed day: unchanged, whatever the reason.
    pub(super) fn close(&self, reason: Option<&PersonalText>) -> Effect {
        Effect::Closed { changed: self.day.closure.is_none(), reason: reason.cloned() }
    }
}
