//! How an event changes a day: total, no failure, no clock.
//! Must not know: why the event was decided.

use std::sync::Arc;

use crate::appointment::{Appointment, Status};
use crate::command::Answer;
use crate::day::{Arrival, Closure, DayVersion, Departure, DoctorDay, RememberedKey};
use crate::definition::DayDefinition;
use crate::event::{Event, Fact};
use crate::id::{DayKey, MoveId};
use crate::layout::Layout;
use crate::places::{Places, Taking};
use crate::time::UtcMillis;

impl DoctorDay {
    /// Adopts `event` as the record `version`. Total for every event that `decide` made on this state; never panics.
    ///
    /// A remembered [`Answer::Closed`] is kept with the `version` given here, whatever the event says: the answer names
    /// the record that it stands in, and only who writes the record knows its epoch for certain.
    pub fn apply(&mut self, version: DayVersion, event: &Event) {
        let departing = usize::from(event.moved_to().is_some());
        for change in event.changes.iter().rev().skip(departing).rev() {
            self.adopt_row(&change.row);
        }
        match &event.fact {
            Fact::Published(definition) => self.adopt_definition(definition),
            Fact::Closed { reason } => self.closure = Some(Closure { at: event.at, reason: reason.clone() }),
            Fact::MoveHeld { move_id, from, row } => self.expect(*move_id, *from, event.at, row),
            Fact::MovedIn { move_id, row } => {
                self.expect_no_more(*move_id);
                self.departures.remove(&row.id);
                self.adopt_row(row);
            }
            Fact::MoveDropped { move_id, .. } => self.expect_no_more(*move_id),
            Fact::MovedOut { move_id, to, .. } => {
                if let Some(change) = event.changes.last() {
                    let departure = Departure { move_id: *move_id, to: to.clone(), row: change.row.clone() };
                    self.let_go(departure);
                }
            }
            Fact::Taken
            | Fact::Confirmed
            | Fact::Cancelled
            | Fact::NoShow
            | Fact::Expired
            | Fact::Remembered
            | Fact::Moved { .. } => {}
        }
        if let Some((request, answer)) = &event.remembered {
            let answer = match answer {
                Answer::Closed { at, .. } => Answer::Closed { version, at: *at },
                Answer::Appointment(_) | Answer::Moved { .. } => answer.clone(),
            };
            let remembered = RememberedKey { key: request.key.clone(), fingerprint: request.fingerprint, answer };
            // Most subjects use one key a day: no room for more in advance.
            self.remembered.entry(request.subject).or_insert_with(|| Vec::with_capacity(1)).push(Arc::new(remembered));
        }
        self.version = version;
    }

    fn adopt_definition(&mut self, definition: &Arc<DayDefinition>) {
        let layout = Layout::new(definition);
        self.places = match &self.definition {
            Some(old) => self.places.carried_over(old, definition, &layout),
            None => Places::new(&layout, definition.slots.len()),
        };
        self.layout = Arc::new(layout);
        self.definition = Some(Arc::clone(definition));
    }

    /// From the row as it was, if it was there, to `row`: the same steps for every kind of change.
    pub(crate) fn adopt_row(&mut self, row: &Appointment) {
        if let Some(before) = self.appointments.insert(row.clone()) {
            if planted!(PlaceKeptAtCancel) && row.status == Status::Cancelled {
                return;
            }
            self.leave(&before);
            if planted!(TimerLeftAtConfirm) && row.status == Status::Booked {
                self.holds.extend(before.hold_expires_at.map(|expiry| (expiry, row.id)));
            } else if planted!(TimerLeftAtConfirm) {
                self.holds.retain(|(_, id)| *id != row.id);
            }
        }
        self.enter(row);
    }

    /// Keeps a place for `row`, which is not here yet.
    pub(crate) fn expect(&mut self, move_id: MoveId, from: DayKey, since: UtcMillis, row: &Appointment) {
        if let Some(slot) = self.slot_of(row) {
            self.places.take(slot, row.place, Taking::Held);
        }
        self.arrivals.insert(move_id, Arrival { from, since, row: row.clone() });
    }

    fn expect_no_more(&mut self, move_id: MoveId) {
        let Some(arrival) = self.arrivals.remove(&move_id) else { return };
        if let Some(slot) = self.slot_of(&arrival.row)
            && !planted!(KeptPlaceNotGivenBack)
        {
            self.places.free(slot, arrival.row.place, Taking::Held);
        }
    }

    fn let_go(&mut self, departure: Departure) {
        if let Some(before) = self.appointments.remove(departure.row.id)
            && !planted!(PlaceKeptAtMove)
        {
            self.leave(&before);
        }
        self.departures.insert(departure.row.id, departure);
    }

    fn leave(&mut self, row: &Appointment) {
        if let (Some(slot), Some(taking)) = (self.slot_of(row), taking(row.status)) {
            self.places.free(slot, row.place, taking);
        }
        if let (Status::Held, Some(expiry)) = (row.status, row.hold_expires_at) {
            self.holds.remove(&(expiry, row.id));
        }
        if row.status.is_live() {
            self.patients.remove(row.patient, row.id);
        }
    }

    fn enter(&mut self, row: &Appointment) {
        if let (Some(slot), Some(taking)) = (self.slot_of(row), taking(row.status)) {
            self.places.take(slot, row.place, taking);
        }
        if let (Status::Held, Some(expiry)) = (row.status, row.hold_expires_at) {
            self.holds.insert((expiry, row.id));
        }
        if row.status.is_live() {
            self.patients.insert(row.patient, row.id);
        }
    }

    /// Position of the slot of an appointment, if it is still offered.
    pub(crate) fn slot_of(&self, row: &Appointment) -> Option<usize> {
        self.definition.as_ref()?.slot_at(row.start)
    }
}

/// What the place of an appointment in this status counts as; `None` if it takes none.
pub(crate) fn taking(status: Status) -> Option<Taking> {
    match status {
        Status::Held => Some(Taking::Held),
        Status::Booked | Status::NoShow | Status::Completed => Some(Taking::Booked),
        Status::Cancelled | Status::Expired => None,
    }
}
