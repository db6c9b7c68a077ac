//! The doctors and days of a run, made through the public API: those at the start, and what doctors publish later.
//! Must not know: who books them, how a run is judged.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::ToSpan;
use jiff::civil::{Date, time};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use thiserror::Error;
use uuid::Uuid;

use crate::clock;
use crate::http::{Api, Request};
use crate::model::{DayId, day};
use crate::tally::lock;
use crate::tokens::{Mint, Role, TokenError, fresh_id};

/// The first date, counted from today, so that no slot begins during a run whatever the clocks and zones say.
const FIRST_DAY_AFTER: i64 = 3;
/// Days of one doctor, the later ones included: one list of days shows all of them.
pub(crate) const DAYS_PER_DOCTOR_MAX: u32 = 90;
/// The length of a slot.
const SLOT_MINUTES: i64 = 15;
/// How many slots fit between nine o'clock and midnight.
pub(crate) const SLOTS_MAX: u32 = 60;
/// Seconds until the release of a day that is published with one.
const RELEASE_AFTER_SECONDS: u64 = 2;
/// Who practises where: specialty, zone, city, latitude, longitude.
const PRACTICES: [(&str, &str, &str, f64, f64); 4] = [
    ("dermatology", "Europe/Amsterdam", "Utrecht", 52.09, 5.12),
    ("cardiology", "America/New_York", "Albany", 42.65, -73.75),
    ("pediatrics", "Asia/Tokyo", "Nagano", 36.65, 138.18),
    ("dermatology", "Australia/Sydney", "Newcastle", -32.93, 151.78),
];

/// Why the world could not be set up.
#[derive(Debug, Error)]
pub(crate) enum WorldError {
    /// The server does not answer.
    #[error("{what}: {reason}")]
    Unreachable {
        /// What was asked.
        what: &'static str,
        /// What went wrong.
        reason: String,
    },
    /// The server does not know the tokens.
    #[error("{what}: status 401: the server does not accept tokens of this key; is --key-file its own?")]
    WrongKey {
        /// What was asked.
        what: &'static str,
    },
    /// Another answer than a success.
    #[error("{what}: status {status} {code}: {body}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// What came.
        status: u16,
        /// The code of the problem.
        code: String,
        /// The body.
        body: Value,
    },
    /// A date or an instant beyond the calendar.
    #[error("no such date: {0}")]
    Date(#[from] jiff::Error),
    /// There is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// How large days are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DaySize {
    /// Slots.
    pub(crate) slots: u32,
    /// Places in each.
    pub(crate) places: u32,
}

/// One doctor.
pub(crate) struct Doctor {
    /// Its id, and its token's subject.
    pub(crate) id: Uuid,
    /// Its own token.
    pub(crate) token: Box<str>,
    /// What a search finds it by, beside others like it.
    pub(crate) specialty: &'static str,
    /// Likewise.
    pub(crate) city: &'static str,
    zone: TimeZone,
    first_date: Date,
    /// Dates that are spoken for, from the first on.
    spoken_for: AtomicU32,
}

/// All doctors and days of a run.
pub(crate) struct World {
    /// A specialty, and a part of the name, that every doctor of this run has and nobody else.
    pub(crate) name: String,
    /// The doctors.
    pub(crate) doctors: Vec<Doctor>,
    size: DaySize,
    /// Every day that was put, and whether its success was told.
    days: Mutex<BTreeMap<DayId, bool>>,
}

impl Doctor {
    /// The first and the last date that any day of this doctor can have.
    pub(crate) fn dates(&self) -> Result<(Date, Date), jiff::Error> {
        Ok((self.first_date, self.first_date.checked_add(i64::from(DAYS_PER_DOCTOR_MAX - 1).days())?))
    }

    /// A date that nobody else will publish; `None` once there are enough.
    pub(crate) fn next_date(&self) -> Result<Option<Date>, jiff::Error> {
        let number = self.spoken_for.fetch_add(1, Ordering::Relaxed);
        if number >= DAYS_PER_DOCTOR_MAX {
            return Ok(None);
        }
        self.first_date.checked_add(i64::from(number).days()).map(Some)
    }
}

