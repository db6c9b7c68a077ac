//! Whether a day is in order: everything that is kept beside the appointments follows from them, and no place is lost
//! or sold twice.
//! Must not know: how the state came about.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::admission::Stock;
use crate::apply::taking;
use crate::appointment::{Appointment, Status};
use crate::day::{Arrival, Departure, DoctorDay, KEYS_PER_SUBJECT_MAX};
use crate::definition::DayDefinition;
use crate::places::Taking;
use crate::time::UtcMillis;

/// Checks conservation and every index of `day` against its appointments, and its picture at `now`. For tests,
/// simulations and sampling in production: costs O(appointments + slots × releases).
///
/// # Errors
/// The first thing that is wrong, in words.
pub fn check(day: &DoctorDay, now: UtcMillis) -> Result<(), String> {
    rows(day)?;
    holds(day)?;
    patients(day)?;
    keys(day)?;
    match &day.definition {
        Some(definition) => {
            stock(day, definition)?;
            conservation(day, definition, now)
        }
        None => {
            let is_empty = day.appointments.rows().is_empty() && day.arrivals.is_empty() && day.departures.is_empty();
            ensure(is_empty, || "an unpublished day has appointments".into())
        }
    }
}

fn ensure(holds: bool, words: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(words()) }
}

/// Every appointment is sound in itself, and no two have one place.
fn rows(day: &DoctorDay) -> Result<(), String> {
    let mut places = HashSet::new();
    for row in day.appointments.rows() {
        let id = row.id;
        ensure(day.appointments.get(id) == Some(row), || format!("appointment {id} is kept twice or not found"))?;
        sound(row)?;
        if taking(row.status).is_some() {
            ensure(places.insert((row.start, row.place)), || format!("{id}: place {} is taken twice", row.place))?;
        }
    }
    let mut coming = HashSet::new();
    for (_, Arrival { row, .. }) in day.arrivals() {
        sound(row)?;
        ensure(row.status.is_live(), || format!("{} is to come in as {:?}", row.id, row.status))?;
        ensure(day.appointments.get(row.id).is_none(), || format!("{} is here and is to come in", row.id))?;
        ensure(coming.insert(row.id), || format!("two places are kept for {}", row.id))?;
        ensure(places.insert((row.start, row.place)), || format!("{}: place {} is taken twice", row.id, row.place))?;
    }
    for (id, Departure { row, .. }) in &day.departures {
        sound(row)?;
        ensure(row.id == *id && row.status.is_live(), || format!("{id} has left as {row:?}"))?;
        ensure(day.appointments.get(*id).is_none(), || format!("{id} is here and has left"))?;
    }
    Ok(())
}

/// Status and hold of an appointment go together.
fn sound(row: &Appointment) -> Result<(), String> {
    let id = row.id;
    ensure(row.status != Status::Completed, || format!("{id} is stored as completed"))?;
    let ends = row.hold_expires_at.is_some();
    ensure(ends == matches!(row.status, Status::Held | Status::Expired), || {
        format!("{id}: hold end with status {:?}", row.status)
    })?;
    ensure(row.hold_expires_at.is_none_or(|end| end <= row.start), || format!("{id} is held past its start"))
}

fn holds(day: &DoctorDay) -> Result<(), String> {
    let held = day.appointments.rows().iter().filter(|row| row.status == Status::Held);
    let expected: BTreeSet<_> = held.filter_map(|row| Some((row.hold_expires_at?, row.id))).collect();
    ensure(expected == day.holds, || format!("holds are {:?}, should be {expected:?}", day.holds))
}

fn patients(day: &DoctorDay) -> Result<(), String> {
    let live: Vec<&Appointment> = day.appointments.rows().iter().filter(|row| row.status.is_live()).collect();
    ensure(live.len() == day.patients.len(), || "the patients' index has another size".into())?;
    let found = |row: &&&Appointment| day.patients.of(row.patient).any(|id| id == row.id);
    ensure(live.iter().all(|row| found(&row)), || "the patients' index misses an appointment".into())
}

fn keys(day: &DoctorDay) -> Result<(), String> {
    for (subject, keys) in &day.remembered {
        let names: HashSet<_> = keys.iter().map(|remembered| &remembered.key).collect();
        ensure(names.len() == keys.len(), || format!("{subject} has a key twice"))?;
        ensure(keys.len() <= KEYS_PER_SUBJECT_MAX, || format!("{subject} has {} keys", keys.len()))?;
    }
    Ok(())
}

/// The counts by slot and class are those of the rows, and the hints are exact.
fn stock(day: &DoctorDay, definition: &DayDefinition) -> Result<(), String> {
    let mut taken: HashMap<usize, Vec<(u32, Taking)>> = HashMap::new();
    let here = day.appointments.rows().iter().filter_map(|row| Some((row, taking(row.status)?)));
    let on_their_way = day.arrivals().map(|(_, arrival)| (&arrival.row, Taking::Held));
    for (row, taking) in here.chain(on_their_way) {
        let slot = definition.slot_at(row.start).ok_or_else(|| format!("{} lies in no slot", row.id))?;
        ensure(definition.slots[slot].end == row.end, || format!("{} ends with no slot", row.id))?;
        taken.entry(slot).or_default().push((row.place, taking));
    }
    let classes = day.layout.classes();
    let mut earliest = vec![definition.slots.len(); classes];
    for slot in 0..definition.slots.len() {
        let places = taken.remove(&slot).unwrap_or_default();
        let count = |wanted| places.iter().filter(|(_, taking)| *taking == wanted).count() as u32;
        let counted = (count(Taking::Held), count(Taking::Booked));
        let kept = day.places.held_and_booked(slot);
        ensure(kept == counted, || format!("slot {slot} counts {kept:?}, should be {counted:?}"))?;
        let blocked = blocked(definition.slots[slot].capacity, &places);
        for (class, first) in earliest.iter_mut().enumerate() {
            let range = day.layout.range(slot, class);
            let in_class = places.iter().filter(|(place, _)| range.contains(place)).count();
            let untaken = range.len() - in_class - blocked.iter().filter(|place| range.contains(place)).count();
            let kept = day.places.untaken(slot, class) as usize;
            ensure(kept == untaken, || format!("slot {slot}, class {class}: {kept} free, should be {untaken}"))?;
            if untaken > 0 {
                *first = slot.min(*first);
            }
        }
    }
    let kept = day.places.earliest_by_class();
    ensure(kept == earliest, || format!("earliest slots are {kept:?}, should be {earliest:?}"))
}

/// The highest untaken places, as many as are taken beyond the capacity.
fn blocked(capacity: u32, places: &[(u32, Taking)]) -> Vec<u32> {
    let taken: HashSet<u32> = places.iter().map(|(place, _)| *place).collect();
    let beyond = taken.iter().filter(|place| **place >= capacity).count();
    if beyond == 0 {
        return Vec::new();
    }
    (0..capacity).rev().filter(|place| !taken.contains(place)).take(beyond).collect()
}

/// `free + withheld + held + offered + booked = capacity` for every slot, as the picture shows it.
fn conservation(day: &DoctorDay, definition: &DayDefinition, now: UtcMillis) -> Result<(), String> {
    let snapshot = day.snapshot().ok_or("a published day has no picture")?;
    for (slot, offered) in definition.slots.iter().enumerate() {
        let counts = snapshot.counts_at(slot, now);
        let sum = counts.free + counts.withheld + counts.held + counts.offered + counts.booked;
        ensure(sum == offered.capacity, || format!("slot {slot}: {counts:?} of {}", offered.capacity))?;
    }
    Ok(())
}
