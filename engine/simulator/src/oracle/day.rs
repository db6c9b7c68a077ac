//! One doctor-day as its records leave it: lists, and loops over them.
//! Must not know: other days, whether a record was legal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use booking_core::{Appointment, AppointmentId, DayKey, DayVersion, MoveId, PatientId, Status, UtcMillis};

use super::offer::{Offer, Who};

/// A place kept for an appointment on its way in.
#[derive(Clone)]
pub(super) struct Coming {
    pub(super) from: DayKey,
    pub(super) row: Arc<Appointment>,
    /// Position of the record that keeps it.
    pub(super) position: u64,
}

/// An appointment that left.
#[derive(Clone)]
pub(super) struct Gone {
    pub(super) move_id: MoveId,
    pub(super) to: DayKey,
    pub(super) row: Arc<Appointment>,
}

/// The day after one of its records.
#[derive(Clone)]
pub(super) struct DayState {
    pub(super) version: DayVersion,
    pub(super) offer: Arc<Offer>,
    pub(super) is_closed: bool,
    pub(super) rows: BTreeMap<AppointmentId, Arc<Appointment>>,
    pub(super) coming: BTreeMap<MoveId, Coming>,
    pub(super) gone: BTreeMap<AppointmentId, Gone>,
}

/// Where the places of a slot are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Counts {
    pub(super) free: u32,
    pub(super) withheld: u32,
    pub(super) held: u32,
    pub(super) booked: u32,
}

/// Whether `row` is a hold whose instant has come.
pub(super) fn is_due(row: &Appointment, at: UtcMillis) -> bool {
    row.status == Status::Held && row.hold_expires_at.is_some_and(|expiry| expiry <= at)
}

/// Whether the visit is still to come or under way, and not lost by a hold that is due.
pub(super) fn is_live(row: &Appointment, at: UtcMillis) -> bool {
    match row.status {
        Status::Held => !is_due(row, at),
        Status::Booked => at < row.end,
        _ => false,
    }
}

/// Whether a row in this status has its place.
pub(super) fn takes(status: Status) -> bool {
    matches!(status, Status::Held | Status::Booked | Status::NoShow | Status::Completed)
}

impl DayState {
    pub(super) fn slots(&self) -> usize {
        self.offer.definition.slots.len()
    }

    pub(super) fn start(&self, slot: usize) -> UtcMillis {
        self.offer.definition.slots[slot].start
    }

    /// Closed by hand, or the last slot has begun.
    pub(super) fn is_over(&self, at: UtcMillis) -> bool {
        self.is_closed || self.offer.definition.slots.iter().all(|slot| slot.start <= at)
    }

    /// Every row that has a place here, those on their way in included.
    pub(super) fn seated(&self) -> impl Iterator<Item = &Arc<Appointment>> {
        let here = self.rows.values().filter(|row| takes(row.status));
        here.chain(self.coming.values().map(|coming| &coming.row))
    }

    /// Places of the slot that are taken; holds that are due take none.
    pub(super) fn taken(&self, start: UtcMillis, at: UtcMillis) -> BTreeSet<u32> {
        let here = self.rows.values().filter(|row| takes(row.status) && !is_due(row, at));
        let all = here.chain(self.coming.values().map(|coming| &coming.row));
        all.filter(|row| row.start == start).map(|row| row.place).collect()
    }

    /// Places of the slot that can be given. A slot that was made smaller under higher place numbers blocks as many of its
    /// untaken places, the highest first.
    pub(super) fn untaken(&self, slot: usize, at: UtcMillis) -> Vec<u32> {
        let capacity = self.offer.capacity(slot);
        let taken = self.taken(self.start(slot), at);
        let beyond = taken.iter().filter(|place| **place >= capacity).count();
        let mut untaken: Vec<u32> = (0..capacity).filter(|place| !taken.contains(place)).collect();
        untaken.truncate(untaken.len().saturating_sub(beyond));
        untaken
    }

    /// The place of a slot that such a caller gets: those that are open to it only through an audience first, then the lowest.
    pub(super) fn pick(&self, slot: usize, who: Who<'_>, at: UtcMillis) -> Option<u32> {
        let mut open = self.untaken(slot, at);
        open.retain(|place| self.offer.is_open(slot, *place, who, at));
        open.into_iter().min_by_key(|place| (self.offer.is_open(slot, *place, Who::EVERYONE, at), *place))
    }

    /// Live appointments of a patient here, except one.
    pub(super) fn live_of(
        &self,
        patient: PatientId,
        except: Option<AppointmentId>,
        at: UtcMillis,
    ) -> impl Iterator<Item = &Arc<Appointment>> {
        let rows = self.rows.values();
        rows.filter(move |row| row.patient == patient && Some(row.id) != except && is_live(row, at))
    }

    /// What a reader is told of a slot at `at`. Nothing is due by then: holds are counted as they are stored.
    pub(super) fn counts(&self, slot: usize, at: UtcMillis) -> Counts {
        let start = self.start(slot);
        let in_slot = || self.rows.values().filter(|row| row.start == start);
        let kept = self.coming.values().filter(|coming| coming.row.start == start).count();
        let held = (in_slot().filter(|row| row.status == Status::Held).count() + kept) as u32;
        let booked = in_slot().filter(|row| takes(row.status) && row.status != Status::Held).count() as u32;
        let never = UtcMillis(i64::MIN);
        let mut open = self.untaken(slot, never);
        open.retain(|place| self.offer.is_open(slot, *place, Who::EVERYONE, at));
        let free = if self.is_over(at) || start <= at { 0 } else { open.len() as u32 };
        Counts { free, withheld: self.offer.capacity(slot).saturating_sub(held + booked + free), held, booked }
    }

    /// Whether the day knows the appointment in any way.
    pub(super) fn knows(&self, id: AppointmentId) -> bool {
        self.rows.contains_key(&id)
            || self.gone.contains_key(&id)
            || self.coming.values().any(|coming| coming.row.id == id)
    }
}
