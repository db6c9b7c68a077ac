//! Which place of a slot belongs to which release, and which places are open to whom at an instant.
//! Must not know: which places are taken.

use std::ops::Range;

use crate::definition::{CAPACITY_MAX, DayDefinition, RELEASES_MAX, Release};
use crate::time::UtcMillis;

// A set of classes is one machine word: one bit a release with places, and one for what they leave over.
const _: () = assert!(RELEASES_MAX < u128::BITS as usize);

/// A set of classes of places.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct ClassSet(u128);

impl ClassSet {
    /// What is in `self` but not in `other`.
    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The classes, lowest places first.
    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let class = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
            rest &= rest - 1;
            Some(class)
        })
    }
}

/// Whether `release` is meant for a caller with these audiences.
pub(crate) fn admits(release: &Release, audiences: &[Box<str>]) -> bool {
    release.audience.as_ref().is_none_or(|audience| audiences.contains(audience))
}

/// The places of a day, cut into classes. Within every slot a class is a contiguous range of place numbers, and the
/// classes follow each other: one for each release with `places`, then one for what is left over.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Layout {
    /// By position of the release: its class, `None` for an open-ended one.
    class_of_release: Vec<Option<usize>>,
    classes: usize,
    /// By slot, then class: one past the last place number of the class.
    ends: Vec<u32>,
}

impl Layout {
    pub(crate) fn new(definition: &DayDefinition) -> Self {
        let mut classes = 0;
        let mut handed = 0_u64;
        let mut class_of_release = Vec::with_capacity(definition.releases.len());
        let mut cuts = Vec::new();
        for release in &definition.releases {
            class_of_release.push(release.places.map(|places| {
                handed += u64::from(places);
                cuts.push(cut_after(definition, handed));
                classes += 1;
                classes - 1
            }));
        }
        let more = u32::from(planted!(CapacityOffByOne));
        cuts.push(definition.slots.iter().map(|slot| slot.capacity + more).collect());
        let slots = 0..definition.slots.len();
        let ends = slots.flat_map(|slot| cuts.iter().map(move |cut| cut[slot])).collect();
        Self { class_of_release, classes: classes + 1, ends }
    }

    /// Number of classes: at least one for a published day.
    pub(crate) fn classes(&self) -> usize {
        self.classes
    }

    /// The place numbers of a class in a slot; may be empty.
    pub(crate) fn range(&self, slot: usize, class: usize) -> Range<u32> {
        let position = slot * self.classes + class;
        let start = if class == 0 { 0 } else { self.ends[position - 1] };
        start..self.ends[position]
    }

    /// The class of the release at this position; `None` if it is open-ended.
    pub(crate) fn class_of_release(&self, release: usize) -> Option<usize> {
        self.class_of_release.get(release).copied().flatten()
    }

    /// The classes that at `at` are open through the releases which `admitted` accepts.
    pub(crate) fn open_at(
        &self,
        definition: &DayDefinition,
        at: UtcMillis,
        admitted: impl Fn(&Release) -> bool,
    ) -> ClassSet {
        let mut open = 0;
        for (position, release) in definition.releases.iter().enumerate() {
            if release.at > at && !planted!(ReleaseIgnored) {
                break;
            }
            if admitted(release) {
                match self.class_of_release(position) {
                    Some(class) => open |= 1 << class,
                    None => return ClassSet((1 << self.classes) - 1),
                }
            }
        }
        ClassSet(open)
    }
}

/// For every slot, how many of its places are among the first `handed` of the day in the order (place number, slot
/// start): whole rounds of one place a slot, then the first slots that have one more.
fn cut_after(definition: &DayDefinition, handed: u64) -> Vec<u32> {
    let in_rounds =
        |rounds: u32| -> u64 { definition.slots.iter().map(|slot| u64::from(slot.capacity.min(rounds))).sum() };
    let (mut rounds, mut limit) = (0, CAPACITY_MAX);
    while rounds < limit {
        let middle = rounds + (limit - rounds).div_ceil(2);
        if in_rounds(middle) <= handed { rounds = middle } else { limit = middle - 1 }
    }
    let mut left = handed - in_rounds(rounds).min(handed);
    let mut places_of = |capacity: u32| {
        let one_more = left > 0 && capacity > rounds;
        left -= u64::from(one_more);
        capacity.min(rounds) + u32::from(one_more)
    };
    definition.slots.iter().map(|slot| places_of(slot.capacity)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::SlotDefinition;

    fn day(capacities: &[u32], releases: &[(i64, Option<u32>, Option<&str>)]) -> DayDefinition {
        let slot = |(index, capacity): (usize, &u32)| SlotDefinition {
            start: UtcMillis(index as i64 * 1000),
            end: UtcMillis(index as i64 * 1000 + 1000),
            capacity: *capacity,
            utc_offset_seconds: 0,
        };
        DayDefinition {
            time_zone: "UTC".into(),
            time_zone_database: "".into(),
            slots: capacities.iter().enumerate().map(slot).collect(),
            releases: releases
                .iter()
                .map(|(at, places, audience)| Release {
                    at: UtcMillis(*at),
                    places: *places,
                    audience: audience.map(Into::into),
                })
                .collect(),
        }
    }

    /// The rule word for word: walk all places in the order (place number, slot start).
    fn walked(definition: &DayDefinition, handed: u64) -> Vec<u32> {
        let mut cut = vec![0; definition.slots.len()];
        let mut left = handed;
        for place in 0..definition.slots.iter().map(|slot| slot.capacity).max().unwrap_or(0) {
            for (index, slot) in definition.slots.iter().enumerate() {
                if place < slot.capacity && left > 0 {
                    left -= 1;
                    cut[index] += 1;
                }
            }
        }
        cut
    }

    #[test]
    fn cuts_are_those_of_walking_place_by_place() {
        for capacities in [&[1_u32][..], &[3, 1, 5], &[2, 2, 2, 2], &[7, 0, 1, 9, 4]] {
            let definition = day(capacities, &[]);
            for handed in 0..=definition.capacity() + 1 {
                assert_eq!(cut_after(&definition, handed), walked(&definition, handed), "{capacities:?} {handed}");
            }
        }
    }

    #[test]
    fn classes_follow_each_other_and_the_rest_comes_last() {
        let definition = day(&[2, 3], &[(0, Some(1), Some("gold")), (5, None, None), (9, Some(2), None)]);
        let layout = Layout::new(&definition);
        let ranges = |slot| (0..layout.classes()).map(|class| layout.range(slot, class)).collect::<Vec<_>>();
        assert_eq!(ranges(0), [0..1, 1..2, 2..2]);
        assert_eq!(ranges(1), [0..0, 0..1, 1..3]);
    }

    #[test]
    fn an_open_ended_release_opens_every_class() {
        let definition = day(&[2, 3], &[(0, Some(1), Some("gold")), (5, None, None), (9, Some(2), None)]);
        let layout = Layout::new(&definition);
        let open = |at, audiences: &[Box<str>]| {
            layout.open_at(&definition, UtcMillis(at), |release| admits(release, audiences)).iter().collect::<Vec<_>>()
        };
        assert_eq!(open(0, &[]), [0_usize; 0]);
        assert_eq!(open(0, &["gold".into()]), [0]);
        assert_eq!(open(5, &[]), [0, 1, 2]);
    }
}
