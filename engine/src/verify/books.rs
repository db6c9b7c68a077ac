//! The audit's own books of one day: who sits where, how each appointment stands, which moves are under way. They trust
//! nothing that the core has derived.
//! Must not know: hashes, the ledger's rows, other days.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use booking_core::{
    Appointment, AppointmentId, Change, DayKey, DoctorDay, Event, Fact, MoveId, PatientId, Status, UtcMillis,
};

use super::finding::{Findings, Kind};
use super::moves::{MoveStep, Transit};
use super::rows::{self, Place};

/// How an appointment stands.
#[derive(Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) status: Status,
    pub(crate) version: u32,
    pub(crate) place: Place,
    pub(crate) end: UtcMillis,
    pub(crate) hold_expires_at: Option<UtcMillis>,
    pub(crate) patient: PatientId,
}

impl Standing {
    fn of(row: &Appointment) -> Self {
        Self {
            status: row.status,
            version: row.version,
            place: rows::place_of(row),
            end: row.end,
            hold_expires_at: row.hold_expires_at,
            patient: row.patient,
        }
    }
}

/// The books of one day.
pub(crate) struct Books {
    day: DayKey,
    /// Those that stand here.
    pub(crate) standing: HashMap<AppointmentId, Standing>,
    seats: BTreeMap<Place, AppointmentId>,
    live: HashMap<PatientId, Vec<AppointmentId>>,
    /// Places kept for those on their way in.
    arrivals: BTreeMap<MoveId, Transit>,
    /// What this day has to say of moves, in order.
    pub(crate) moves: Vec<MoveStep>,
    /// Those that came here or left, or were to come, with the days at the other end.
    pub(crate) travellers: BTreeMap<AppointmentId, BTreeSet<DayKey>>,
}

/// An event on its way into the books.
struct Entry<'event> {
    sequence: u64,
    event: &'event Event,
    /// The state before.
    state: &'event DoctorDay,
}

impl Books {
    /// Before the first record of `day`.
    pub(crate) fn new(day: DayKey) -> Self {
        Self {
            day,
            standing: HashMap::new(),
            seats: BTreeMap::new(),
            live: HashMap::new(),
            arrivals: BTreeMap::new(),
            moves: Vec::new(),
            travellers: BTreeMap::new(),
        }
    }

    /// Whether `event` follows from the books, which are brought up to it; `state` is the one before.
    pub(crate) fn judge(&mut self, sequence: u64, event: &Event, state: &DoctorDay, findings: &mut Findings) {
        let entry = Entry { sequence, event, state };
        let (staying, leaving) = match &event.fact {
            Fact::MovedOut { .. } => event.changes.split_at(event.changes.len().saturating_sub(1)),
            _ => (event.changes.as_slice(), [].as_slice()),
        };
        for change in staying.iter().chain(leaving) {
            self.step(&entry, change, findings);
        }
        // Within one record places are given back before others are taken.
        let is_moved = matches!(event.fact, Fact::Moved { .. });
        for (at, change) in staying.iter().enumerate().filter(|(_, change)| change.row.status.takes_place()) {
            // A place keeps its number when its slot is made smaller: only one taken anew must lie below the capacity.
            let is_anew = change.from.is_none_or(|from| !from.takes_place()) || (is_moved && at + 1 == staying.len());
            self.sit(&entry, &change.row, is_anew, findings);
        }
        for change in staying.iter().filter(|change| change.row.status.is_live()) {
            if change.from.is_none() {
                self.is_alone(&entry, &change.row, findings);
            }
            self.live.entry(change.row.patient).or_default().push(change.row.id);
        }
        self.fact(&entry, findings);
        if !matches!(event.fact, Fact::Published(_)) && state.definition().is_none() {
            self.broken(&entry, "the day is not published yet", findings);
        }
    }

    fn broken(&self, entry: &Entry<'_>, what: impl std::fmt::Display, findings: &mut Findings) {
        findings.add(Kind::StepBroken, self.day, format_args!("sequence {}: {what}", entry.sequence));
    }

    /// The appointment changes as it can from how it stood; its old place is given back, and is the one that a move names.
    fn step(&mut self, entry: &Entry<'_>, change: &Change, findings: &mut Findings) {
        let row = &change.row;
        let before = self.standing.get(&row.id).copied();
        let (from, version) = (before.map(|before| before.status), before.map_or(0, |before| before.version));
        if from != change.from || row.version != version.saturating_add(1) {
            let what = format!(
                "appointment {} goes from {:?} to version {}, and stood at {from:?}, version {version}",
                row.id, change.from, row.version
            );
            self.broken(entry, what, findings);
        }
        if let Some(before) = before {
            self.forget(row.id, &before);
        }
        let is_last = entry.event.changes.last().is_some_and(|last| last.row.id == row.id);
        let left = match &entry.event.fact {
            Fact::Moved { from } | Fact::MovedOut { from, .. } if is_last => Some((from.start, from.place)),
            _ => None,
        };
        if let Some(left) = left.filter(|left| before.is_none_or(|before| before.place != *left)) {
            let what = format!("appointment {} leaves place {} of the slot at {} ms", row.id, left.1, left.0.0);
            self.broken(entry, format_args!("{what}, which it did not have"), findings);
        }
        self.standing.insert(row.id, Standing::of(row));
    }

