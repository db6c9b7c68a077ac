//! Which appointments of a patient may still stand in the way of another one.
//! Must not know: whether they do at some instant (a visit ends, a hold falls due).

use crate::hash::IdMap;
use crate::id::{AppointmentId, PatientId};

/// For every patient the appointments whose stored status is live. Nearly always one: a second one can only be
/// booked when the first has ended.
#[derive(Clone, Default, Debug)]
pub(crate) struct PatientIndex {
    first: IdMap<PatientId, AppointmentId>,
    /// All but the first. No empty lists.
    others: IdMap<PatientId, Vec<AppointmentId>>,
}

impl PatientIndex {
    /// Adds an appointment that is not in the index.
    pub(crate) fn insert(&mut self, patient: PatientId, appointment: AppointmentId) {
        if let Some(previous) = self.first.insert(patient, appointment) {
            self.others.entry(patient).or_default().push(previous);
        }
    }

    /// Removes an appointment, if it is there.
    pub(crate) fn remove(&mut self, patient: PatientId, appointment: AppointmentId) {
        let spare = self.others.get_mut(&patient);
        if self.first.get(&patient) == Some(&appointment) {
            match spare.and_then(Vec::pop) {
                Some(other) => self.first.insert(patient, other),
                None => self.first.remove(&patient),
            };
        } else if let Some(others) = spare {
            others.retain(|other| *other != appointment);
        }
        if self.others.get(&patient).is_some_and(Vec::is_empty) {
            self.others.remove(&patient);
        }
    }

    /// The appointments of one patient, in no particular order.
    pub(crate) fn of(&self, patient: PatientId) -> impl Iterator<Item = AppointmentId> {
        let others = if self.others.is_empty() { None } else { self.others.get(&patient) };
        self.first.get(&patient).into_iter().chain(others.into_iter().flatten()).copied()
    }

    /// How many appointments there are in all.
    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.others.values().map(Vec::len).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removal_in_any_order_leaves_the_others() {
        let patient = PatientId::from_bytes([1; 16]);
        let ids: Vec<_> = (0..3).map(|number| AppointmentId::from_bytes([number; 16])).collect();
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0], [0, 2, 1], [2, 0, 1]] {
            let mut index = PatientIndex::default();
            ids.iter().for_each(|id| index.insert(patient, *id));
            let mut left = ids.clone();
            for position in order {
                index.remove(patient, ids[position]);
                left.retain(|id| *id != ids[position]);
                let mut found: Vec<_> = index.of(patient).collect();
                found.sort();
                assert_eq!(found, left);
                assert_eq!(index.len(), left.len());
            }
            assert!(index.first.is_empty() && index.others.is_empty());
        }
    }
}
