//! Which random days and requests are played: few slots, few people, few keys, so that everything meets everything.
//! Must not know: what becomes of them.

use std::sync::Arc;

use booking_core::{Booking, DayDefinition, DayKey, Precondition, RequestKey, Status, UtcMillis};
use engine::view::{
    AppointmentAction, AppointmentAddress, AppointmentQuery, AppointmentScope, BookRequest, Caller, PublishRequest,
    RescheduleRequest,
};
use simulator::oracle::Asked;

use crate::hand::{appointment, caller, day, definition, key, patient, second};
use crate::town::Town;

/// Days of the same doctor one after the other, and one of another doctor beside them.
pub(crate) const DAYS: [i32; 3] = [0, 1, 10];

/// Numbers from a seed. Source: splitmix64, Sebastiano Vigna.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn any_day(&mut self) -> DayKey {
        day(DAYS[self.below(3) as usize])
    }
}

/// A definition for one of [`DAYS`]; one in twenty reaches into the other day of the doctor.
pub(crate) fn any_definition(dice: &mut Dice, number: DayKey) -> Arc<DayDefinition> {
    let (first, count) = if number == day(1) { (7, 6) } else { (1, if number == day(0) { 6 } else { 12 }) };
    let reach = i64::from(dice.one_in(20)) * 6;
    let step = if number == day(10) { 150 } else { 100 };
    loop {
        let mut slots = Vec::new();
        for position in 0..count {
            let start = (first + reach) * 100 + position * step;
            if dice.below(3) > 0 && start < 1400 {
                slots.push((start, start + 100, 1 + dice.below(3) as u32));
            }
        }
        slots.truncate(5);
        let audience = |dice: &mut Dice| [None, None, Some("gold"), Some("silver")][dice.below(4) as usize];
        let mut releases: Vec<(i64, Option<u32>, Option<&str>)> = Vec::new();
        for _ in 0..dice.below(3) {
            let places = (!dice.one_in(4)).then(|| 1 + dice.below(3) as u32);
            releases.push((dice.below(500) as i64, places, audience(dice)));
        }
        if releases.is_empty() || !dice.one_in(3) {
            releases.push((dice.below(60) as i64, None, None));
        }
        if let Ok(valid) = definition(&slots, &releases) {
            return valid;
        }
    }
}

/// A key that was never used with another request, or the last one that was sent under an old key.
fn any_key(dice: &mut Dice, number: u64) -> Option<RequestKey> {
    dice.one_in(3).then(|| {
        let mut key = key(&format!("key-{}", dice.below(8)), 0);
        key.fingerprint.0[..8].copy_from_slice(&number.to_be_bytes());
        key
    })
}

/// The next request; `number` is its own.
pub(crate) fn any_request(dice: &mut Dice, town: &Town, number: u64) -> Asked {
    let key = any_key(dice, number);
    let caller = caller(number, key);
    match dice.below(40) {
        0..13 => any_booking(dice, caller, number),
        13..22 => any_move(dice, town, caller),
        22..32 => any_change(dice, town, caller),
        32 => Asked::Publish(any_publication(dice, town, Caller { key: None, ..caller })),
        33 if dice.one_in(6) => Asked::Close { day: dice.any_day(), reason: None, caller },
        34 => Asked::ReadAppointment(any_appointment(dice, town)),
        35 => Asked::History(any_appointment(dice, town)),
        36 | 37 => Asked::List(any_query(dice, town.now())),
        _ => Asked::ReadDay(dice.any_day()),
    }
}

fn any_audiences(dice: &mut Dice) -> Arc<[Box<str>]> {
    let some: &[&str] = [&[], &[], &["gold"][..], &["silver", "gold"]][dice.below(4) as usize];
    some.iter().map(|audience| Box::from(*audience)).collect()
}

fn any_start(dice: &mut Dice) -> Option<UtcMillis> {
    dice.below(2).checked_sub(1).map(|_| second((1 + dice.below(26) as i64) * 50))
}

fn any_booking(dice: &mut Dice, caller: Caller, number: u64) -> Asked {
    let booking = Booking {
        appointment: appointment(number),
        patient: patient(dice.below(7)),
        start: any_start(dice),
        hold_millis: dice.one_in(2).then(|| 1000 + dice.below(90_000) as i64),
        audiences: any_audiences(dice),
        busy: vec![],
    };
    Asked::Book(BookRequest { day: dice.any_day(), booking, caller })
}

fn any_appointment(dice: &mut Dice, town: &Town) -> booking_core::AppointmentId {
    let chosen = dice.below(town.told.len() as u64 + 1) as usize;
    town.told.keys().nth(chosen).copied().unwrap_or(appointment(999_999))
}

fn any_move(dice: &mut Dice, town: &Town, caller: Caller) -> Asked {
    let to = dice.any_day();
    Asked::Reschedule(RescheduleRequest {
        id: any_appointment(dice, town),
        doctor: Some(to.doctor),
        date: to.date,
        start: any_start(dice),
        audiences: any_audiences(dice),
        caller,
    })
}

fn any_change(dice: &mut Dice, town: &Town, caller: Caller) -> Asked {
    let id = any_appointment(dice, town);
    let known = town.told.get(&id).map(|placed| placed.day).filter(|_| !dice.one_in(8));
    let action = match dice.below(5) {
        0 | 1 => AppointmentAction::Confirm,
        2 | 3 => AppointmentAction::Cancel { reason: None },
        _ => AppointmentAction::NoShow,
    };
    let day = known.unwrap_or_else(|| dice.any_day());
    Asked::Change { address: AppointmentAddress { day, id }, action, caller }
}

pub(crate) fn any_publication(dice: &mut Dice, town: &Town, caller: Caller) -> PublishRequest {
    let day = dice.any_day();
    let present = town.days.get(&day).and_then(|state| state.definition().cloned()).filter(|_| dice.one_in(4));
    let precondition = match dice.below(8) {
        0 => Some(Precondition::Exists),
        1 => Some(Precondition::Never),
        2 => Some(Precondition::Version(town.version(day))),
        3 => Some(Precondition::Version(Default::default())),
        _ => None,
    };
    let definition = present.unwrap_or_else(|| any_definition(dice, day));
    PublishRequest { day, definition, precondition, caller }
}

fn any_query(dice: &mut Dice, now: UtcMillis) -> AppointmentQuery {
    let scope = match dice.below(2) {
        0 => AppointmentScope::Patient(patient(dice.below(7))),
        _ => AppointmentScope::Day(dice.any_day()),
    };
    let statuses = [&[][..], &[Status::Held], &[Status::Booked, Status::Completed], &[Status::Expired]];
    AppointmentQuery {
        scope,
        statuses: statuses[dice.below(4) as usize].to_vec(),
        from: any_start(dice).filter(|_| dice.one_in(2)),
        to: any_start(dice).filter(|_| dice.one_in(2)),
        after: None,
        limit: 1 + dice.below(6) as usize,
        now,
    }
}
