//! Which places of a day's slots are taken: bit sets with counts and hints, so that the lowest free place and the
//! earliest free slot cost next to nothing to find.
//! Must not know: by whom a place is taken, when a release opens.

use std::sync::Arc;

use crate::admission::Stock;
use crate::definition::{CAPACITY_MAX, DayDefinition};
use crate::layout::{ClassSet, Layout};

const WORD: u32 = u64::BITS;

/// What a taken place counts as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Taking {
    /// By a hold.
    Held,
    /// By a booking, a completed or a missed visit.
    Booked,
}

/// The part of a slot that one class owns.
#[derive(Clone, PartialEq, Eq, Debug)]
struct ClassPlaces {
    start: u32,
    end: u32,
    taken: u32,
    /// The lowest untaken place; `end` if there is none.
    lowest: u32,
}

/// One slot.
#[derive(Clone, PartialEq, Eq, Debug)]
struct SlotPlaces {
    /// A set bit is a place that is taken, or blocked. No longer than the highest of them needs.
    words: Vec<u64>,
    /// Places that nobody has and nobody gets, because places beyond the capacity are taken: the slot was made smaller
    /// under bookings that keep their numbers. As many as those, always the highest untaken ones; usually none.
    blocked: Vec<u32>,
    classes: Vec<ClassPlaces>,
    held: u32,
    booked: u32,
}

/// All slots of a day. Cloning is cheap (the slots are shared until one of them changes).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Places {
    slots: Vec<Arc<SlotPlaces>>,
    /// By class: the earliest slot with an untaken place in it; the number of slots if there is none.
    earliest: Vec<usize>,
}

impl SlotPlaces {
    fn new(layout: &Layout, slot: usize, words: Vec<u64>, held: u32, booked: u32) -> Self {
        let class_places = |class| {
            let range = layout.range(slot, class);
            ClassPlaces { start: range.start, end: range.end, taken: 0, lowest: range.start }
        };
        let classes = (0..layout.classes()).map(class_places).collect();
        let mut places = Self { words: Vec::new(), blocked: Vec::new(), classes, held, booked };
        places.rebuild(words);
        places
    }

    fn capacity(&self) -> u32 {
        self.classes.last().map_or(0, |class| class.end)
    }

    /// What is taken, without what is blocked.
    fn taken_words(&self) -> Vec<u64> {
        let mut words = self.words.clone();
        self.blocked.iter().for_each(|place| clear_bit(&mut words, *place));
        words
    }

    /// Counts anew what is taken according to `words`, and blocks as many places as are taken beyond the capacity.
    fn rebuild(&mut self, words: Vec<u64>) {
        let capacity = self.capacity();
        self.words = words;
        let beyond = count_set(&self.words, capacity, u32::MAX) as usize;
        let untaken = (0..capacity).rev().filter(|place| !is_set(&self.words, *place));
        self.blocked = if beyond == 0 { Vec::new() } else { untaken.take(beyond).collect() };
        for place in &self.blocked {
            set_bit(&mut self.words, *place);
        }
        for class in &mut self.classes {
            class.taken = count_set(&self.words, class.start, class.end);
            class.lowest = next_free(&self.words, class.start, class.end);
        }
    }

    /// Whether changing `place` changes which places are blocked.
    fn is_beyond(&self, place: u32) -> bool {
        place >= self.capacity() || !self.blocked.is_empty()
    }

    fn class_of(&self, place: u32) -> Option<usize> {
        let class = self.classes.partition_point(|class| class.end <= place);
        (class < self.classes.len()).then_some(class)
    }

    fn is_taken(&self, place: u32) -> bool {
        is_set(&self.words, place)
    }

    fn count_of(&mut self, taking: Taking) -> &mut u32 {
        match taking {
            Taking::Held => &mut self.held,
            Taking::Booked => &mut self.booked,
        }
    }

    fn set(&mut self, place: u32, class: usize) {
        set_bit(&mut self.words, place);
        let class = &mut self.classes[class];
        class.taken += 1;
        if class.lowest == place {
            class.lowest =
                if planted!(PlaceGivenTwice) { place + 1 } else { next_free(&self.words, place + 1, class.end) };
        }
    }

