//! The demonstration: a small clinic, and a popular doctor whose next day is released in a minute.
//! Must not know: HTTP, how the engine stores it.

use std::sync::Arc;

use booking_core::{
    Date, DayDefinition, DayKey, DoctorId, Envelope, Release, RequestId, Role, SlotDefinition, SubjectId, UtcMillis,
};
use engine::EngineHandle;
use engine::ledger::registry::{Doctor, DoctorProfile, DoctorQuery, Location};
use engine::view::{Caller, PublishRequest};
use engine::waiting::Waiting;
use uuid::Uuid;

use crate::api::day_body::ALWAYS;
use crate::api::zone::Zone;
use crate::auth::Principal;
use crate::auth::key::SigningKey;
use crate::auth::token::{self, NewToken};
use crate::screen::{DemoTokens, PopularDay};

/// From the start until the popular day is released.
const RELEASE_DELAY_MILLIS: i64 = 60_000;
/// Days ahead that have slots.
const DAYS_AHEAD: i32 = 3;
/// The demonstration's tokens count for a day.
const TOKEN_SECONDS: i64 = 86_400;

/// One doctor of the clinic.
struct Person {
    name: &'static str,
    specialties: &'static [&'static str],
    languages: &'static [&'static str],
    place: &'static Place,
    /// First hour of a working day.
    opens: i8,
    slots: usize,
    slot_minutes: i64,
    bio: &'static str,
}

/// One practice.
struct Place {
    zone: &'static str,
    name: &'static str,
    city: &'static str,
    latitude: f64,
    longitude: f64,
}

static BERLIN: Place = Place {
    zone: "Europe/Berlin",
    name: "Praxis am Landwehrkanal",
    city: "Berlin",
    latitude: 52.4956,
    longitude: 13.4217,
};
static LISBON: Place =
    Place { zone: "Europe/Lisbon", name: "Clínica da Estrela", city: "Lisbon", latitude: 38.7139, longitude: -9.1603 };

/// The first one is the popular one.
static CLINIC: [Person; 6] = [
    Person {
        name: "Dr. Amalia Winter",
        specialties: &["dermatology"],
        languages: &["de", "en"],
        place: &BERLIN,
        opens: 8,
        slots: 20,
        slot_minutes: 15,
        bio: "Skin checks. Booked out within seconds of each release.",
    },
    Person {
        name: "Dr. Jonas Albrecht",
        specialties: &["cardiology", "internal medicine"],
        languages: &["de"],
        place: &BERLIN,
        opens: 9,
        slots: 12,
        slot_minutes: 30,
        bio: "Heart rhythm, high blood pressure.",
    },
    Person {
        name: "Dr. Leyla Demir",
        specialties: &["paediatrics"],
        languages: &["de", "tr", "en"],
        place: &BERLIN,
        opens: 8,
        slots: 16,
        slot_minutes: 20,
        bio: "Children from the first day on.",
    },
    Person {
        name: "Dra. Inês Carvalho",
        specialties: &["ophthalmology"],
        languages: &["pt", "en"],
        place: &LISBON,
        opens: 9,
        slots: 14,
        slot_minutes: 20,
        bio: "Cataract, glaucoma, glasses.",
    },
    Person {
        name: "Dr. Rui Teixeira",
        specialties: &["orthopaedics", "sports medicine"],
        languages: &["pt", "es"],
        place: &LISBON,
        opens: 10,
        slots: 10,
        slot_minutes: 30,
        bio: "Knees, shoulders, runners.",
    },
    Person {
        name: "Dra. Beatriz Lopes",
        specialties: &["general practice"],
        languages: &["pt", "en", "fr"],
        place: &LISBON,
        opens: 8,
        slots: 18,
        slot_minutes: 15,
        bio: "The family's doctor.",
    },
];

/// Loads the clinic if no doctor is registered, and makes a token for each role.
pub(crate) async fn prepare(
    engine: &EngineHandle,
    key: &SigningKey,
) -> Result<(DemoTokens, Option<PopularDay>), Box<dyn std::error::Error + Send + Sync>> {
    let anyone = DoctorQuery { limit: 1, ..DoctorQuery::default() };
    let known = engine.registry().doctors(&anyone).await?;
    let (doctor, popular) = match known.first() {
        Some(doctor) => (doctor.id, None),
        None => {
            let popular = load(engine).await?;
            (popular.day.doctor, Some(popular))
        }
    };
    let mint = |subject: Uuid, role: Role| {
        let principal = Principal { subject: SubjectId(subject), role, clinic: None, audiences: [].into() };
        token::mint(key, &NewToken { principal, issued_at: engine.clock().now(), ttl_seconds: TOKEN_SECONDS })
    };
    let tokens = DemoTokens {
        patient: mint(engine.ids().next(), Role::Patient)?,
        doctor: mint(doctor.0, Role::Doctor)?,
        admin: mint(engine.ids().next(), Role::Admin)?,
    };
    Ok((tokens, popular))
}

