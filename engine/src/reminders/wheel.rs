//! A hierarchical timing wheel: what is due up to an instant, in order. Insert and cancel take the same few steps
//! however many timers there are.
//! Must not know: the clock, what is due, where it is kept: it is an index in memory, and dies with the process.
//!
//! Ten levels of 64 slots; a slot of the lowest is one tick of 64 ms, one of the next as long as all slots below it
//! together. A timer lies on
//! the level of the highest digit (base 64) in which its tick differs from the present one, and moves down when time
//! comes to its slot: at most
//! twice for one that is two hours away. Within its tick a timer waits for its own millisecond: none is early. Ticks
//! without timers cost nothing:
//! an advance looks at the slots it passes as bits of ten words.

use booking_core::UtcMillis;

/// Slots of a level: as many as a word has bits.
const SLOTS: usize = 64;
/// Bits of a digit.
const DIGIT: u32 = 6;
/// A tick is so many bits of milliseconds: 64 ms. Shorter ones would cascade more often, longer ones sort more at once.
const TICK_BITS: u32 = 6;
/// Every tick of a non-negative `i64` of milliseconds has at most so many digits: no timer is too far.
const LEVELS: usize = 10;
/// No entry.
const NIL: u32 = u32::MAX;
/// In no slot: the entry is free.
const FREE: u16 = u16::MAX;

/// Names one timer until it is due or cancelled; after that it names none, also when its memory has another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handle {
    index: u32,
    generation: u32,
}

/// See the module.
pub struct Wheel<T> {
    /// The first entry of each slot, level by level.
    heads: Box<[u32]>,
    /// Which slots of each level have entries.
    occupied: [u64; LEVELS],
    /// Of each slot of the lowest level: nothing in it is due before.
    earliest: [i64; SLOTS],
    entries: Vec<Entry<T>>,
    /// The first free entry.
    free: u32,
    len: usize,
    /// Where time was at the furthest.
    tick: u64,
}

struct Entry<T> {
    at: i64,
    previous: u32,
    next: u32,
    generation: u32,
    slot: u16,
    value: T,
}

impl<T: Copy> Wheel<T> {
    /// Empty, standing at `now`.
    pub fn new(now: UtcMillis) -> Self {
        Self {
            heads: vec![NIL; LEVELS * SLOTS].into(),
            occupied: [0; LEVELS],
            earliest: [i64::MAX; SLOTS],
            entries: Vec::new(),
            free: NIL,
            len: 0,
            tick: tick_of(now.0),
        }
    }

