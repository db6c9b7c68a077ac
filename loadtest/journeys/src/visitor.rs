//! What anybody does without a token: searching, opening a doctor and a day, watching it.
//! Must not know: bookings.

use std::time::Duration;

use goose::prelude::*;

use crate::clock;
use crate::contract::{Meaning, Operation, meaning};
use crate::http::{Answer, Request, answer_of};
use crate::model::{DayId, day, days, doctors};
use crate::person::{Outcome, Person, record, throttled};
use crate::stream::EventReader;
use crate::tally::lock;

/// Somebody watches between so many milliseconds, and so many more.
const WATCH_MILLIS: u64 = 800;
const WATCH_MILLIS_MORE: u64 = 2_500;
/// The longest page.
const PAGE_MAX: usize = 200;
/// How long the first event may take.
const FIRST_EVENT_DEADLINE: Duration = Duration::from_secs(15);

/// Searches a doctor in one of the ways there are, and settles for one.
pub(crate) async fn search(user: &mut GooseUser) -> TransactionResult {
    let person = Person::played_by(user)?;
    let world = &person.run.world;
    let (number, query) = {
        let mut memory = lock(&person.memory);
        let number = usize::try_from(memory.dice.below(world.doctors.len() as u64)).unwrap_or(0);
        let doctor = &world.doctors[number];
        let query = match memory.dice.below(3) {
            0 => format!("specialty={}&city={}", doctor.specialty, doctor.city),
            1 => format!("city={}", doctor.city),
            _ => format!("specialty={}&limit={PAGE_MAX}", world.name),
        };
        (number, query)
    };
    // Only this run's doctors have its name, so that all of them must be found.
    let everyone = query.contains(&world.name).then_some(world.doctors.len().min(PAGE_MAX));
    let request = Request::get(format!("/v1/doctors?{query}"));
    let read = |answer: &Answer| {
        let found = doctors(&answer.body)?;
        match everyone {
            Some(count) if found.len() != count => {
                Err(format!("{} doctors of this run were found, there are {count}", found.len()))
            }
            _ if found.is_empty() => Err("nobody was found".to_owned()),
            _ => Ok(()),
        }
    };
    person.ask(user, Operation::Search, &request, read).await?;
    let mut memory = lock(&person.memory);
    (memory.doctor, memory.day) = (number, None);
    memory.days.clear();
    Ok(())
}

/// Opens the doctor in question.
pub(crate) async fn open_doctor(user: &mut GooseUser) -> TransactionResult {
    let person = Person::played_by(user)?;
    let doctor = person.run.world.doctors[lock(&person.memory).doctor].id;
    let request = Request::get(format!("/v1/doctors/{doctor}"));
    let read = |answer: &Answer| {
        let same = answer.body["id"].as_str() == Some(&doctor.to_string());
        if same { Ok(()) } else { Err("another doctor".to_owned()) }
    };
    person.ask(user, Operation::OpenDoctor, &request, read).await?;
    Ok(())
}

/// Looks through the days of the doctor in question.
pub(crate) async fn list_days(user: &mut GooseUser) -> TransactionResult {
    let person = Person::played_by(user)?;
    let doctor = &person.run.world.doctors[lock(&person.memory).doctor];
    let (from, to) = doctor.dates().map_err(|error| error.to_string())?;
    let request = Request::get(format!("/v1/doctors/{}/days?from={from}&to={to}", doctor.id));
    let read = |answer: &Answer| {
        let listed = days(&answer.body)?;
        match listed.iter().find(|one| one.id.doctor != doctor.id || one.id.date < from || one.id.date > to) {
            Some(other) => Err(format!("{:?} was not asked for", other.id)),
            None if listed.is_empty() => Err("no days".to_owned()),
            None => Ok(listed),
        }
    };
    if let Outcome::Served(listed) = person.ask(user, Operation::ListDays, &request, read).await? {
        lock(&person.memory).days = listed;
    }
    Ok(())
}