async fn load(engine: &EngineHandle) -> Result<PopularDay, Box<dyn std::error::Error + Send + Sync>> {
    let now = engine.clock().now();
    let clinic = engine.ids().next();
    let mut popular = None;
    let days = u64::try_from(DAYS_AHEAD).unwrap_or_default() * CLINIC.len() as u64;
    let (mut waiting, mut published) = (Waiting::begin("loading the demonstration", Some(days)), 0);
    for person in &CLINIC {
        let zone = Zone::find(person.place.zone).ok_or("the time zone database is incomplete")?;
        let today = zone.date(now).ok_or("the clock is outside the calendar")?;
        let doctor = Doctor {
            id: DoctorId(engine.ids().next()),
            profile: profile(person, clinic),
            created_at: now,
            updated_at: now,
        };
        engine.registry().create_doctor(&doctor, None).await?;
        for ahead in 1..=DAYS_AHEAD {
            let date = today.plus_days(ahead).ok_or("the calendar ends")?;
            let day = DayKey { doctor: doctor.id, date };
            let soon = now.plus_millis(RELEASE_DELAY_MILLIS);
            let is_popular = popular.is_none();
            let release_at = if is_popular { soon } else { ALWAYS };
            publish(engine, day, definition(person, &zone, date, release_at)?).await?;
            popular.get_or_insert(PopularDay { day, release_at: soon });
            published += 1;
            waiting.at(published, Some(days));
        }
    }
    popular.ok_or_else(|| "the clinic is empty".into())
}

fn profile(person: &Person, clinic: Uuid) -> DoctorProfile {
    let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    DoctorProfile {
        name: person.name.to_owned(),
        specialties: owned(person.specialties),
        time_zone: person.place.zone.to_owned(),
        location: Location {
            name: person.place.name.to_owned(),
            city: person.place.city.to_owned(),
            latitude: person.place.latitude,
            longitude: person.place.longitude,
        },
        bio: Some(person.bio.to_owned()),
        languages: owned(person.languages),
        clinic: Some(clinic),
    }
}

/// Slots one after another from the opening hour on, at local wall time.
fn definition(person: &Person, zone: &Zone, date: Date, release_at: UtcMillis) -> Result<DayDefinition, String> {
    let first = zone.instant(date, person.opens, 0).ok_or("the calendar ends")?;
    let length_millis = person.slot_minutes * 60_000;
    let slot = |number: usize| {
        let start = first.plus_millis(number as i64 * length_millis);
        let utc_offset_seconds = zone.offset_seconds(start).unwrap_or(0);
        SlotDefinition { start, end: start.plus_millis(length_millis), capacity: 1, utc_offset_seconds }
    };
    let release = Release { at: release_at, places: None, audience: None };
    DayDefinition::validate(zone.name().into(), "".into(), (0..person.slots).map(slot).collect(), vec![release])
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

async fn publish(
    engine: &EngineHandle,
    day: DayKey,
    definition: DayDefinition,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let envelope =
        Envelope { subject: SubjectId(Uuid::nil()), role: Role::System, request: RequestId(engine.ids().next()) };
    let caller = Caller { envelope, key: None };
    engine.publish_day(PublishRequest { day, definition: Arc::new(definition), precondition: None, caller }).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_popular_doctor_has_twenty_slots_in_local_hours() {
        let zone = Zone::find(CLINIC[0].place.zone).expect("known");
        let date = Date::parse("2026-06-01").expect("a date");
        let definition = definition(&CLINIC[0], &zone, date, UtcMillis(0)).expect("valid");
        assert_eq!(definition.slots.len(), 20);
        assert_eq!(zone.instant(date, 8, 0), Some(definition.slots[0].start));
    }

    #[test]
    fn the_clinic_is_believable() {
        let cities: std::collections::BTreeSet<_> = CLINIC.iter().map(|person| person.place.city).collect();
        assert_eq!(cities.len(), 2);
        for person in &CLINIC {
            let hours = person.slots as i64 * person.slot_minutes / 60;
            assert!(hours + i64::from(person.opens) <= 18, "{} works at night", person.name);
        }
    }
}
