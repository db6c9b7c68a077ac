//! What a doctor does while patients book: publishes new days, adds places, reads who comes.
//! Must not know: bookings but their list.

use goose::prelude::*;
use serde_json::json;

use crate::contract::Operation;
use crate::http::{Answer, Request};
use crate::model::{DayId, Slot, day, page};
use crate::person::{Outcome, Person};
use crate::tally::lock;
use crate::visitor::open_this_day;

/// Places that are added to a slot at a time, and the most that a slot gets.
const PLACES_MORE: u64 = 1;
const PLACES_MAX: u64 = 1_000;
/// How often a doctor tries to.
const AMENDING_TRIES: u32 = 4;

/// Publishes a day that was not there, about every third with a release two seconds later.
pub(crate) async fn publish(user: &mut GooseUser) -> TransactionResult {
    let person = Person::played_by(user)?;
    let (number, with_release) = {
        let mut memory = lock(&person.memory);
        (memory.doctor, memory.dice.happens(1, 3))
    };
    let world = &person.run.world;
    let doctor = &world.doctors[number];
    let Some(date) = doctor.next_date().map_err(|error| error.to_string())? else { return Ok(()) };
    let request = world.publication(doctor, date, with_release).map_err(|error| error.to_string())?;
    let published = DayId { doctor: doctor.id, date };
    let read = |answer: &Answer| {
        let told = day(&answer.body)?;
        if told.id == published { Ok(()) } else { Err("another day".to_owned()) }
    };
    if let Outcome::Served(()) = person.ask(user, Operation::Publish, &request, read).await? {
        world.published(published);
    }
    Ok(())
}

/// Opens one of the doctor's own days.
pub(crate) async fn open_own_day(user: &mut GooseUser) -> TransactionResult {
    let person = Person::played_by(user)?;
    let chosen = {
        let sure: Vec<_> = person.run.world.days().into_iter().filter(|(_, sure)| *sure).map(|(day, _)| day).collect();
        let own: Vec<_> = sure.into_iter().filter(|day| day.doctor == person.id).collect();
        lock(&person.memory).dice.pick(&own).copied()
    };
    match chosen {
        Some(chosen) => open_this_day(user, chosen).await,
        None => Ok(()),
    }
}

/// Adds a place to every slot of the day before one's eyes, if nobody has booked there meanwhile (`If-Match`); else
/// looks again first.
pub(crate) async fn amend(user: &mut GooseUser) -> TransactionResult {
    let person = Person::played_by(user)?;
    for _ in 0..AMENDING_TRIES {
        let seen = lock(&person.memory).day.take();
        let Some((seen, Some(tag))) = seen else { return Ok(()) };
        if seen.slots.iter().any(|slot| slot.capacity + PLACES_MORE > PLACES_MAX) {
            return Ok(());
        }
        let slot = |slot: &Slot| json!({"start": slot.start, "end": slot.end, "capacity": slot.capacity + PLACES_MORE});
        let mut body = json!({"slots": seen.slots.iter().map(slot).collect::<Vec<_>>()});
        if let Some(release_at) = &seen.release_at {
            body["release_at"] = json!(release_at);
        }
        let path = format!("/v1/doctors/{}/days/{}", seen.id.doctor, seen.id.date);
        let request = Request { if_match: Some(tag), ..Request::put(path, body) };
        let read = |answer: &Answer| {
            let told = day(&answer.body)?;
            let grew =
                told.slots.iter().zip(&seen.slots).all(|(now, then)| now.capacity == then.capacity + PLACES_MORE);
            if told.id == seen.id && grew { Ok(()) } else { Err("not what was put".to_owned()) }
        };
        match person.ask(user, Operation::Amend, &request, read).await? {
            Outcome::Refused(code) if code == "precondition_failed" => open_this_day(user, seen.id).await?,
            _ => break,
        }
    }
    Ok(())
}

/// Reads who comes on the day before one's eyes; the first page is what a doctor looks at.
pub(crate) async fn read_day(user: &mut GooseUser) -> TransactionResult {
    let person = Person::played_by(user)?;
    let seen = lock(&person.memory).day.as_ref().map(|(day, _)| day.id);
    let Some(seen) = seen else { return Ok(()) };
    let request = Request::get(format!("/v1/doctors/{}/days/{}/appointments", seen.doctor, seen.date));
    let read = |answer: &Answer| {
        let (rows, _) = page(&answer.body)?;
        if rows.iter().all(|row| row.day == seen) { Ok(()) } else { Err("an appointment of another day".to_owned()) }
    };
    person.ask(user, Operation::ReadDay, &request, read).await?;
    Ok(())
}
