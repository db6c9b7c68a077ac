//! Whether what the server holds after a storm is what it told the patients: pure rows in, findings out.
//! Must not know: HTTP, timing, how the rows were read.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use crate::api::{Appointment, Day};
use crate::outcome::{Outcome, Press, Won};

mod finding;
#[cfg(test)]
mod tests;

pub(crate) use finding::Finding;

/// The day and all its appointments at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// The day as everyone sees it.
    pub(crate) day: Day,
    /// Every appointment, of every status.
    pub(crate) appointments: Vec<Appointment>,
}

/// All that an audit judges. Nobody else may have booked or cancelled on the day between the two readings.
pub(crate) struct Evidence<'a> {
    /// Before the press.
    pub(crate) before: &'a Reading,
    /// After the last answer.
    pub(crate) after: &'a Reading,
    /// One for each patient.
    pub(crate) presses: &'a [Press],
    /// Whether a release lay between `before` and the press.
    pub(crate) release_awaited: bool,
    /// How many places everyone could book at the press, where the caller knows better than can be derived.
    pub(crate) places: Option<u64>,
}

/// What an audit found.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    /// Places that everyone could book at the press.
    pub(crate) available: u64,
    /// `available` was concluded from the reading after the storm, so `remaining` of the day was not checked against
    /// anything: a further release is still to come and the caller named no number.
    pub(crate) available_is_concluded: bool,
    /// Places taken in between.
    pub(crate) sold: u64,
    /// Patients who do not know whether they have one.
    pub(crate) unknown: u64,
    /// Of these, how many have one.
    pub(crate) unknown_with_place: u64,
    /// Everything that must not be; empty means clean.
    pub(crate) findings: Vec<Finding>,
}

