//! What one patient was told about its appointments, and what it does not know. Pure.
//! Must not know: HTTP, what other patients were told.

use std::collections::HashMap;
use std::time::Instant;

use uuid::Uuid;

use crate::model::{Appointment, Status};

/// Something that may have been done to an appointment, without an answer that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// A confirmation.
    Confirm,
    /// A move.
    Move,
    /// A cancellation.
    Cancel,
}

/// What became of one appointment, as far as its patient was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Story {
    /// As last told.
    pub(crate) told: Appointment,
    /// What may have happened since.
    pub(crate) doubt: Option<Doubt>,
    /// Before this local instant the hold cannot have lapsed.
    pub(crate) kept_until: Option<Instant>,
}

/// All that one patient was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    /// By the appointment's id.
    pub(crate) stories: HashMap<Uuid, Story>,
    /// Bookings and holds that may have made an appointment which nobody was told of.
    pub(crate) doubtful_takings: u64,
}

impl Evidence {
    /// The patient was told this; `kept_until` is kept from before where none is given.
    pub(crate) fn told(&mut self, told: Appointment, kept_until: Option<Instant>) {
        let before = self.stories.get(&told.id).and_then(|story| story.kept_until);
        self.stories.insert(told.id, Story { told, doubt: None, kept_until: kept_until.or(before) });
    }

    /// A hold was said to have lapsed.
    pub(crate) fn lapsed(&mut self, id: Uuid) {
        if let Some(story) = self.stories.get_mut(&id) {
            story.told.status = Status::Expired;
        }
    }

    /// This may have been done to an appointment.
    pub(crate) fn doubt(&mut self, id: Uuid, doubt: Doubt) {
        if let Some(story) = self.stories.get_mut(&id) {
            story.doubt = Some(doubt);
        }
    }

    /// The appointments that the patient knows to be booked, by id.
    pub(crate) fn booked(&self) -> Vec<Appointment> {
        let sure = |story: &&Story| story.doubt.is_none() && story.told.status == Status::Booked;
        let mut booked: Vec<_> = self.stories.values().filter(sure).map(|story| story.told).collect();
        booked.sort_by_key(|appointment| appointment.id);
        booked
    }

    /// What the patient's own list of live appointments denies of what it was told; `None`: nothing. Holds are left
    /// to the audit, which knows the server's time.
    pub(crate) fn denied_by(&self, list: &[Appointment]) -> Option<String> {
        let listed: HashMap<Uuid, &Appointment> = list.iter().map(|row| (row.id, row)).collect();
        if listed.len() != list.len() {
            return Some("an appointment twice".to_owned());
        }
        for story in self.stories.values().filter(|story| story.doubt.is_none()) {
            let id = story.told.id;
            match (story.told.status, listed.get(&id)) {
                (Status::Booked, None) => return Some(format!("{id} was told booked and is not listed")),
                (Status::Booked, Some(row)) if **row != story.told => {
                    return Some(format!("{id} was told {:?} and is listed {row:?}", story.told));
                }
                (Status::Cancelled | Status::Expired, Some(row)) => {
                    return Some(format!("{id} was told {:?} and is listed {:?}", story.told.status, row.status));
                }
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DayId;

    fn booked(id: u128) -> Appointment {
        Appointment {
            id: Uuid::from_u128(id),
            patient: Uuid::nil(),
            day: DayId { doctor: Uuid::nil(), date: jiff::civil::date(2030, 1, 2) },
            start_millis: 1_000,
            status: Status::Booked,
            expires_at_millis: None,
        }
    }

    #[test]
    fn a_list_must_say_what_was_told() {
        let mut evidence = Evidence::default();
        let (kept, given_back) = (booked(1), Appointment { status: Status::Cancelled, ..booked(2) });
        evidence.told(kept, None);
        evidence.told(given_back, None);
        assert_eq!(evidence.denied_by(&[kept]), None);
        assert!(evidence.denied_by(&[]).unwrap().contains("not listed"));
        assert!(evidence.denied_by(&[Appointment { start_millis: 2_000, ..kept }]).is_some());
        assert!(evidence.denied_by(&[kept, booked(2)]).is_some());
        assert!(evidence.denied_by(&[kept, kept]).unwrap().contains("twice"));
    }

    #[test]
    fn what_is_in_doubt_is_neither_used_nor_denied() {
        let mut evidence = Evidence::default();
        evidence.told(booked(1), None);
        assert_eq!(evidence.booked().len(), 1);
        evidence.doubt(Uuid::from_u128(1), Doubt::Cancel);
        assert_eq!((evidence.booked().len(), evidence.denied_by(&[])), (0, None));
    }

    #[test]
    fn a_hold_keeps_its_instant_through_what_is_told_later() {
        let mut evidence = Evidence::default();
        let until = crate::clock::now();
        evidence.told(Appointment { status: Status::Held, ..booked(1) }, Some(until));
        evidence.lapsed(Uuid::from_u128(1));
        let story = evidence.stories[&Uuid::from_u128(1)];
        assert_eq!((story.told.status, story.kept_until), (Status::Expired, Some(until)));
    }
}
