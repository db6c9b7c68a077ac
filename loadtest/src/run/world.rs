//! The doctors and days that a run needs, set up through the public API with an admin's token.
//! Must not know: what load they will meet, how a run is judged.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;
use uuid::Uuid;

use crate::driver::clock;
use crate::driver::connection::{Connection, TransportError};
use crate::driver::target::Target;
use crate::run::operation::{Answer, Operation, Place, read};
use crate::run::scenario::{Days, Parameters};

/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Days begin the day after tomorrow, so that no slot begins during a run, whatever the two clocks say.
const FIRST_DAY_AFTER: i64 = 2;
/// The longest slot, in seconds.
const SLOT_SECONDS: u32 = 900;

/// Why the days could not be set up.
#[derive(Debug, Error)]
pub(crate) enum WorldError {
    /// The server does not answer.
    #[error("{what}: {source}")]
    Unreachable {
        /// What was asked.
        what: String,
        /// What went wrong.
        source: TransportError,
    },
    /// Another answer than a success.
    #[error("{what}: status {status}: {body}")]
    Refused {
        /// What was asked.
        what: String,
        /// What came.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
    /// A date or an instant beyond the calendar.
    #[error("no such date: {0}")]
    Date(#[from] jiff::Error),
}

/// One slot.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct WorldSlot {
    /// Its start, to be named in a request.
    pub(crate) start: String,
    /// Its start, UTC milliseconds.
    pub(crate) start_millis: i64,
    /// Its places.
    pub(crate) capacity: u64,
}

/// One doctor-day.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct WorldDay {
    /// Whose.
    pub(crate) doctor: Uuid,
    /// When, in UTC.
    #[serde(with = "date_text")]
    pub(crate) date: jiff::civil::Date,
    /// By start.
    pub(crate) slots: Vec<WorldSlot>,
    /// How many of its places are released to those who ask; `None`: all of them, to everyone.
    pub(crate) released: Option<u64>,
}

/// A date as its ISO 8601 text.
mod date_text {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(date: &jiff::civil::Date, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(date)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<jiff::civil::Date, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// All that was set up.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    /// The days; their indexes are used everywhere else.
    pub(crate) days: Vec<WorldDay>,
    /// Index by doctor and date.
    pub(crate) index: HashMap<(Uuid, jiff::civil::Date), u32>,
    /// Appointments made before the run.
    pub(crate) presold: Vec<Place>,
}

impl World {
    /// Of these days.
    pub(crate) fn of(days: Vec<WorldDay>) -> Self {
        let index = days.iter().zip(0..).map(|(day, number)| ((day.doctor, day.date), number)).collect();
        Self { days, index, presold: Vec::new() }
    }
}

/// The slots of a day: as many as asked for, but none without a place; the first ones have one place more where they
/// do not divide evenly.
pub(crate) fn slots_of(date: jiff::civil::Date, slots: u32, places: u64) -> Result<Vec<WorldSlot>, jiff::Error> {
    let count = u64::from(slots).min(places).max(1);
    let midnight = date.to_zoned(jiff::tz::TimeZone::UTC)?.timestamp().as_second();
    let length = i64::from(SLOT_SECONDS.min(86_400 / u32::try_from(count).unwrap_or(1)));
    let slot = |(number, offset): (u64, i64)| {
        let start = jiff::Timestamp::from_second(midnight + offset * length)?;
        let capacity = places / count + u64::from(number < places % count);
        Ok(WorldSlot { start: start.to_string(), start_millis: start.as_millisecond(), capacity })
    };
    (0..count).zip(0..).map(slot).collect()
}

/// Asks things of the server as an admin, one after another.
pub(crate) struct Admin {
    target: Target,
    token: Box<str>,
    connection: Option<Connection>,
}

impl Admin {
    /// Connects with the first request.
    pub(crate) const fn new(target: Target, token: Box<str>) -> Self {
        Self { target, token, connection: None }
    }

    /// One request with a body and, in `key`, further header lines; status and body of a success.
    pub(crate) async fn ask(
        &mut self,
        method: &str,
        path: &str,
        key: &str,
        body: &Value,
    ) -> Result<(u16, Vec<u8>), WorldError> {
        let body = body.to_string();
        let tail = format!("Content-Type: application/json\r\n{key}Content-Length: {}\r\n\r\n{body}", body.len());
        self.send(format!("{method} {path}"), &tail).await
    }

    /// One reading; the body of a success.
    pub(crate) async fn read(&mut self, path: &str) -> Result<Vec<u8>, WorldError> {
        self.send(format!("GET {path}"), "\r\n").await.map(|(_, body)| body)
    }

    /// One request: method and path, and what follows the headers that all have.
    async fn send(&mut self, what: String, tail: &str) -> Result<(u16, Vec<u8>), WorldError> {
        let (host, token) = (&self.target.host, &self.token);
        let request = format!("{what} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n{tail}");
        let exchange = async {
            let mut connection = match self.connection.take().filter(Connection::is_usable) {
                Some(connection) => connection,
                None => Connection::open(self.target.address).await?,
            };
            let answer = connection.exchange(request.as_bytes()).await?;
            let answer = (answer.head.status, answer.body.to_vec());
            self.connection = Some(connection);
            Ok(answer)
        };
        let outcome = tokio::time::timeout(ANSWER_TIMEOUT, exchange).await.unwrap_or(Err(TransportError::Timeout));
        let (status, body) = match outcome {
            Ok(answer) => answer,
            Err(source) => return Err(WorldError::Unreachable { what, source }),
        };
        if matches!(status, 200 | 201) {
            return Ok((status, body));
        }
        let body = String::from_utf8_lossy(&body).chars().take(300).collect();
        Err(WorldError::Refused { what, status, body })
    }

