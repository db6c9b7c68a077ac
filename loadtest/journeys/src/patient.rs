//! What a patient does with its own token: hold, confirm, book, move, cancel, list.
//! Must not know: how requests are repeated and counted.

use std::time::{Duration, Instant};

use goose::prelude::*;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock;
use crate::contract::Operation;
use crate::evidence::Doubt;
use crate::http::{Answer, Request};
use crate::model::{Appointment, DayId, Status, appointment, page};
use crate::person::{Memory, Outcome, Person};
use crate::tally::lock;
use crate::tokens::fresh_id;

/// How long most holds are kept, and how long those of patients who may think too long.
const HOLD_SECONDS: u64 = 120;
const SHORT_HOLD_SECONDS: u64 = 1;
/// A patient with more appointments than this cancels one in any case.
const APPOINTMENTS_AT_EASE: usize = 4;

/// Holds a place on the day before one's eyes.
pub(crate) async fn hold(user: &mut GooseUser) -> TransactionResult {
    take(user, Operation::Hold).await
}

/// Books a place on the day before one's eyes.
pub(crate) async fn book(user: &mut GooseUser) -> TransactionResult {
    take(user, Operation::Book).await
}

/// Somewhere to be: a day and perhaps one of its slots.
struct Wish {
    day: DayId,
    start: Option<(String, i64)>,
}

impl Wish {
    /// On the day before one's eyes: mostly in a slot that was free when it was read, else wherever there is a place.
    fn on_day_seen(memory: &mut Memory) -> Option<Self> {
        let named = memory.dice.happens(2, 3);
        let (day, _) = memory.day.as_ref()?;
        let free: Vec<_> = day.slots.iter().filter(|slot| slot.remaining > 0).collect();
        let start = memory.dice.pick(&free).filter(|_| named).map(|slot| (slot.start.clone(), slot.start_millis));
        Some(Self { day: day.id, start })
    }

    fn body(&self) -> Value {
        let mut body = json!({"doctor_id": self.day.doctor, "date": self.day.date.to_string()});
        if let Some((start, _)) = &self.start {
            body["start"] = json!(start);
        }
        body
    }

    /// Whether an answer is about this wish.
    fn answered_by(&self, told: &Appointment) -> bool {
        told.day == self.day && self.start.as_ref().is_none_or(|(_, start_millis)| *start_millis == told.start_millis)
    }
}

async fn take(user: &mut GooseUser, operation: Operation) -> TransactionResult {
    let person = Person::played_by(user)?;
    let (wish, hold_seconds) = {
        let mut memory = lock(&person.memory);
        memory.appointment = None;
        let seconds = if memory.dice.happens(1, 8) { SHORT_HOLD_SECONDS } else { HOLD_SECONDS };
        (Wish::on_day_seen(&mut memory), seconds)
    };
    let Some(wish) = wish else { return Ok(()) };
    let mut body = wish.body();
    let (path, status) = if operation == Operation::Hold {
        body["ttl_seconds"] = json!(hold_seconds);
        ("/v1/holds", Status::Held)
    } else {
        ("/v1/appointments", Status::Booked)
    };
    let request = Request::post(path.to_owned(), fresh_id(), Some(body));
    let began = clock::now();
    let read = |answer: &Answer| {
        let told = appointment(&answer.body)?;
        let right = told.patient == person.id && told.status == status && wish.answered_by(&told);
        if right { Ok(told) } else { Err(format!("answered with {told:?}")) }
    };
    let outcome = person.ask(user, operation, &request, read).await?;
    let mut memory = lock(&person.memory);
    match outcome {
        Outcome::Served(told) => {
            let kept_until = (operation == Operation::Hold).then(|| began + Duration::from_secs(hold_seconds));
            memory.appointment = Some(told.id);
            memory.evidence.told(told, kept_until);
        }
        Outcome::Refused(_) => {}
        Outcome::Open => memory.evidence.doubtful_takings += 1,
    }
    Ok(())
}

/// Confirms what is held. Who has thought too long may be told that it has lapsed, but not earlier.
pub(crate) async fn confirm(user: &mut GooseUser) -> TransactionResult {
    let person = Person::played_by(user)?;
    let held = {
        let memory = lock(&person.memory);
        let story = memory.appointment.and_then(|id| memory.evidence.stories.get(&id).copied());
        story.filter(|story| story.told.status == Status::Held)
    };
    let Some(held) = held else { return Ok(()) };
    let id = held.told.id;
    let request = Request::post(format!("/v1/appointments/{id}/confirm"), fresh_id(), None);
    let outcome = change(user, &person, Operation::Confirm, &request, |told| {
        told.id == id
            && told.status == Status::Booked
            && (told.day, told.start_millis) == (held.told.day, held.told.start_millis)
    });
    match outcome.await? {
        Outcome::Served(_) => {}
        Outcome::Refused(code) if code == "hold_expired" => {
            lock(&person.memory).evidence.lapsed(id);
            if surely_kept(held.kept_until) {
                person.complain(user, Operation::Confirm, "a hold lapsed before its time").await?;
            }
        }
        Outcome::Refused(_) => {}
        Outcome::Open => lock(&person.memory).evidence.doubt(id, Doubt::Confirm),
    }
    Ok(())
}

