//! Whether the day agrees with a second telling of the contract that is as naive as can be: lists, and loops over them.
//! Must not know: how the crate finds a place.

use booking_core::{
    Action, AppointmentId, Booking, Busy, DayDefinition, PatientId, Rejection, Relocation, Status, Success, UtcMillis,
};
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

/// Who wants a place, and which one would do.
struct Wish<'wish> {
    patient: PatientId,
    appointment: AppointmentId,
    start: Option<UtcMillis>,
    audiences: &'wish [Box<str>],
    busy: &'wish [Busy],
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

    /// The places that the wish allows, best first, or why there is none.
    fn candidates(&self, wish: &Wish<'_>, now: UtcMillis) -> Result<Vec<(usize, u32)>, Rejection> {
        let slots = &self.definition.slots;
        let named = wish.start.map(|start| slots.iter().position(|slot| slot.start == start));
        let begun = |slot: usize| slots[slot].start <= now;
        if begun(slots.len() - 1) || named.flatten().is_some_and(begun) {
            return Err(Rejection::Closed);
        }
        let admitting = (0..self.definition.releases.len()).filter(|release| self.admits(*release, wish.audiences));
        match admitting.map(|release| self.definition.releases[release].at).min() {
            None => return Err(Rejection::SoldOut),
            Some(release_at) if release_at > now => return Err(Rejection::NotReleased { release_at }),
            Some(_) => {}
        }
        match named {
            Some(None) => Err(Rejection::UnknownSlot),
            Some(Some(slot)) => match self.pick(slot, wish.audiences, now) {
                Some(place) => Ok(vec![(slot, place)]),
                None => {
                    let later = self.untaken(slot).filter_map(|place| self.opens(place, wish.audiences)).min();
                    Err(later.map_or(Rejection::SlotTaken, |release_at| Rejection::NotReleased { release_at }))
                }
            },
            None => {
                let to_come = (0..slots.len()).filter(|slot| !begun(*slot));
                let found = to_come.filter_map(|slot| Some((slot, self.pick(slot, wish.audiences, now)?)));
                let found: Vec<_> = found.collect();
                if found.is_empty() { Err(Rejection::SoldOut) } else { Ok(found) }
            }
        }
    }

    /// The best of them at which the patient is nowhere else.
    fn find(&self, wish: &Wish<'_>, now: UtcMillis) -> Result<(usize, u32), Rejection> {
        let slots = &self.definition.slots;
        let candidates = self.candidates(wish, now)?;
        let is_other = |row: &&Row| row.patient == wish.patient && row.id != wish.appointment;
        let to_come = |row: &&Row| row.status.is_live() && now < slots[row.slot].end;
        let here = self.rows.iter().filter(is_other).filter(to_come);
        let mut in_the_way: Vec<_> = here.map(|row| (slots[row.slot].start, row.id)).collect();
        let is_free_of_others = in_the_way.is_empty();
        for (slot, place) in candidates {
            let overlapping = wish.busy.iter().filter(|busy| {
                (busy.start.0 / 1000..busy.end.0 / 1000)
                    .any(|second| slots[slot].start.0 <= second * 1000 && second * 1000 < slots[slot].end.0)
            });
            let elsewhere: Vec<_> = overlapping.map(|busy| (busy.start, busy.appointment)).collect();
            if is_free_of_others && elsewhere.is_empty() {
                return Ok((slot, place));
            }
            in_the_way.extend(elsewhere);
        }
        in_the_way.sort();
        Err(Rejection::AlreadyBooked { appointment: in_the_way[0].1 })
    }

    fn book(&mut self, wish: &Booking, now: UtcMillis) -> Told {
        let place_wish = Wish {
            patient: wish.patient,
            appointment: wish.appointment,
            start: wish.start,
            audiences: &wish.audiences,
            busy: &wish.busy,
        };
        let (slot, place) = self.find(&place_wish, now)?;
        let status = if wish.hold_millis.is_some() { Status::Held } else { Status::Booked };
        let start = self.definition.slots[slot].start;
        let expiry = wish.hold_millis.map(|millis| now.plus_millis(millis).min(start));
        self.rows.push(Row { id: wish.appointment, patient: wish.patient, slot, place, status, expiry });
        Ok((start, place, status))
    }

    /// Only to another slot, and without a start only to an earlier one.
    fn relocate(&mut self, wish: &Relocation, now: UtcMillis) -> Told {
        let number = self.rows.iter().position(|row| row.id == wish.appointment);
        let number = number.ok_or(Rejection::UnknownAppointment)?;
        let (row, starts) = (&self.rows[number], |slot: usize| self.definition.slots[slot].start);
        if !row.status.is_live() || starts(row.slot) <= now {
            return Err(Rejection::NotChangeable);
        }
        let stays = Ok((starts(row.slot), row.place, row.status));
        if wish.start == Some(starts(row.slot)) {
            return stays;
        }
        let (patient, appointment) = (row.patient, row.id);
        let place_wish = Wish { patient, appointment, start: wish.start, audiences: &wish.audiences, busy: &wish.busy };
        let found = self.find(&place_wish, now);
        let nothing_earlier = match &found {
            Ok((slot, _)) => *slot >= row.slot,
            Err(rejection) => matches!(rejection, Rejection::SoldOut | Rejection::AlreadyBooked { .. }),
        };
        if wish.start.is_none() && nothing_earlier {
            return stays;
        }
        let (slot, place) = found?;
        let start = starts(slot);
        let row = &mut self.rows[number];
        (row.slot, row.place, row.expiry) = (slot, place, row.expiry.map(|expiry| expiry.min(start)));
        Ok((start, place, row.status))
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
                Action::Move(wish) => model.relocate(wish, now),
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
