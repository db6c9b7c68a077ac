//! Whether what the server holds after a run is what it told everyone: plain rows in, findings out. Pure.
//! Must not know: HTTP, how the rows were read.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use uuid::Uuid;

use crate::evidence::{Doubt, Evidence, Story};
use crate::model::{Appointment, Day, Status};

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// A stable name.
    pub(crate) kind: &'static str,
    /// Who and what.
    pub(crate) detail: String,
}

/// One day after the run: read before its appointments and again after them.
#[derive(Clone, Debug)]
pub(crate) struct DayAfter {
    /// The server's time before the appointments were read, UTC milliseconds.
    pub(crate) before_millis: i64,
    /// The day, read after the appointments.
    pub(crate) day: Day,
    /// Every appointment in its list, of every status.
    pub(crate) rows: Vec<Appointment>,
}

/// One patient after the run.
#[derive(Clone, Debug)]
pub(crate) struct PatientAfter {
    /// Who.
    pub(crate) id: Uuid,
    /// What it was told.
    pub(crate) evidence: Evidence,
    /// Its own list, of every status.
    pub(crate) rows: Vec<Appointment>,
}

/// What an audit found.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Verdict {
    /// Days that were read back.
    pub(crate) days: u64,
    /// Patients whose lists were read back.
    pub(crate) patients: u64,
    /// Appointments that somebody was told of.
    pub(crate) acknowledged: u64,
    /// Of these, those that keep a place in the end.
    pub(crate) keeping_place: u64,
    /// Appointments and requests of which nobody knows what became; they may be either.
    pub(crate) in_doubt: u64,
    /// Everything that must not be; empty means clean.
    pub(crate) findings: Vec<Finding>,
}

/// Judges a run. Nobody else may have used these days.
pub(crate) fn audit(days: &[DayAfter], patients: &[PatientAfter]) -> Verdict {
    let mut findings = Findings::default();
    let stories = || patients.iter().flat_map(|patient| patient.evidence.stories.values());
    let in_doubt: u64 = stories().filter(|story| story.doubt.is_some()).count() as u64
        + patients.iter().map(|patient| patient.evidence.doubtful_takings).sum::<u64>();
    let mut on_days: HashMap<Uuid, Vec<(&DayAfter, &Appointment)>> = HashMap::new();
    for day in days {
        check_slots(day, in_doubt == 0, &mut findings);
        for row in &day.rows {
            on_days.entry(row.id).or_default().push((day, row));
        }
    }
    for story in stories() {
        check_story(story, on_days.get(&story.told.id).map_or(&[], Vec::as_slice), &mut findings);
    }
    check_untold(&on_days, patients, &mut findings);
    for patient in patients {
        check_list(patient, &on_days, &mut findings);
    }
    Verdict {
        days: days.len() as u64,
        patients: patients.len() as u64,
        acknowledged: stories().count() as u64,
        keeping_place: stories().filter(|story| story.told.status.keeps_place()).count() as u64,
        in_doubt,
        findings: findings.0,
    }
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, kind: &'static str, detail: String) {
        self.0.push(Finding { kind, detail });
    }
}

/// No slot over its capacity; nobody twice; and, where nothing is in doubt, `remaining` is what is left.
fn check_slots(after: &DayAfter, nothing_in_doubt: bool, findings: &mut Findings) {
    let day = after.day.id;
    let mut live: HashMap<i64, (u64, u64)> = HashMap::new();
    let mut people = HashSet::new();
    for row in after.rows.iter().filter(|row| row.status.keeps_place()) {
        let (kept, held) = live.entry(row.start_millis).or_default();
        *if row.status == Status::Held { held } else { kept } += 1;
        if !people.insert(row.patient) {
            findings.add("two_places_on_a_day", format!("{} on {day:?}", row.patient));
        }
    }
    for slot in &after.day.slots {
        let (kept, held) = live.remove(&slot.start_millis).unwrap_or_default();
        if kept + held > slot.capacity {
            findings.add("oversold", format!("{} of {} at {} on {day:?}", kept + held, slot.capacity, slot.start));
        }
        // A hold may lapse between the two readings; places of a release to come are not free yet.
        let too_many = kept + slot.remaining > slot.capacity;
        let too_few = after.day.release_at.is_none()
            && after.day.state != "closed"
            && kept + held + slot.remaining < slot.capacity;
        if nothing_in_doubt && (too_many || too_few) {
            let detail = format!(
                "{} remaining, {kept} kept and {held} held of {} at {} on {day:?}",
                slot.remaining, slot.capacity, slot.start
            );
            findings.add("wrong_remaining", detail);
        }
    }
    for (start, _) in live {
        findings.add("outside_every_slot", format!("an appointment at {start} ms on {day:?}"));
    }
}

