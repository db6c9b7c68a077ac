//! Patients and clinics as rows.
//! Must not know: doctors, appointments.

use booking_core::{PatientId, PersonalText, UtcMillis};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row, SqlitePool};
use uuid::Uuid;

use super::words::{damaged, id, number, read_error, value};
use crate::journal::ReadError;
use crate::ledger::people::{Channel, Clinic, ClinicProfile, Patient, PatientProfile};
use crate::ledger::registry::WriteError;

// Columns are named one by one: the driver's thread does not survive a name that is no text, which a damaged schema can have.
const PATIENT: &str = "SELECT id, name_key, name, phone_key, phone, email_key, email, telegram_key, telegram, language, \
                       time_zone, channels, created_ms, updated_ms FROM patient WHERE id = ?1";
const CLINIC: &str = "SELECT id, name, time_zone, created_ms, updated_ms FROM clinic WHERE id = ?1";
/// `created_ms` stays that of the first put; `updated_ms` never falls, whichever of two puts is written last.
const PUT_PATIENT: &str = "INSERT INTO patient (id, name_key, name, phone_key, phone, email_key, email, telegram_key, \
                           telegram, language, time_zone, channels, created_ms, updated_ms) \
                           VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?13) \
                           ON CONFLICT (id) DO UPDATE SET name_key = excluded.name_key, name = excluded.name, \
                           phone_key = excluded.phone_key, phone = excluded.phone, email_key = excluded.email_key, \
                           email = excluded.email, telegram_key = excluded.telegram_key, \
                           telegram = excluded.telegram, language = excluded.language, \
                           time_zone = excluded.time_zone, channels = excluded.channels, \
                           updated_ms = max(excluded.updated_ms, patient.updated_ms) \
                           RETURNING id, name_key, name, phone_key, phone, email_key, email, telegram_key, telegram, \
                           language, time_zone, channels, created_ms, updated_ms";
const PUT_CLINIC: &str = "INSERT INTO clinic (id, name, time_zone, created_ms, updated_ms) \
                          VALUES (?1, ?2, ?3, ?4, ?4) \
                          ON CONFLICT (id) DO UPDATE SET name = excluded.name, time_zone = excluded.time_zone, \
                          updated_ms = max(excluded.updated_ms, clinic.updated_ms) \
                          RETURNING id, name, time_zone, created_ms, updated_ms";

/// Those that look for rows, for the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 2] = [PATIENT, CLINIC];

pub(super) async fn put_patient(
    patient: PatientId,
    profile: PatientProfile,
    at: UtcMillis,
    connection: &mut SqliteConnection,
) -> Result<Patient, WriteError> {
    let channels = profile.channels.map(|channels| {
        let words = channels.iter().map(|channel| channel.word()).collect::<Vec<_>>();
        serde_json::to_string(&words)
    });
    let key = |text: &Option<PersonalText>| text.as_ref().map(|text| text.key);
    let bytes = |text: Option<PersonalText>| text.map(|text| text.bytes.into_vec());
    let query = sqlx::query(PUT_PATIENT)
        .bind(patient.as_bytes().to_vec())
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
    let row = query.fetch_one(connection).await.map_err(|error| WriteError(error.to_string()))?;
    patient_of(&row).map_err(|error| WriteError(error.to_string()))
}

pub(super) async fn patient(patient: PatientId, readers: &SqlitePool) -> Result<Option<Patient>, ReadError> {
    let query = sqlx::query(PATIENT).bind(patient.as_bytes().to_vec());
    let row = query.fetch_optional(readers).await.map_err(|error| read_error(&error))?;
    row.as_ref().map(patient_of).transpose()
}

pub(super) async fn put_clinic(
    clinic: Uuid,
    profile: ClinicProfile,
    at: UtcMillis,
    connection: &mut SqliteConnection,
) -> Result<Clinic, WriteError> {
    let query =
        sqlx::query(PUT_CLINIC).bind(clinic.as_bytes().to_vec()).bind(profile.name).bind(profile.time_zone).bind(at.0);
    let row = query.fetch_one(connection).await.map_err(|error| WriteError(error.to_string()))?;
    clinic_of(&row).map_err(|error| WriteError(error.to_string()))
}

pub(super) async fn clinic(clinic: Uuid, readers: &SqlitePool) -> Result<Option<Clinic>, ReadError> {
    let query = sqlx::query(CLINIC).bind(clinic.as_bytes().to_vec());
    let row = query.fetch_optional(readers).await.map_err(|error| read_error(&error))?;
    row.as_ref().map(clinic_of).transpose()
}

fn patient_of(row: &SqliteRow) -> Result<Patient, ReadError> {
    let name = personal(row, "name_key", "name")?.ok_or_else(|| damaged("a patient has no name".to_owned()))?;
    let profile = PatientProfile {
        name,
        phone: personal(row, "phone_key", "phone")?,
        email: personal(row, "email_key", "email")?,
        telegram: personal(row, "telegram_key", "telegram")?,
        language: value(row, "language")?,
        time_zone: value(row, "time_zone")?,
        channels: value::<Option<&str>>(row, "channels")?.map(channels).transpose()?,
    };
    Ok(Patient {
        id: PatientId::from_bytes(id(row, "id")?),
        profile,
        created_at: UtcMillis(value(row, "created_ms")?),
        updated_at: UtcMillis(value(row, "updated_ms")?),
    })
}

fn clinic_of(row: &SqliteRow) -> Result<Clinic, ReadError> {
    Ok(Clinic {
        id: Uuid::from_bytes(id(row, "id")?),
        profile: ClinicProfile { name: value(row, "name")?, time_zone: value(row, "time_zone")? },
        created_at: UtcMillis(value(row, "created_ms")?),
        updated_at: UtcMillis(value(row, "updated_ms")?),
    })
}

/// A personal text of two columns. The messages name columns only, never what they hold.
fn personal(row: &SqliteRow, key: &str, bytes: &str) -> Result<Option<PersonalText>, ReadError> {
    let bytes: Option<Vec<u8>> = row.try_get(bytes).map_err(|error| read_error(&error))?;
    bytes.map(|bytes| Ok(PersonalText { key: number(row, key)?, bytes: bytes.into() })).transpose()
}

fn channels(text: &str) -> Result<Vec<Channel>, ReadError> {
    let words: Vec<String> =
        serde_json::from_str(text).map_err(|error| damaged(format!("the channels of a patient: {error}")))?;
    let channel = |word: &String| Channel::of_word(word).ok_or_else(|| damaged(format!("`{word}` is no channel")));
    words.iter().map(channel).collect()
}
