//! The ledger's rows of appointments that move: put together from what all their days have recorded.
//! Must not know: SQL, whether the days agree about the moves.
//!
//! A row is the newest version that is applied, whichever day recorded it: the days of a move are applied each as far as
//! its own cursor says. Some 1,000 bytes an appointment that ever moved, or was to.

use std::collections::{BTreeMap, BTreeSet};

use booking_core::{Appointment, AppointmentId, DayKey};

use super::books::Books;
use super::rows::{DayRows, StepRow};

/// One appointment, as its days have recorded it as far as they are applied.
#[derive(Default)]
pub(crate) struct Traveller {
    /// The newest version, at its home.
    newest: Option<(DayKey, Appointment)>,
    steps: BTreeMap<u32, StepRow>,
    /// Every day that has to do with it.
    days: BTreeSet<DayKey>,
}

/// All of them.
#[derive(Default)]
pub(crate) struct Travellers {
    all: BTreeMap<AppointmentId, Traveller>,
}

impl Travellers {
    /// Takes those that `books` tell of out of the rows that `day` alone is compared with. Without `expected`, what the day
    /// has recorded is not known.
    pub(crate) fn take(&mut self, day: DayKey, books: &Books, expected: Option<&mut DayRows>) {
        for (id, others) in &books.travellers {
            let traveller = self.all.entry(*id).or_default();
            traveller.days.extend(others.iter().copied().chain([day]));
        }
        let Some(expected) = expected else { return };
        for id in books.travellers.keys() {
            let traveller = self.all.entry(*id).or_default();
            let stands = expected.appointments.remove(id).filter(|_| !expected.came_in.contains(id));
            let left = expected.left.remove(id);
            for (home, row) in stands.map(|row| (day, row)).into_iter().chain(left) {
                if traveller.newest.as_ref().is_none_or(|(_, newest)| newest.version < row.version) {
                    traveller.newest = Some((home, row));
                }
            }
            let of_id: Vec<(AppointmentId, u32)> =
                expected.steps.range((*id, 0)..=(*id, u32::MAX)).map(|(key, _)| *key).collect();
            for key in of_id {
                traveller.steps.extend(expected.steps.remove(&key).map(|step| (key.1, step)));
            }
        }
    }

    /// Every appointment with the day where the ledger should have it, and with its rows there; `None` where a day of
    /// `broken` has to do with it, so that its rows prove nothing.
    pub(crate) fn into_rows(
        self,
        broken: &BTreeSet<DayKey>,
    ) -> impl Iterator<Item = (AppointmentId, Option<(Option<DayKey>, DayRows)>)> {
        self.all.into_iter().filter_map(|(id, traveller)| {
            if traveller.days.iter().any(|day| broken.contains(day)) {
                return Some((id, None));
            }
            // One for which only a place was kept has never left its day, which was compared by itself.
            traveller.newest.as_ref()?;
            let steps = traveller.steps.into_iter().map(|(version, step)| ((id, version), step)).collect();
            let mut rows = DayRows { steps, ..DayRows::default() };
            let home = traveller.newest.as_ref().map(|(home, _)| *home);
            rows.appointments.extend(traveller.newest.map(|(_, row)| (id, row)));
            Some((id, Some((home, rows))))
        })
    }
}
