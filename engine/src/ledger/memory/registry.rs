//! Doctors, patients, clinics, policies and templates in memory, and the keys of requests that register doctors.
//! Must not know: appointments, faults other than that the store is away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use booking_core::{DoctorId, Fingerprint, PatientId, RequestKey, SubjectId, UtcMillis};
use uuid::Uuid;

use super::MemoryLedger;
use crate::journal::ReadError;
use crate::ledger::people::{Clinic, ClinicProfile, Patient, PatientProfile};
use crate::ledger::registry::{Doctor, DoctorProfile, DoctorQuery, Policies, Registry, WriteError, Written};
use crate::ledger::reminders::PolicyScope;
use crate::reminders::policy::ReminderPolicy;

/// The rows.
#[derive(Default)]
pub(super) struct RegistryStore {
    doctors: BTreeMap<DoctorId, Doctor>,
    keys: BTreeMap<(SubjectId, Box<str>), (Fingerprint, Doctor)>,
    patients: BTreeMap<PatientId, Patient>,
    clinics: BTreeMap<Uuid, Clinic>,
    policies: BTreeMap<PolicyScope, ReminderPolicy>,
    templates: BTreeMap<String, String>,
}

impl RegistryStore {
    /// What holds for a doctor: its own policy, or else that of its clinic.
    pub(super) fn policy_for(&self, doctor: DoctorId) -> Option<&ReminderPolicy> {
        let clinic = || self.doctors.get(&doctor)?.profile.clinic.map(PolicyScope::Clinic);
        let own = self.policies.get(&PolicyScope::Doctor(doctor));
        own.or_else(|| clinic().and_then(|clinic| self.policies.get(&clinic)))
    }

    pub(super) fn known_patient(&self, patient: PatientId) -> Option<&Patient> {
        self.patients.get(&patient)
    }
}

impl RegistryStore {
    /// The zone of a doctor who is registered.
    pub(super) fn time_zone_of(&self, doctor: DoctorId) -> Option<Arc<str>> {
        self.doctors.get(&doctor).map(|doctor| Arc::from(&*doctor.profile.time_zone))
    }
}

/// Without regard to case, beyond ASCII, and to blanks around: `ß` is `SS`.
fn same(text: &str) -> String {
    text.trim().to_uppercase().to_lowercase()
}

fn is_asked_for(query: &DoctorQuery, profile: &DoctorProfile) -> bool {
    let city = query.city.as_ref().is_none_or(|city| same(city) == same(&profile.location.city));
    let specialty = query.specialty.as_ref().is_none_or(|asked| {
        let asked = same(asked);
        profile.specialties.iter().any(|specialty| same(specialty) == asked)
    });
    city && specialty
}

/// Puts `value` at `key`, or takes away what is there.
fn put<K: Ord, V>(rows: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => rows.insert(key, value),
        None => rows.remove(&key),
    };
}

#[async_trait]
impl Policies for MemoryLedger {
    async fn put_policy(
        &self,
        scope: PolicyScope,
        policy: Option<&ReminderPolicy>,
        _at: UtcMillis,
    ) -> Result<(), WriteError> {
        put(&mut self.writable().map_err(WriteError)?.registry.policies, scope, policy.cloned());
        Ok(())
    }

    async fn policy(&self, scope: PolicyScope) -> Result<Option<ReminderPolicy>, ReadError> {
        Ok(self.readable()?.registry.policies.get(&scope).cloned())
    }

    async fn policy_for(&self, doctor: DoctorId) -> Result<Option<ReminderPolicy>, ReadError> {
        Ok(self.readable()?.registry.policy_for(doctor).cloned())
    }

    async fn put_template(&self, name: &str, template: Option<&str>, _at: UtcMillis) -> Result<(), WriteError> {
        let templates = &mut self.writable().map_err(WriteError)?.registry.templates;
        put(templates, name.to_owned(), template.map(str::to_owned));
        Ok(())
    }

    async fn template(&self, name: &str) -> Result<Option<String>, ReadError> {
        Ok(self.readable()?.registry.templates.get(name).cloned())
    }

