//! The state of one doctor-day: what is offered, who has which place, which keys are remembered.
//! Must not know: async, IO, the clock, randomness, other days.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::appointment::{Appointment, PersonalText};
use crate::command::{Answer, Fingerprint};
use crate::definition::DayDefinition;
use crate::id::{AppointmentId, PatientId, SubjectId};
use crate::time::UtcMillis;

/// Most remembered successes of one subject on one day (contract section 3).
pub const KEYS_PER_SUBJECT_MAX: usize = 64;

/// Which record a state stands after. Ordered by epoch, then sequence, so that a sequence number that is used
/// again after a loss is another version (`protocols.md` rule 13).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
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

/// The state machine of one doctor-day. Changed by [`DoctorDay::apply`] only.
#[derive(Clone, Default, Debug)]
pub struct DoctorDay {
    pub(crate) version: DayVersion,
    pub(crate) definition: Option<Arc<DayDefinition>>,
    pub(crate) closure: Option<Closure>,
    pub(crate) appointments: HashMap<AppointmentId, Appointment>,
    /// The appointment of a patient that last took a place and still has it.
    pub(crate) by_patient: HashMap<PatientId, AppointmentId>,
    /// Holds in the order in which they expire.
    pub(crate) holds: BTreeSet<(UtcMillis, AppointmentId)>,
    /// At most [`KEYS_PER_SUBJECT_MAX`] each.
    pub(crate) remembered: HashMap<SubjectId, Vec<RememberedKey>>,
}

impl DoctorDay {
    /// The record after which this state stands.
    pub fn version(&self) -> DayVersion {
        self.version
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
        self.appointments.get(&id)
    }

    /// All appointments, in no particular order.
    pub fn appointments(&self) -> impl Iterator<Item = &Appointment> {
        self.appointments.values()
    }

    /// All remembered keys with their subjects, in no particular order.
    pub fn remembered(&self) -> impl Iterator<Item = (SubjectId, &RememberedKey)> {
        self.remembered.iter().flat_map(|(subject, keys)| keys.iter().map(|key| (*subject, key)))
    }

    /// When the earliest hold ends.
    pub fn next_hold_expiry(&self) -> Option<UtcMillis> {
        self.holds.first().map(|(at, _)| *at)
    }
}