/// Opens one of the days seen: mostly one with free places.
pub(crate) async fn open_day(user: &mut GooseUser) -> TransactionResult {
    let person = Person::played_by(user)?;
    let wanted = {
        let mut memory = lock(&person.memory);
        let picky = memory.dice.happens(3, 4);
        let free: Vec<_> = memory.days.iter().filter(|one| !picky || one.remaining > 0).map(|one| one.id).collect();
        memory.dice.pick(&free).copied()
    };
    match wanted {
        Some(wanted) => open_this_day(user, wanted).await,
        None => Ok(()),
    }
}

/// Opens a day.
pub(crate) async fn open_this_day(user: &mut GooseUser, wanted: DayId) -> TransactionResult {
    let person = Person::played_by(user)?;
    let request = Request::get(format!("/v1/doctors/{}/days/{}", wanted.doctor, wanted.date));
    let read = |answer: &Answer| {
        let read = day(&answer.body)?;
        if read.id == wanted { Ok((read, answer.tag.clone())) } else { Err("another day".to_owned()) }
    };
    let opened = person.ask(user, Operation::OpenDay, &request, read).await?;
    lock(&person.memory).day = match opened {
        Outcome::Served(opened) => Some(opened),
        _ => None,
    };
    Ok(())
}

/// Watches the day before one's eyes for a while.
pub(crate) async fn watch(user: &mut GooseUser) -> TransactionResult {
    let person = Person::played_by(user)?;
    let (watched, watch_millis) = {
        let mut memory = lock(&person.memory);
        let watch_millis = WATCH_MILLIS + memory.dice.below(WATCH_MILLIS_MORE);
        (memory.day.as_ref().map(|(day, _)| day.id), watch_millis)
    };
    let Some(watched) = watched else { return Ok(()) };
    throttled(user).await?;
    let path = format!("/v1/doctors/{}/days/{}/stream", watched.doctor, watched.date);
    let began = clock::now();
    let seen = read_stream(&person, path, watched, Duration::from_millis(watch_millis)).await;
    let (judged, took, status) = match &seen {
        Ok(Seen::Events { first }) => (Ok(""), *first, Some(200)),
        Ok(Seen::NotNow { code, status }) => (Ok(code.as_str()), began.elapsed(), Some(*status)),
        Err(what) => (Err(what.as_str()), began.elapsed(), None),
    };
    match judged {
        Ok("") => person.run.tally.served(Operation::Watch),
        Ok(code) => person.run.tally.not_now(Operation::Watch, code),
        Err(what) => person.run.tally.unexpected(Operation::Watch, what),
    }
    record(user, "GET", Operation::Watch, judged, took, status).await
}

/// What somebody saw who watched.
enum Seen {
    /// The day; the first event came after so long.
    Events { first: Duration },
    /// Too many watch.
    NotNow { code: String, status: u16 },
}

async fn read_stream(person: &Person, path: String, watched: DayId, length: Duration) -> Result<Seen, String> {
    let (mut response, began) = person.run.api.open(path).await?;
    let status = response.status().as_u16();
    if status != 200 {
        let answer = answer_of(response).await.map_err(|error| error.without_url().to_string())?;
        return match meaning(Operation::Watch, status, &answer.code) {
            Meaning::Shed | Meaning::Unsettled => Ok(Seen::NotNow { code: answer.code, status }),
            _ => Err(format!("status {status} {}", answer.code)),
        };
    }
    let mut reader = EventReader::new(watched);
    let mut first = None;
    loop {
        // The first event is waited for; after it somebody watches only for so long.
        let left = if first.is_some() { length } else { FIRST_EVENT_DEADLINE }.saturating_sub(began.elapsed());
        let chunk = match (tokio::time::timeout(left, response.chunk()).await, first) {
            (Ok(chunk), _) => chunk.map_err(|error| format!("the stream broke: {}", error.without_url()))?,
            (Err(_), Some(first)) => return Ok(Seen::Events { first }),
            (Err(_), None) => return Err("no first event".to_owned()),
        };
        let chunk = chunk.ok_or("the stream ended by itself")?;
        let events = reader.push(&chunk)?;
        person.run.tally.events(events.len() as u64);
        if !events.is_empty() {
            first.get_or_insert_with(|| began.elapsed());
        }
    }
}