    /// Timers in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no timer.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Memory of the timers, in bytes, free entries included.
    pub fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry<T>>() + self.heads.len() * size_of::<u32>() + size_of::<Self>()
    }

    /// A timer for `at`; one in the past is due at the next advance.
    pub fn insert(&mut self, at: UtcMillis, value: T) -> Handle {
        let index = self.free;
        let index = match self.entries.get_mut(index as usize) {
            Some(entry) => {
                self.free = entry.next;
                (entry.at, entry.value) = (at.0, value);
                index
            }
            None => {
                // Four thousand million of them do not fit into any memory this runs in.
                let index = self.entries.len() as u32;
                let (previous, next) = (NIL, NIL);
                self.entries.push(Entry { at: at.0, previous, next, generation: 0, slot: FREE, value });
                index
            }
        };
        self.len += 1;
        self.link(index);
        Handle { index, generation: self.entries[index as usize].generation }
    }

    /// Takes the timer out; `None` if it is not there any more.
    pub fn cancel(&mut self, handle: Handle) -> Option<T> {
        self.instant(handle)?;
        let value = self.entries[handle.index as usize].value;
        self.unlink(handle.index);
        self.release(handle.index);
        Some(value)
    }

    /// For when the timer is; `None` if it is not there any more.
    pub fn instant(&self, handle: Handle) -> Option<UtcMillis> {
        let entry = self.entries.get(handle.index as usize)?;
        (entry.generation == handle.generation && entry.slot != FREE).then_some(UtcMillis(entry.at))
    }

    /// The instant before which nothing is due; `None`: nothing ever. At most one look too many for each level, and one
    /// after a cancel.
    pub fn next(&self) -> Option<UtcMillis> {
        let level = self.occupied.iter().position(|slots| *slots != 0)?;
        let slot = self.occupied[level].trailing_zeros();
        if level == 0 {
            return Some(UtcMillis(self.earliest[slot as usize]));
        }
        let shift = DIGIT * level as u32;
        let block = (self.tick >> shift) & !(SLOTS as u64 - 1);
        Some(UtcMillis(((block | u64::from(slot)) << (shift + TICK_BITS)) as i64))
    }

    /// Takes out everything whose instant is `to` or before, in the order of instants. A `to` before an earlier one
    /// gives what was
    /// inserted since and is due by then: time that goes back makes nothing early.
    pub fn advance(&mut self, to: UtcMillis) -> Vec<(UtcMillis, T)> {
        let before = self.tick;
        self.tick = before.max(tick_of(to.0));
        let mut due = Vec::new();
        for level in 0..LEVELS {
            let shift = DIGIT * level as u32;
            let (first, last) = (before >> shift, self.tick >> shift);
            if level > 0 && first == last {
                break;
            }
            let mut passed = self.occupied[level] & passed(first, last);
            while passed != 0 {
                let slot = passed.trailing_zeros() as usize;
                passed &= passed - 1;
                // Of the present tick, which is looked at again and again, only if something is due.
                if level > 0 || self.earliest[slot] <= to.0 {
                    self.drain(level, slot, to.0, &mut due);
                }
            }
        }
        due.sort_unstable_by_key(|(at, _)| *at);
        due
    }

    /// Empties a slot: what is not due yet goes where it belongs now.
    fn drain(&mut self, level: usize, slot: usize, to: i64, due: &mut Vec<(UtcMillis, T)>) {
        let mut index = std::mem::replace(&mut self.heads[level * SLOTS + slot], NIL);
        self.occupied[level] &= !(1 << slot);
        if level == 0 {
            self.earliest[slot] = i64::MAX;
        }
        while let Some(entry) = self.entries.get(index as usize) {
            let next = entry.next;
            if entry.at <= to {
                due.push((UtcMillis(entry.at), entry.value));
                self.release(index);
            } else {
                self.link(index);
            }
            index = next;
        }
    }

    /// Puts an entry into the slot of its instant.
    fn link(&mut self, index: u32) {
        let at = self.entries[index as usize].at;
        let tick = tick_of(at).max(self.tick);
        let level = (63 - ((tick ^ self.tick) | (SLOTS as u64 - 1)).leading_zeros()) / DIGIT;
        let slot = (tick >> (DIGIT * level)) as usize % SLOTS;
        let level = level as usize;
        if level == 0 {
            self.earliest[slot] = self.earliest[slot].min(at);
        }
        self.occupied[level] |= 1 << slot;
        let head = std::mem::replace(&mut self.heads[level * SLOTS + slot], index);
        if let Some(second) = self.entries.get_mut(head as usize) {
            second.previous = index;
        }
        let entry = &mut self.entries[index as usize];
        (entry.previous, entry.next, entry.slot) = (NIL, head, (level * SLOTS + slot) as u16);
    }

    fn unlink(&mut self, index: u32) {
        let Entry { previous, next, slot, .. } = self.entries[index as usize];
        if let Some(entry) = self.entries.get_mut(next as usize) {
            entry.previous = previous;
        }
        match self.entries.get_mut(previous as usize) {
            Some(entry) => entry.next = next,
            None => self.heads[usize::from(slot)] = next,
        }
        if self.heads[usize::from(slot)] == NIL {
            let (level, slot) = (usize::from(slot) / SLOTS, usize::from(slot) % SLOTS);
            self.occupied[level] &= !(1 << slot);
            if level == 0 {
                self.earliest[slot] = i64::MAX;
            }
        }
    }

    /// Frees an entry that is in no slot any more.
    fn release(&mut self, index: u32) {
        let entry = &mut self.entries[index as usize];
        entry.generation = entry.generation.wrapping_add(1);
        (entry.next, entry.slot) = (self.free, FREE);
        self.free = index;
        self.len -= 1;
    }
}

/// Before 1970 there is one tick.
fn tick_of(millis: i64) -> u64 {
    u64::try_from(millis).unwrap_or(0) >> TICK_BITS
}

/// The slots of a level over which time has gone from `first` to `last`, both included.
fn passed(first: u64, last: u64) -> u64 {
    if first >> DIGIT != last >> DIGIT {
        return u64::MAX;
    }
    let top = SLOTS as u64 - 1;
    (u64::MAX << (first & top)) & (u64::MAX >> (top - (last & top)))
}

#[cfg(test)]
mod tests;