/// Whether it is too early for a hold to have lapsed.
fn surely_kept(kept_until: Option<Instant>) -> bool {
    kept_until.is_some_and(|until| clock::now() < until)
}

/// Moves one of the patient's appointments to the day before one's eyes.
pub(crate) async fn reschedule(user: &mut GooseUser) -> TransactionResult {
    let person = Person::played_by(user)?;
    let chosen = {
        let mut memory = lock(&person.memory);
        let booked = memory.evidence.booked();
        memory.dice.pick(&booked).copied().zip(Wish::on_day_seen(&mut memory))
    };
    let Some((before, wish)) = chosen else { return Ok(()) };
    let path = format!("/v1/appointments/{}/reschedule", before.id);
    let request = Request::post(path, fresh_id(), Some(wish.body()));
    let outcome = change(user, &person, Operation::Move, &request, |told| {
        told.id == before.id && told.status == Status::Booked && wish.answered_by(told)
    });
    if matches!(outcome.await?, Outcome::Open) {
        lock(&person.memory).evidence.doubt(before.id, Doubt::Move);
    }
    Ok(())
}

/// Every second time, or with many appointments: cancels one.
pub(crate) async fn cancel(user: &mut GooseUser) -> TransactionResult {
    let person = Person::played_by(user)?;
    let (chosen, by_delete) = {
        let mut memory = lock(&person.memory);
        let booked = memory.evidence.booked();
        let tired = booked.len() > APPOINTMENTS_AT_EASE || memory.dice.happens(1, 2);
        (memory.dice.pick(&booked).copied().filter(|_| tired), memory.dice.happens(1, 2))
    };
    let Some(before) = chosen else { return Ok(()) };
    let path = format!("/v1/appointments/{}", before.id);
    let request = if by_delete {
        Request { method: Method::DELETE, ..Request::post(path, fresh_id(), None) }
    } else {
        Request::post(format!("{path}/cancel"), fresh_id(), Some(json!({"reason": "changed plans"})))
    };
    let outcome = change(user, &person, Operation::Cancel, &request, |told| {
        told.id == before.id && told.status == Status::Cancelled
    });
    if matches!(outcome.await?, Outcome::Open) {
        lock(&person.memory).evidence.doubt(before.id, Doubt::Cancel);
    }
    Ok(())
}

/// Asks for a change of an appointment and remembers what was told.
async fn change(
    user: &mut GooseUser,
    person: &Person,
    operation: Operation,
    request: &Request,
    is_right: impl Fn(&Appointment) -> bool,
) -> Result<Outcome<Uuid>, Box<TransactionError>> {
    let read = |answer: &Answer| {
        let told = appointment(&answer.body)?;
        if told.patient == person.id && is_right(&told) { Ok(told) } else { Err(format!("answered with {told:?}")) }
    };
    Ok(match person.ask(user, operation, request, read).await? {
        Outcome::Served(told) => {
            lock(&person.memory).evidence.told(told, None);
            Outcome::Served(told.id)
        }
        Outcome::Refused(code) => Outcome::Refused(code),
        Outcome::Open => Outcome::Open,
    })
}

/// Lists the patient's live appointments: they must be those that it was told of.
pub(crate) async fn list_own(user: &mut GooseUser) -> TransactionResult {
    let person = Person::played_by(user)?;
    let base = format!("/v1/patients/{}/appointments?status=held&status=booked&limit=200", person.id);
    let (mut path, mut rows) = (base.clone(), Vec::new());
    loop {
        let read = |answer: &Answer| page(&answer.body);
        let Outcome::Served((items, next)) = person.ask(user, Operation::ListOwn, &Request::get(path), read).await?
        else {
            return Ok(());
        };
        rows.extend(items);
        match next {
            Some(cursor) => path = format!("{base}&cursor={}", escaped(&cursor)),
            None => break,
        }
    }
    let denied = lock(&person.memory).evidence.denied_by(&rows);
    match denied {
        Some(what) => person.complain(user, Operation::ListOwn, &what).await,
        None => Ok(()),
    }
}

/// `text` with everything but unreserved characters (RFC 3986) escaped, for a query value.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_the_query() {
        assert_eq!(escaped("aZ9-._~"), "aZ9-._~");
        assert_eq!(escaped("a+b/c=&é"), "a%2Bb%2Fc%3D%26%C3%A9");
    }

    #[test]
    fn a_wish_is_answered_only_by_its_own_day_and_slot() {
        let day = DayId { doctor: Uuid::from_u128(1), date: jiff::civil::date(2030, 1, 2) };
        let told = Appointment {
            id: Uuid::from_u128(2),
            patient: Uuid::from_u128(3),
            day,
            start_millis: 7,
            status: Status::Booked,
            expires_at_millis: None,
        };
        let any = Wish { day, start: None };
        let named = Wish { day, start: Some(("2030-01-02T08:00:00Z".to_owned(), 7)) };
        assert!(any.answered_by(&told) && named.answered_by(&told));
        assert_eq!(named.body()["start"], "2030-01-02T08:00:00Z");
        assert!(any.body().get("start").is_none());
        assert!(!named.answered_by(&Appointment { start_millis: 8, ..told }));
        let elsewhere = DayId { doctor: Uuid::from_u128(9), ..day };
        assert!(!any.answered_by(&Appointment { day: elsewhere, ..told }));
    }
}