/// Judges a storm.
pub(crate) fn audit(evidence: &Evidence<'_>) -> Verdict {
    let known: HashSet<Uuid> = evidence.before.appointments.iter().map(|row| row.id).collect();
    let new_rows: Vec<&Appointment> =
        evidence.after.appointments.iter().filter(|row| !known.contains(&row.id)).collect();
    let sold = count(new_rows.iter().filter(|row| row.keeps_place));
    let remaining = remaining(&evidence.after.day);
    let (available, available_is_concluded) = available(evidence, sold, remaining);
    let unknown: HashSet<Uuid> =
        evidence.presses.iter().filter(|press| press.outcome.is_unknown()).map(|press| press.patient).collect();

    let mut findings = Vec::new();
    check_slots(&evidence.after.day, &evidence.after.appointments, &mut findings);
    check_totals(evidence, sold, available, remaining, &mut findings);
    check_winners(evidence, &mut findings);
    check_rows(evidence, &new_rows, &unknown, &mut findings);
    check_refusals(evidence, &mut findings);
    Verdict {
        available,
        available_is_concluded,
        sold,
        unknown: count(unknown.iter()),
        unknown_with_place: count(new_rows.iter().filter(|row| row.keeps_place && unknown.contains(&row.patient))),
        findings,
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u64 {
    items.fold(0, |sum, _| sum + 1)
}

fn remaining(day: &Day) -> u64 {
    day.slots.iter().map(|slot| slot.remaining).sum()
}

/// Places that everyone could book at the press, and whether that is concluded from `remaining` afterwards.
fn available(evidence: &Evidence<'_>, sold: u64, remaining_after: u64) -> (u64, bool) {
    if let Some(places) = evidence.places {
        return (places, false);
    }
    if !evidence.release_awaited {
        return (remaining(&evidence.before.day), false);
    }
    if evidence.after.day.release_at_millis.is_some() {
        return (sold + remaining_after, true);
    }
    // The last release has been: every place of a slot that has not begun is for sale.
    let open = evidence.after.day.slots.iter().filter(|slot| slot.start_millis > evidence.after.day.server_time_millis);
    let open: HashMap<i64, u64> = open.map(|slot| (slot.start_millis, slot.capacity)).collect();
    let taken_before =
        evidence.before.appointments.iter().filter(|row| row.keeps_place && open.contains_key(&row.start_millis));
    (open.values().sum::<u64>().saturating_sub(count(taken_before)), false)
}

fn check_slots(day: &Day, rows: &[Appointment], findings: &mut Vec<Finding>) {
    let mut taken: HashMap<i64, u64> = day.slots.iter().map(|slot| (slot.start_millis, 0)).collect();
    for row in rows.iter().filter(|row| row.keeps_place) {
        match taken.get_mut(&row.start_millis) {
            Some(taken) => *taken += 1,
            None => {
                findings.push(Finding::UnknownSlot { appointment: row.id, start_millis: row.start_millis });
            }
        }
    }
    for slot in &day.slots {
        let (start_millis, taken) = (slot.start_millis, taken[&slot.start_millis]);
        let at_most = slot.capacity.saturating_sub(taken);
        if taken > slot.capacity {
            findings.push(Finding::OversoldSlot { start_millis, taken, capacity: slot.capacity });
        }
        if slot.remaining > at_most {
            findings.push(Finding::SlotRemainingMismatch { start_millis, remaining: slot.remaining, at_most });
        }
    }
}

/// Sold is the smaller of places and patients. Patients without a definite answer may or may not count; those of a
/// named slot are judged one by one, by their refusals.
fn check_totals(evidence: &Evidence<'_>, sold: u64, available: u64, remaining: u64, findings: &mut Vec<Finding>) {
    let at_most = available.min(count(evidence.presses.iter()));
    if sold > at_most {
        findings.push(Finding::OversoldDay { sold, at_most });
    }
    let any_slot = evidence.presses.iter().filter(|press| press.wanted_start_millis.is_none());
    let at_least = available.min(count(any_slot.filter(|press| press.outcome.is_decided())));
    if sold < at_least {
        findings.push(Finding::UnsoldPlaces { sold, at_least });
    }
    let expected = available.saturating_sub(sold);
    if remaining != expected {
        findings.push(Finding::DayRemainingMismatch { remaining, expected });
    }
    let patients = count(evidence.presses.iter().filter(|press| press.outcome == Outcome::NeverSent));
    if patients > 0 {
        findings.push(Finding::NeverSent { patients });
    }
}

/// Every 201 is found exactly once, as it was told.
fn check_winners(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let rows: HashMap<Uuid, &Appointment> = evidence.after.appointments.iter().map(|row| (row.id, row)).collect();
    let mut told = HashSet::new();
    for press in evidence.presses {
        let Outcome::Won(won) = press.outcome else { continue };
        if !told.insert(won.appointment) {
            findings.push(Finding::DuplicatedAppointment { appointment: won.appointment });
        }
        match rows.get(&won.appointment) {
            Some(row) => check_winner(press, won, row, findings),
            None => findings.push(Finding::LostAppointment { patient: press.patient, appointment: won.appointment }),
        }
    }
}

fn check_winner(press: &Press, won: Won, row: &Appointment, findings: &mut Vec<Finding>) {
    let appointment = won.appointment;
    if !row.keeps_place {
        findings.push(Finding::ChangedAppointment { appointment, what: "it keeps no place any more" });
    }
    if row.patient != press.patient || won.patient != press.patient {
        findings.push(Finding::ChangedAppointment { appointment, what: "it is not that of the patient who pressed" });
    }
    let asked = press.wanted_start_millis.unwrap_or(won.start_millis);
    if asked != won.start_millis {
        findings.push(Finding::WrongSlot { appointment, told_millis: asked, found_millis: won.start_millis });
    }
    if row.start_millis != won.start_millis {
        let (told_millis, found_millis) = (won.start_millis, row.start_millis);
        findings.push(Finding::WrongSlot { appointment, told_millis, found_millis });
    }
}

/// No row twice, no patient twice, and no new row without somebody who was told or may wonder.
fn check_rows(
    evidence: &Evidence<'_>,
    new_rows: &[&Appointment],
    unknown: &HashSet<Uuid>,
    findings: &mut Vec<Finding>,
) {
    let (mut ids, mut places) = (HashSet::new(), HashMap::<Uuid, usize>::new());
    for row in &evidence.after.appointments {
        if !ids.insert(row.id) {
            findings.push(Finding::DuplicatedAppointment { appointment: row.id });
        }
        if row.keeps_place {
            *places.entry(row.patient).or_default() += 1;
        }
    }
    let mut twice: Vec<_> = places.into_iter().filter(|(_, places)| *places > 1).collect();
    twice.sort_unstable();
    findings.extend(twice.into_iter().map(|(patient, places)| Finding::DuplicatedPatient { patient, places }));

    let told: HashSet<Uuid> =
        evidence.presses.iter().filter_map(|press| won(press)).map(|won| won.appointment).collect();
    let phantoms = new_rows.iter().filter(|row| !told.contains(&row.id) && !unknown.contains(&row.patient));
    findings.extend(phantoms.map(|row| Finding::PhantomAppointment { appointment: row.id, patient: row.patient }));
}

const fn won(press: &Press) -> Option<Won> {
    if let Outcome::Won(won) = press.outcome { Some(won) } else { None }
}

/// Nothing becomes free in a storm, so who was refused, for whatever reason, must find it full afterwards.
fn check_refusals(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let free_of: HashMap<i64, u64> =
        evidence.after.day.slots.iter().map(|slot| (slot.start_millis, slot.remaining)).collect();
    let free_of_day = remaining(&evidence.after.day);
    for press in evidence.presses {
        let patient = press.patient;
        match &press.outcome {
            Outcome::Refused { code, .. } => {
                let wanted = press.wanted_start_millis;
                let free = wanted.map_or(free_of_day, |start| free_of.get(&start).copied().unwrap_or(0));
                if free > 0 {
                    findings.push(Finding::RefusedThoughFree { patient, code: code.to_string(), free });
                }
            }
            Outcome::Unreadable { status } => {
                findings.push(Finding::UnreadableAnswer { patient, status: *status });
            }
            _ => {}
        }
    }
}
