//! A doctor-day as a running system shows it, and its clone on another server.
//! Must not know: who comes, how it is judged.
//!
//! What is cloned is the day at its next release: the places that are not taken by then. Places that are taken already
//! are left out, so that no patient's data leaves the running system.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use thiserror::Error;
use uuid::Uuid;

use crate::api::{ApiError, DayReader, instant_millis};
use crate::driver::clock;
use crate::driver::target::Target;
use crate::run::RunError;
use crate::run::session::Stage;
use crate::run::world::{Admin, World, WorldDay, WorldError, WorldSlot};

/// What a doctor is made of; the rest of what the running system tells is its own.
const DOCTOR_FIELDS: [&str; 6] = ["name", "specialties", "time_zone", "location", "bio", "languages"];
/// Slots that begin sooner are left out: they would begin during the rehearsal.
const SOONEST_MILLIS: i64 = 15 * 60 * 1_000;
/// Bound of the reading of the day's appointments.
const READING_DEADLINE: std::time::Duration = std::time::Duration::from_secs(60);

/// Why there is no clone.
#[derive(Debug, Error)]
pub(crate) enum ModelError {
    /// The running system cannot be read.
    #[error("cannot read the running system: {0}")]
    Read(#[from] WorldError),
    /// Its appointments cannot be read.
    #[error("cannot read the running system: {0}")]
    Api(#[from] ApiError),
    /// It says something that is not understood.
    #[error("cannot read the running system: {what}: {source}")]
    Unreadable {
        /// Which answer.
        what: &'static str,
        /// Where and why.
        source: serde_json::Error,
    },
    /// Nothing is left of the day.
    #[error(
        "there is nothing to rehearse: the day is {state}, and no slot with a free place begins in the next quarter of an hour or later"
    )]
    Nothing {
        /// What it is.
        state: String,
    },
    /// A date or zone beyond the calendar.
    #[error("no such date: {0}")]
    Date(#[from] jiff::Error),
}

/// One slot with the places that are not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FreeSlot {
    start: String,
    start_millis: i64,
    end: String,
    places: u64,
}

/// The places that the next release adds, for whom; `None`: all, everyone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Release {
    at: String,
    places: Option<u64>,
    audience: Option<String>,
}

/// A day at its next release.
#[derive(Clone, Debug)]
pub(super) struct Model {
    doctor: Map<String, Value>,
    date: jiff::civil::Date,
    /// By start; not empty.
    pub(super) slots: Vec<FreeSlot>,
    /// Those of the next release; empty: everything, for everyone.
    releases: Vec<Release>,
    /// What everyone can book already.
    open: u64,
}

#[derive(Deserialize)]
struct DayBody {
    state: String,
    time_zone: String,
    release_at: Option<String>,
    server_time: String,
    slots: Vec<SlotBody>,
}

#[derive(Deserialize)]
struct SlotBody {
    start: String,
    end: String,
    capacity: u64,
    remaining: u64,
}

#[derive(Deserialize)]
struct PreviewBody {
    items: Vec<PreviewItem>,
}

#[derive(Deserialize)]
struct PreviewItem {
    date: String,
    #[serde(default)]
    releases: Vec<Release>,
}

impl Model {
    /// Reads everything that the API shows of the day: nothing is changed there.
    pub(super) async fn read(
        running: Target,
        token: Box<str>,
        doctor: Uuid,
        date: jiff::civil::Date,
    ) -> Result<Self, ModelError> {
        let mut rows = DayReader::new(running.clone(), doctor, date, token.clone());
        let rows = rows.appointments(clock::now() + READING_DEADLINE).await?;
        let mut taken: HashMap<i64, u64> = HashMap::new();
        for row in rows.iter().filter(|row| row.keeps_place) {
            *taken.entry(row.start_millis).or_default() += 1;
        }
        let mut admin = Admin::new(running, token);
        let path = format!("/v1/doctors/{doctor}");
        let parse = |what: &'static str| move |source| ModelError::Unreadable { what, source };
        let described = serde_json::from_slice(&admin.read(&path).await?).map_err(parse("the doctor"))?;
        let day = admin.read(&format!("{path}/days/{date}")).await?;
        let day: DayBody = serde_json::from_slice(&day).map_err(parse("the day"))?;
        // A day that was put by hand, or a system that generates none, shows its next release only.
        let preview = match admin.read(&format!("{path}/preview?from={date}&to={date}")).await {
            Ok(body) => serde_json::from_slice(&body).map_err(parse("the preview"))?,
            Err(WorldError::Refused { .. }) => PreviewBody { items: Vec::new() },
            Err(error) => return Err(error.into()),
        };
        Self::of(&described, &day, &taken, preview)
    }