/// What was told is there exactly once, in the place and state last told.
fn check_story(story: &Story, found: &[(&DayAfter, &Appointment)], findings: &mut Findings) {
    let id = story.told.id;
    match found {
        [] => findings.add("lost_appointment", format!("{:?}", story.told)),
        [(day, row)] if !may_be(story, row, day) => {
            findings
                .add("other_than_told", format!("told {:?} (in doubt: {:?}), found {row:?}", story.told, story.doubt));
        }
        [_] => {}
        [..] => findings.add("duplicated_appointment", format!("{id} is in {} lists of days", found.len())),
    }
}

/// Whether a row may be what became of what was told.
fn may_be(story: &Story, row: &Appointment, after: &DayAfter) -> bool {
    let told = &story.told;
    let same_place = row.day == told.day && row.start_millis == told.start_millis;
    let placed = row.patient == told.patient && (same_place || story.doubt == Some(Doubt::Move));
    let status = match (told.status, story.doubt, row.status) {
        (_, Some(Doubt::Cancel), Status::Cancelled) | (_, Some(Doubt::Confirm), Status::Booked) => true,
        (Status::Held, _, Status::Held) => told.expires_at_millis.is_none_or(|at| at > after.before_millis),
        (Status::Held, _, Status::Expired) => {
            told.expires_at_millis.is_some_and(|at| at <= after.day.server_time_millis)
        }
        (told, _, now) => told == now,
    };
    placed && status
}

/// Nothing that nobody was told of, beyond what each patient may have taken without an answer.
fn check_untold(
    on_days: &HashMap<Uuid, Vec<(&DayAfter, &Appointment)>>,
    patients: &[PatientAfter],
    findings: &mut Findings,
) {
    let mut doubtful: HashMap<Uuid, u64> =
        patients.iter().map(|patient| (patient.id, patient.evidence.doubtful_takings)).collect();
    let told: HashSet<Uuid> = patients.iter().flat_map(|patient| patient.evidence.stories.keys().copied()).collect();
    for (id, found) in on_days.iter().filter(|(id, _)| !told.contains(id)) {
        let Some((_, row)) = found.first() else { continue };
        match doubtful.get_mut(&row.patient).filter(|left| **left > 0) {
            Some(left) if found.len() == 1 => *left -= 1,
            _ => findings.add("untold_appointment", format!("{id} in {} lists of days: {row:?}", found.len())),
        }
    }
}

/// A patient's own list and the lists of the days say the same.
fn check_list(
    patient: &PatientAfter,
    on_days: &HashMap<Uuid, Vec<(&DayAfter, &Appointment)>>,
    findings: &mut Findings,
) {
    let mut listed = HashSet::new();
    for row in &patient.rows {
        if row.patient != patient.id || !listed.insert(row.id) {
            findings.add("own_list", format!("{} lists twice, or as its own, {row:?}", patient.id));
        }
        let lapsed = |one: &Appointment| Appointment { status: Status::Expired, ..*one };
        let same = |on_day: &Appointment| {
            // The day was read first, so a hold may have lapsed since.
            on_day == row || (on_day.status == Status::Held && lapsed(on_day) == *row)
        };
        if !on_days.get(&row.id).is_some_and(|found| found.iter().any(|(_, on_day)| same(on_day))) {
            findings.add("own_list", format!("{} lists what its day does not: {row:?}", patient.id));
        }
    }
    for id in patient.evidence.stories.keys().filter(|id| !listed.contains(id)) {
        findings.add("own_list", format!("{} does not list {id}", patient.id));
    }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
