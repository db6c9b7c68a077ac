//! Whether the day agrees with a second telling of the contract that is as naive as can be: lists, and loops over them.
//! Must not know: how the crate finds a place.

use booking_core::{Action, AppointmentId, Booking, DayDefinition, PatientId, Rejection, Status, Success, UtcMillis};
use proptest::prelude::*;

use crate::driver::Driver;
use crate::random::{any_definition, plain_steps};

/// A place, and the release that opens it (`None`: only an open-ended one does).
struct Place {
    slot: usize,
    number: u32,
    release: Option<usize>,
}

struct Row {
    id: AppointmentId,
    patient: PatientId,
    slot: usize,
    place: u32,
    status: Status,
    expiry: Option<UtcMillis>,
}

struct Model {
    definition: DayDefinition,
    places: Vec<Place>,
    rows: Vec<Row>,
}

/// What both must agree on: start, place and status of the appointment, or the refusal.
type Told = Result<(UtcMillis, u32, Status), Rejection>;

impl Model {
    fn new(definition: DayDefinition) -> Self {
        let mut places = Vec::new();
        for number in 0..10 {
            for (slot, offered) in definition.slots.iter().enumerate() {
                if number < offered.capacity {
                    places.push(Place { slot, number, release: None });
                }
            }
        }
        let mut next = 0;
        for (position, release) in definition.releases.iter().enumerate() {
            for _ in 0..release.places.unwrap_or(0) {
                places[next].release = Some(position);
                next += 1;
            }
        }
        Self { definition, places, rows: Vec::new() }
    }

    fn admits(&self, release: usize, audiences: &[Box<str>]) -> bool {
        self.definition.releases[release].audience.as_ref().is_none_or(|audience| audiences.contains(audience))
    }

    /// When this place opens to such a caller.
    fn opens(&self, place: &Place, audiences: &[Box<str>]) -> Option<UtcMillis> {
        let releases = (0..self.definition.releases.len()).filter(|release| {
            let for_this = place.release == Some(*release) || self.definition.releases[*release].places.is_none();
            for_this && self.admits(*release, audiences)
        });
        releases.map(|release| self.definition.releases[release].at).min()
    }

    fn untaken(&self, slot: usize) -> impl Iterator<Item = &Place> {
        self.places.iter().filter(move |place| {
            let taken = |row: &Row| row.slot == slot && row.place == place.number && row.status.takes_place();
            place.slot == slot && !self.rows.iter().any(taken)
        })
    }

    /// The place of a slot that such a caller gets.
    fn pick(&self, slot: usize, audiences: &[Box<str>], now: UtcMillis) -> Option<u32> {
        let is_open = |place: &Place, audiences: &[Box<str>]| self.opens(place, audiences).is_some_and(|at| at <= now);
        let open: Vec<_> = self.untaken(slot).filter(|place| is_open(place, audiences)).collect();
        open.iter().map(|place| (is_open(place, &[]), place.number)).min().map(|(_, number)| number)
    }

    fn expire(&mut self, now: UtcMillis) {
        for row in &mut self.rows {
            if row.status == Status::Held && row.expiry.is_some_and(|expiry| expiry <= now) {
                row.status = Status::Expired;
            }
        }
    }

    fn book(&mut self, wish: &Booking, now: UtcMillis) -> Told {
        let slots = &self.definition.slots;
        let named = wish.start.map(|start| slots.iter().position(|slot| slot.start == start));
        let begun = |slot: usize| slots[slot].start <= now;
        if begun(slots.len() - 1) || named.flatten().is_some_and(begun) {
            return Err(Rejection::Closed);
        }
        let admitting = (0..self.definition.releases.len()).filter(|release| self.admits(*release, &wish.audiences));
        match admitting.map(|release| self.definition.releases[release].at).min() {
            None => return Err(Rejection::SoldOut),
            Some(release_at) if release_at > now => return Err(Rejection::NotReleased { release_at }),
            Some(_) => {}
        }
        let (slot, place) = match named {
            Some(None) => return Err(Rejection::UnknownSlot),
            Some(Some(slot)) => match self.pick(slot, &wish.audiences, now) {
                Some(place) => (slot, place),
                None => {
                    let later = self.untaken(slot).filter_map(|place| self.opens(place, &wish.audiences)).min();
                    return Err(later.map_or(Rejection::SlotTaken, |release_at| Rejection::NotReleased { release_at }));
                }
            },
            None => {
                let to_come = (0..slots.len()).filter(|slot| !begun(*slot));
                let mut found = to_come.filter_map(|slot| Some((slot, self.pick(slot, &wish.audiences, now)?)));
                found.next().ok_or(Rejection::SoldOut)?
            }
        };
        let live = |row: &&Row| row.status.is_live() && row.patient == wish.patient && now < slots[row.slot].end;
        if let Some(row) = self.rows.iter().filter(live).min_by_key(|row| row.slot) {
            return Err(Rejection::AlreadyBooked { appointment: row.id });
        }
        let status = if wish.hold_millis.is_some() { Status::Held } else { Status::Booked };
        let start = slots[slot].start;
        let expiry = wish.hold_millis.map(|millis| now.plus_millis(millis).min(start));
        self.rows.push(Row { id: wish.appointment, patient: wish.patient, slot, place, status, expiry });
        Ok((start, place, status))
    }

    fn change(&mut self, id: AppointmentId, confirm: bool, now: UtcMillis) -> Told {
        let row = self.rows.iter_mut().find(|row| row.id == id).ok_or(Rejection::UnknownAppointment)?;
        let start = self.definition.slots[row.slot].start;
        row.status = match (confirm, row.status) {
            (true, Status::Held | Status::Booked) => Status::Booked,
            (true, Status::Expired) => return Err(Rejection::HoldExpired),
            (false, Status::Held | Status::Booked) if now < start => Status::Cancelled,
            (false, Status::Cancelled) => Status::Cancelled,
            _ => return Err(Rejection::NotChangeable),
        };
        Ok((start, row.place, row.status))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_day_agrees_with_the_naive_model(definition in any_definition(), steps in plain_steps()) {
        let mut driver = Driver::published(definition.clone());
        let mut model = Model::new(definition);
        let mut now = UtcMillis(0);
        for (number, step) in steps.iter().enumerate() {
            now = now.plus_millis(step.later_millis);
            let command = step.command(number, driver.day.version());
            model.expire(now);
            let expected = match &command.action {
                Action::Book(wish) => model.book(wish, now),
                Action::Confirm { appointment } => model.change(*appointment, true, now),
                Action::Cancel { appointment, .. } => model.change(*appointment, false, now),
                other => panic!("not a plain step: {other:?}"),
            };
            let told = driver.run(&command, now).outcome.map(|success| match success {
                Success::Appointment { appointment: row, .. } => (row.start, row.place, row.status),
                other => panic!("not about an appointment: {other:?}"),
            });
            prop_assert_eq!(told, expected, "step {} at {:?}: {:?}", number, now, command);
        }
    }
}