    async fn templates(&self, after: Option<&str>, limit: usize) -> Result<Vec<(String, String)>, ReadError> {
        let registry = &self.readable()?.registry;
        let all = registry.templates.iter().filter(|(name, _)| after.is_none_or(|after| name.as_str() > after));
        Ok(all.take(limit).map(|(name, template)| (name.clone(), template.clone())).collect())
    }
}

#[async_trait]
impl Registry for MemoryLedger {
    async fn create_doctor(&self, doctor: &Doctor, key: Option<&RequestKey>) -> Result<Written<Doctor>, WriteError> {
        let registry = &mut self.writable().map_err(WriteError)?.registry;
        if let Some(key) = key {
            let place = (key.subject, key.key.clone());
            match registry.keys.get(&place) {
                Some((fingerprint, _)) if *fingerprint != key.fingerprint => return Ok(Written::KeyReused),
                Some((_, answer)) => return Ok(Written::Replayed(answer.clone())),
                None => registry.keys.insert(place, (key.fingerprint, doctor.clone())),
            };
        }
        // An id that is registered already keeps its first instant, and its last one never falls.
        let mut row = doctor.clone();
        if let Some(known) = registry.doctors.get(&doctor.id) {
            row.created_at = known.created_at;
            row.updated_at = row.updated_at.max(known.updated_at);
        }
        registry.doctors.insert(row.id, row);
        Ok(Written::New(doctor.clone()))
    }

    async fn update_doctor(
        &self,
        id: DoctorId,
        profile: &DoctorProfile,
        at: UtcMillis,
    ) -> Result<Option<Doctor>, WriteError> {
        let registry = &mut self.writable().map_err(WriteError)?.registry;
        let Some(row) = registry.doctors.get_mut(&id) else { return Ok(None) };
        row.profile = profile.clone();
        row.updated_at = row.updated_at.max(at);
        Ok(Some(row.clone()))
    }

    async fn doctor(&self, id: DoctorId) -> Result<Option<Doctor>, ReadError> {
        Ok(self.readable()?.registry.doctors.get(&id).cloned())
    }

    async fn doctors(&self, query: &DoctorQuery) -> Result<Vec<Doctor>, ReadError> {
        let registry = &self.readable()?.registry;
        let asked = registry.doctors.values().filter(|doctor| is_asked_for(query, &doctor.profile));
        let sorted: BTreeSet<(&str, DoctorId)> = asked.map(|doctor| (&*doctor.profile.name, doctor.id)).collect();
        let ended = |place: &(&str, DoctorId)| query.after.as_ref().is_some_and(|(name, id)| *place <= (&**name, *id));
        let page = sorted.into_iter().skip_while(ended).take(query.limit);
        Ok(page.filter_map(|(_, id)| registry.doctors.get(&id).cloned()).collect())
    }

    async fn put_patient(&self, id: PatientId, profile: &PatientProfile, at: UtcMillis) -> Result<Patient, WriteError> {
        let registry = &mut self.writable().map_err(WriteError)?.registry;
        let first = Patient { id, profile: profile.clone(), created_at: at, updated_at: at };
        let row = registry.patients.entry(id).or_insert(first);
        row.profile = profile.clone();
        row.updated_at = row.updated_at.max(at);
        Ok(row.clone())
    }

    async fn patient(&self, id: PatientId) -> Result<Option<Patient>, ReadError> {
        Ok(self.readable()?.registry.patients.get(&id).cloned())
    }

    async fn put_clinic(&self, id: Uuid, profile: &ClinicProfile, at: UtcMillis) -> Result<Clinic, WriteError> {
        let registry = &mut self.writable().map_err(WriteError)?.registry;
        let first = Clinic { id, profile: profile.clone(), created_at: at, updated_at: at };
        let row = registry.clinics.entry(id).or_insert(first);
        row.profile = profile.clone();
        row.updated_at = row.updated_at.max(at);
        Ok(row.clone())
    }

    async fn clinic(&self, id: Uuid) -> Result<Option<Clinic>, ReadError> {
        Ok(self.readable()?.registry.clinics.get(&id).cloned())
    }
}
