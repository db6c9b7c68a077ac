//! Doctors as rows, and the idempotency keys of requests that write them; the door to patients and clinics (`people`).
//! Must not know: appointments.
//!
//! A write runs in a task of its own, so that a caller who goes away cannot leave a transaction half-way.

use async_trait::async_trait;
use booking_core::{DoctorId, PatientId, RequestKey, UtcMillis};
use sqlx::{Pool, Transaction};
use uuid::Uuid;

use super::bulk::{Bind, BulkStatement, Conflict, Kind};
use super::columns::{Columns, damaged, id, value};
use super::statement::Statement;
use super::store::Stored;
use super::{Dialect, ask_first, people};
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

/// A page: the filters in front, and how its rows compare with the (name, id) at which it begins.
macro_rules! select_page {
    ($filter:literal, $compared:literal) => {
        concat!(select_doctors!($filter), "(name, id) ", $compared, " ($1, $2) ORDER BY name, id LIMIT $3")
    };
}

/// The first page, which begins with the lowest (name, id), and one that begins after another one.
macro_rules! select_pages {
    ($filter:literal) => {
        [select_page!($filter, ">="), select_page!($filter, ">")]
    };
}

const BY_ID: &str = select_doctors!("id = $1");
const PAGE: [&str; 2] = select_pages!("");
const PAGE_OF_CITY: [&str; 2] = select_pages!("city_folded = $4 AND $5 IS NULL AND ");
const PAGE_OF_SPECIALTY: [&str; 2] =
    select_pages!("id IN (SELECT doctor FROM doctor_specialty WHERE specialty_folded = $5) AND $4 IS NULL AND ");
/// Each doctor of the city is looked up: a list of all who have the specialty, in every city, would be made for each page.
pub(crate) const PAGE_OF_BOTH: [&str; 2] = select_pages!(
    "city_folded = $4 AND EXISTS (SELECT 1 FROM doctor_specialty AS wanted WHERE wanted.specialty_folded = $5 \
     AND wanted.doctor = doctor.id) AND "
);
/// A doctor that is there already is replaced, as of its first instant. `updated_ms` never falls, whichever of two writes is
/// the last one.
const UPSERT: &str = "INSERT INTO doctor (id, name, time_zone, location_name, city, city_folded, latitude, longitude, \
                      bio, specialties, languages, clinic, updated_ms, created_ms) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
                      ON CONFLICT (id) DO UPDATE SET name = excluded.name, time_zone = excluded.time_zone, \
                      location_name = excluded.location_name, city = excluded.city, city_folded = excluded.city_folded, \
                      latitude = excluded.latitude, longitude = excluded.longitude, bio = excluded.bio, \
                      specialties = excluded.specialties, languages = excluded.languages, clinic = excluded.clinic, \
                      updated_ms = CASE WHEN excluded.updated_ms > doctor.updated_ms \
                      THEN excluded.updated_ms ELSE doctor.updated_ms END";
/// Of two at once the second waits for the first: neither reads before it writes.
const UPDATE: &str = "UPDATE doctor SET name = $2, time_zone = $3, location_name = $4, city = $5, city_folded = $6, \
                      latitude = $7, longitude = $8, bio = $9, specialties = $10, languages = $11, clinic = $12, \
                      updated_ms = CASE WHEN $13 > updated_ms THEN $13 ELSE updated_ms END \
                      WHERE id = $1 RETURNING created_ms, updated_ms";
const FORGET_SPECIALTIES: &str = "DELETE FROM doctor_specialty WHERE doctor = $1";
static ADD_SPECIALTIES: BulkStatement = BulkStatement::insert(
    "doctor_specialty",
    &[("doctor", Kind::Id), ("specialty_folded", Kind::Text)],
    Conflict::Ignore,
);
/// Whoever comes second under a key waits for the first, and then writes nothing.
const REMEMBER: &str = "INSERT INTO request_key (subject, key, fingerprint, response, created_ms) \
                        VALUES ($1, $2, $3, $4, $5) ON CONFLICT (subject, key) DO NOTHING";
const KEY: &str = "SELECT fingerprint, response FROM request_key WHERE subject = $1 AND key = $2";

/// Those that look for rows, for the test of their plans.
#[cfg(test)]
pub(in crate::ledger) const STATEMENTS: [&str; 12] = [
    UPDATE,
    BY_ID,
    PAGE[0],
    PAGE[1],
    PAGE_OF_CITY[0],
    PAGE_OF_CITY[1],
    PAGE_OF_SPECIALTY[0],
    PAGE_OF_SPECIALTY[1],
    PAGE_OF_BOTH[0],
    PAGE_OF_BOTH[1],
    FORGET_SPECIALTIES,
    KEY,
];

/// The first answer under a key, as it is kept.
#[derive(serde::Serialize, serde::Deserialize)]
struct DoctorAnswer {
    id: Uuid,
    profile: DoctorProfile,
    created_ms: i64,
    updated_ms: i64,
}