    fn clear(&mut self, place: u32, class: usize) {
        clear_bit(&mut self.words, place);
        let class = &mut self.classes[class];
        class.taken -= 1;
        class.lowest = class.lowest.min(place);
    }
}

impl Places {
    /// Nothing taken.
    pub(crate) fn new(layout: &Layout, slots: usize) -> Self {
        let slots = (0..slots).map(|slot| Arc::new(SlotPlaces::new(layout, slot, Vec::new(), 0, 0))).collect();
        Self::with_hints(slots, layout)
    }

    /// What is taken here of `old`, seen through `new` and its `layout`: place numbers stay, the counts per class are
    /// made anew.
    pub(crate) fn carried_over(&self, old: &DayDefinition, new: &DayDefinition, layout: &Layout) -> Self {
        let carried = |(slot, definition): (usize, &crate::definition::SlotDefinition)| {
            let before = old.slot_at(definition.start).and_then(|index| self.slots.get(index));
            let before = before.filter(|kept| !planted!(HeldForgottenAtAmend) || kept.booked > 0);
            Arc::new(match before {
                Some(kept) => SlotPlaces::new(layout, slot, kept.taken_words(), kept.held, kept.booked),
                None => SlotPlaces::new(layout, slot, Vec::new(), 0, 0),
            })
        };
        Self::with_hints(new.slots.iter().enumerate().map(carried).collect(), layout)
    }

    fn with_hints(slots: Vec<Arc<SlotPlaces>>, layout: &Layout) -> Self {
        let mut places = Self { slots, earliest: vec![0; layout.classes()] };
        (0..layout.classes()).for_each(|class| places.advance(class));
        places
    }

    fn advance(&mut self, class: usize) {
        let from = self.earliest[class];
        let offset = self.slots[from..].iter().position(|slot| slot.classes[class].lowest < slot.classes[class].end);
        self.earliest[class] = offset.map_or(self.slots.len(), |offset| from + offset);
    }

    /// Whether an appointment may stand on this place: nobody has it, and the slot is not full. The place may lie beyond
    /// the capacity, if the slot was made smaller.
    pub(crate) fn is_free(&self, slot: usize, place: u32) -> bool {
        self.slots.get(slot).is_some_and(|slot| {
            let has_room = slot.held + slot.booked < slot.capacity();
            let is_taken = slot.is_taken(place) && !slot.blocked.contains(&place);
            place < CAPACITY_MAX && has_room && !is_taken
        })
    }

    /// Takes or gives back a place of a slot in which places beyond the capacity are taken, or will be.
    fn change_beyond(&mut self, slot: usize, place: u32, taking: Taking, takes: bool) -> bool {
        let slot_places = Arc::make_mut(&mut self.slots[slot]);
        let mut words = slot_places.taken_words();
        if is_set(&words, place) == takes {
            return false;
        }
        let count = slot_places.count_of(taking);
        *count = if takes { *count + 1 } else { count.saturating_sub(1) };
        if takes {
            set_bit(&mut words, place)
        } else {
            clear_bit(&mut words, place)
        }
        slot_places.rebuild(words);
        for class in 0..self.earliest.len() {
            self.earliest[class] = 0;
            self.advance(class);
        }
        true
    }

    /// Takes a place. `false`, and nothing happens, if there is no such place or it is taken.
    pub(crate) fn take(&mut self, slot: usize, place: u32, taking: Taking) -> bool {
        if !self.slots.get(slot).is_some_and(|slot| place < CAPACITY_MAX && !slot.is_beyond(place)) {
            return self.is_free(slot, place) && self.change_beyond(slot, place, taking, true);
        }
        let Some(shared) = self.slots.get_mut(slot) else { return false };
        let Some(class) = shared.class_of(place).filter(|_| !shared.is_taken(place)) else { return false };
        let slot_places = Arc::make_mut(shared);
        slot_places.set(place, class);
        *slot_places.count_of(taking) += 1;
        if slot_places.classes[class].lowest == slot_places.classes[class].end && self.earliest[class] == slot {
            self.advance(class);
        }
        true
    }

