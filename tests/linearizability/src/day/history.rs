//! The history of one day, with the numbers that things have on it.
//! Must not know: other days, which operations a call is made of.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::log::{OPEN, Row};
use super::model::DayModel;
use super::operation::{Change, Deed, Operation};
use crate::search::Timed;

/// The history of one day.
#[derive(Clone, Debug)]
pub struct DayHistory {
    /// Its number.
    pub day: u32,
    /// What does not change on it.
    pub model: DayModel,
    /// What happened on it.
    pub operations: Vec<Timed<Operation>>,
    /// Of each operation: the number of its record in the log.
    pub records: Vec<usize>,
    /// The appointments by their numbers on this day, as the log names them.
    pub appointments: Vec<u32>,
}

/// One day's history as it grows, with the numbers that things have on it.
#[derive(Default)]
pub(super) struct Builder {
    model: DayModel,
    operations: Vec<Timed<Operation>>,
    records: Vec<usize>,
    appointments: Vec<u32>,
    appointment_numbers: HashMap<u32, usize>,
    patient_numbers: BTreeMap<u32, usize>,
    key_numbers: HashMap<u32, usize>,
    /// Appointments of which the end as a hold is in the history.
    pub(super) expiries: BTreeSet<u32>,
}

impl Builder {
    pub(super) fn new(capacities: &[u16]) -> Self {
        let model = DayModel { capacities: capacities.to_owned(), ..DayModel::default() };
        Self { model, ..Self::default() }
    }

    pub(super) fn patient(&mut self, patient: u32) -> usize {
        let next = self.patient_numbers.len();
        let number = *self.patient_numbers.entry(patient).or_insert(next);
        if number == next {
            self.model.appointments_of.push(Vec::new());
        }
        number
    }

    pub(super) fn appointment(&mut self, appointment: u32, patient: u32) -> usize {
        let patient = self.patient(patient);
        let next = self.appointments.len();
        let number = *self.appointment_numbers.entry(appointment).or_insert(next);
        if number == next {
            self.appointments.push(appointment);
            self.model.patient_of.push(patient);
            self.model.appointments_of[patient].push(number);
        }
        number
    }

    pub(super) fn known_appointment(&self, appointment: u32) -> Option<usize> {
        self.appointment_numbers.get(&appointment).copied()
    }

    pub(super) fn key(&mut self, key: u32) -> usize {
        let next = self.key_numbers.len();
        let number = *self.key_numbers.entry(key).or_insert(next);
        self.model.keys = self.model.keys.max(number + 1);
        number
    }

    pub(super) fn push(&mut self, record: usize, operation: Timed<Operation>) {
        self.records.push(record);
        self.operations.push(operation);
    }

    pub(super) fn push_expiry(&mut self, record: usize, row: &Row, (invoked, latest): (u64, u64), is_optional: bool) {
        let appointment = self.appointment(row.appointment, row.patient);
        let change = Change { appointment, deed: Deed::Expire, seen: None, won: None };
        let likely_at = row.expires_at_micros.unwrap_or(OPEN);
        let operation = Operation::Change(change);
        self.push(record, Timed { invoked, latest, is_optional, likely_at, doubt: 0, operation });
    }

    pub(super) fn finish(self, day: u32) -> DayHistory {
        let Self { model, operations, records, appointments, .. } = self;
        DayHistory { day, model, operations, records, appointments }
    }
}
