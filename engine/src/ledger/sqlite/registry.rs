//! Doctors as rows, and the idempotency keys of requests that write them; the door to patients and clinics (`people`).
//! Must not know: appointments.
//!
//! A write runs in a task of its own, so that a caller who goes away cannot leave a transaction half-way.

use async_trait::async_trait;
use booking_core::{DoctorId, PatientId, RequestKey, UtcMillis};
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Sqlite, SqlitePool, Transaction};
use uuid::Uuid;

use super::words::{damaged, id, read_error, value};
use super::{SqliteLedger, people};
use crate::journal::ReadError;
use crate::ledger::people::{Clinic, ClinicProfile, Patient, PatientProfile};
use crate::ledger::registry::{Doctor, DoctorProfile, DoctorQuery, Location, Registry, WriteError, Written};

macro_rules! select_doctors {
    ($tail:literal) => {
        concat!(
            "SELECT id, name, time_zone, location_name, city, latitude, longitude, bio, specialties, languages, clinic, \
             created_ms, updated_ms FROM doctor WHERE ",
            $tail
        )
    };
}

/// After a (name, id); the filters of the particular page in front.
macro_rules! select_page {
    ($filter:literal) => {
        concat!(select_doctors!($filter), "(name, id) > (?1, ?2) ORDER BY name, id LIMIT ?3")
    };
}

const BY_ID: &str = select_doctors!("id = ?1");
const PAGE: &str = select_page!("");
const PAGE_OF_CITY: &str = select_page!("city_folded = ?4 AND ?5 IS NULL AND ");
const PAGE_OF_SPECIALTY: &str =
    select_page!("id IN (SELECT doctor FROM doctor_specialty WHERE specialty_folded = ?5) AND ?4 IS NULL AND ");
/// Each doctor of the city is looked up: a list of all who have the specialty, in every city, would be made for each page.
pub(super) const PAGE_OF_BOTH: &str = select_page!(
    "city_folded = ?4 AND EXISTS (SELECT 1 FROM doctor_specialty AS wanted WHERE wanted.specialty_folded = ?5 \
     AND wanted.doctor = doctor.id) AND "
);
/// `updated_ms` never falls, whichever of two updates is written last.
const UPSERT: &str = "INSERT INTO doctor (id, name, time_zone, location_name, city, city_folded, latitude, longitude, \
                      bio, specialties, languages, clinic, created_ms, updated_ms) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) \
                      ON CONFLICT (id) DO UPDATE SET name = excluded.name, time_zone = excluded.time_zone, \
                      location_name = excluded.location_name, city = excluded.city, city_folded = excluded.city_folded, \
                      latitude = excluded.latitude, longitude = excluded.longitude, bio = excluded.bio, \
                      specialties = excluded.specialties, languages = excluded.languages, clinic = excluded.clinic, \
                      updated_ms = max(excluded.updated_ms, doctor.updated_ms)";
const FORGET_SPECIALTIES: &str = "DELETE FROM doctor_specialty WHERE doctor = ?1";
const ADD_SPECIALTIES: &str = "INSERT OR IGNORE INTO doctor_specialty (doctor, specialty_folded) \
                               SELECT ?1, value FROM json_each(?2)";
const KEY: &str = "SELECT fingerprint, response FROM request_key WHERE subject = ?1 AND key = ?2";
const REMEMBER: &str = "INSERT INTO request_key (subject, key, fingerprint, response, created_ms) \
                        VALUES (?1, ?2, ?3, ?4, ?5)";

/// Those that look for rows, for the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 7] =
    [BY_ID, PAGE, PAGE_OF_CITY, PAGE_OF_SPECIALTY, PAGE_OF_BOTH, FORGET_SPECIALTIES, KEY];

/// The first answer under a key, as it is kept.
#[derive(serde::Serialize, serde::Deserialize)]
struct DoctorAnswer {
    id: Uuid,
    profile: DoctorProfile,
    created_ms: i64,
    updated_ms: i64,
}

#[async_trait]
impl Registry for SqliteLedger {
    async fn create_doctor(&self, doctor: &Doctor, key: Option<&RequestKey>) -> Result<Written<Doctor>, WriteError> {
        let (writer, doctor, key) = (self.registry.clone(), doctor.clone(), key.cloned());
        uncancelled(async move {
            let mut transaction = begin(&writer).await?;
            let written = create(&doctor, key.as_ref(), &mut transaction).await?;
            commit(transaction, written).await
        })
        .await
    }

