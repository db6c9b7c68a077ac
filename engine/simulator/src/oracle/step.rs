//! Whether one record is a legal step of its day, and what the day is after it.
//! Must not know: replies, keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use booking_core::{Appointment, Change, DayDefinition, DayKey, DayVersion, Event, Fact, Seat, Status, UtcMillis};

use super::day::{DayState, is_due, takes};
use super::offer::{Offer, Who};
use super::violation::{Kind, Violation, ensure};
use super::world::World;
use super::{moves, patients};

/// A day on its way through a record.
pub(super) struct Step<'world> {
    pub(super) world: &'world World,
    pub(super) day: DayKey,
    pub(super) position: u64,
    pub(super) at: UtcMillis,
    pub(super) state: DayState,
    /// Appointments that stand otherwise after the record, with the day they stand on.
    pub(super) told: Vec<(DayKey, Arc<Appointment>)>,
}

/// The day after `event`, and the appointments that it changed.
pub(super) fn advance<'world>(
    world: &'world World,
    day: DayKey,
    version: DayVersion,
    event: &Event,
) -> Result<Step<'world>, Violation> {
    let state = match (world.day_now(day), &event.fact) {
        (Some(state), _) => DayState { version, ..(**state).clone() },
        (None, Fact::Published(definition)) => DayState {
            version,
            offer: Arc::new(Offer::new(definition)),
            is_closed: false,
            rows: BTreeMap::new(),
            coming: BTreeMap::new(),
            gone: BTreeMap::new(),
        },
        (None, fact) => {
            return Err(Violation::new(Kind::IllegalStep, format!("{fact:?} on a day that was never published")));
        }
    };
    let mut step = Step { world, day, position: world.last_position() + 1, at: event.at, state, told: Vec::new() };
    let (expiries, own) = split(event)?;
    for change in expiries {
        step.expire(change)?;
    }
    ensure!(event.fact != Fact::Expired || !expiries.is_empty(), IllegalStep, "an expiry of nothing");
    step.fact(&event.fact, own)?;
    step.check_crowding()?;
    Ok(step)
}

/// The holds that had expired, and the change that is the command's own.
fn split(event: &Event) -> Result<(&[Change], Option<&Change>), Violation> {
    let has_own = matches!(
        event.fact,
        Fact::Taken | Fact::Confirmed | Fact::Cancelled | Fact::NoShow | Fact::Moved { .. } | Fact::MovedOut { .. }
    );
    if !has_own {
        return Ok((&event.changes, None));
    }
    let last = event.changes.split_last();
    ensure!(last.is_some(), IllegalStep, "{:?} changes no appointment", event.fact);
    Ok(last.map_or((&[], None), |(own, expiries)| (expiries, Some(own))))
}

