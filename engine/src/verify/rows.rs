//! The ledger's rows of one day as plain values, and what they should be after so many records.
//! Must not know: SQL, the journal's bytes, what is done about a difference.

use std::collections::{BTreeMap, BTreeSet};

use booking_core::{
    Appointment, AppointmentId, Date, DayDefinition, DayKey, DayVersion, Event, Fact, PersonalText, RequestId, Status,
    UtcMillis,
};

use crate::ledger::HistoryItem;
use crate::ledger::won_keys::{KeyDigest, won_key};

/// A row of `doctor_day`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DayRow {
    pub(crate) time_zone: String,
    pub(crate) time_zone_database: String,
    pub(crate) first_start: UtcMillis,
    pub(crate) last_end: UtcMillis,
    pub(crate) slots: u64,
    pub(crate) capacity: u64,
    pub(crate) first_release: UtcMillis,
    pub(crate) releases: u64,
    pub(crate) closed_at: Option<UtcMillis>,
    pub(crate) closed_reason: Option<PersonalText>,
    pub(crate) version: DayVersion,
}

/// A row of `appointment_history`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct StepRow {
    pub(crate) request: RequestId,
    pub(crate) item: HistoryItem,
}

/// A place of a slot: the slot's start and the place's number.
pub(crate) type Place = (UtcMillis, u32);

/// The rows that belong to one day.
#[derive(Clone, Default, Debug)]
pub(crate) struct DayRows {
    /// Up to which record.
    pub(crate) version: DayVersion,
    pub(crate) day: Option<DayRow>,
    pub(crate) appointments: BTreeMap<AppointmentId, Appointment>,
    /// Those that came in from another day, which has recorded them as they are.
    pub(crate) came_in: BTreeSet<AppointmentId>,
    /// Those that left, where they stood then.
    pub(crate) left: BTreeMap<AppointmentId, (DayKey, Appointment)>,
    pub(crate) steps: BTreeMap<(AppointmentId, u32), StepRow>,
    pub(crate) seats: BTreeMap<Place, AppointmentId>,
    /// Keys that won, by the last date that they concern, with the journal position of the record.
    pub(crate) won_keys: BTreeMap<(Date, KeyDigest), u64>,
}

impl DayRows {
    /// One more record of `day`, at a position of the journal.
    pub(crate) fn apply(&mut self, day: DayKey, version: DayVersion, position: u64, event: &Event) {
        let leaving = match &event.fact {
            Fact::MovedOut { to, .. } => event.changes.last().map(|last| (to.day, last)),
            _ => None,
        };
        for change in &event.changes {
            let step = StepRow { request: event.envelope.request, item: HistoryItem::of(event, change) };
            self.steps.insert((change.row.id, change.row.version), step);
            self.came_in.remove(&change.row.id);
            if let Some(before) = self.appointments.insert(change.row.id, change.row.clone())
                && before.status.takes_place()
            {
                self.vacate(&before);
            }
        }
        if let Some((home, change)) = leaving {
            self.appointments.remove(&change.row.id);
            self.left.insert(change.row.id, (home, change.row.clone()));
        }
        // Within one record places are given back before others are taken.
        let staying = event.changes.len() - usize::from(leaving.is_some());
        for change in event.changes.iter().take(staying).filter(|change| change.row.status.takes_place()) {
            self.seats.insert(place_of(&change.row), change.row.id);
        }
        self.fact(version, event);
        self.won_keys.extend(won_key(day, event).map(|(digest, until)| ((until, digest), position)));
        self.version = version;
    }

    fn vacate(&mut self, row: &Appointment) {
        if self.seats.get(&place_of(row)) == Some(&row.id) {
            self.seats.remove(&place_of(row));
        }
    }

    fn fact(&mut self, version: DayVersion, event: &Event) {
        match &event.fact {
            Fact::Published(definition) => {
                let closed = self.day.take().and_then(|day| Some((day.closed_at?, day.closed_reason)));
                self.day = DayRow::of(definition, closed, version);
            }
            Fact::Closed { reason } => {
                if let Some(day) = &mut self.day {
                    (day.closed_at, day.closed_reason) = (Some(event.at), reason.clone());
                    day.version = version;
                }
            }
            Fact::MoveHeld { row, .. } => {
                self.seats.insert(place_of(row), row.id);
            }
            Fact::MovedIn { row, .. } => {
                self.appointments.insert(row.id, Appointment::clone(row));
                self.came_in.insert(row.id);
            }
            Fact::MoveDropped { row, .. } => self.vacate(row),
            Fact::Taken
            | Fact::Confirmed
            | Fact::Cancelled
            | Fact::NoShow
            | Fact::Expired
            | Fact::Remembered
            | Fact::Moved { .. }
            | Fact::MovedOut { .. } => {}
        }
    }
}