    async fn update_doctor(
        &self,
        id: DoctorId,
        profile: &DoctorProfile,
        at: UtcMillis,
    ) -> Result<Option<Doctor>, WriteError> {
        let (writer, profile) = (self.registry.clone(), profile.clone());
        uncancelled(async move {
            let mut transaction = begin(&writer).await?;
            let updated = update(id, profile, at, &mut transaction).await?;
            commit(transaction, updated).await
        })
        .await
    }

    async fn doctor(&self, id: DoctorId) -> Result<Option<Doctor>, ReadError> {
        let query = sqlx::query(BY_ID).bind(id.as_bytes().to_vec());
        let row = query.fetch_optional(&self.readers).await.map_err(|error| read_error(&error))?;
        row.as_ref().map(doctor_of).transpose()
    }

    async fn doctors(&self, query: &DoctorQuery) -> Result<Vec<Doctor>, ReadError> {
        let text = match (&query.city, &query.specialty) {
            (None, None) => PAGE,
            (Some(_), None) => PAGE_OF_CITY,
            (None, Some(_)) => PAGE_OF_SPECIALTY,
            (Some(_), Some(_)) => PAGE_OF_BOTH,
        };
        // No name and no id sort before the empty ones.
        let (name, id) =
            query.after.as_ref().map_or_else(Default::default, |(name, id)| (name.clone(), id.as_bytes().to_vec()));
        let rows = sqlx::query(text)
            .bind(name)
            .bind(id)
            .bind(i64::try_from(query.limit).unwrap_or(i64::MAX))
            .bind(query.city.as_deref().map(folded))
            .bind(query.specialty.as_deref().map(folded))
            .fetch_all(&self.readers)
            .await
            .map_err(|error| read_error(&error))?;
        rows.iter().map(doctor_of).collect()
    }

    async fn put_patient(&self, id: PatientId, profile: &PatientProfile, at: UtcMillis) -> Result<Patient, WriteError> {
        let (writer, profile) = (self.registry.clone(), profile.clone());
        uncancelled(async move {
            let mut transaction = begin(&writer).await?;
            let patient = people::put_patient(id, profile, at, &mut transaction).await?;
            commit(transaction, patient).await
        })
        .await
    }

    async fn patient(&self, id: PatientId) -> Result<Option<Patient>, ReadError> {
        people::patient(id, &self.readers).await
    }

    async fn put_clinic(&self, id: Uuid, profile: &ClinicProfile, at: UtcMillis) -> Result<Clinic, WriteError> {
        let (writer, profile) = (self.registry.clone(), profile.clone());
        uncancelled(async move {
            let mut transaction = begin(&writer).await?;
            let clinic = people::put_clinic(id, profile, at, &mut transaction).await?;
            commit(transaction, clinic).await
        })
        .await
    }

    async fn clinic(&self, id: Uuid) -> Result<Option<Clinic>, ReadError> {
        people::clinic(id, &self.readers).await
    }
}

/// Runs `work` in a task of its own: it ends even if its caller does not wait for it.
async fn uncancelled<T: Send + 'static>(
    work: impl Future<Output = Result<T, WriteError>> + Send + 'static,
) -> Result<T, WriteError> {
    tokio::spawn(work).await.unwrap_or_else(|error| Err(WriteError(error.to_string())))
}

/// `BEGIN IMMEDIATE`: a read that turns into a write would be told busy without waiting. Dropped without a commit, it is
/// rolled back before the connection is used again.
async fn begin(writer: &SqlitePool) -> Result<Transaction<'static, Sqlite>, WriteError> {
    writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)
}

/// Commits; answers what was written.
async fn commit<T>(transaction: Transaction<'static, Sqlite>, written: T) -> Result<T, WriteError> {
    crash_point!(RegistryBeforeCommit);
    transaction.commit().await.map_err(failed)?;
    crash_point!(RegistryAfterCommit);
    Ok(written)
}

async fn create(
    doctor: &Doctor,
    key: Option<&RequestKey>,
    connection: &mut SqliteConnection,
) -> Result<Written<Doctor>, WriteError> {
    if let Some(key) = key {
        if let Some(known) = known(key, connection).await? {
            return Ok(known);
        }
        let answer = DoctorAnswer {
            id: doctor.id.0,
            profile: doctor.profile.clone(),
            created_ms: doctor.created_at.0,
            updated_ms: doctor.updated_at.0,
        };
        let remember = sqlx::query(REMEMBER)
            .bind(key.subject.as_bytes().to_vec())
            .bind(key.key.to_string())
            .bind(key.fingerprint.0.to_vec())
            .bind(json(&answer)?)
            .bind(doctor.created_at.0);
        remember.execute(&mut *connection).await.map_err(failed)?;
    }
    write(doctor, connection).await?;
    Ok(Written::New(doctor.clone()))
}

