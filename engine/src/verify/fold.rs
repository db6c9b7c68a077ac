//! Follows the records of one day from the first: is the chain whole, and does every event follow from the state before?
//! Must not know: SQL, the ledger's rows.
//!
//! The rules are asked twice: by books of its own (who sits where, how each appointment stands), which trust nothing that
//! the core has derived, and by the core's own check of the state after the last record.

use std::collections::{BTreeMap, HashMap};

use booking_core::{
    AppointmentId, Change, DayKey, DoctorDay, Event, Fact, PatientId, Status, UtcMillis, decode_event, invariant,
};

use super::finding::{Findings, Kind};
use super::rows::{self, DayRows, Place};
use crate::journal::chain::{self, ChainBreak};
use crate::journal::{Head, StoredRecord, StoredSnapshot};

/// How an appointment stands.
struct Standing {
    status: Status,
    version: u32,
    place: Place,
    patient: PatientId,
}

/// One day, as far as its records can be followed.
pub(crate) struct Fold {
    day: DayKey,
    state: DoctorDay,
    head: Head,
    last_at: UtcMillis,
    standing: HashMap<AppointmentId, Standing>,
    seats: BTreeMap<Place, AppointmentId>,
    live: HashMap<PatientId, Vec<AppointmentId>>,
    /// The ledger's rows stand after this sequence.
    applied_sequence: u64,
    /// What they should be.
    expected: DayRows,
    /// A record could not be followed: nothing after it is judged.
    is_broken: bool,
}

impl Fold {
    /// Before the first record of `day`, which the ledger has applied up to `applied_sequence`.
    pub(crate) fn new(day: DayKey, applied_sequence: u64) -> Self {
        Self {
            day,
            state: DoctorDay::default(),
            head: Head::default(),
            last_at: UtcMillis(0),
            standing: HashMap::new(),
            seats: BTreeMap::new(),
            live: HashMap::new(),
            applied_sequence,
            expected: DayRows::default(),
            is_broken: false,
        }
    }

    /// Where the followed records end.
    pub(crate) fn head(&self) -> Head {
        self.head
    }

    /// Whether a record could not be followed.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// When the earliest hold ends.
    pub(crate) fn next_hold_expiry(&self) -> Option<UtcMillis> {
        self.state.next_hold_expiry()
    }

    /// What the ledger's rows should be; `None` if the records cannot be followed that far.
    pub(crate) fn expected(&self) -> Option<&DayRows> {
        (!self.is_broken || self.applied_sequence <= self.head.version.sequence).then_some(&self.expected)
    }

    /// From here on nothing can be judged.
    pub(crate) fn break_off(&mut self) {
        self.is_broken = true;
    }

    /// The next record. Ignored after a break.
    pub(crate) fn record(&mut self, record: &StoredRecord, findings: &mut Findings) {
        if self.is_broken {
            return;
        }
        let followed = chain::follow(self.head, self.day, record.version, record.hash, &record.body);
        let head = match followed {
            Ok(head) => head,
            Err(broken) => {
                let kind = match broken {
                    ChainBreak::Gap { .. } | ChainBreak::WrongEnd { .. } => Kind::SequenceGap,
                    ChainBreak::EpochFallsBack { .. } | ChainBreak::WrongLink { .. } => Kind::ChainBroken,
                };
                findings.add(kind, self.day, format_args!("position {}: {broken}", record.position));
                return self.break_off();
            }
        };
        let event = match decode_event(&record.body) {
            Ok(event) => event,
            Err(error) => {
                let what = format!("position {}, sequence {}: {error}", record.position, record.version.sequence);
                findings.add(Kind::EventDamaged, self.day, what);
                return self.break_off();
            }
        };
        self.judge(record.version.sequence, &event, findings);
        self.state.apply(record.version, &event);
        (self.head, self.last_at) = (head, event.at);
        if record.version.sequence <= self.applied_sequence {
            self.expected.apply(record.version, &event);
        }
    }