impl Step<'_> {
    fn expire(&mut self, change: &Change) -> Result<(), Violation> {
        let id = change.row.id;
        let before = self.before(change)?;
        ensure!(before.status == Status::Held, IllegalExpiry, "{id} expires, but is {:?}", before.status);
        ensure!(
            is_due(&before, self.at),
            IllegalExpiry,
            "{id} expires at {:?}, before {:?}",
            self.at,
            before.hold_expires_at
        );
        self.becomes(&before, change, Appointment { status: Status::Expired, ..(*before).clone() })
    }

    fn fact(&mut self, fact: &Fact, own: Option<&Change>) -> Result<(), Violation> {
        match (fact, own) {
            (Fact::Published(definition), _) => self.publish(definition),
            (Fact::Closed { .. }, _) => {
                ensure!(!self.state.is_closed, IllegalStep, "closed again");
                self.state.is_closed = true;
                Ok(())
            }
            (Fact::Taken, Some(change)) => self.take(change),
            (Fact::Confirmed | Fact::Cancelled | Fact::NoShow, Some(change)) => self.change(fact, change),
            (Fact::Moved { from }, Some(change)) => self.relocate(*from, change),
            (Fact::MovedOut { move_id, to, from }, Some(change)) => moves::leave(self, *move_id, to, *from, change),
            (Fact::MoveHeld { move_id, from, row }, _) => moves::keep(self, *move_id, *from, row),
            (Fact::MovedIn { move_id, row }, _) => moves::arrive(self, *move_id, row),
            (Fact::MoveDropped { move_id, row }, _) => moves::drop(self, *move_id, row),
            _ => Ok(()),
        }
    }

    fn publish(&mut self, definition: &Arc<DayDefinition>) -> Result<(), Violation> {
        ensure!(!self.state.is_closed, ClosedDay, "a closed day is amended");
        let offer = Offer::new(definition);
        let slots = &definition.slots;
        let is_sound = slots.iter().all(|slot| slot.start < slot.end && slot.capacity > 0)
            && slots.windows(2).all(|pair| pair[0].end <= pair[1].start);
        ensure!(is_sound && !slots.is_empty(), IllegalStep, "the definition is not valid");
        let mut taken: BTreeMap<UtcMillis, (UtcMillis, u32)> = BTreeMap::new();
        self.state.seated().for_each(|row| taken.entry(row.start).or_insert((row.end, 0)).1 += 1);
        for (start, (end, count)) in taken {
            let keeps = slots.iter().any(|slot| slot.start == start && slot.end == end && slot.capacity >= count);
            ensure!(keeps, AmendedUnderBookings, "{count} places of the slot at {start:?} are taken");
        }
        for (other, state) in self.world.days_now() {
            let others = &state.offer.definition.slots;
            let is_apart = |slot: &booking_core::SlotDefinition| {
                others.iter().all(|other| other.end <= slot.start || slot.end <= other.start)
            };
            let is_concerned = other.doctor == self.day.doctor && other != self.day;
            ensure!(!is_concerned || slots.iter().all(is_apart), DaysOverlap, "slots overlap those of {other}");
        }
        self.state.offer = Arc::new(offer);
        Ok(())
    }

    fn take(&mut self, change: &Change) -> Result<(), Violation> {
        let row = &change.row;
        let is_known = !self.world.standings(row.id).is_empty();
        ensure!(!is_known && change.from.is_none(), IllegalStep, "{} is born a second time", row.id);
        ensure!(row.version == 1, VersionGap, "{} is born in version {}", row.id, row.version);
        let is_hold = match row.hold_expires_at {
            Some(expiry) => row.status == Status::Held && self.at < expiry && expiry <= row.start,
            None => row.status == Status::Booked,
        };
        let is_new = row.created_at == self.at && row.updated_at == self.at && row.cancellation_reason.is_none();
        ensure!(is_hold && is_new, IllegalStep, "no birth: {row:?}");
        self.check_place(row)?;
        patients::check(self.world, self.day, row, self.at)?;
        self.stand(row);
        Ok(())
    }

    fn change(&mut self, fact: &Fact, change: &Change) -> Result<(), Violation> {
        let before = self.before(change)?;
        let id = before.id;
        let is_now = if matches!(fact, Fact::NoShow) { self.at >= before.start } else { true };
        ensure!(!is_due(&before, self.at), LateChange, "{id} is {fact:?} after {:?}", before.hold_expires_at);
        let (may, status) = match fact {
            Fact::Confirmed => (before.status == Status::Held, Status::Booked),
            Fact::Cancelled => {
                let is_early = self.at < before.start;
                (is_early && matches!(before.status, Status::Held | Status::Booked), Status::Cancelled)
            }
            _ => (before.status == Status::Booked, Status::NoShow),
        };
        ensure!(may && is_now, IllegalStep, "{id}, which is {:?}, is {fact:?} at {:?}", before.status, self.at);
        let reason = change.row.cancellation_reason.clone().filter(|_| status == Status::Cancelled);
        let after = Appointment { status, hold_expires_at: None, cancellation_reason: reason, ..(*before).clone() };
        self.becomes(&before, change, after)
    }

    fn relocate(&mut self, from: Seat, change: &Change) -> Result<(), Violation> {
        let before = self.before(change)?;
        self.check_movable(&before, from)?;
        let after = reseated(&before, &change.row);
        self.becomes(&before, change, after)?;
        self.check_place(&change.row)?;
        patients::check(self.world, self.day, &change.row, self.at)
    }

    /// It is live, has not begun, and has the place that it is said to leave.
    pub(super) fn check_movable(&self, row: &Appointment, from: Seat) -> Result<(), Violation> {
        ensure!(!is_due(row, self.at), LateChange, "{} moves after {:?}", row.id, row.hold_expires_at);
        let is_movable = matches!(row.status, Status::Held | Status::Booked) && self.at < row.start;
        ensure!(is_movable, IllegalStep, "{} moves, which is {:?} at {:?}", row.id, row.status, row.start);
        ensure!(Seat::of(row) == from, IllegalStep, "{} leaves {from:?}, but sits elsewhere", row.id);
        Ok(())
    }

    /// The row before a change of it.
    pub(super) fn before(&self, change: &Change) -> Result<Arc<Appointment>, Violation> {
        let id = change.row.id;
        let before = self.state.rows.get(&id).filter(|before| change.from == Some(before.status));
        match before {
            Some(before) => Ok(Arc::clone(before)),
            None => Err(Violation::new(
                Kind::IllegalStep,
                format!("{id} changes from {:?}, which it is not here", change.from),
            )),
        }
    }

    /// The change must be to `after`, one version later.
    pub(super) fn becomes(
        &mut self,
        before: &Appointment,
        change: &Change,
        after: Appointment,
    ) -> Result<(), Violation> {
        let (row, at) = (&change.row, self.at);
        let is_next = row.version == before.version + 1;
        ensure!(is_next, VersionGap, "{} goes from version {} to {}", row.id, before.version, row.version);
        let after = Appointment { updated_at: at, version: before.version + 1, ..after };
        ensure!(*row == after, IllegalStep, "{before:?} becomes {row:?}, not {after:?}");
        self.stand(row);
        Ok(())
    }

    fn stand(&mut self, row: &Appointment) {
        let row = Arc::new(row.clone());
        self.state.rows.insert(row.id, Arc::clone(&row));
        self.told.push((self.day, row));
    }

    /// The place exists, and somebody may have it now. That nobody else has it is [`Step::check_crowding`]'s to say.
    pub(super) fn check_place(&self, row: &Appointment) -> Result<(), Violation> {
        let id = row.id;
        let offer = &self.state.offer;
        let slot = offer.slot_at(row.start).filter(|slot| offer.definition.slots[*slot].end == row.end);
        ensure!(slot.is_some(), NoSuchPlace, "{id} sits at {:?}, where there is no slot", row.start);
        let slot = slot.unwrap_or_default();
        ensure!(!self.state.is_closed, ClosedDay, "{id} gets a place of a closed day");
        ensure!(self.at < row.start, AfterStart, "{id} gets a place at {:?}, after {:?}", self.at, row.start);
        ensure!(
            row.place < offer.capacity(slot),
            Oversold,
            "{id} gets place {} of {}",
            row.place,
            offer.capacity(slot)
        );
        let is_open = offer.is_open(slot, row.place, Who::Anybody, self.at);
        ensure!(is_open, WithheldPlace, "{id} gets place {} of {:?}, open to nobody yet", row.place, row.start);
        Ok(())
    }

    /// Every place has one appointment, every slot no more than its capacity.
    fn check_crowding(&self) -> Result<(), Violation> {
        let mut seats = BTreeMap::new();
        let mut counts: BTreeMap<UtcMillis, u32> = BTreeMap::new();
        for row in self.state.seated() {
            let other = seats.insert((row.start, row.place), row.id);
            let place = row.place;
            ensure!(other.is_none(), PlaceTwice, "{} and {other:?} have place {place} of {:?}", row.id, row.start);
            *counts.entry(row.start).or_default() += u32::from(takes(row.status));
        }
        for (start, count) in counts {
            let capacity = self.state.offer.slot_at(start).map_or(0, |slot| self.state.offer.capacity(slot));
            ensure!(count <= capacity, Oversold, "{count} of {capacity} places at {start:?} are taken");
        }
        Ok(())
    }
}

/// `before` in the seat of `seat`: a hold keeps its end, but none lasts beyond the start of its slot.
pub(super) fn reseated(before: &Appointment, seat: &Appointment) -> Appointment {
    let hold_expires_at = before.hold_expires_at.map(|expiry| expiry.min(seat.start));
    Appointment { start: seat.start, end: seat.end, place: seat.place, hold_expires_at, ..before.clone() }
}