    async fn new_doctor(&mut self, number: u32) -> Result<Uuid, WorldError> {
        let body = json!({
            "name": format!("Dr. Load {number}"), "specialties": ["dermatology"], "time_zone": "UTC",
            "location": {"name": "Load clinic", "city": "Utrecht", "lat": 52.09, "lon": 5.12},
        });
        self.create_doctor(&body).await
    }

    /// Creates a doctor; its id.
    pub(crate) async fn create_doctor(&mut self, body: &Value) -> Result<Uuid, WorldError> {
        let (status, body) = self.ask("POST", "/v1/doctors", "", body).await?;
        let id = serde_json::from_slice::<Value>(&body).ok().and_then(|body| body["id"].as_str()?.parse().ok());
        let what = "POST /v1/doctors without an id".to_owned();
        id.ok_or(WorldError::Refused { what, status, body: String::new() })
    }

    async fn put_day(&mut self, day: &WorldDay, release_at: Option<&str>) -> Result<(), WorldError> {
        let length = match day.slots.as_slice() {
            [first, second, ..] => second.start_millis - first.start_millis,
            _ => i64::from(SLOT_SECONDS) * 1_000,
        };
        let end = |slot: &WorldSlot| jiff::Timestamp::from_millisecond(slot.start_millis + length);
        let slots = day
            .slots
            .iter()
            .map(|slot| Ok(json!({"start": slot.start, "end": end(slot)?.to_string(), "capacity": slot.capacity})));
        let mut body = json!({"slots": slots.collect::<Result<Vec<_>, jiff::Error>>()?});
        if let Some(release_at) = release_at {
            body["release_at"] = json!(release_at);
        }
        self.ask("PUT", &format!("/v1/doctors/{}/days/{}", day.doctor, day.date), "", &body).await.map(drop)
    }

    async fn book_for(&mut self, patient: Uuid, day: &WorldDay, index: u32) -> Result<Place, WorldError> {
        let body = json!({"doctor_id": day.doctor, "date": day.date.to_string(), "patient_id": patient});
        let key = format!("Idempotency-Key: presold-{patient}\r\n");
        let (status, body) = self.ask("POST", "/v1/appointments", &key, &body).await?;
        match read(Operation::Book, status, &body, index, |_, _| Some(index)) {
            Answer::Served(Some(place)) => Ok(place),
            _ => {
                let what = "POST /v1/appointments for a place sold before the run".to_owned();
                Err(WorldError::Refused { what, status, body: String::new() })
            }
        }
    }
}

/// Creates the doctors and days. `release_at_seconds` is UTC; `patients` are those who take the places of days that
/// are to be sold out (each once, in turn).
pub(crate) async fn set_up(
    admin: &mut Admin,
    days: &Days,
    parameters: &Parameters,
    release_at_seconds: Option<i64>,
    mut patients: impl Iterator<Item = Uuid>,
) -> Result<World, WorldError> {
    let now = i64::try_from(clock::wall_seconds()).unwrap_or(0);
    let today = jiff::Timestamp::from_second(now)?.to_zoned(jiff::tz::TimeZone::UTC).date();
    let release_at = release_at_seconds.map(jiff::Timestamp::from_second).transpose()?;
    let release_at = release_at.map(|instant| instant.to_string());
    let mut made = Vec::new();
    for number in 0..days.doctors {
        let doctor = admin.new_doctor(number).await?;
        for after in 0..days.days_per_doctor {
            let date = today.checked_add(jiff::Span::new().days(FIRST_DAY_AFTER + i64::from(after)))?;
            let day = WorldDay { doctor, date, slots: slots_of(date, days.slots, parameters.places)?, released: None };
            admin.put_day(&day, release_at.as_deref()).await?;
            made.push(day);
        }
    }
    let mut world = World::of(made);
    if days.sold_out {
        for (day, index) in world.days.iter().zip(0..) {
            let places: u64 = day.slots.iter().map(|slot| slot.capacity).sum();
            for patient in patients.by_ref().take(usize::try_from(places).unwrap_or(usize::MAX)) {
                world.presold.push(admin.book_for(patient, day, index).await?);
            }
        }
    }
    Ok(world)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_spread_over_slots_of_one_date() {
        let date = jiff::civil::date(2030, 1, 2);
        for (slots, places, count) in [(20, 20, 20), (20, 7, 7), (200, 200_000, 200), (500, 501, 500), (3, 10, 3)] {
            let made = slots_of(date, slots, places).unwrap();
            assert_eq!(made.len(), count, "{slots} {places}");
            assert_eq!(made.iter().map(|slot| slot.capacity).sum::<u64>(), places);
            assert!(made.iter().all(|slot| slot.start.starts_with("2030-01-02T") && slot.capacity > 0));
            assert!(made.is_sorted_by(|one, other| one.start_millis < other.start_millis));
        }
        assert_eq!(slots_of(date, 3, 10).unwrap()[0].capacity, 4);
    }
}
