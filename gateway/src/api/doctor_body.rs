//! Doctors on the wire: what is taken for a new one or a change, what is answered.
//! Must not know: how doctors are stored.

use engine::ledger::registry::{Doctor, DoctorProfile, Location};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::checks::Checks;
use super::idempotency::RequestDigest;
use super::input::{Id, Object, present};
use super::instant::InstantText;
use super::problem::Problem;
use super::zone::Zone;

/// Longest name of a person or a place, in characters.
pub(crate) const NAME_MAX: usize = 200;
/// Longest free text about a doctor, in characters.
const BIO_MAX: usize = 4_000;
/// Most specialties or languages of one doctor.
const LIST_MAX: usize = 32;
/// Longest specialty, in characters.
const SPECIALTY_MAX: usize = 100;

/// The body of a registration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDoctor {
    name: String,
    specialties: Vec<String>,
    time_zone: String,
    location: Object<LocationBody>,
    bio: Option<String>,
    languages: Option<Vec<String>>,
    clinic_id: Option<Id>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LocationBody {
    name: String,
    city: String,
    lat: f64,
    lon: f64,
}

/// The body of a change: what is absent stays, null takes an optional value away.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DoctorPatch {
    name: Option<String>,
    specialties: Option<Vec<String>>,
    time_zone: Option<String>,
    location: Option<Object<LocationPatch>>,
    #[serde(default, deserialize_with = "present")]
    bio: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    languages: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "present")]
    clinic_id: Option<Option<Id>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LocationPatch {
    name: Option<String>,
    city: Option<String>,
    lat: Option<f64>,
    lon: Option<f64>,
}

impl NewDoctor {
    /// The profile, checked.
    pub(crate) fn into_profile(self) -> Result<DoctorProfile, Problem> {
        let Object(location) = self.location;
        checked(DoctorProfile {
            name: self.name,
            specialties: self.specialties,
            time_zone: self.time_zone,
            location: Location {
                name: location.name,
                city: location.city,
                latitude: location.lat,
                longitude: location.lon,
            },
            bio: self.bio,
            languages: self.languages.unwrap_or_default(),
            clinic: self.clinic_id.map(|id| id.0),
        })
    }
}

impl DoctorPatch {
    /// `profile` with these changes, checked.
    pub(crate) fn apply(self, mut profile: DoctorProfile) -> Result<DoctorProfile, Problem> {
        let replace = |kept: &mut String, given: Option<String>| *kept = given.unwrap_or_else(|| std::mem::take(kept));
        replace(&mut profile.name, self.name);
        replace(&mut profile.time_zone, self.time_zone);
        profile.specialties = self.specialties.unwrap_or(profile.specialties);
        if let Some(Object(location)) = self.location {
            replace(&mut profile.location.name, location.name);
            replace(&mut profile.location.city, location.city);
            profile.location.latitude = location.lat.unwrap_or(profile.location.latitude);
            profile.location.longitude = location.lon.unwrap_or(profile.location.longitude);
        }
        profile.bio = self.bio.unwrap_or(profile.bio);
        profile.languages = self.languages.map_or(profile.languages, Option::unwrap_or_default);
        profile.clinic = self.clinic_id.map_or(profile.clinic, |id| id.map(|id| id.0));
        checked(profile)
    }

    /// What can be judged of a change without the doctor it is for.
    pub(crate) fn check_alone(&self) -> Result<(), Problem> {
        let mut checks = Checks::default();
        if let Some(name) = &self.name {
            checks.line("/name", name, NAME_MAX);
        }
        if let Some(name) = &self.time_zone {
            checks.require(Zone::find(name).is_some(), "/time_zone", ZONE_MESSAGE);
        }
        checks.finish()
    }
}

/// What a wrong zone is told.
pub(crate) const ZONE_MESSAGE: &str = "must be the IANA name of a time zone, such as Europe/Berlin";

/// What a wrong language is told.
pub(crate) const LANGUAGE_MESSAGE: &str = "must be a language tag such as de-AT";

fn checked(mut profile: DoctorProfile) -> Result<DoctorProfile, Problem> {
    let mut checks = Checks::default();
    checks.line("/name", &profile.name, NAME_MAX);
    checks.require(profile.specialties.len() <= LIST_MAX, "/specialties", "must have at most 32 items");
    for (position, specialty) in profile.specialties.iter().enumerate().take(LIST_MAX) {
        checks.line(&format!("/specialties/{position}"), specialty, SPECIALTY_MAX);
    }
    match Zone::find(&profile.time_zone) {
        Some(zone) => profile.time_zone = zone.name().to_owned(),
        None => checks.add("/time_zone", ZONE_MESSAGE),
    }
    checks.line("/location/name", &profile.location.name, NAME_MAX);
    checks.line("/location/city", &profile.location.city, NAME_MAX);
    checks.require((-90.0..=90.0).contains(&profile.location.latitude), "/location/lat", "must be -90 to 90");
    checks.require((-180.0..=180.0).contains(&profile.location.longitude), "/location/lon", "must be -180 to 180");
    if let Some(bio) = &profile.bio {
        checks.text("/bio", bio, BIO_MAX);
    }
    checks.require(profile.languages.len() <= LIST_MAX, "/languages", "must have at most 32 items");
    for (position, language) in profile.languages.iter().enumerate().take(LIST_MAX) {
        checks.require(is_language(language), &format!("/languages/{position}"), LANGUAGE_MESSAGE);
    }
    checks.finish()?;
    Ok(profile)
}

