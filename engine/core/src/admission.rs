//! Whether a wish for a place can be fulfilled, and in which slot: the refusals that the day and its published picture
//! must give alike.
//! Must not know: who asks, who has which place, which place number it will be.

use crate::definition::{DayDefinition, Release};
use crate::layout::{ClassSet, Layout, admits};
use crate::rejection::Rejection;
use crate::time::UtcMillis;

/// How many places are untaken, by slot and class.
pub(crate) trait Stock {
    /// Untaken places of a class in a slot.
    fn untaken(&self, slot: usize, class: usize) -> u32;

    /// No slot before this one has an untaken place of the class.
    fn earliest(&self, class: usize) -> usize;
}

/// A published day at one instant, without its stock.
pub(crate) struct Admission<'day> {
    pub(crate) definition: &'day DayDefinition,
    pub(crate) layout: &'day Layout,
    /// Closed by hand.
    pub(crate) closed: bool,
    pub(crate) at: UtcMillis,
}

/// A wish that nothing but a lack of places can refuse any more.
pub(crate) struct Admitted<'wish> {
    /// The slot, if one was named.
    slot: Option<usize>,
    audiences: &'wish [Box<str>],
    /// What is open to the caller.
    pub(crate) open: ClassSet,
}

impl Admission<'_> {
    /// Closed by hand, or the last slot has begun.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed || self.first_to_come() >= self.definition.slots.len()
    }

    /// Position of the first slot that has not begun.
    pub(crate) fn first_to_come(&self) -> usize {
        let slots = &self.definition.slots;
        if slots.first().is_some_and(|slot| slot.start > self.at) {
            return 0;
        }
        slots.partition_point(|slot| slot.start <= self.at)
    }

    /// What is open through the releases that `admitted` accepts.
    pub(crate) fn open_to(&self, admitted: impl Fn(&Release) -> bool) -> ClassSet {
        self.layout.open_at(self.definition, self.at, admitted)
    }

    /// What is open to everyone.
    pub(crate) fn open_to_everyone(&self) -> ClassSet {
        self.open_to(|release| release.audience.is_none())
    }

    /// The refusals that do not depend on which places are taken.
    pub(crate) fn admit<'wish>(
        &self,
        start: Option<UtcMillis>,
        audiences: &'wish [Box<str>],
    ) -> Result<Admitted<'wish>, Rejection> {
        let slot = start.map(|start| self.definition.slot_at(start));
        let has_begun = |slot: usize| self.definition.slots[slot].start <= self.at;
        if self.is_closed() || slot.flatten().is_some_and(has_begun) {
            return Err(Rejection::Closed);
        }
        let first = self.definition.releases.iter().find(|release| admits(release, audiences));
        let first = first.ok_or(Rejection::SoldOut)?;
        if first.at > self.at {
            return Err(Rejection::NotReleased { release_at: first.at });
        }
        if slot == Some(None) {
            return Err(Rejection::UnknownSlot);
        }
        let open = self.open_to(|release| admits(release, audiences));
        Ok(Admitted { slot: slot.flatten(), audiences, open })
    }

    /// The slot that fulfils the wish: the named one, or the earliest to come.
    pub(crate) fn find(&self, wish: &Admitted<'_>, stock: &impl Stock) -> Result<usize, Rejection> {
        let Some(slot) = wish.slot else {
            return self.earliest_slot(wish.open, stock).ok_or(Rejection::SoldOut);
        };
        if wish.open.iter().any(|class| stock.untaken(slot, class) > 0) {
            return Ok(slot);
        }
        let next = self.next_release_in(slot, wish.audiences, stock);
        Err(next.map_or(Rejection::SlotTaken, |release_at| Rejection::NotReleased { release_at }))
    }

    /// The earliest slot to come with an untaken place in `classes`.
    pub(crate) fn earliest_slot(&self, classes: ClassSet, stock: &impl Stock) -> Option<usize> {
        let slots = self.definition.slots.len();
        let first = self.first_to_come();
        let earliest_of =
            |class| (first.max(stock.earliest(class))..slots).find(|slot| stock.untaken(*slot, class) > 0);
        classes.iter().filter_map(earliest_of).min()
    }

    /// When the next release opens an untaken place of the slot to the caller.
    fn next_release_in(&self, slot: usize, audiences: &[Box<str>], stock: &impl Stock) -> Option<UtcMillis> {
        let opens_something = |position| match self.layout.class_of_release(position) {
            Some(class) => stock.untaken(slot, class) > 0,
            None => (0..self.layout.classes()).any(|class| stock.untaken(slot, class) > 0),
        };
        let mut releases = self.definition.releases.iter().enumerate();
        releases
            .find(|(position, release)| {
                release.at > self.at && admits(release, audiences) && opens_something(*position)
            })
            .map(|(_, release)| release.at)
    }
}