    /// Gives a place back. `false`, and nothing happens, if it is not taken.
    pub(crate) fn free(&mut self, slot: usize, place: u32, taking: Taking) -> bool {
        if self.slots.get(slot).is_some_and(|slot| slot.is_beyond(place)) {
            return self.change_beyond(slot, place, taking, false);
        }
        let Some(shared) = self.slots.get_mut(slot) else { return false };
        let Some(class) = shared.class_of(place).filter(|_| shared.is_taken(place)) else { return false };
        let slot_places = Arc::make_mut(shared);
        slot_places.clear(place, class);
        let count = slot_places.count_of(taking);
        *count = count.saturating_sub(1);
        self.earliest[class] = self.earliest[class].min(slot);
        true
    }

    /// The lowest untaken place of a slot in `classes`.
    pub(crate) fn lowest_free(&self, slot: usize, classes: ClassSet) -> Option<u32> {
        let slot = &self.slots[slot];
        classes
            .iter()
            .map(|class| &slot.classes[class])
            .find(|class| class.lowest < class.end)
            .map(|class| class.lowest)
    }

    /// Number of places of a slot that holds keep, and that bookings have.
    pub(crate) fn held_and_booked(&self, slot: usize) -> (u32, u32) {
        (self.slots[slot].held, self.slots[slot].booked)
    }

    /// Earliest slots with an untaken place, by class.
    pub(crate) fn earliest_by_class(&self) -> &[usize] {
        &self.earliest
    }
}

impl Stock for Places {
    fn untaken(&self, slot: usize, class: usize) -> u32 {
        let class = &self.slots[slot].classes[class];
        class.end - class.start - class.taken
    }

    fn earliest(&self, class: usize) -> usize {
        self.earliest[class]
    }
}

fn set_bit(words: &mut Vec<u64>, place: u32) {
    let index = (place / WORD) as usize;
    if words.len() <= index {
        words.resize(index + 1, 0);
    }
    words[index] |= 1 << (place % WORD);
}

/// Leaves no empty words at the end, so that equal sets have equal words.
fn clear_bit(words: &mut Vec<u64>, place: u32) {
    if let Some(word) = words.get_mut((place / WORD) as usize) {
        *word &= !(1 << (place % WORD));
    }
    while words.last() == Some(&0) {
        words.pop();
    }
}

fn is_set(words: &[u64], place: u32) -> bool {
    words.get((place / WORD) as usize).is_some_and(|word| word >> (place % WORD) & 1 == 1)
}

/// Number of set bits in `from..end`.
fn count_set(words: &[u64], from: u32, end: u32) -> u32 {
    let in_word = |(index, word): (usize, &u64)| {
        let first = index as u32 * WORD;
        let low = from.saturating_sub(first).min(WORD);
        let high = end.saturating_sub(first).min(WORD);
        if low >= high { 0 } else { (word >> low << (WORD - (high - low))).count_ones() }
    };
    words.iter().enumerate().map(in_word).sum()
}

/// The lowest clear bit in `from..end`, or `end`. Words that are not there are clear.
fn next_free(words: &[u64], from: u32, end: u32) -> u32 {
    let mut index = from / WORD;
    let mut considered = u64::MAX << (from % WORD);
    while index * WORD < end {
        let free = !words.get(index as usize).copied().unwrap_or(0) & considered;
        if free != 0 {
            return (index * WORD + free.trailing_zeros()).min(end);
        }
        considered = u64::MAX;
        index += 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits of a fixed pattern without period in the word length.
    fn words() -> Vec<u64> {
        (0..4_u64).map(|index| index.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xf0f0_00ff_ffff_0000).collect()
    }

    #[test]
    fn counts_and_searches_are_those_of_walking_bit_by_bit() {
        let words = words();
        for from in [0, 1, 63, 64, 65, 130, 255, 256, 300] {
            for end in [0, 1, 63, 64, 65, 100, 128, 255, 256, 257, 400] {
                let set = (from..end).filter(|place| is_set(&words, *place)).count();
                assert_eq!(count_set(&words, from, end) as usize, set, "{from}..{end}");
                let free = (from..end).find(|place| !is_set(&words, *place)).unwrap_or(end);
                assert_eq!(next_free(&words, from, end), free, "{from}..{end}");
            }
        }
    }
}
