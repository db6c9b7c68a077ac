//! Whether the ledger's rows of one day are those that its records lead to.
//! Must not know: SQL, how the records were followed.

use std::collections::{BTreeMap, BTreeSet};

use booking_core::{AppointmentId, Date, DayKey};

use super::finding::{Findings, Kind};
use super::rows::{self, DayRows, Place};
use super::source::WonKeyBounds;
use crate::ledger::won_keys::KeyDigest;

/// Adds every difference between what `journal` leads to and what the `ledger` has, and every place that the ledger's
/// own rows give away twice. `ledger.version` is not looked at; rows and steps of `travellers` neither, which other days
/// have a part in.
pub(crate) fn compare(
    day: DayKey,
    journal: &DayRows,
    ledger: &mut DayRows,
    travellers: &BTreeMap<AppointmentId, BTreeSet<DayKey>>,
    findings: &mut Findings,
) {
    match (&journal.day, &ledger.day) {
        (Some(_), None) => findings.add(Kind::DayLost, day, "the published day has no row"),
        (None, Some(_)) => findings.add(Kind::DayUnknown, day, "it was never published, and has a row"),
        (Some(should), Some(is)) => {
            if let Some(what) = rows::day_differences(should, is) {
                findings.add(Kind::DayDiffers, day, what);
            }
        }
        (None, None) => {}
    }
    sold_twice(day, ledger, findings);
    ledger.appointments.retain(|id, _| !travellers.contains_key(id));
    ledger.steps.retain(|(id, _), _| !travellers.contains_key(id));
    appointments(day, journal, ledger, findings);
    history(day, journal, ledger, findings);
    seats(day, journal, ledger, findings);
}

/// Adds every difference between the rows of one appointment that moves: `home` is where the journal has it, `stands` where
/// the ledger has it.
pub(crate) fn compare_traveller(
    (home, journal): (Option<DayKey>, &DayRows),
    (stands, ledger): (Option<DayKey>, &DayRows),
    findings: &mut Findings,
) {
    let Some(day) = home.or(stands) else { return };
    if let (Some(home), Some(stands)) = (home, stands)
        && home != stands
    {
        let ids: Vec<String> = ledger.appointments.keys().map(AppointmentId::to_string).collect();
        let what = format!("appointment {}: it stands on {stands} and should on {home}", ids.join(", "));
        findings.add(Kind::AppointmentDiffers, home, what);
    }
    appointments(day, journal, ledger, findings);
    history(day, journal, ledger, findings);
}

/// Adds every key that has won and has no row, and every row of a key that has not. Where the ledger does not say what it
/// has forgotten, it does not keep keys yet.
pub(crate) fn compare_won_keys(
    day: DayKey,
    journal: &DayRows,
    ledger: &BTreeSet<(Date, KeyDigest)>,
    bounds: WonKeyBounds,
    findings: &mut Findings,
) {
    for ((until, digest), position) in &journal.won_keys {
        let is_due = *position > bounds.after_position && bounds.forgotten_before.is_none_or(|before| *until >= before);
        if is_due && !ledger.contains(&(*until, *digest)) {
            let what = format!("the key that won at position {position}, kept until {until}, has no row");
            findings.add(Kind::WonKeyLost, day, what);
        }
    }
    for (until, _) in ledger.iter().filter(|key| !journal.won_keys.contains_key(key)) {
        findings.add(Kind::WonKeyUnknown, day, format_args!("a key that is kept until {until} has not won"));
    }
}

fn appointments(day: DayKey, journal: &DayRows, ledger: &DayRows, findings: &mut Findings) {
    for (id, should) in &journal.appointments {
        match ledger.appointments.get(id) {
            None => findings.add(Kind::AppointmentLost, day, format_args!("appointment {id} has no row")),
            Some(is) => {
                if let Some(what) = rows::appointment_differences(should, is) {
                    findings.add(Kind::AppointmentDiffers, day, format_args!("appointment {id}: {what}"));
                }
            }
        }
    }
    for id in ledger.appointments.keys().filter(|id| !journal.appointments.contains_key(id)) {
        findings.add(
            Kind::AppointmentUnknown,
            day,
            format_args!("appointment {id} has a row, and the journal does not have it on this day"),
        );
    }
}

fn sold_twice(day: DayKey, ledger: &DayRows, findings: &mut Findings) {
    let mut owners: BTreeMap<Place, Vec<AppointmentId>> = BTreeMap::new();
    for row in ledger.appointments.values().filter(|row| row.status.takes_place()) {
        owners.entry(rows::place_of(row)).or_default().push(row.id);
    }
    for ((start, place), owners) in owners.iter().filter(|(_, owners)| owners.len() > 1) {
        let what = format!(
            "place {place} of the slot at {} ms has {} appointments in the ledger, {} and {} among them",
            start.0,
            owners.len(),
            owners[0],
            owners[1]
        );
        findings.add(Kind::Oversold, day, what);
    }
}

fn history(day: DayKey, journal: &DayRows, ledger: &DayRows, findings: &mut Findings) {
    for ((id, version), should) in &journal.steps {
        let step = format!("step {version} of appointment {id}");
        match ledger.steps.get(&(*id, *version)) {
            None => findings.add(Kind::HistoryLost, day, format_args!("{step} has no row")),
            Some(is) => {
                if let Some(what) = rows::step_differences(should, is) {
                    findings.add(Kind::HistoryDiffers, day, format_args!("{step}: {what}"));
                }
            }
        }
    }
    // The steps of an appointment that the journal does not have are told with it.
    let strange = ledger.steps.keys().filter(|key| !journal.steps.contains_key(key));
    for (id, version) in strange.filter(|(id, _)| journal.appointments.contains_key(id)) {
        findings.add(
            Kind::HistoryUnknown,
            day,
            format_args!("step {version} of appointment {id} has a row, and the journal does not have it"),
        );
    }
}

fn seats(day: DayKey, journal: &DayRows, ledger: &DayRows, findings: &mut Findings) {
    let named = |(start, place): &Place| format!("place {place} of the slot at {} ms", start.0);
    for (place, owner) in &journal.seats {
        match ledger.seats.get(place) {
            None => {
                findings.add(Kind::SeatLost, day, format_args!("{} is taken by {owner} and has no seat", named(place)))
            }
            Some(other) if other != owner => findings.add(
                Kind::SeatDiffers,
                day,
                format_args!("{} is taken by {owner}, its seat by {other}", named(place)),
            ),
            Some(_) => {}
        }
    }
    for (place, owner) in ledger.seats.iter().filter(|(place, _)| !journal.seats.contains_key(place)) {
        findings.add(Kind::SeatUnknown, day, format_args!("{} is not taken, and has a seat of {owner}", named(place)));
    }
}
