//! Whether what the server holds after a run is what it told the patients, over many days, with holds, moves and
//! cancels: pure rows in, findings out.
//! Must not know: HTTP, how the rows were read.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use uuid::Uuid;

use crate::api::{Appointment, Day};
use crate::run::job::Done;
use crate::run::operation::{Answer, Operation, Place, Status};

pub(crate) mod fairness;
pub(crate) mod lapse;
#[cfg(test)]
mod lapse_tests;
mod occupancy;
#[cfg(test)]
mod tests;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// A stable name.
    pub(crate) kind: &'static str,
    /// Who and what.
    pub(crate) detail: String,
}

impl From<(&'static str, String)> for Finding {
    fn from((kind, detail): (&'static str, String)) -> Self {
        Self { kind, detail }
    }
}

/// One day after the run.
#[derive(Clone, Debug)]
pub(crate) struct DayAfter {
    /// As everyone sees it.
    pub(crate) day: Day,
    /// Every appointment in its list, of every status, read before `day`.
    pub(crate) rows: Vec<Appointment>,
    /// The server's time before `rows` was read, UTC milliseconds.
    pub(crate) read_from_millis: i64,
    /// How many of its places were released to those who asked; `None`: all of them, to everyone.
    pub(crate) released: Option<u64>,
}

/// All that an audit judges. Nobody else may have used these days.
pub(crate) struct Evidence<'a> {
    /// By the index of the world.
    pub(crate) days: &'a [DayAfter],
    /// Appointments made before the run.
    pub(crate) presold: &'a [Place],
    /// One for each arrival.
    pub(crate) done: &'a [Done],
    /// The server's time at the start of the run, UTC microseconds; `None` where its clock was not steady enough to
    /// judge by.
    pub(crate) server_micros_at_start: Option<i64>,
}

/// What an audit found.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Verdict {
    /// Appointments that somebody was told of.
    pub(crate) acknowledged: u64,
    /// Of these, those that keep a place in the end.
    pub(crate) keeping_place: u64,
    /// Refusals that were checked against what was free.
    pub(crate) refusals_checked: u64,
    /// Arrivals whose outcome nobody knows.
    pub(crate) unknown: u64,
    /// Everything that must not be; empty means clean.
    pub(crate) findings: Vec<Finding>,
}

/// What became of one appointment, as far as anybody was told.
#[derive(Clone, Debug)]
struct Story {
    /// As last told.
    place: Place,
    /// A later request about it has an unknown outcome, so it may be elsewhere or gone.
    open: bool,
}

/// Judges a run.
pub(crate) fn audit(evidence: &Evidence<'_>) -> Verdict {
    let mut findings = Vec::new();
    let stories = stories(evidence, &mut findings);
    let wondering: HashSet<Uuid> = evidence
        .done
        .iter()
        .filter(|done| done.operation.takes_new_place() && done.answer.is_unknown())
        .map(|done| done.patient)
        .collect();
    check_slots(evidence, &mut findings);
    check_stories(evidence, &stories, &mut findings);
    check_rows(evidence, &stories, &wondering, &mut findings);
    lapse::check_confirmations(evidence, &mut findings);
    let refusals_checked = occupancy::check(evidence, &mut findings);
    let rows = evidence.days.iter().flat_map(|after| &after.rows);
    Verdict {
        acknowledged: stories.len() as u64,
        keeping_place: rows.filter(|row| row.keeps_place && stories.contains_key(&row.id)).count() as u64,
        refusals_checked,
        unknown: evidence.done.iter().filter(|done| done.answer.is_unknown()).count() as u64,
        findings,
    }
}

fn found(findings: &mut Vec<Finding>, kind: &'static str, detail: String) {
    findings.push(Finding { kind, detail });
}

/// Follows every appointment through the answers, in the order of their requests: one has never two in flight.
fn stories(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) -> HashMap<Uuid, Story> {
    let made = |place: &Place| (place.appointment, Story { place: *place, open: false });
    let mut stories: HashMap<Uuid, Story> = evidence.presold.iter().map(made).collect();
    let mut ordered: Vec<&Done> = evidence.done.iter().filter(|done| !done.operation.only_reads()).collect();
    ordered.sort_by_key(|done| done.sent_micros);
    for done in ordered {
        match (&done.answer, done.subject) {
            (Answer::Served(Some(place)), subject) => {
                check_told(done, place, subject, findings);
                let before = stories.insert(place.appointment, Story { place: *place, open: false });
                if before.is_some() && subject.is_none() {
                    found(findings, "duplicated_appointment", format!("{} was told to two", place.appointment));
                }
            }
            (Answer::Refused { status, code }, Some(subject)) if refuses_own(done, *status) => {
                let detail = format!("{} of {}: {status} {code}", done.operation.name(), subject.appointment);
                found(findings, "own_appointment_refused", detail);
            }
            (answer, Some(subject)) if answer.is_unknown() => {
                if let Some(story) = stories.get_mut(&subject.appointment) {
                    story.open = true;
                }
            }
            (Answer::Unreadable { status }, _) => {
                let detail = format!("{} of {}: status {status}", done.operation.name(), done.patient);
                found(findings, "unreadable_answer", detail);
            }
            _ => {}
        }
    }
    stories
}

