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
    /// Every appointment in its list, of every status.
    pub(crate) rows: Vec<Appointment>,
}

/// All that an audit judges. Nobody else may have used these days.
pub(crate) struct Evidence<'a> {
    /// By the index of the world.
    pub(crate) days: &'a [DayAfter],
    /// Appointments made before the run.
    pub(crate) presold: &'a [Place],
    /// One for each arrival.
    pub(crate) done: &'a [Done],
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
    let refusals_checked = occupancy::check(evidence, &mut findings);
    let keeps = |story: &&Story| story.place.status.keeps_place();
    Verdict {
        acknowledged: stories.len() as u64,
        keeping_place: stories.values().filter(keeps).count() as u64,
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

/// Whether a refusal denies an appointment that its patient was told to have: it was neither asked for twice at once
/// nor could it lapse, holds being longer than their confirmation waits.
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
        let mut taken: HashMap<i64, u64> = HashMap::new();
        for row in after.rows.iter().filter(|row| row.keeps_place) {
            *taken.entry(row.start_millis).or_default() += 1;
        }
        for slot in &after.day.slots {
            let taken = taken.remove(&slot.start_millis).unwrap_or(0);
            let what = || format!("day {index} slot {}: {taken} taken of {}", slot.start, slot.capacity);
            if taken > slot.capacity {
                found(findings, "oversold_slot", what());
            } else if slot.remaining != slot.capacity - taken {
                found(findings, "remaining_mismatch", format!("{}, remaining {}", what(), slot.remaining));
            }
        }
        if let Some(start) = taken.keys().next() {
            found(findings, "unknown_slot", format!("day {index} has appointments at {start}, but no such slot"));
        }
    }
}

/// Everything acknowledged is there, as last told.
fn check_stories(evidence: &Evidence<'_>, stories: &HashMap<Uuid, Story>, findings: &mut Vec<Finding>) {
    let mut rows: HashMap<Uuid, (u32, &Appointment)> = HashMap::new();
    for (after, index) in evidence.days.iter().zip(0..) {
        for row in &after.rows {
            if rows.insert(row.id, (index, row)).is_some() {
                found(findings, "duplicated_appointment", format!("{} is listed twice", row.id));
            }
        }
    }
    let mut known: Vec<&Story> = stories.values().filter(|story| !story.open).collect();
    known.sort_unstable_by_key(|story| story.place.appointment);
    for Story { place, .. } in known {
        let Some((day, row)) = rows.get(&place.appointment) else {
            let detail = format!("{} of patient {}", place.appointment, place.patient);
            found(findings, "lost_appointment", detail);
            continue;
        };
        let keeps = place.status.keeps_place();
        let lapsed = place.status == Status::Held && !row.keeps_place;
        let same = row.patient == place.patient && (row.keeps_place == keeps || lapsed);
        if !same || *day != place.day || row.start_millis != place.start_millis {
            found(findings, "changed_appointment", format!("told {place:?}, found day {day} {row:?}"));
        }
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