/// What the key says, if it is remembered.
async fn known(key: &RequestKey, connection: &mut SqliteConnection) -> Result<Option<Written<Doctor>>, WriteError> {
    let query =
        sqlx::query_as::<_, (Vec<u8>, String)>(KEY).bind(key.subject.as_bytes().to_vec()).bind(key.key.to_string());
    let Some((fingerprint, response)) = query.fetch_optional(connection).await.map_err(failed)? else {
        return Ok(None);
    };
    if fingerprint != key.fingerprint.0 {
        return Ok(Some(Written::KeyReused));
    }
    let answer: DoctorAnswer = serde_json::from_str(&response).map_err(|error| WriteError(error.to_string()))?;
    Ok(Some(Written::Replayed(Doctor {
        id: DoctorId(answer.id),
        profile: answer.profile,
        created_at: UtcMillis(answer.created_ms),
        updated_at: UtcMillis(answer.updated_ms),
    })))
}

async fn update(
    id: DoctorId,
    profile: DoctorProfile,
    at: UtcMillis,
    connection: &mut SqliteConnection,
) -> Result<Option<Doctor>, WriteError> {
    let query = sqlx::query(BY_ID).bind(id.as_bytes().to_vec());
    let Some(row) = query.fetch_optional(&mut *connection).await.map_err(failed)? else { return Ok(None) };
    let before = doctor_of(&row).map_err(|error| WriteError(error.to_string()))?;
    let doctor = Doctor { profile, updated_at: at.max(before.updated_at), ..before };
    write(&doctor, connection).await?;
    Ok(Some(doctor))
}

async fn write(doctor: &Doctor, connection: &mut SqliteConnection) -> Result<(), WriteError> {
    upsert(doctor)?.execute(&mut *connection).await.map_err(failed)?;
    let id = doctor.id.as_bytes().to_vec();
    sqlx::query(FORGET_SPECIALTIES).bind(id.clone()).execute(&mut *connection).await.map_err(failed)?;
    let folded: Vec<String> = doctor.profile.specialties.iter().map(|specialty| folded(specialty)).collect();
    let add = sqlx::query(ADD_SPECIALTIES).bind(id).bind(json(&folded)?);
    add.execute(connection).await.map(drop).map_err(failed)
}

fn upsert(doctor: &Doctor) -> Result<sqlx::query::Query<'static, Sqlite, SqliteArguments>, WriteError> {
    let profile = doctor.profile.clone();
    Ok(sqlx::query(UPSERT)
        .bind(doctor.id.as_bytes().to_vec())
        .bind(profile.name)
        .bind(profile.time_zone)
        .bind(profile.location.name)
        .bind(profile.location.city.clone())
        .bind(folded(&profile.location.city))
        .bind(profile.location.latitude)
        .bind(profile.location.longitude)
        .bind(profile.bio)
        .bind(json(&profile.specialties)?)
        .bind(json(&profile.languages)?)
        .bind(profile.clinic.map(|clinic| clinic.as_bytes().to_vec()))
        .bind(doctor.created_at.0)
        .bind(doctor.updated_at.0))
}

fn doctor_of(row: &SqliteRow) -> Result<Doctor, ReadError> {
    let clinic = value::<Option<&[u8]>>(row, "clinic")?;
    let profile = DoctorProfile {
        name: value(row, "name")?,
        specialties: list(value(row, "specialties")?)?,
        time_zone: value(row, "time_zone")?,
        location: Location {
            name: value(row, "location_name")?,
            city: value(row, "city")?,
            latitude: value(row, "latitude")?,
            longitude: value(row, "longitude")?,
        },
        bio: value(row, "bio")?,
        languages: list(value(row, "languages")?)?,
        clinic: clinic.map(|_| id(row, "clinic").map(Uuid::from_bytes)).transpose()?,
    };
    Ok(Doctor {
        id: DoctorId::from_bytes(id(row, "id")?),
        profile,
        created_at: UtcMillis(value(row, "created_ms")?),
        updated_at: UtcMillis(value(row, "updated_ms")?),
    })
}

fn list(text: &str) -> Result<Vec<String>, ReadError> {
    serde_json::from_str(text).map_err(|error| damaged(format!("a list of a doctor: {error}")))
}

fn json(value: &impl serde::Serialize) -> Result<String, WriteError> {
    serde_json::to_string(value).map_err(|error| WriteError(error.to_string()))
}

/// `text` without regard to case, beyond ASCII: by way of upper case, so that `ß` equals `SS` and both forms of a final
/// sigma are one. Surrounding blanks do not count.
fn folded(text: &str) -> String {
    text.trim().to_uppercase().to_lowercase()
}

fn failed(error: sqlx::Error) -> WriteError {
    WriteError(error.to_string())
}
