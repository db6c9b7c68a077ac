//! Where the appointments of a day are kept: one list, nearly in the order in which they came, and where each id stands in it.
//! Must not know: what an appointment means.

use std::collections::hash_map::Entry;

use crate::appointment::Appointment;
use crate::hash::IdMap;
use crate::id::AppointmentId;

/// All appointments of a day, in whatever status. One leaves only for another day.
#[derive(Clone, Default, Debug)]
pub(crate) struct Register {
    rows: Vec<Appointment>,
    /// Apart from the rows, so that a growing table moves twenty bytes an appointment and not a whole row.
    positions: IdMap<AppointmentId, u32>,
}

impl Register {
    pub(crate) fn get(&self, id: AppointmentId) -> Option<&Appointment> {
        self.rows.get(*self.positions.get(&id)? as usize)
    }

    /// Puts `row` in the place of the one with the same id, which is returned, or at the end.
    pub(crate) fn insert(&mut self, row: Appointment) -> Option<Appointment> {
        match self.positions.entry(row.id) {
            Entry::Occupied(position) => {
                let present = self.rows.get_mut(*position.get() as usize)?;
                Some(std::mem::replace(present, row))
            }
            Entry::Vacant(vacant) => {
                vacant.insert(self.rows.len() as u32);
                self.rows.push(row);
                None
            }
        }
    }

    /// Takes a row out; the last one takes its place in the list.
    pub(crate) fn remove(&mut self, id: AppointmentId) -> Option<Appointment> {
        let position = self.positions.remove(&id)?;
        let row = self.rows.swap_remove(position as usize);
        if let Some(moved) = self.rows.get(position as usize) {
            self.positions.insert(moved.id, position);
        }
        Some(row)
    }

    /// Where a row stands in the list.
    pub(crate) fn position(&self, id: AppointmentId) -> Option<usize> {
        self.positions.get(&id).map(|position| *position as usize)
    }

    /// The rows by id, and for every position in the list which of them stands there.
    pub(crate) fn by_id(&self) -> (Vec<&Appointment>, Vec<u32>) {
        let mut order: Vec<(AppointmentId, u32)> = self.rows.iter().map(|row| row.id).zip(0..).collect();
        order.sort_unstable();
        let mut ranks = vec![0; order.len()];
        for ((_, position), rank) in order.iter().zip(0..) {
            ranks[*position as usize] = rank;
        }
        (order.iter().map(|(_, position)| &self.rows[*position as usize]).collect(), ranks)
    }

    pub(crate) fn rows(&self) -> &[Appointment] {
        &self.rows
    }
}
