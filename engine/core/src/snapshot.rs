//! What everyone may see of a day, as of one version: counts per slot, state, release to come. Also the refusals
//! that can be given from it without asking the day itself.
//! Must not know: who has which place, which keys are remembered.

use std::sync::Arc;

use crate::day::{DayVersion, DoctorDay};
use crate::definition::DayDefinition;
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
    /// Released to everyone and untaken.
    pub free: u32,
    /// Untaken but not open to everyone at this instant.
    pub withheld: u32,
    /// Kept by holds.
    pub held: u32,
    /// Set aside for a waitlist.
    pub offered: u32,
    /// Booked (also completed and no-show).
    pub booked: u32,
}

/// An immutable picture of one published day at one version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DaySnapshot {
    pub(crate) version: DayVersion,
    pub(crate) definition: Arc<DayDefinition>,
    pub(crate) closed: bool,
    pub(crate) next_hold_expiry: Option<UtcMillis>,
}

impl DoctorDay {
    /// The picture of this state; `None` if the day was never published. Costs O(slots).
    pub fn snapshot(&self) -> Option<DaySnapshot> {
        todo!("core helper")
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

    /// When the earliest hold ends. From that instant on the picture may be out of date (`protocols.md` rule 3):
    /// who meets it then has the day record the expiry first.
    pub fn next_hold_expiry(&self) -> Option<UtcMillis> {
        self.next_hold_expiry
    }

    /// Whether a hold is due at `now`.
    pub fn has_due_hold(&self, now: UtcMillis) -> bool {
        self.next_hold_expiry.is_some_and(|due| now >= due)
    }

    /// The contract's `state` at `now`.
    pub fn state_at(&self, now: UtcMillis) -> DayState {
        let _ = now;
        todo!("core helper")
    }

    /// What everyone can book now in slot number `slot`: 0 if the day is closed or the slot has begun.
    pub fn remaining_at(&self, slot: usize, now: UtcMillis) -> u32 {
        let _ = (slot, now);
        todo!("core helper")
    }

    /// Conservation counts of slot number `slot` at `now`.
    pub fn counts_at(&self, slot: usize, now: UtcMillis) -> SlotCounts {
        let _ = (slot, now);
        todo!("core helper")
    }

    /// The next release after `now`, if one is to come.
    pub fn next_release_after(&self, now: UtcMillis) -> Option<UtcMillis> {
        let _ = now;
        todo!("core helper")
    }

    /// How many instants at which this picture changes by time alone (releases, slot starts) have passed at `now`:
    /// with the version, this names what a reader sees.
    pub fn phase_at(&self, now: UtcMillis) -> u32 {
        let _ = now;
        todo!("core helper")
    }

    /// The next instant after `now` at which this picture changes by time alone.
    pub fn next_change_after(&self, now: UtcMillis) -> Option<UtcMillis> {
        let _ = now;
        todo!("core helper")
    }

    /// A refusal of a booking that is certain from this picture alone: `Closed`, `NotReleased`, `UnknownSlot`,
    /// `SlotTaken` or `SoldOut`; `None` if the day itself must decide. Always `None` for the place-dependent ones
    /// while a hold is due. Terminal only for a picture of *durable* state.
    pub fn refusal_at(&self, start: Option<UtcMillis>, audiences: &[Box<str>], now: UtcMillis) -> Option<Rejection> {
        let _ = (start, audiences, now);
        todo!("core helper")
    }
}