/// The form of a BCP 47 tag: a primary tag of letters, further ones of letters and digits.
pub(crate) fn is_language(text: &str) -> bool {
    let mut parts = text.split('-');
    let primary = parts.next().unwrap_or("");
    text.len() <= 35
        && (2..=8).contains(&primary.len())
        && primary.bytes().all(|byte| byte.is_ascii_alphabetic())
        && parts.all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Adds every value of `profile` to the digest of a registration.
pub(crate) fn digest(mut digest: RequestDigest, profile: &DoctorProfile) -> RequestDigest {
    digest = digest.text(&profile.name).text(&profile.time_zone);
    for list in [&profile.specialties, &profile.languages] {
        digest = list.iter().fold(digest.number(list.len() as i64), |digest, item| digest.text(item));
    }
    let location = &profile.location;
    digest = digest.text(&location.name).text(&location.city);
    digest = digest.number(location.latitude.to_bits() as i64).number(location.longitude.to_bits() as i64);
    digest = digest.optional_text(profile.bio.as_deref());
    match profile.clinic {
        None => digest.number(0),
        Some(clinic) => digest.number(1).id(clinic),
    }
}

/// A doctor as answered.
#[derive(Serialize)]
pub(crate) struct DoctorView<'a> {
    id: Uuid,
    name: &'a str,
    specialties: &'a [String],
    time_zone: &'a str,
    location: LocationView<'a>,
    bio: Option<&'a str>,
    languages: &'a [String],
    clinic_id: Option<Uuid>,
    created_at: InstantText,
    updated_at: InstantText,
}

#[derive(Serialize)]
struct LocationView<'a> {
    name: &'a str,
    city: &'a str,
    lat: f64,
    lon: f64,
}

impl<'a> From<&'a Doctor> for DoctorView<'a> {
    fn from(doctor: &'a Doctor) -> Self {
        let profile = &doctor.profile;
        Self {
            id: doctor.id.0,
            name: &profile.name,
            specialties: &profile.specialties,
            time_zone: &profile.time_zone,
            location: LocationView {
                name: &profile.location.name,
                city: &profile.location.city,
                lat: profile.location.latitude,
                lon: profile.location.longitude,
            },
            bio: profile.bio.as_deref(),
            languages: &profile.languages,
            clinic_id: profile.clinic,
            created_at: InstantText(doctor.created_at),
            updated_at: InstantText(doctor.updated_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn body() -> Value {
        json!({"name": "Dr. Ada", "specialties": ["cardiology"], "time_zone": "Europe/Berlin",
            "location": {"name": "Charité", "city": "Berlin", "lat": 52.5, "lon": 13.4}})
    }

    fn profile(body: &Value) -> Result<DoctorProfile, Problem> {
        super::super::body::parse::<NewDoctor>(body.to_string().as_bytes())?.into_profile()
    }

    fn pointers(problem: &Problem) -> Vec<&str> {
        problem.field_errors().iter().map(|error| error.pointer.as_str()).collect()
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let mut body = body();
        body["name"] = json!(" ");
        body["time_zone"] = json!("Mars/Olympus");
        body["location"]["lat"] = json!(90.5);
        body["languages"] = json!(["de", "not a tag"]);
        let problem = profile(&body).map(drop).expect_err("four mistakes");
        assert_eq!(pointers(&problem), ["/name", "/time_zone", "/location/lat", "/languages/1"]);
    }

    #[test]
    fn a_change_touches_only_what_it_names() {
        let before = profile(&body()).expect("good");
        let patch = |text: &str| super::super::body::parse::<DoctorPatch>(text.as_bytes()).expect("parses");
        assert_eq!(patch("{}").apply(before.clone()).expect("good"), before);
        let after = patch(r#"{"bio":"x","location":{"city":"Köln"}}"#).apply(before.clone()).expect("good");
        assert_eq!((after.bio.as_deref(), after.location.city.as_str()), (Some("x"), "Köln"));
        assert_eq!(after.location.name, before.location.name);
        assert_eq!(patch(r#"{"bio":null}"#).apply(after).expect("good").bio, None);
    }
}
