//! Patients and clinics as rows.
//! Must not know: doctors, appointments.

use booking_core::{PatientId, PersonalText, UtcMillis};
use sqlx::Pool;
use uuid::Uuid;

use super::bulk::{Bind, BulkStatement, Kind};
use super::columns::{Columns, damaged, id, personal, value};
use super::statement::Statement;
use super::{Dialect, ask_first};
use crate::journal::ReadError;
use crate::ledger::people::{Channel, Clinic, ClinicProfile, Patient, PatientProfile};
use crate::ledger::registry::WriteError;

// Columns are named one by one: the driver's thread does not survive a name that is no text, which a damaged schema can have.
const PATIENT: &str = "SELECT id, name_key, name, phone_key, phone, email_key, email, telegram_key, telegram, language, \
                       time_zone, channels, created_ms, updated_ms FROM patient WHERE id = $1";
static PATIENTS: BulkStatement = BulkStatement::list(
    "SELECT p.id, p.name_key, p.name, p.phone_key, p.phone, p.email_key, p.email, p.telegram_key, p.telegram, p.language, \
     p.time_zone, p.channels, p.created_ms, p.updated_ms FROM ",
    &[Kind::Id],
    " AS wanted CROSS JOIN patient p WHERE p.id = wanted.column1",
);
const CLINIC: &str = "SELECT id, name, time_zone, created_ms, updated_ms FROM clinic WHERE id = $1";
/// `created_ms` stays that of the first put; `updated_ms` never falls, whichever of two puts is written last.
const PUT_PATIENT: &str = "INSERT INTO patient (id, name_key, name, phone_key, phone, email_key, email, telegram_key, \
                           telegram, language, time_zone, channels, created_ms, updated_ms) \
                           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13) \
                           ON CONFLICT (id) DO UPDATE SET name_key = excluded.name_key, name = excluded.name, \
                           phone_key = excluded.phone_key, phone = excluded.phone, email_key = excluded.email_key, \
                           email = excluded.email, telegram_key = excluded.telegram_key, \
                           telegram = excluded.telegram, language = excluded.language, \
                           time_zone = excluded.time_zone, channels = excluded.channels, \
                           updated_ms = CASE WHEN excluded.updated_ms > patient.updated_ms \
                           THEN excluded.updated_ms ELSE patient.updated_ms END \
                           RETURNING id, name_key, name, phone_key, phone, email_key, email, telegram_key, telegram, \
                           language, time_zone, channels, created_ms, updated_ms";
const PUT_CLINIC: &str = "INSERT INTO clinic (id, name, time_zone, created_ms, updated_ms) \
                          VALUES ($1, $2, $3, $4, $4) \
                          ON CONFLICT (id) DO UPDATE SET name = excluded.name, time_zone = excluded.time_zone, \
                          updated_ms = CASE WHEN excluded.updated_ms > clinic.updated_ms \
                          THEN excluded.updated_ms ELSE clinic.updated_ms END \
                          RETURNING id, name, time_zone, created_ms, updated_ms";

/// Those that look for rows, for the test of their plans.
#[cfg(test)]
pub(in crate::ledger) const STATEMENTS: [&str; 2] = [PATIENT, CLINIC];

pub(super) async fn put_patient<D: Dialect>(
    patient: PatientId,
    profile: PatientProfile,
    at: UtcMillis,
    connection: &mut D::Connection,
) -> Result<Patient, WriteError> {
    let channels = profile.channels.map(|channels| {
        let words = channels.iter().map(|channel| channel.word()).collect::<Vec<_>>();
        serde_json::to_string(&words)
    });
    let key = |text: &Option<PersonalText>| text.as_ref().map(|text| text.key);
    let bytes = |text: Option<PersonalText>| text.map(|text| text.bytes.into_vec());
    let statement = Statement::new(PUT_PATIENT)
        .bind(patient.0)
        .bind(profile.name.key)
        .bind(profile.name.bytes.into_vec())
        .bind(key(&profile.phone))
        .bind(bytes(profile.phone))
        .bind(key(&profile.email))
        .bind(bytes(profile.email))
        .bind(key(&profile.telegram))
        .bind(bytes(profile.telegram))
        .bind(profile.language)
        .bind(profile.time_zone)
        .bind(channels.transpose().map_err(|error| WriteError(error.to_string()))?)
        .bind(at.0);
    put::<D, _>(statement, connection, patient_of).await
}

