//! Doctors, clinics, patients, policies of reminders, templates: ordinary rows, written synchronously beside the ledger.
//! Must not know: bookings.

use async_trait::async_trait;
use booking_core::{DoctorId, PatientId, RequestKey, UtcMillis};
use uuid::Uuid;

use super::people::{Clinic, ClinicProfile, Patient, PatientProfile};
use super::reminders::PolicyScope;
use crate::journal::ReadError;
use crate::reminders::policy::ReminderPolicy;

/// A doctor as registered.
#[derive(Clone, PartialEq, Debug)]
pub struct Doctor {
    /// The id; a doctor's token has it as its subject.
    pub id: DoctorId,
    /// What a caller gives.
    pub profile: DoctorProfile,
    /// When it was registered.
    pub created_at: UtcMillis,
    /// When it changed last.
    pub updated_at: UtcMillis,
}

/// What a caller says of a doctor. Validated by the gateway.
#[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
pub struct DoctorProfile {
    /// Full name.
    pub name: String,
    /// As given, in order.
    pub specialties: Vec<String>,
    /// IANA name.
    pub time_zone: String,
    /// Where visits take place.
    pub location: Location,
    /// Free text.
    pub bio: Option<String>,
    /// Language tags (BCP 47).
    pub languages: Vec<String>,
    /// The clinic, if any.
    pub clinic: Option<Uuid>,
}

/// A place.
#[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Location {
    /// Name of the practice.
    pub name: String,
    /// City, as searched for.
    pub city: String,
    /// Degrees north, -90 to 90.
    pub latitude: f64,
    /// Degrees east, -180 to 180.
    pub longitude: f64,
}

/// Which doctors. Filters compare without regard to case or surrounding blanks, and are combined.
#[derive(Clone, Debug, Default)]
pub struct DoctorQuery {
    /// One of the doctor's specialties.
    pub specialty: Option<String>,
    /// The city.
    pub city: Option<String>,
    /// Only after this (name, id), exclusive: where the previous page ended. Ordered by name, then id.
    pub after: Option<(String, DoctorId)>,
    /// At most so many.
    pub limit: usize,
}

/// The outcome of a write under an idempotency key.
#[derive(Clone, PartialEq, Debug)]
pub enum Written<T> {
    /// Done now.
    New(T),
    /// Done before under the same key and request: the first answer.
    Replayed(T),
    /// The key is remembered with another request.
    KeyReused,
}

/// Why a row was not written.
#[derive(Debug, thiserror::Error)]
#[error("the registry did not write: {0}")]
pub struct WriteError(pub String);

/// What patients are told: policies, and what messages say.
#[async_trait]
pub trait Policies: Send + Sync + 'static {
    /// Writes the policy of `scope`, in place of what was there before; `None` takes it away. The caller has asked for its mistakes.
    /// Messages of visits that are booked already stay as they were planned.
    async fn put_policy(
        &self,
        scope: PolicyScope,
        policy: Option<&ReminderPolicy>,
        at: UtcMillis,
    ) -> Result<(), WriteError>;

    /// The policy that was put for `scope` itself.
    async fn policy(&self, scope: PolicyScope) -> Result<Option<ReminderPolicy>, ReadError>;

    /// The policy that holds for a doctor: its own, else its clinic's. `None`: that of the settings.
    async fn policy_for(&self, doctor: DoctorId) -> Result<Option<ReminderPolicy>, ReadError>;

    /// Writes a template, a JSON document, under `name`, in place of what was there before; `None` takes it away.
    async fn put_template(&self, name: &str, template: Option<&str>, at: UtcMillis) -> Result<(), WriteError>;

    /// The template of that name.
    async fn template(&self, name: &str) -> Result<Option<String>, ReadError>;

    /// Names and templates after `after`, by name; at most `limit`.
    async fn templates(&self, after: Option<&str>, limit: usize) -> Result<Vec<(String, String)>, ReadError>;
}

/// The store of ordinary rows.
#[async_trait]
pub trait Registry: Policies {
    /// Registers `doctor`, remembering `key` in the same transaction.
    async fn create_doctor(&self, doctor: &Doctor, key: Option<&RequestKey>) -> Result<Written<Doctor>, WriteError>;

    /// Replaces the profile; `None` if there is no such doctor.
    async fn update_doctor(
        &self,
        id: DoctorId,
        profile: &DoctorProfile,
        at: UtcMillis,
    ) -> Result<Option<Doctor>, WriteError>;

    /// One doctor.
    async fn doctor(&self, id: DoctorId) -> Result<Option<Doctor>, ReadError>;

    /// A page of doctors.
    async fn doctors(&self, query: &DoctorQuery) -> Result<Vec<Doctor>, ReadError>;

    /// Writes what is known of a patient, in place of what was known before; the patient as it stands now.
    async fn put_patient(&self, id: PatientId, profile: &PatientProfile, at: UtcMillis) -> Result<Patient, WriteError>;

    /// One patient; `None` if it was never put.
    async fn patient(&self, id: PatientId) -> Result<Option<Patient>, ReadError>;

    /// Those of `ids` that were ever put, in no particular order.
    async fn patients(&self, ids: &[PatientId]) -> Result<Vec<Patient>, ReadError> {
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.extend(self.patient(*id).await?);
        }
        Ok(found)
    }

    /// Writes a clinic, in place of what was there before; the clinic as it stands now.
    async fn put_clinic(&self, id: Uuid, profile: &ClinicProfile, at: UtcMillis) -> Result<Clinic, WriteError>;

    /// One clinic; `None` if it was never put.
    async fn clinic(&self, id: Uuid) -> Result<Option<Clinic>, ReadError>;
}