    /// Its place and its patient are free of it.
    fn forget(&mut self, id: AppointmentId, before: &Standing) {
        if before.status.takes_place() && self.seats.get(&before.place) == Some(&id) {
            self.seats.remove(&before.place);
        }
        if let Some(live) = self.live.get_mut(&before.patient) {
            live.retain(|other| *other != id);
        }
    }

    fn sit(&mut self, entry: &Entry<'_>, row: &Appointment, is_anew: bool, findings: &mut Findings) {
        let named = format!("sequence {}: place {} of the slot at {} ms", entry.sequence, row.place, row.start.0);
        let definition = entry.state.definition();
        let slot = definition.and_then(|day| day.slot_at(row.start).and_then(|slot| day.slots.get(slot)));
        if slot.is_none_or(|slot| is_anew && row.place >= slot.capacity) {
            let capacity = slot.map_or(0, |slot| slot.capacity);
            findings.add(Kind::Oversold, self.day, format_args!("{named} is taken by {} of {capacity}", row.id));
        }
        match self.seats.insert(rows::place_of(row), row.id) {
            Some(other) if other != row.id => {
                findings.add(Kind::Oversold, self.day, format_args!("{named} is taken by {} and by {other}", row.id));
            }
            _ => {}
        }
    }

    /// When it comes to the day, no other live appointment of its patient stands in the way, nor is one on its way in. A
    /// visit that has ended does not.
    fn is_alone(&self, entry: &Entry<'_>, row: &Appointment, findings: &mut Findings) {
        let is_in_the_way =
            |id: &AppointmentId| entry.state.appointment(*id).is_some_and(|other| other.is_live_at(entry.event.at));
        let here = self.live.get(&row.patient).and_then(|live| live.iter().copied().find(is_in_the_way));
        let on_its_way = self.arrivals.values().find(|it| it.patient == row.patient).map(|it| it.appointment);
        if let Some(other) = here.or(on_its_way).filter(|other| *other != row.id) {
            let what = format!("sequence {}: {} of patient {} beside {other}", entry.sequence, row.id, row.patient);
            findings.add(Kind::DoubleBooking, self.day, what);
        }
    }

    /// What the event is beyond its changes: a step of a move between days.
    fn fact(&mut self, entry: &Entry<'_>, findings: &mut Findings) {
        let at = entry.event.at;
        match &entry.event.fact {
            Fact::MoveHeld { move_id, from, row } => {
                let is_here = self.standing.contains_key(&row.id);
                if is_here || self.arrivals.contains_key(move_id) || !row.status.is_live() {
                    self.broken(entry, format_args!("a place is kept for {}, which cannot come", row.id), findings);
                }
                self.is_alone(entry, row, findings);
                self.sit(entry, row, true, findings);
                let transit = Transit::of(row);
                self.arrivals.insert(*move_id, transit);
                self.travellers.entry(row.id).or_default().insert(*from);
                self.moves.push(MoveStep::Held { move_id: *move_id, from: *from, transit, at });
            }
            Fact::MovedIn { move_id, row } => {
                if self.arrivals.remove(move_id) != Some(Transit::of(row)) {
                    self.broken(entry, format_args!("{} comes in, and this place was not kept", row.id), findings);
                }
                self.standing.insert(row.id, Standing::of(row));
                self.live.entry(row.patient).or_default().push(row.id);
                self.moves.push(MoveStep::In { move_id: *move_id });
            }
            Fact::MoveDropped { move_id, row } => {
                match self.arrivals.remove(move_id) {
                    Some(kept) if kept == Transit::of(row) => {}
                    _ => self.broken(entry, format_args!("no such place was kept for {}", row.id), findings),
                }
                if self.seats.get(&rows::place_of(row)) == Some(&row.id) {
                    self.seats.remove(&rows::place_of(row));
                }
                self.moves.push(MoveStep::Dropped { move_id: *move_id });
            }
            Fact::MovedOut { move_id, to, .. } => {
                let Some(last) = entry.event.changes.last() else {
                    return self.broken(entry, "nobody leaves", findings);
                };
                self.standing.remove(&last.row.id);
                if !last.row.status.is_live() || to.day == self.day {
                    self.broken(entry, format_args!("{} leaves, and cannot", last.row.id), findings);
                }
                self.travellers.entry(last.row.id).or_default().insert(to.day);
                let transit = Transit::of(&last.row);
                self.moves.push(MoveStep::Out { move_id: *move_id, to: to.day, transit });
            }
            _ => {}
        }
    }
}