    /// Whether `event` follows from the books, which are brought up to it.
    fn judge(&mut self, sequence: u64, event: &Event, findings: &mut Findings) {
        for change in &event.changes {
            self.step(sequence, change, findings);
        }
        // Within one record places are given back before others are taken.
        for change in event.changes.iter().filter(|change| change.row.status.takes_place()) {
            self.sit(sequence, change, findings);
        }
        for change in event.changes.iter().filter(|change| change.row.status.is_live()) {
            self.enter(sequence, event.at, change, findings);
        }
        if let Some((key, _)) = &event.remembered
            && self.state.remembered_key(key.subject, &key.key).is_some()
        {
            let what = format!("sequence {sequence}: a key of subject {} wins a second time", key.subject);
            findings.add(Kind::KeyDuplicated, self.day, what);
        }
        if !matches!(event.fact, Fact::Published(_)) && self.state.definition().is_none() {
            findings.add(Kind::StepBroken, self.day, format_args!("sequence {sequence}: the day is not published yet"));
        }
    }

    /// The appointment changes as it can from how it stood; its old place is given back.
    fn step(&mut self, sequence: u64, change: &Change, findings: &mut Findings) {
        let row = &change.row;
        let before = self.standing.get(&row.id);
        let (from, version) = (before.map(|before| before.status), before.map_or(0, |before| before.version));
        if from != change.from || row.version != version.saturating_add(1) {
            let what = format!(
                "sequence {sequence}: appointment {} goes from {:?} to version {}, and stood at {from:?}, version {version}",
                row.id, change.from, row.version
            );
            findings.add(Kind::StepBroken, self.day, what);
        }
        if let Some(before) = before {
            if before.status.takes_place() && self.seats.get(&before.place) == Some(&row.id) {
                self.seats.remove(&before.place);
            }
            if let Some(live) = self.live.get_mut(&before.patient) {
                live.retain(|id| *id != row.id);
            }
        }
        let standing =
            Standing { status: row.status, version: row.version, place: rows::place_of(row), patient: row.patient };
        self.standing.insert(row.id, standing);
    }

    fn sit(&mut self, sequence: u64, change: &Change, findings: &mut Findings) {
        let row = &change.row;
        let place = rows::place_of(row);
        let named = format!("sequence {sequence}: place {} of the slot at {} ms", row.place, row.start.0);
        let definition = self.state.definition();
        let slot = definition.and_then(|day| day.slot_at(row.start).and_then(|slot| day.slots.get(slot)));
        // A place keeps its number when its slot is made smaller: only a place taken anew must lie below the capacity.
        let is_taken_anew = change.from.is_none_or(|from| !from.takes_place());
        if slot.is_none_or(|slot| is_taken_anew && row.place >= slot.capacity) {
            let capacity = slot.map_or(0, |slot| slot.capacity);
            findings.add(Kind::Oversold, self.day, format_args!("{named} is taken by {} of {capacity}", row.id));
        }
        match self.seats.insert(place, row.id) {
            Some(other) if other != row.id => {
                findings.add(Kind::Oversold, self.day, format_args!("{named} is taken by {} and by {other}", row.id));
            }
            _ => {}
        }
    }

    /// When it is born, no other live appointment of its patient stands in the way. A visit that has ended does not.
    fn enter(&mut self, sequence: u64, at: UtcMillis, change: &Change, findings: &mut Findings) {
        let row = &change.row;
        let is_born = change.from.is_none();
        let live = self.live.entry(row.patient).or_default();
        let in_the_way = live.iter().find(|id| self.state.appointment(**id).is_some_and(|other| other.is_live_at(at)));
        if let Some(other) = in_the_way.filter(|_| is_born) {
            let what = format!("sequence {sequence}: {} of patient {} beside {other}", row.id, row.patient);
            findings.add(Kind::DoubleBooking, self.day, what);
        }
        live.push(row.id);
    }

    /// Whether `snapshot` is this state; to be asked when its record has just been followed.
    pub(crate) fn compare_snapshot(&self, snapshot: &StoredSnapshot, findings: &mut Findings) {
        if self.is_broken {
            return;
        }
        let sequence = snapshot.head.version.sequence;
        if snapshot.head != self.head {
            findings.add(Kind::SnapshotMismatch, self.day, format_args!("it stands after another record {sequence}"));
        } else if *snapshot.bytes != *self.state.pack() {
            let what = format!("the records up to sequence {sequence} lead to another state");
            findings.add(Kind::SnapshotMismatch, self.day, what);
        }
    }

    /// The core's own check of the state after the last record.
    pub(crate) fn finish(&self, findings: &mut Findings) {
        if self.is_broken || self.head == Head::default() {
            return;
        }
        if let Err(what) = invariant::check(&self.state, self.last_at) {
            findings.add(Kind::InvariantBroken, self.day, what);
        }
    }
}
