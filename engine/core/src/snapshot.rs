//! What everyone may see of a day, as of one version: counts per slot, state, release to come. Also the refusals
//! that can be given from it without asking the day itself.
//! Must not know: who has which place, which keys are remembered.

use std::sync::Arc;

use crate::admission::{Admission, Stock};
use crate::day::{DayVersion, DoctorDay};
use crate::definition::DayDefinition;
use crate::layout::{ClassSet, Layout};
use crate::places::Places;
use crate::rejection::Rejection;
use crate::time::UtcMillis;

/// The state that the contract names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DayState {
    /// Before the first release.
    Scheduled,
    /// Something that is released is free.
    Open,
    /// All that is released is taken.
    SoldOut,
    /// Closed by hand, or the last slot has begun.
    Closed,
}

/// Where the places of one slot are at one instant; the five always add up to the capacity.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SlotCounts {
    /// Untaken, and everyone can book it at this instant.
    pub free: u32,
    /// Untaken, but not everyone can book it: not released, reserved for an audience, or the slot has begun or the day
    /// is closed.
    pub withheld: u32,
    /// Kept by holds.
    pub held: u32,
    /// Set aside for a waitlist.
    pub offered: u32,
    /// Booked (also completed and no-show).
    pub booked: u32,
}

/// [`SlotCounts`] of many slots together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PlaceTotals {
    /// See [`SlotCounts::free`].
    pub free: u64,
    /// See [`SlotCounts::withheld`].
    pub withheld: u64,
    /// See [`SlotCounts::held`].
    pub held: u64,
    /// See [`SlotCounts::booked`].
    pub booked: u64,
}

impl PlaceTotals {
    /// Adds `other`.
    pub fn add(&mut self, other: Self) {
        self.free += other.free;
        self.withheld += other.withheld;
        self.held += other.held;
        self.booked += other.booked;
    }

    /// All of them.
    pub fn capacity(&self) -> u64 {
        self.free + self.withheld + self.held + self.booked
    }
}

/// An immutable picture of one published day at one version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DaySnapshot {
    pub(crate) version: DayVersion,
    pub(crate) definition: Arc<DayDefinition>,
    pub(crate) closed: bool,
    pub(crate) next_hold_expiry: Option<UtcMillis>,
    layout: Arc<Layout>,
    /// Shared with the day until one of the two changes a slot.
    places: Places,
}

impl DoctorDay {
    /// The picture of this state; `None` if the day was never published. Costs a reference a slot; appointments and
    /// keys are neither read nor copied.
    pub fn snapshot(&self) -> Option<DaySnapshot> {
        Some(DaySnapshot {
            version: self.version,
            definition: Arc::clone(self.definition.as_ref()?),
            closed: self.closure.is_some(),
            next_hold_expiry: self.next_hold_expiry(),
            layout: Arc::clone(&self.layout),
            places: self.places.clone(),
        })
    }
}

impl DaySnapshot {
    /// The version it shows.
    pub fn version(&self) -> DayVersion {
        self.version
    }

    /// What is offered.
    pub fn definition(&self) -> &Arc<DayDefinition> {
        &self.definition
    }

    /// Whether the day was closed by hand.
    pub fn is_closed_by_hand(&self) -> bool {
        self.closed
    }

    /// When the earliest hold ends. From that instant on the picture may be out of date (`protocols.md` rule 3):
    /// who meets it then has the day record the expiry first.
    pub fn next_hold_expiry(&self) -> Option<UtcMillis> {
        self.next_hold_expiry
    }

    /// Whether a hold is due at `now`.
    pub fn has_due_hold(&self, now: UtcMillis) -> bool {
        self.next_hold_expiry.is_some_and(|due| now >= due)
    }

    /// The contract's `state` at `now`. `Closed` goes before `Scheduled`; `Open` if anything that is released to
    /// anyone, to whatever audience, is free in a slot to come.
    pub fn state_at(&self, now: UtcMillis) -> DayState {
        let admission = self.admission(now);
        if admission.is_closed() {
            return DayState::Closed;
        }
        if self.definition.releases.first().is_some_and(|release| release.at > now) {
            return DayState::Scheduled;
        }
        let released = admission.open_to(|_| true);
        if admission.earliest_slot(released, &self.places).is_some() { DayState::Open } else { DayState::SoldOut }
    }