    fn of(
        doctor: &Map<String, Value>,
        day: &DayBody,
        taken: &HashMap<i64, u64>,
        preview: PreviewBody,
    ) -> Result<Self, ModelError> {
        let soonest = instant_millis(&day.server_time).unwrap_or(i64::MAX).saturating_add(SOONEST_MILLIS);
        let free = |slot: &SlotBody| {
            let start_millis = instant_millis(&slot.start).filter(|start| *start >= soonest)?;
            let places = slot.capacity.saturating_sub(taken.get(&start_millis).copied().unwrap_or(0));
            let (start, end) = (slot.start.clone(), slot.end.clone());
            (places > 0).then_some(FreeSlot { start, start_millis, end, places })
        };
        let mut slots: Vec<FreeSlot> = day.slots.iter().filter(|_| day.state != "closed").filter_map(free).collect();
        slots.sort_by_key(|slot| slot.start_millis);
        let Some(first) = slots.first() else { return Err(ModelError::Nothing { state: day.state.clone() }) };
        // The clone begins where its first slot does, which may be past midnight.
        let zone = jiff::tz::TimeZone::get(&day.time_zone)?;
        let date = jiff::Timestamp::from_millisecond(first.start_millis)?.to_zoned(zone).date();
        let next = day.release_at.as_deref().and_then(instant_millis);
        let of_day = preview.items.into_iter().filter(|item| item.date == date.to_string());
        let releases = of_day
            .flat_map(|item| item.releases)
            .filter(|release| next.is_some() && instant_millis(&release.at) == next)
            .collect();
        let known = |name: &&str| doctor.get(*name).is_some_and(|value| !value.is_null());
        let fields = DOCTOR_FIELDS.iter().filter(|name| known(name));
        let doctor = fields.filter_map(|name| Some(((*name).to_owned(), doctor.get(*name)?.clone()))).collect();
        let open = day.slots.iter().map(|slot| slot.remaining).sum();
        Ok(Self { doctor, date, slots, releases, open })
    }

    /// The doctor's name.
    pub(super) fn doctor_name(&self) -> &str {
        self.doctor.get("name").and_then(Value::as_str).unwrap_or("a doctor")
    }

    fn free(&self) -> u64 {
        self.slots.iter().map(|slot| slot.places).sum()
    }

    /// How many places those who come can book from the release on.
    pub(super) fn places(&self) -> u64 {
        let each = self.releases.iter().map(|release| release.places.unwrap_or(u64::MAX));
        let released = if self.releases.is_empty() { u64::MAX } else { each.fold(self.open, u64::saturating_add) };
        released.min(self.free())
    }

    /// The audiences that the next release is for; empty where it is for everyone.
    pub(super) fn audiences(&self) -> Vec<String> {
        self.releases.iter().filter_map(|release| release.audience.clone()).collect()
    }

    /// The day to be put, released at that instant. All that can be booked from then on is one release: who comes has
    /// every audience that it takes.
    fn body(&self, release_at: &str) -> Value {
        let slots = self.slots.iter();
        let slots: Vec<Value> =
            slots.map(|slot| json!({"start": slot.start, "end": slot.end, "capacity": slot.places})).collect();
        let (places, free) = (self.places(), self.free());
        let mut release = json!({"at": release_at});
        if places < free {
            release["places"] = json!(places);
        }
        let everyone = self.releases.iter().any(|release| release.audience.is_none());
        if let Some(audience) = self.audiences().first().filter(|_| !everyone) {
            release["audience"] = json!(audience);
        }
        json!({"slots": slots, "releases": [release]})
    }

    /// How many places are released, where they are not all or not for everyone.
    fn limited(&self) -> Option<u64> {
        let places = self.places();
        (places < self.free() || !self.audiences().is_empty()).then_some(places)
    }
}

impl Stage for &Model {
    async fn set_up(&self, admin: &mut Admin, release_at_seconds: Option<i64>) -> Result<World, RunError> {
        let doctor = admin.create_doctor(&Value::Object(self.doctor.clone())).await?;
        let release_at = jiff::Timestamp::from_second(release_at_seconds.unwrap_or(0)).map_err(WorldError::Date)?;
        let path = format!("/v1/doctors/{doctor}/days/{}", self.date);
        admin.ask("PUT", &path, "", &self.body(&release_at.to_string())).await?;
        let slots = self.slots.iter().map(|slot| WorldSlot {
            start: slot.start.clone(),
            start_millis: slot.start_millis,
            capacity: slot.places,
        });
        Ok(World::of(vec![WorldDay { doctor, date: self.date, slots: slots.collect(), released: self.limited() }]))
    }
}

#[cfg(test)]
impl Model {
    /// Of the answers of a running system, for tests.
    pub(super) fn of_json(doctor: Value, day: Value, taken: &[(i64, u64)], preview: Value) -> Result<Self, ModelError> {
        let parse = |source| ModelError::Unreadable { what: "test", source };
        let (doctor, day) =
            (serde_json::from_value(doctor).map_err(parse)?, serde_json::from_value(day).map_err(parse)?);
        let preview = serde_json::from_value(preview).map_err(parse)?;
        Self::of(&doctor, &day, &taken.iter().copied().collect(), preview)
    }

    /// What would be put, for tests.
    pub(super) fn put(&self, release_at: &str) -> (jiff::civil::Date, Value, Option<u64>) {
        (self.date, self.body(release_at), self.limited())
    }
}
