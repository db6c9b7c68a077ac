//! Who is to be told what of the batch's changes, as rows that wait to be sent; and what is void by them.
//! Must not know: how rows are planned, who sends them.
//!
//! A few statements a batch: the policies and zones of its days, its patients, what is void, what is new. What of a row's plan is
//! void already, because its appointment has changed again, is written as such: so the rows are the same however the records are cut into
//! batches, and in whichever order two days are applied.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use booking_core::{AppointmentId, DayKey, PatientId, Role, Status};
use foldhash::{HashMap, HashMapExt};

use super::super::bulk::{Bind, BulkStatement, Kind};
use super::super::columns::{self, Columns, id, number, value};
use super::super::reminder_rows::{bind_key, bind_planned, key, keyed};
use super::super::{people, policies};
use super::{Batch, Dialect, Projection};
use crate::journal::ReadError;
use crate::ledger::ApplyError;
use crate::ledger::reminders::{ReminderKey, ReminderRow};
use crate::ledger::sql::reminder_rows::has_key;
use crate::reminders::plan::{Occasion, Preferences, Wishes};
use crate::reminders::policy::ReminderPolicy;

/// What holds on each day: the doctor's policy, else the clinic's, and the zone.
static DAYS: BulkStatement = BulkStatement::list(
    "SELECT wanted.column1 AS doctor, wanted.column2 AS date, d.time_zone, \
     coalesce(of_doctor.policy, of_clinic.policy) AS policy FROM ",
    &[Kind::Id, Kind::Date],
    " AS wanted LEFT JOIN doctor_day d ON d.doctor = wanted.column1 AND d.date = wanted.column2 \
     LEFT JOIN reminder_policy of_doctor ON of_doctor.scope = 'doctor' AND of_doctor.id = wanted.column1 \
     LEFT JOIN doctor known ON known.id = wanted.column1 \
     LEFT JOIN reminder_policy of_clinic ON of_clinic.scope = 'clinic' AND of_clinic.id = known.clinic",
);

static PATIENTS: BulkStatement = BulkStatement::list(
    "SELECT p.id, p.time_zone, p.channels, CASE WHEN p.phone IS NULL THEN 0 ELSE 1 END AS has_phone, \
     CASE WHEN p.email IS NULL THEN 0 ELSE 1 END AS has_email, \
     CASE WHEN p.telegram IS NULL THEN 0 ELSE 1 END AS has_telegram FROM ",
    &[Kind::Id],
    " AS wanted CROSS JOIN patient p WHERE p.id = wanted.column1",
);

static VOID: BulkStatement = BulkStatement::list(
    "UPDATE reminder SET status = 'cancelled', next_ms = NULL, message = NULL FROM ",
    keyed!(),
    concat!(" AS gone WHERE ", has_key!("reminder", "gone")),
);

#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: [&BulkStatement; 3] = [&DAYS, &PATIENTS, &VOID];

/// Table `reminder`.
pub(super) struct Reminders;

/// Of one day.
#[derive(Default)]
struct Held {
    policy: Option<ReminderPolicy>,
    time_zone: Option<String>,
}

#[async_trait]
impl<D: Dialect> Projection<D> for Reminders {
    async fn apply(&self, batch: &Batch<'_>, connection: &mut D::Connection) -> Result<(), ApplyError> {
        void::<D>(batch, connection).await?;
        let told: Vec<Occasion<'_>> = occasions(batch).filter(|occasion| occasion.notice().is_some()).collect();
        if told.is_empty() {
            return Ok(());
        }
        let days = days::<D>(&told, connection).await?;
        let patients = patients::<D>(&told, connection).await?;
        let mut rows: Vec<ReminderRow> = Vec::with_capacity(told.len() * 3);
        for occasion in &told {
            let held = days.get(&occasion.day);
            let wishes = Wishes {
                policy: held.and_then(|held| held.policy.as_ref()),
                patient: patients.get(&occasion.row.patient),
                // Of a day that is parked from its publication on: as the applier tells it.
                time_zone: held.and_then(|held| held.time_zone.as_deref()).unwrap_or("UTC"),
            };
            rows.extend(batch.planner.rows(occasion, &wishes));
        }
        // In the order of their keys, as the tree is.
        rows.sort_unstable_by_key(|row| row.key);
        let written = D::execute_rows(connection, &D::reminder_statements().insert, &rows, bind_planned);
        written.await.map(drop).map_err(|error| D::apply_error("reminders", &error))
    }
}

