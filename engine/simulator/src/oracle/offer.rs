//! Which place of a day opens when, and to whom: the rule of releases, word for word, place by place.
//! Must not know: which places are taken.

use std::sync::Arc;

use booking_core::{DayDefinition, Release, UtcMillis};

/// Who asks for a place.
#[derive(Clone, Copy)]
pub(super) enum Who<'who> {
    /// Whoever is admitted earliest: what a record must at least obey.
    Anybody,
    /// A holder of these audiences.
    Holder(&'who [Box<str>]),
}

impl Who<'_> {
    /// With no audience at all.
    pub(super) const EVERYONE: Self = Who::Holder(&[]);

    pub(super) fn is_admitted(self, release: &Release) -> bool {
        match (self, &release.audience) {
            (Who::Anybody, _) | (_, None) => true,
            (Who::Holder(audiences), Some(audience)) => audiences.iter().any(|held| held == audience),
        }
    }
}

/// A definition, and by slot and place the release that the place was handed to.
pub(super) struct Offer {
    pub(super) definition: Arc<DayDefinition>,
    handed_to: Vec<Vec<Option<usize>>>,
}

impl Offer {
    /// Hands the places out in the order (place number, slot start).
    pub(super) fn new(definition: &Arc<DayDefinition>) -> Self {
        let mut handed_to: Vec<Vec<Option<usize>>> =
            definition.slots.iter().map(|slot| vec![None; slot.capacity as usize]).collect();
        let highest = definition.slots.iter().map(|slot| slot.capacity as usize).max().unwrap_or(0);
        let order = (0..highest).flat_map(|place| (0..handed_to.len()).map(move |slot| (slot, place)));
        let mut order: std::vec::IntoIter<(usize, usize)> =
            order.filter(|(slot, place)| *place < handed_to[*slot].len()).collect::<Vec<_>>().into_iter();
        for (number, release) in definition.releases.iter().enumerate() {
            for (slot, place) in order.by_ref().take(release.places.unwrap_or(0) as usize) {
                handed_to[slot][place] = Some(number);
            }
        }
        Self { definition: Arc::clone(definition), handed_to }
    }

    pub(super) fn capacity(&self, slot: usize) -> u32 {
        self.definition.slots[slot].capacity
    }

    pub(super) fn slot_at(&self, start: UtcMillis) -> Option<usize> {
        self.definition.slots.iter().position(|slot| slot.start == start)
    }

    /// From when on the place can be booked by such a caller; `None`: never.
    pub(super) fn opens(&self, slot: usize, place: u32, who: Who<'_>) -> Option<UtcMillis> {
        let handed_to = self.handed_to[slot].get(place as usize)?;
        let releases = self.definition.releases.iter().enumerate();
        let opening = releases.filter(|(number, release)| {
            (release.places.is_none() || *handed_to == Some(*number)) && who.is_admitted(release)
        });
        opening.map(|(_, release)| release.at).min()
    }

    pub(super) fn is_open(&self, slot: usize, place: u32, who: Who<'_>, at: UtcMillis) -> bool {
        self.opens(slot, place, who).is_some_and(|opens| opens <= at)
    }
}
