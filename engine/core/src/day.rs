//! The state of one doctor-day: what is offered, who has which place, which keys are remembered.
//! Must not know: async, IO, the clock, randomness, other days.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::appointment::{Appointment, PersonalText};
use crate::command::{Answer, Fingerprint};
use crate::definition::DayDefinition;
use crate::event::Home;
use crate::hash::IdMap;
use crate::id::{AppointmentId, DayKey, MoveId, SubjectId};
use crate::layout::Layout;
use crate::patients::PatientIndex;
use crate::places::Places;
use crate::register::Register;
use crate::time::UtcMillis;

/// Most remembered successes of one subject on one day (contract section 3).
pub const KEYS_PER_SUBJECT_MAX: usize = 64;

/// How long a place is kept for a move before the day asks by itself what has become of it: whoever drives the move has
/// given it up by then.
pub const ARRIVAL_PATIENCE_MILLIS: i64 = 3_000;

/// Which record a state stands after. Ordered by epoch, then sequence, so that a sequence number that is used
/// again after a loss is another version (`protocols.md` rule 13).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DayVersion {
    /// The owner's epoch when the record was written.
    pub epoch: u32,
    /// 1 for a day's first record, rising by 1.
    pub sequence: u64,
}

/// A key whose request has won.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RememberedKey {
    /// The key, in the scope of its subject.
    pub key: Box<str>,
    /// What was asked under it.
    pub fingerprint: Fingerprint,
    /// The first answer.
    pub answer: Answer,
}

/// When and why a day was closed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Closure {
    /// When.
    pub at: UtcMillis,
    /// Why, if said.
    pub reason: Option<PersonalText>,
}

/// A place that is kept for an appointment on its way in. It counts as held, and has no time limit of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// Where the appointment is until it comes.
    pub from: DayKey,
    /// Since when the place is kept.
    pub since: UtcMillis,
    /// As it is to be here.
    pub row: Appointment,
}

/// Where an appointment went.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Departure {
    /// By which attempt.
    pub move_id: MoveId,
    /// The next day on its way: it may have left that one too.
    pub to: Home,
    /// As it stood when it left, in its new place.
    pub row: Appointment,
}

/// The state machine of one doctor-day. Changed by [`DoctorDay::apply`] only.
#[derive(Clone, Default, Debug)]
pub struct DoctorDay {
    pub(crate) version: DayVersion,
    /// The epoch under which the next record will be written, if higher than that of the last one. Not state:
    /// neither packed nor recorded.
    pub(crate) epoch: u32,
    pub(crate) definition: Option<Arc<DayDefinition>>,
    /// Follows from the definition.
    pub(crate) layout: Arc<Layout>,
    pub(crate) closure: Option<Closure>,
    pub(crate) appointments: Register,
    /// What the appointments take. Follows from them, as do the next two.
    pub(crate) places: Places,
    /// The appointments of a patient whose stored status is live.
    pub(crate) patients: PatientIndex,
    /// Holds in the order in which they expire.
    pub(crate) holds: BTreeSet<(UtcMillis, AppointmentId)>,
    /// At most [`KEYS_PER_SUBJECT_MAX`] each, in the order in which they were used. Shared with whoever answers from them.
    pub(crate) remembered: IdMap<SubjectId, Vec<Arc<RememberedKey>>>,
    /// Places kept for moves that are not settled. Nearly always empty.
    pub(crate) arrivals: BTreeMap<MoveId, Arrival>,
    /// Where appointments went that were here once.
    pub(crate) departures: IdMap<AppointmentId, Departure>,
}

impl DoctorDay {
    /// The record after which this state stands.
    pub fn version(&self) -> DayVersion {
        self.version
    }

    /// The version that the next record will have: the next sequence number, under the epoch last adopted; of a day that nobody has
    /// adopted, as when a history is read again, under that of the last record. [`DoctorDay::decide`] names it in
    /// [`Success::Day`](crate::Success::Day), and whoever records the decision hands it to [`DoctorDay::apply`].
    pub fn next_version(&self) -> DayVersion {
        DayVersion { epoch: self.epoch.max(self.version.epoch), sequence: self.version.sequence.saturating_add(1) }
    }

    /// From now on records are written under `epoch`. To be called by an owner after loading the day. False, and nothing changed, if
    /// the last record is of a later epoch: then its owner alone may go on.
    #[must_use]
    pub fn adopt_epoch(&mut self, epoch: u32) -> bool {
        let is_newest = epoch >= self.version.epoch;
        if is_newest {
            self.epoch = epoch;
        }
        is_newest
    }

    /// What is offered; `None` if the day was never published.
    pub fn definition(&self) -> Option<&Arc<DayDefinition>> {
        self.definition.as_ref()
    }

    /// When and why it was closed by hand.
    pub fn closure(&self) -> Option<&Closure> {
        self.closure.as_ref()
    }

    /// The appointment with this id, in whatever status.
    pub fn appointment(&self, id: AppointmentId) -> Option<&Appointment> {
        self.appointments.get(id)
    }

    /// All appointments, in no particular order.
    pub fn appointments(&self) -> impl Iterator<Item = &Appointment> {
        self.appointments.rows().iter()
    }

    /// All remembered keys with their subjects, in no particular order.
    pub fn remembered(&self) -> impl Iterator<Item = (SubjectId, &Arc<RememberedKey>)> {
        self.remembered.iter().flat_map(|(subject, keys)| keys.iter().map(|key| (*subject, key)))
    }

    /// The remembered success of a key, if its request has won.
    pub fn remembered_key(&self, subject: SubjectId, key: &str) -> Option<&Arc<RememberedKey>> {
        self.remembered.get(&subject)?.iter().find(|remembered| *remembered.key == *key)
    }

    /// The places that are kept for moves which are not settled, by attempt.
    pub fn arrivals(&self) -> impl Iterator<Item = (MoveId, &Arrival)> {
        self.arrivals.iter().map(|(move_id, arrival)| (*move_id, arrival))
    }

    /// The place that is kept for a move.
    pub fn arrival(&self, move_id: MoveId) -> Option<&Arrival> {
        self.arrivals.get(&move_id)
    }

    /// Where an appointment went that was here once; `None` if it never was, or is here (again).
    pub fn departure(&self, id: AppointmentId) -> Option<&Departure> {
        self.departures.get(&id)
    }

    /// All appointments that were here once and left, in no particular order.
    pub fn departures(&self) -> impl Iterator<Item = &Departure> {
        self.departures.values()
    }

    /// When the day must next do something unasked: the end of its earliest hold, or the moment to ask what became of a
    /// move.
    pub fn next_work_at(&self) -> Option<UtcMillis> {
        let asking = self.arrivals.values().map(|arrival| arrival.since.plus_millis(ARRIVAL_PATIENCE_MILLIS)).min();
        self.next_hold_expiry().into_iter().chain(asking).min()
    }

    /// When the earliest hold ends.
    pub fn next_hold_expiry(&self) -> Option<UtcMillis> {
        self.holds.first().map(|(at, _)| *at)
    }
}