    /// What everyone can book now in slot number `slot`: 0 if the day is closed or the slot has begun, or if there is
    /// no such slot.
    pub fn remaining_at(&self, slot: usize, now: UtcMillis) -> u32 {
        self.counts_at(slot, now).free
    }

    /// [`DaySnapshot::remaining_at`] of all slots together.
    pub fn remaining_in_all_at(&self, now: UtcMillis) -> u64 {
        let open = self.bookable_by_everyone(now);
        let slots = self.admission(now).first_to_come()..self.definition.slots.len();
        slots.map(|slot| u64::from(self.untaken_in(slot, open))).sum()
    }

    /// Conservation counts of slot number `slot` at `now`; all 0 if there is no such slot. `free` is what
    /// [`DaySnapshot::remaining_at`] says.
    pub fn counts_at(&self, slot: usize, now: UtcMillis) -> SlotCounts {
        self.counts_of(slot, now, self.bookable_by_everyone(now))
    }

    /// [`DaySnapshot::counts_at`] of all slots together; nothing is ever set aside for a waitlist.
    pub fn totals_at(&self, now: UtcMillis) -> PlaceTotals {
        let open = self.bookable_by_everyone(now);
        let counts = (0..self.definition.slots.len()).map(|slot| self.counts_of(slot, now, open));
        counts.fold(PlaceTotals::default(), |mut totals, counts| {
            totals.free += u64::from(counts.free);
            totals.withheld += u64::from(counts.withheld);
            totals.held += u64::from(counts.held);
            totals.booked += u64::from(counts.booked);
            totals
        })
    }

    fn counts_of(&self, slot: usize, now: UtcMillis, open: ClassSet) -> SlotCounts {
        let Some(definition) = self.definition.slots.get(slot) else { return SlotCounts::default() };
        let (held, booked) = self.places.held_and_booked(slot);
        let has_begun = definition.start <= now;
        let free = if has_begun { 0 } else { self.untaken_in(slot, open) };
        SlotCounts {
            free,
            withheld: definition.capacity.saturating_sub(held + booked + free),
            held,
            offered: 0,
            booked,
        }
    }

    /// The next release after `now`, if one is to come.
    pub fn next_release_after(&self, now: UtcMillis) -> Option<UtcMillis> {
        let releases = &self.definition.releases;
        releases.get(releases.partition_point(|release| release.at <= now)).map(|release| release.at)
    }

    /// How many instants at which this picture changes by time alone (releases, slot starts) have passed at `now`:
    /// with the version, this names what a reader sees.
    pub fn phase_at(&self, now: UtcMillis) -> u32 {
        let releases = self.definition.releases.partition_point(|release| release.at <= now);
        (releases + self.admission(now).first_to_come()) as u32
    }

    /// The next instant after `now` at which this picture changes by time alone.
    pub fn next_change_after(&self, now: UtcMillis) -> Option<UtcMillis> {
        let next_start = self.definition.slots.get(self.admission(now).first_to_come()).map(|slot| slot.start);
        self.next_release_after(now).into_iter().chain(next_start).min()
    }

    /// A refusal of a booking that is certain from this picture alone: `Closed`, `NotReleased`, `UnknownSlot`,
    /// `SlotTaken` or `SoldOut`; `None` if the day itself must decide. Always `None` for the place-dependent ones
    /// while a hold is due. Terminal only for a picture of *durable* state.
    pub fn refusal_at(&self, start: Option<UtcMillis>, audiences: &[Box<str>], now: UtcMillis) -> Option<Rejection> {
        let admission = self.admission(now);
        match admission.admit(start, audiences) {
            Err(refusal) => Some(refusal),
            Ok(_) if self.has_due_hold(now) && !planted!(DueHoldIgnoredByPicture) => None,
            Ok(wish) => admission.find(&wish, &self.places).err(),
        }
    }

    fn admission(&self, at: UtcMillis) -> Admission<'_> {
        Admission { definition: &self.definition, layout: &self.layout, closed: self.closed, at }
    }

    fn bookable_by_everyone(&self, now: UtcMillis) -> ClassSet {
        let admission = self.admission(now);
        if admission.is_closed() { ClassSet::default() } else { admission.open_to_everyone() }
    }

    fn untaken_in(&self, slot: usize, classes: ClassSet) -> u32 {
        classes.iter().map(|class| self.places.untaken(slot, class)).sum()
    }
}
