//! The small clinics of the scenarios.
//! Must not know: what happens in them.

use booking_core::{DayKey, UtcMillis};
use simulator::scenario::{Setting, at, day, plan};
use simulator::workload::Plan;

/// Turn orders that a race is looked at from.
pub const SIDES: u64 = 48;
/// The start of the first slot, in seconds after eight.
pub const FIRST: i64 = 3_600;
/// The start of the second slot.
pub const SECOND: i64 = 7_200;
/// How long a slot is, in seconds.
pub const LENGTH: i64 = 1_200;

/// A day of doctor 1, tomorrow.
pub fn one() -> DayKey {
    day(1, 1)
}

/// A day of doctor 2 at the same time.
pub fn two() -> DayKey {
    day(2, 1)
}

/// A day of doctor 3 at the same time.
pub fn three() -> DayKey {
    day(3, 1)
}

/// A day of doctor 2 a day later, when nobody is anywhere else.
pub fn later() -> DayKey {
    day(2, 2)
}

/// The start of the first slot of a day.
pub fn first(day: DayKey) -> Option<UtcMillis> {
    Some(at(day, FIRST))
}

/// The start of the second slot of a day.
pub fn second(day: DayKey) -> Option<UtcMillis> {
    Some(at(day, SECOND))
}

/// A day with one slot.
pub fn single(day: DayKey, capacity: u32) -> Plan {
    plan(day, &[(FIRST, LENGTH, capacity)])
}

/// A day with two slots.
pub fn double(day: DayKey, capacity: u32) -> Plan {
    plan(day, &[(FIRST, LENGTH, capacity), (SECOND, LENGTH, capacity)])
}

/// One day with one slot.
pub fn small(seed: u64, capacity: u32) -> Setting {
    Setting::of(seed, vec![single(one(), capacity)])
}

/// These days, with one place in each of two slots.
pub fn clinic(seed: u64, days: &[DayKey]) -> Setting {
    Setting::of(seed, days.iter().map(|day| double(*day, 1)).collect())
}