fn occasions<'batch>(batch: &'batch Batch<'_>) -> impl Iterator<Item = Occasion<'batch>> {
    batch.changes().map(|(record, home, change)| Occasion {
        day: home,
        row: &change.row,
        from: change.from,
        at: record.event.at,
        by_patient: record.event.envelope.role == Role::Patient,
    })
}

/// Only what was booked has rows that can be void.
async fn void<D: Dialect>(batch: &Batch<'_>, connection: &mut D::Connection) -> Result<(), ApplyError> {
    let mut newest: BTreeMap<AppointmentId, u32> = BTreeMap::new();
    for occasion in occasions(batch).filter(|occasion| occasion.from == Some(Status::Booked)) {
        let version = newest.entry(occasion.row.id).or_default();
        *version = occasion.row.version.max(*version);
    }
    let newest: Vec<(AppointmentId, u32)> = newest.into_iter().collect();
    let outdated = &D::reminder_statements().outdated;
    let rows = D::fetch_rows(connection, outdated, &newest, |(id, version), values| {
        values.id(id.as_bytes())?;
        values.integer((*version).into())
    });
    let rows = rows.await.map_err(|error| D::apply_error("void reminders", &error))?;
    let keys = rows.iter().map(key).collect::<Result<Vec<ReminderKey>, ReadError>>().map_err(unreadable)?;
    let gone = D::execute_rows(connection, &VOID, &keys, bind_key).await;
    gone.map(drop).map_err(|error| D::apply_error("void reminders", &error))
}

async fn days<D: Dialect>(
    told: &[Occasion<'_>],
    connection: &mut D::Connection,
) -> Result<HashMap<DayKey, Held>, ApplyError> {
    let days: BTreeSet<DayKey> = told.iter().map(|occasion| occasion.day).collect();
    let days: Vec<DayKey> = days.into_iter().collect();
    let rows = D::fetch_rows(connection, &DAYS, &days, |day, values| values.day(*day)).await;
    let rows = rows.map_err(|error| D::apply_error("policies of reminders", &error))?;
    let mut held = HashMap::with_capacity(rows.len());
    for row in &rows {
        let of_day = Held { policy: policy(row)?, time_zone: value(row, "time_zone").map_err(unreadable)? };
        held.insert(columns::day(row).map_err(unreadable)?, of_day);
    }
    Ok(held)
}

/// A policy that cannot be read is no reason to let every day wait: what the settings say holds meanwhile, and the log tells.
fn policy(row: &impl Columns) -> Result<Option<ReminderPolicy>, ApplyError> {
    if value::<Option<&str>>(row, "policy").map_err(unreadable)?.is_none() {
        return Ok(None);
    }
    policies::policy_of(row).map(Some).or_else(|error| {
        tracing::error!(%error, "reminders are planned without a policy");
        Ok(None)
    })
}

async fn patients<D: Dialect>(
    told: &[Occasion<'_>],
    connection: &mut D::Connection,
) -> Result<HashMap<PatientId, Preferences>, ApplyError> {
    let patients: BTreeSet<PatientId> = told.iter().map(|occasion| occasion.row.patient).collect();
    let patients: Vec<PatientId> = patients.into_iter().collect();
    let rows = D::fetch_rows(connection, &PATIENTS, &patients, |patient, values| values.id(patient.as_bytes())).await;
    let rows = rows.map_err(|error| D::apply_error("patients", &error))?;
    let mut known = HashMap::with_capacity(rows.len());
    for row in &rows {
        let (patient, preferences) = preferences(row).map_err(unreadable)?;
        known.insert(patient, preferences);
    }
    Ok(known)
}

fn preferences(row: &impl Columns) -> Result<(PatientId, Preferences), ReadError> {
    let has = |column| number::<u8>(row, column).map(|number| number != 0);
    let preferences = Preferences {
        time_zone: value(row, "time_zone")?,
        channels: people::channels(row)?,
        has_phone: has("has_phone")?,
        has_email: has("has_email")?,
        has_telegram: has("has_telegram")?,
    };
    Ok((PatientId::from_bytes(id(row, "id")?), preferences))
}

/// A damaged row is no record's fault: the whole ledger waits.
fn unreadable(error: ReadError) -> ApplyError {
    ApplyError::Unavailable(error.to_string())
}