/// Whether a refusal denies an appointment that its patient was told to have: it was not asked for twice at once. That a
/// hold lapsed before its confirmation is judged by its end.
const fn refuses_own(done: &Done, status: u16) -> bool {
    match done.operation {
        Operation::Cancel => matches!(status, 403 | 404 | 409 | 410),
        Operation::Move | Operation::Confirm => matches!(status, 403 | 404),
        _ => false,
    }
}

/// Whether an answer is about what was asked.
fn check_told(done: &Done, place: &Place, subject: Option<Place>, findings: &mut Vec<Finding>) {
    let expected = match done.operation {
        Operation::Hold => Status::Held,
        Operation::Cancel => Status::Cancelled,
        _ => Status::Booked,
    };
    let other = subject.is_some_and(|subject| subject.appointment != place.appointment);
    let elsewhere = done.operation.takes_new_place() || done.operation == Operation::Move;
    let wrong_day = elsewhere && place.day != done.day;
    let wrong_slot = elsewhere && done.wanted_start_millis.is_some_and(|wanted| wanted != place.start_millis);
    if place.patient != done.patient || other || place.status != expected || wrong_day || wrong_slot {
        let detail = format!("{} of {} was answered with {place:?}", done.operation.name(), done.patient);
        found(findings, "wrong_answer", detail);
    }
}

/// No slot over its places, and `remaining` is what is left.
fn check_slots(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    for (after, index) in evidence.days.iter().zip(0_u32..) {
        // Taken, and of these those whose hold ended while the day was read, so that it may be counted or not.
        let mut taken: HashMap<i64, (u64, u64)> = HashMap::new();
        for row in after.rows.iter().filter(|row| row.keeps_place) {
            let (taken, ending) = taken.entry(row.start_millis).or_default();
            *taken += 1;
            *ending += u64::from(row.held_until_millis.is_some_and(|until| until <= after.day.server_time_millis));
        }
        let mut all_taken = 0;
        // Places that are not released count as withheld, not as free.
        let least = |free: u64| if after.released.is_some() { 0 } else { free };
        for slot in &after.day.slots {
            let (taken, ending) = taken.remove(&slot.start_millis).unwrap_or_default();
            all_taken += taken;
            let what = || format!("day {index} slot {}: {taken} taken of {}", slot.start, slot.capacity);
            if taken > slot.capacity {
                found(findings, "oversold_slot", what());
            } else if !(least(slot.capacity - taken)..=slot.capacity - taken + ending).contains(&slot.remaining) {
                found(findings, "remaining_mismatch", format!("{}, remaining {}", what(), slot.remaining));
            }
        }
        if let Some(released) = after.released.filter(|released| all_taken > *released) {
            found(findings, "oversold_release", format!("day {index}: {all_taken} taken, {released} were released"));
        }
        if let Some(start) = taken.keys().next() {
            found(findings, "unknown_slot", format!("day {index} has appointments at {start}, but no such slot"));
        }
    }
}

/// Everything acknowledged is there, as last told.
fn check_stories(evidence: &Evidence<'_>, stories: &HashMap<Uuid, Story>, findings: &mut Vec<Finding>) {
    let mut rows: HashMap<Uuid, (u32, &DayAfter, &Appointment)> = HashMap::new();
    for (after, index) in evidence.days.iter().zip(0..) {
        for row in &after.rows {
            if rows.insert(row.id, (index, after, row)).is_some() {
                found(findings, "duplicated_appointment", format!("{} is listed twice", row.id));
            }
        }
    }
    let mut known: Vec<&Story> = stories.values().filter(|story| !story.open).collect();
    known.sort_unstable_by_key(|story| story.place.appointment);
    for Story { place, .. } in known {
        let Some((day, after, row)) = rows.get(&place.appointment) else {
            let detail = format!("{} of patient {}", place.appointment, place.patient);
            found(findings, "lost_appointment", detail);
            continue;
        };
        let same = row.patient == place.patient && row.keeps_place == keeps_place(place, after, row);
        if !same || *day != place.day || row.start_millis != place.start_millis {
            found(findings, "changed_appointment", format!("told {place:?}, found day {day} {row:?}"));
        }
    }
}

/// Whether a place that was told is to be kept in this reading. A hold is, unless it has ended by the server's own time;
/// where it ended during the reading, or nobody was told its end, it is right as it is.
fn keeps_place(place: &Place, after: &DayAfter, row: &Appointment) -> bool {
    match (place.status, place.held_until_millis) {
        (Status::Held, Some(until)) if until > after.day.server_time_millis => true,
        (Status::Held, Some(until)) if until <= after.read_from_millis => false,
        (Status::Held, _) => row.keeps_place,
        (status, _) => status.keeps_place(),
    }
}

/// No patient twice on a day, and nothing that nobody was told of.
fn check_rows(
    evidence: &Evidence<'_>,
    stories: &HashMap<Uuid, Story>,
    wondering: &HashSet<Uuid>,
    findings: &mut Vec<Finding>,
) {
    for (after, index) in evidence.days.iter().zip(0_u32..) {
        let mut patients = HashSet::new();
        for row in &after.rows {
            if row.keeps_place && !patients.insert(row.patient) {
                found(findings, "duplicated_patient", format!("{} has two places on day {index}", row.patient));
            }
            if !stories.contains_key(&row.id) && !wondering.contains(&row.patient) {
                found(findings, "phantom_appointment", format!("{} of patient {}", row.id, row.patient));
            }
        }
    }
}
