//! Which definitions of a day are acceptable: everything that can be checked without a time zone.
//! Must not know: on which date the first slot must lie, what is booked already.

use crate::definition::{
    CAPACITY_MAX, DayDefinition, DefinitionError, RELEASES_MAX, Release, SLOTS_MAX, SPAN_MILLIS_MAX, SlotDefinition,
};

impl DayDefinition {
    /// Sorts slots and releases, and checks everything that needs no time zone. Errors name positions in the lists as
    /// given; all errors are reported, in the order of the lists.
    pub fn validate(
        time_zone: Box<str>,
        time_zone_database: Box<str>,
        mut slots: Vec<SlotDefinition>,
        mut releases: Vec<Release>,
    ) -> Result<Self, Vec<DefinitionError>> {
        let mut errors = slot_errors(&slots);
        errors.extend(release_errors(&slots, &releases));
        if !errors.is_empty() {
            return Err(errors);
        }
        slots.sort_by_key(|slot| slot.start);
        releases.sort_by_key(|release| release.at);
        Ok(Self { time_zone, time_zone_database, slots, releases })
    }
}

fn slot_errors(slots: &[SlotDefinition]) -> Vec<DefinitionError> {
    if slots.is_empty() {
        return vec![DefinitionError::NoSlots];
    }
    if slots.len() > SLOTS_MAX {
        return vec![DefinitionError::TooManySlots];
    }
    let overlaps = overlapping(slots);
    let mut errors = Vec::new();
    for (index, slot) in slots.iter().enumerate() {
        if !slot.start.is_whole_second() || !slot.end.is_whole_second() {
            errors.push(DefinitionError::NotWholeSecond { slot: index });
        }
        if slot.end <= slot.start {
            errors.push(DefinitionError::EndNotAfterStart { slot: index });
        }
        if slot.capacity == 0 || slot.capacity > CAPACITY_MAX {
            errors.push(DefinitionError::Capacity { slot: index });
        }
        if overlaps[index] {
            errors.push(DefinitionError::Overlap { slot: index });
        }
    }
    let first_start = slots.iter().map(|slot| slot.start).min();
    let last_end = slots.iter().map(|slot| slot.end).max();
    if let (Some(first), Some(last)) = (first_start, last_end)
        && last.millis_since(first) > SPAN_MILLIS_MAX
    {
        errors.push(DefinitionError::Span);
    }
    errors
}

/// For every slot as given, whether it overlaps one that starts earlier (or at the same time and is given earlier).
/// Half-open: a slot may start when another ends. A slot that ends before it starts takes no time.
fn overlapping(slots: &[SlotDefinition]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..slots.len()).collect();
    order.sort_by_key(|index| slots[*index].start);
    let mut overlaps = vec![false; slots.len()];
    let mut previous: Option<&SlotDefinition> = None;
    for index in order {
        let slot = &slots[index];
        overlaps[index] = previous.is_some_and(|earlier| slot.start < earlier.end || slot.start == earlier.start);
        if previous.is_none_or(|earlier| slot.end > earlier.end) {
            previous = Some(slot);
        }
    }
    overlaps
}