pub(super) async fn patient<D: Dialect>(patient: PatientId, readers: &Pool<D>) -> Result<Option<Patient>, ReadError> {
    let row = ask_first(readers, Statement::new(PATIENT).bind(patient.0)).await?;
    row.as_ref().map(patient_of).transpose()
}

pub(super) async fn patients<D: Dialect>(ids: &[PatientId], readers: &Pool<D>) -> Result<Vec<Patient>, ReadError> {
    let rows = D::ask_rows(readers, &PATIENTS, ids, |id, values| values.id(id.as_bytes())).await?;
    rows.iter().map(patient_of).collect()
}

pub(super) async fn put_clinic<D: Dialect>(
    clinic: Uuid,
    profile: ClinicProfile,
    at: UtcMillis,
    connection: &mut D::Connection,
) -> Result<Clinic, WriteError> {
    let statement = Statement::new(PUT_CLINIC).bind(clinic).bind(profile.name).bind(profile.time_zone).bind(at.0);
    put::<D, _>(statement, connection, clinic_of).await
}

pub(super) async fn clinic<D: Dialect>(clinic: Uuid, readers: &Pool<D>) -> Result<Option<Clinic>, ReadError> {
    let row = ask_first(readers, Statement::new(CLINIC).bind(clinic)).await?;
    row.as_ref().map(clinic_of).transpose()
}

/// Runs a statement that answers with the row as it stands now.
async fn put<D: Dialect, T>(
    statement: Statement,
    connection: &mut D::Connection,
    read: impl FnOnce(&D::Row) -> Result<T, ReadError> + Send,
) -> Result<T, WriteError> {
    let rows = D::fetch(connection, statement).await.map_err(|error| D::write_error(&error))?;
    let row = rows.first().ok_or_else(|| WriteError("nothing was written".to_owned()))?;
    read(row).map_err(|error| WriteError(error.to_string()))
}

fn patient_of(row: &impl Columns) -> Result<Patient, ReadError> {
    let name = personal(row, "name_key", "name")?.ok_or_else(|| damaged(row, "a patient has no name".to_owned()))?;
    let profile = PatientProfile {
        name,
        phone: personal(row, "phone_key", "phone")?,
        email: personal(row, "email_key", "email")?,
        telegram: personal(row, "telegram_key", "telegram")?,
        language: value(row, "language")?,
        time_zone: value(row, "time_zone")?,
        channels: channels(row)?,
    };
    Ok(Patient {
        id: PatientId::from_bytes(id(row, "id")?),
        profile,
        created_at: UtcMillis(value(row, "created_ms")?),
        updated_at: UtcMillis(value(row, "updated_ms")?),
    })
}

fn clinic_of(row: &impl Columns) -> Result<Clinic, ReadError> {
    Ok(Clinic {
        id: Uuid::from_bytes(id(row, "id")?),
        profile: ClinicProfile { name: value(row, "name")?, time_zone: value(row, "time_zone")? },
        created_at: UtcMillis(value(row, "created_ms")?),
        updated_at: UtcMillis(value(row, "updated_ms")?),
    })
}

/// The column `channels`.
pub(super) fn channels(row: &impl Columns) -> Result<Option<Vec<Channel>>, ReadError> {
    let Some(text): Option<&str> = value(row, "channels")? else { return Ok(None) };
    let words: Vec<String> =
        serde_json::from_str(text).map_err(|error| damaged(row, format!("the channels of a patient: {error}")))?;
    let channel = |word: &String| Channel::of_word(word).ok_or_else(|| damaged(row, format!("`{word}` is no channel")));
    words.iter().map(channel).collect::<Result<_, _>>().map(Some)
}
