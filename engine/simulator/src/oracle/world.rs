//! Everything that the journal says, kept by position: what held when, of every day and of every appointment.
//! Must not know: which record or reply is legal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use booking_core::{Appointment, AppointmentId, DayKey, DayVersion, Event, PatientId};

use super::ask::Floor;
use super::day::DayState;

/// One record.
pub(super) struct Recorded {
    pub(super) day: DayKey,
    pub(super) event: Arc<Event>,
}

/// An appointment as a record leaves it, for its readers: from the commit of a move on it stands on the other day.
#[derive(Clone)]
pub(super) struct Standing {
    pub(super) position: u64,
    /// The day that recorded it.
    pub(super) recorder: DayKey,
    /// The day on which it stands.
    pub(super) day: DayKey,
    pub(super) row: Arc<Appointment>,
}

/// See the module.
#[derive(Default)]
pub(super) struct World {
    /// That of position 1 first.
    records: Vec<Recorded>,
    days: BTreeMap<DayKey, Vec<(u64, Arc<DayState>)>>,
    standings: BTreeMap<AppointmentId, Vec<Standing>>,
    of_patient: BTreeMap<PatientId, BTreeSet<AppointmentId>>,
}

impl World {
    pub(super) fn last_position(&self) -> u64 {
        self.records.len() as u64
    }

    pub(super) fn record(&self, position: u64) -> Option<&Recorded> {
        self.records.get(usize::try_from(position.checked_sub(1)?).ok()?)
    }

    pub(super) fn records(&self) -> impl Iterator<Item = (u64, &Recorded)> {
        (1..).zip(&self.records)
    }

    /// The day after the last of its records up to `position`; `None` if it was not published by then.
    pub(super) fn day_at(&self, day: DayKey, position: u64) -> Option<&Arc<DayState>> {
        let states = self.days.get(&day)?;
        let count = states.partition_point(|(at, _)| *at <= position);
        Some(&states[count.checked_sub(1)?].1)
    }

    pub(super) fn day_now(&self, day: DayKey) -> Option<&Arc<DayState>> {
        self.day_at(day, u64::MAX)
    }

    pub(super) fn days_now(&self) -> impl Iterator<Item = (DayKey, &Arc<DayState>)> {
        self.days.iter().filter_map(|(day, states)| Some((*day, &states.last()?.1)))
    }

    /// How the day was from `from` to `to`: first as it was at `from`, then after each record.
    pub(super) fn states(&self, day: DayKey, from: u64, to: u64) -> Vec<Option<&Arc<DayState>>> {
        let mut found = vec![self.day_at(day, from)];
        let later = self.days.get(&day).into_iter().flatten();
        found.extend(later.filter(|(at, _)| *at > from && *at <= to).map(|(_, state)| Some(state)));
        found
    }

    /// Where the record that left the day at `version` stands in the journal.
    pub(super) fn position_of(&self, day: DayKey, version: DayVersion) -> Option<u64> {
        let states = self.days.get(&day)?;
        let index = states.binary_search_by_key(&version, |(_, state)| state.version).ok()?;
        Some(states[index].0)
    }

    /// Position of the first record of the day after `position`.
    pub(super) fn next_of(&self, day: DayKey, position: u64) -> Option<u64> {
        let states = self.days.get(&day)?;
        Some(states.get(states.partition_point(|(at, _)| *at <= position))?.0)
    }

    /// Every way in which the appointment stood, oldest first.
    pub(super) fn standings(&self, id: AppointmentId) -> &[Standing] {
        self.standings.get(&id).map_or(&[], Vec::as_slice)
    }

    pub(super) fn standing_at(&self, id: AppointmentId, position: u64) -> Option<&Standing> {
        self.standings(id).iter().rev().find(|standing| standing.position <= position)
    }

    /// How the appointment may have looked to somebody who knew at least `floor` and at most `to`. The flag says whether it
    /// may not have been there yet.
    pub(super) fn seen(&self, id: AppointmentId, floor: &Floor, to: u64) -> (&[Standing], bool) {
        let all = self.standings(id);
        let end = all.partition_point(|standing| standing.position <= to);
        let certain = all[..end].iter().rposition(|standing| standing.position <= floor.of(standing.recorder));
        (&all[certain.unwrap_or(0)..end], certain.is_none())
    }

    pub(super) fn appointments(&self) -> impl Iterator<Item = AppointmentId> {
        self.standings.keys().copied()
    }

    pub(super) fn of_patient(&self, patient: PatientId) -> impl Iterator<Item = AppointmentId> {
        self.of_patient.get(&patient).into_iter().flatten().copied()
    }

    /// The zones that the day's definitions named up to `position`.
    pub(super) fn zones(&self, day: DayKey, position: u64) -> impl Iterator<Item = &str> {
        let states = self.days.get(&day).into_iter().flatten().take_while(move |(at, _)| *at <= position);
        states.map(|(_, state)| &*state.offer.definition.time_zone)
    }

    /// Adopts a record that was found legal, with what it makes of its day and of appointments.
    pub(super) fn adopt(&mut self, record: Recorded, state: DayState, told: Vec<(DayKey, Arc<Appointment>)>) {
        let position = self.last_position() + 1;
        for (day, row) in told {
            self.of_patient.entry(row.patient).or_default().insert(row.id);
            let standing = Standing { position, recorder: record.day, day, row };
            self.standings.entry(standing.row.id).or_default().push(standing);
        }
        self.days.entry(record.day).or_default().push((position, Arc::new(state)));
        self.records.push(record);
    }
}