fn release_errors(slots: &[SlotDefinition], releases: &[Release]) -> Vec<DefinitionError> {
    if releases.is_empty() {
        return vec![DefinitionError::NoReleases];
    }
    if releases.len() > RELEASES_MAX {
        return vec![DefinitionError::TooManyReleases];
    }
    let last_start = slots.iter().map(|slot| slot.start).max();
    let capacity: u64 = slots.iter().map(|slot| u64::from(slot.capacity)).sum();
    let mut handed = 0_u64;
    let mut exceeded = false;
    let mut errors = Vec::new();
    for (index, release) in releases.iter().enumerate() {
        if last_start.is_some_and(|last| release.at > last) {
            errors.push(DefinitionError::ReleaseAfterLastStart { release: index });
        }
        let places = release.places.map(u64::from);
        if places == Some(0) {
            errors.push(DefinitionError::ReleaseOfNothing { release: index });
        }
        handed += places.unwrap_or(0);
        if handed > capacity && !exceeded && last_start.is_some() {
            exceeded = true;
            errors.push(DefinitionError::ReleasesExceedCapacity { release: index });
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UtcMillis;

    fn slot(start: i64, end: i64, capacity: u32) -> SlotDefinition {
        SlotDefinition {
            start: UtcMillis(start * 1000),
            end: UtcMillis(end * 1000),
            capacity,
            utc_offset_seconds: 3600,
        }
    }

    fn release(at: i64, places: Option<u32>) -> Release {
        Release { at: UtcMillis(at * 1000), places, audience: None }
    }

    fn validate(slots: Vec<SlotDefinition>, releases: Vec<Release>) -> Result<DayDefinition, Vec<DefinitionError>> {
        DayDefinition::validate("Europe/Rome".into(), "2026a".into(), slots, releases)
    }

    #[test]
    fn lists_are_sorted_and_touching_slots_are_disjoint() {
        let releases = vec![release(5, None), release(1, Some(2)), release(1, Some(1))];
        let day = validate(vec![slot(20, 30, 2), slot(10, 20, 1)], releases).expect("a good day");
        assert_eq!(day.slots, [slot(10, 20, 1), slot(20, 30, 2)]);
        assert_eq!(day.releases, [release(1, Some(2)), release(1, Some(1)), release(5, None)]);
    }

    #[test]
    fn empty_and_overlong_lists_are_named() {
        let errors = validate(vec![], vec![]).expect_err("nothing given");
        assert_eq!(errors, [DefinitionError::NoSlots, DefinitionError::NoReleases]);
        let slots = (0..=SLOTS_MAX as i64).map(|index| slot(index, index + 1, 1)).collect();
        let releases = vec![release(0, None); RELEASES_MAX + 1];
        let errors = validate(slots, releases).expect_err("too many of both");
        assert_eq!(errors, [DefinitionError::TooManySlots, DefinitionError::TooManyReleases]);
    }

    #[test]
    fn every_error_of_a_slot_names_its_position_as_given() {
        let mut uneven = slot(60, 70, 1);
        uneven.end = UtcMillis(70_500);
        let slots = vec![slot(40, 50, 1), slot(20, 41, 0), slot(10, 10, CAPACITY_MAX + 1), uneven, slot(20, 25, 1)];
        let errors = validate(slots, vec![release(0, None)]).expect_err("bad slots");
        assert_eq!(
            errors,
            [
                DefinitionError::Overlap { slot: 0 },
                DefinitionError::Capacity { slot: 1 },
                DefinitionError::EndNotAfterStart { slot: 2 },
                DefinitionError::Capacity { slot: 2 },
                DefinitionError::NotWholeSecond { slot: 3 },
                DefinitionError::Overlap { slot: 4 },
            ]
        );
    }

    #[test]
    fn the_span_is_at_most_thirty_six_hours_to_the_second() {
        let hours = 36 * 3600;
        let day = |end| validate(vec![slot(0, 600, 1), slot(end - 600, end, 1)], vec![release(0, None)]);
        assert!(day(hours).is_ok());
        assert_eq!(day(hours + 1), Err(vec![DefinitionError::Span]));
    }

    #[test]
    fn every_error_of_a_release_names_its_position_as_given() {
        let releases = vec![release(11, None), release(0, Some(0)), release(0, Some(4)), release(10, Some(1))];
        let errors = validate(vec![slot(10, 20, 3)], releases).expect_err("bad releases");
        assert_eq!(
            errors,
            [
                DefinitionError::ReleaseAfterLastStart { release: 0 },
                DefinitionError::ReleaseOfNothing { release: 1 },
                DefinitionError::ReleasesExceedCapacity { release: 2 },
            ]
        );
        assert!(validate(vec![slot(10, 20, 3)], vec![release(10, Some(3))]).is_ok());
    }

    #[test]
    fn instants_at_the_ends_of_the_range_do_no_harm() {
        let slots = vec![
            SlotDefinition {
                start: UtcMillis(i64::MIN),
                end: UtcMillis(i64::MAX),
                capacity: 1,
                utc_offset_seconds: 0
            };
            2
        ];
        assert!(validate(slots, vec![release(0, None)]).is_err());
    }
}