#[async_trait]
impl<L: Stored> Registry for L {
    async fn create_doctor(&self, doctor: &Doctor, key: Option<&RequestKey>) -> Result<Written<Doctor>, WriteError> {
        let (writer, doctor, key) = (self.store().registry.clone(), doctor.clone(), key.cloned());
        uncancelled(async move {
            let mut transaction = begin::<L::Dialect>(&writer).await?;
            let written = create::<L::Dialect>(&doctor, key.as_ref(), &mut transaction).await?;
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
        let (writer, profile) = (self.store().registry.clone(), profile.clone());
        uncancelled(async move {
            let mut transaction = begin::<L::Dialect>(&writer).await?;
            let updated = update::<L::Dialect>(id, profile, at, &mut transaction).await?;
            commit(transaction, updated).await
        })
        .await
    }

    async fn doctor(&self, id: DoctorId) -> Result<Option<Doctor>, ReadError> {
        let row = ask_first(&self.store().readers, Statement::new(BY_ID).bind(id.0)).await?;
        row.as_ref().map(doctor_of).transpose()
    }

    async fn doctors(&self, query: &DoctorQuery) -> Result<Vec<Doctor>, ReadError> {
        let [first, next] = match (&query.city, &query.specialty) {
            (None, None) => PAGE,
            (Some(_), None) => PAGE_OF_CITY,
            (None, Some(_)) => PAGE_OF_SPECIALTY,
            (Some(_), Some(_)) => PAGE_OF_BOTH,
        };
        let text = if query.after.is_some() { next } else { first };
        let (name, id) = query.after.as_ref().map_or_else(Default::default, |(name, id)| (name.clone(), id.0));
        let mut statement =
            Statement::new(text).bind(name).bind(id).bind(i64::try_from(query.limit).unwrap_or(i64::MAX));
        if query.city.is_some() || query.specialty.is_some() {
            statement = statement.bind(query.city.as_deref().map(folded)).bind(query.specialty.as_deref().map(folded));
        }
        L::Dialect::ask(&self.store().readers, statement).await?.iter().map(doctor_of).collect()
    }

    async fn put_patient(&self, id: PatientId, profile: &PatientProfile, at: UtcMillis) -> Result<Patient, WriteError> {
        let (writer, profile) = (self.store().registry.clone(), profile.clone());
        uncancelled(async move {
            let mut transaction = begin::<L::Dialect>(&writer).await?;
            let patient = people::put_patient::<L::Dialect>(id, profile, at, &mut transaction).await?;
            commit(transaction, patient).await
        })
        .await
    }

    async fn patient(&self, id: PatientId) -> Result<Option<Patient>, ReadError> {
        people::patient(id, &self.store().readers).await
    }

    async fn patients(&self, ids: &[PatientId]) -> Result<Vec<Patient>, ReadError> {
        people::patients(ids, &self.store().readers).await
    }

    async fn put_clinic(&self, id: Uuid, profile: &ClinicProfile, at: UtcMillis) -> Result<Clinic, WriteError> {
        let (writer, profile) = (self.store().registry.clone(), profile.clone());
        uncancelled(async move {
            let mut transaction = begin::<L::Dialect>(&writer).await?;
            let clinic = people::put_clinic::<L::Dialect>(id, profile, at, &mut transaction).await?;
            commit(transaction, clinic).await
        })
        .await
    }

    async fn clinic(&self, id: Uuid) -> Result<Option<Clinic>, ReadError> {
        people::clinic(id, &self.store().readers).await
    }
}

/// Runs `work` in a task of its own: it ends even if its caller does not wait for it.
pub(super) async fn uncancelled<T: Send + 'static>(
    work: impl Future<Output = Result<T, WriteError>> + Send + 'static,
) -> Result<T, WriteError> {
    tokio::spawn(work).await.unwrap_or_else(|error| Err(WriteError(error.to_string())))
}

/// Dropped without a commit, it is rolled back before the connection is used again.
pub(super) async fn begin<D: Dialect>(writer: &Pool<D>) -> Result<Transaction<'static, D>, WriteError> {
    writer.begin_with(D::BEGIN).await.map_err(|error| D::write_error(&error))
}

/// Commits; answers what was written.
pub(super) async fn commit<D: Dialect, T>(transaction: Transaction<'static, D>, written: T) -> Result<T, WriteError> {
    crash_point!(RegistryBeforeCommit);
    transaction.commit().await.map_err(|error| D::write_error(&error))?;
    crash_point!(RegistryAfterCommit);
    Ok(written)
}