impl DayRow {
    fn of(
        definition: &DayDefinition,
        closed: Option<(UtcMillis, Option<PersonalText>)>,
        version: DayVersion,
    ) -> Option<Self> {
        let (closed_at, closed_reason) = closed.map_or((None, None), |(at, reason)| (Some(at), reason));
        Some(Self {
            time_zone: definition.time_zone.to_string(),
            time_zone_database: definition.time_zone_database.to_string(),
            first_start: definition.slots.first()?.start,
            last_end: definition.slots.last()?.end,
            slots: definition.slots.len() as u64,
            capacity: definition.capacity(),
            first_release: definition.releases.first()?.at,
            releases: definition.releases.len() as u64,
            closed_at,
            closed_reason,
            version,
        })
    }
}

/// Where `row` sits.
pub(crate) fn place_of(row: &Appointment) -> Place {
    (row.start, row.place)
}

/// The names of what differs, with both values where they say nothing about a person.
#[derive(Default)]
pub(crate) struct Differences(Vec<String>);

impl Differences {
    fn of<T: PartialEq>(&mut self, name: &str, journal: &T, ledger: &T) {
        if journal != ledger {
            self.0.push(name.to_owned());
        }
    }

    fn told<T: PartialEq + std::fmt::Display>(&mut self, name: &str, journal: T, ledger: T) {
        if journal != ledger {
            self.0.push(format!("{name} is {ledger} and should be {journal}"));
        }
    }

    fn end(self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.join(", "))
    }
}

/// What differs between two rows of one appointment.
pub(crate) fn appointment_differences(journal: &Appointment, ledger: &Appointment) -> Option<String> {
    let mut found = Differences::default();
    found.told("status", StatusWord(journal.status), StatusWord(ledger.status));
    found.told("version", journal.version, ledger.version);
    found.told("start_ms", journal.start.0, ledger.start.0);
    found.told("end_ms", journal.end.0, ledger.end.0);
    found.told("place", journal.place, ledger.place);
    found.of("patient", &journal.patient, &ledger.patient);
    found.of("hold_expires_ms", &journal.hold_expires_at, &ledger.hold_expires_at);
    found.of("reason", &journal.cancellation_reason, &ledger.cancellation_reason);
    found.told("created_ms", journal.created_at.0, ledger.created_at.0);
    found.told("updated_ms", journal.updated_at.0, ledger.updated_at.0);
    found.end()
}

/// What differs between two rows of one step.
pub(crate) fn step_differences(journal: &StepRow, ledger: &StepRow) -> Option<String> {
    let (should, is) = (&journal.item, &ledger.item);
    let mut found = Differences::default();
    found.told("at_ms", should.at.0, is.at.0);
    found.of("actor", &should.actor, &is.actor);
    found.of("role", &should.role, &is.role);
    found.of("request", &journal.request, &ledger.request);
    found.of("from_status", &should.from, &is.from);
    found.told("to_status", StatusWord(should.to), StatusWord(is.to));
    found.of("reason", &should.reason, &is.reason);
    found.end()
}

/// What differs between two rows of one day.
pub(crate) fn day_differences(journal: &DayRow, ledger: &DayRow) -> Option<String> {
    let mut found = Differences::default();
    found.of("time_zone", &journal.time_zone, &ledger.time_zone);
    found.of("time_zone_database", &journal.time_zone_database, &ledger.time_zone_database);
    found.told("first_start_ms", journal.first_start.0, ledger.first_start.0);
    found.told("last_end_ms", journal.last_end.0, ledger.last_end.0);
    found.told("slots", journal.slots, ledger.slots);
    found.told("capacity", journal.capacity, ledger.capacity);
    found.told("first_release_ms", journal.first_release.0, ledger.first_release.0);
    found.told("releases", journal.releases, ledger.releases);
    found.of("closed_ms", &journal.closed_at, &ledger.closed_at);
    found.of("closed_reason", &journal.closed_reason, &ledger.closed_reason);
    found.told("epoch", journal.version.epoch, ledger.version.epoch);
    found.told("sequence", journal.version.sequence, ledger.version.sequence);
    found.end()
}

#[derive(PartialEq)]
struct StatusWord(Status);

impl std::fmt::Display for StatusWord {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.0.word())
    }
}