impl World {
    /// Creates `doctors` doctors with `days` days each. Two runs on one server share nothing.
    pub(crate) async fn set_up(
        api: &Api,
        mint: &Mint,
        (doctors, days): (u32, u32),
        size: DaySize,
    ) -> Result<Self, WorldError> {
        let admin = mint.token(fresh_id(), Role::Admin)?;
        let name = format!("Journeys{}", &fresh_id().simple().to_string()[..10]);
        let now = i64::try_from(clock::wall_seconds()).unwrap_or(0);
        let mut world = Self { name, doctors: Vec::new(), size, days: Mutex::default() };
        for number in 0..doctors {
            let (specialty, zone_name, city, lat, lon) = PRACTICES[number as usize % PRACTICES.len()];
            let body = json!({
                "name": format!("Dr. {} {}", world.name, number + 1), "specialties": [specialty, world.name],
                "time_zone": zone_name, "location": {"name": "Journeys clinic", "city": city, "lat": lat, "lon": lon},
            });
            let what = "POST /v1/doctors";
            let told =
                succeed(api, what, Request::post("/v1/doctors".to_owned(), fresh_id(), Some(body)), &admin).await?;
            let id = told["id"].as_str().and_then(|id| id.parse().ok());
            let id = id.ok_or(WorldError::Unreachable { what, reason: "an answer without an id".to_owned() })?;
            let zone = TimeZone::get(zone_name)?;
            let today = jiff::Timestamp::from_second(now)?.to_zoned(zone.clone()).date();
            let doctor = Doctor {
                id,
                token: mint.token(id, Role::Doctor)?,
                specialty,
                city,
                zone,
                first_date: today.checked_add(FIRST_DAY_AFTER.days())?,
                spoken_for: AtomicU32::new(0),
            };
            world.publish_first(api, &doctor, days).await?;
            world.doctors.push(doctor);
        }
        Ok(world)
    }

    /// The days that are there from the start, published by their doctor.
    async fn publish_first(&self, api: &Api, doctor: &Doctor, days: u32) -> Result<(), WorldError> {
        let what = "PUT /v1/doctors/{id}/days/{date}";
        for _ in 0..days {
            let Some(date) = doctor.next_date()? else { break };
            let request = self.publication(doctor, date, false)?;
            let told = succeed(api, what, request, &doctor.token).await?;
            day(&told).map_err(|reason| WorldError::Unreachable { what, reason })?;
            self.published(DayId { doctor: doctor.id, date });
        }
        Ok(())
    }

    /// The request that publishes a day. From here on the day may be there.
    pub(crate) fn publication(&self, doctor: &Doctor, date: Date, with_release: bool) -> Result<Request, jiff::Error> {
        lock(&self.days).entry(DayId { doctor: doctor.id, date }).or_insert(false);
        let first = date.to_datetime(time(9, 0, 0, 0)).to_zoned(doctor.zone.clone())?.timestamp();
        let slot = |number: u32| {
            let start = first.checked_add((i64::from(number) * SLOT_MINUTES).minutes())?;
            let end = start.checked_add(SLOT_MINUTES.minutes())?;
            Ok(json!({"start": start.to_string(), "end": end.to_string(), "capacity": self.size.places}))
        };
        let slots = (0..self.size.slots).map(slot).collect::<Result<Vec<_>, jiff::Error>>()?;
        let mut body = json!({ "slots": slots });
        if with_release {
            let at = i64::try_from(clock::wall_seconds() + RELEASE_AFTER_SECONDS).unwrap_or(i64::MAX);
            body["release_at"] = json!(jiff::Timestamp::from_second(at)?.to_string());
        }
        Ok(Request::put(format!("/v1/doctors/{}/days/{date}", doctor.id), body))
    }

    /// The success of a publication was told.
    pub(crate) fn published(&self, day: DayId) {
        lock(&self.days).insert(day, true);
    }

    /// Every day that may be there, and whether it surely is.
    pub(crate) fn days(&self) -> BTreeMap<DayId, bool> {
        lock(&self.days).clone()
    }
}

async fn succeed(api: &Api, what: &'static str, request: Request, token: &str) -> Result<Value, WorldError> {
    let answer =
        api.ask(&request, Some(token)).await.answer.map_err(|reason| WorldError::Unreachable { what, reason })?;
    match answer.status {
        200 | 201 => Ok(answer.body),
        401 => Err(WorldError::WrongKey { what }),
        status => Err(WorldError::Refused { what, status, code: answer.code, body: answer.body }),
    }
}