async fn create<D: Dialect>(
    doctor: &Doctor,
    key: Option<&RequestKey>,
    connection: &mut D::Connection,
) -> Result<Written<Doctor>, WriteError> {
    if let Some(key) = key {
        let answer = DoctorAnswer {
            id: doctor.id.0,
            profile: doctor.profile.clone(),
            created_ms: doctor.created_at.0,
            updated_ms: doctor.updated_at.0,
        };
        let remember = Statement::new(REMEMBER)
            .bind(key.subject.0)
            .bind(&*key.key)
            .bind(Uuid::from_bytes(key.fingerprint.0))
            .bind(json(&answer)?)
            .bind(doctor.created_at.0);
        if D::execute(connection, remember).await.map_err(|error| D::write_error(&error))? == 0 {
            return known::<D>(key, connection).await;
        }
    }
    let upsert = described(UPSERT, doctor.id, &doctor.profile)?.bind(doctor.updated_at.0).bind(doctor.created_at.0);
    D::execute(connection, upsert).await.map_err(|error| D::write_error(&error))?;
    specialize::<D>(doctor.id, &doctor.profile, connection).await?;
    Ok(Written::New(doctor.clone()))
}

/// What a key says that is remembered.
async fn known<D: Dialect>(key: &RequestKey, connection: &mut D::Connection) -> Result<Written<Doctor>, WriteError> {
    let rows = D::fetch(connection, Statement::new(KEY).bind(key.subject.0).bind(&*key.key)).await;
    let rows = rows.map_err(|error| D::write_error(&error))?;
    let row = rows.first().ok_or_else(|| WriteError("a key is remembered and is not".to_owned()))?;
    let read = |error: ReadError| WriteError(error.to_string());
    if id(row, "fingerprint").map_err(read)? != key.fingerprint.0 {
        return Ok(Written::KeyReused);
    }
    let response: &str = value(row, "response").map_err(read)?;
    let answer: DoctorAnswer = serde_json::from_str(response).map_err(|error| WriteError(error.to_string()))?;
    Ok(Written::Replayed(Doctor {
        id: DoctorId(answer.id),
        profile: answer.profile,
        created_at: UtcMillis(answer.created_ms),
        updated_at: UtcMillis(answer.updated_ms),
    }))
}

async fn update<D: Dialect>(
    id: DoctorId,
    profile: DoctorProfile,
    at: UtcMillis,
    connection: &mut D::Connection,
) -> Result<Option<Doctor>, WriteError> {
    let rows = D::fetch(connection, described(UPDATE, id, &profile)?.bind(at.0)).await;
    let rows = rows.map_err(|error| D::write_error(&error))?;
    let Some(row) = rows.first() else { return Ok(None) };
    let instant = |column| value(row, column).map(UtcMillis).map_err(|error| WriteError(error.to_string()));
    let (created_at, updated_at) = (instant("created_ms")?, instant("updated_ms")?);
    specialize::<D>(id, &profile, connection).await?;
    Ok(Some(Doctor { id, profile, created_at, updated_at }))
}

/// What a search for a specialty finds.
async fn specialize<D: Dialect>(
    id: DoctorId,
    profile: &DoctorProfile,
    connection: &mut D::Connection,
) -> Result<(), WriteError> {
    let forgotten = D::execute(connection, Statement::new(FORGET_SPECIALTIES).bind(id.0)).await;
    forgotten.map_err(|error| D::write_error(&error))?;
    let rows: Vec<String> = profile.specialties.iter().map(|specialty| folded(specialty)).collect();
    let added = D::execute_rows(connection, &ADD_SPECIALTIES, &rows, |specialty, values| {
        values.id(id.as_bytes())?;
        values.text(specialty)
    });
    added.await.map(drop).map_err(|error| D::write_error(&error))
}

/// Binds the first twelve values of `text`.
fn described(text: &'static str, id: DoctorId, profile: &DoctorProfile) -> Result<Statement, WriteError> {
    let profile = profile.clone();
    Ok(Statement::new(text)
        .bind(id.0)
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
        .bind(profile.clinic))
}

fn doctor_of(row: &impl Columns) -> Result<Doctor, ReadError> {
    let profile = DoctorProfile {
        name: value(row, "name")?,
        specialties: list(row, "specialties")?,
        time_zone: value(row, "time_zone")?,
        location: Location {
            name: value(row, "location_name")?,
            city: value(row, "city")?,
            latitude: value(row, "latitude")?,
            longitude: value(row, "longitude")?,
        },
        bio: value(row, "bio")?,
        languages: list(row, "languages")?,
        clinic: value(row, "clinic")?,
    };
    Ok(Doctor {
        id: DoctorId::from_bytes(id(row, "id")?),
        profile,
        created_at: UtcMillis(value(row, "created_ms")?),
        updated_at: UtcMillis(value(row, "updated_ms")?),
    })
}

fn list(row: &impl Columns, column: &str) -> Result<Vec<String>, ReadError> {
    let text: &str = value(row, column)?;
    serde_json::from_str(text).map_err(|error| damaged(row, format!("a list of a doctor: {error}")))
}

fn json(value: &impl serde::Serialize) -> Result<String, WriteError> {
    serde_json::to_string(value).map_err(|error| WriteError(error.to_string()))
}

/// `text` without regard to case, beyond ASCII: by way of upper case, so that `ß` equals `SS` and both forms of a final
/// sigma are one. Surrounding blanks do not count.
fn folded(text: &str) -> String {
    text.trim().to_uppercase().to_lowercase()
}
