//! Policies of reminders: what a clinic or a doctor wants told, when and how.
//! Must not know: appointments, how a message leaves.

use actix_web::http::StatusCode;
use booking_core::DoctorId;
use engine::ledger::reminders::PolicyScope;
use engine::reminders::policy::{PolicyError, ReminderPolicy};

use super::call::{Call, json};
use super::catalogue::Code;
use super::checks::Checks;
use super::doctors::no_doctor;
use super::problem::Problem;
use crate::auth::permission::{Guard, ManagePolicy};
use crate::middleware::edge::Answer;

/// `PUT /v1/clinics/{id}/reminder-policy`
pub(crate) async fn put_of_clinic(call: Call, guard: Guard<ManagePolicy>) -> Answer {
    let scope = clinic(&call)?;
    put(call, guard, scope).await
}

/// `PUT /v1/doctors/{id}/reminder-policy`
pub(crate) async fn put_of_doctor(call: Call, guard: Guard<ManagePolicy>) -> Answer {
    let scope = PolicyScope::Doctor(call.path_doctor()?);
    put(call, guard, scope).await
}

async fn put(mut call: Call, guard: Guard<ManagePolicy>, scope: PolicyScope) -> Answer {
    call.no_query()?;
    let policy = call.body::<ReminderPolicy>().await?;
    let mut checks = Checks::default();
    policy.mistakes().iter().for_each(|mistake| checks.add(mistake.pointer(), PolicyError::to_string(mistake)));
    checks.finish()?;
    guard.permit(&scope)?;
    require_doctor(&call, scope).await?;
    require_templates(&call, &policy).await?;
    call.engine().registry().put_policy(scope, Some(&policy), call.now()).await?;
    json(StatusCode::OK, &policy)
}

/// A name of a template that nobody has put is a mistake of whoever writes it, not of whoever sends a message a month later.
async fn require_templates(call: &Call, policy: &ReminderPolicy) -> Result<(), Problem> {
    let mut checks = Checks::default();
    for (pointer, name) in policy.named_templates() {
        if call.engine().registry().template(name).await?.is_none() {
            checks.add(pointer, "names a template that was never put");
        }
    }
    checks.finish()
}

/// `GET /v1/clinics/{id}/reminder-policy`
pub(crate) async fn read_of_clinic(call: Call, guard: Guard<ManagePolicy>) -> Answer {
    let scope = clinic(&call)?;
    read(call, guard, scope).await
}

/// `GET /v1/doctors/{id}/reminder-policy`
pub(crate) async fn read_of_doctor(call: Call, guard: Guard<ManagePolicy>) -> Answer {
    let scope = PolicyScope::Doctor(call.path_doctor()?);
    read(call, guard, scope).await
}

async fn read(call: Call, guard: Guard<ManagePolicy>, scope: PolicyScope) -> Answer {
    call.no_query()?;
    guard.permit(&scope)?;
    require_doctor(&call, scope).await?;
    match call.engine().registry().policy(scope).await? {
        Some(policy) => json(StatusCode::OK, &policy),
        None => Err(no_policy()),
    }
}

/// `DELETE /v1/clinics/{id}/reminder-policy`
pub(crate) async fn delete_of_clinic(call: Call, guard: Guard<ManagePolicy>) -> Answer {
    let scope = clinic(&call)?;
    delete(call, guard, scope).await
}

/// `DELETE /v1/doctors/{id}/reminder-policy`
pub(crate) async fn delete_of_doctor(call: Call, guard: Guard<ManagePolicy>) -> Answer {
    let scope = PolicyScope::Doctor(call.path_doctor()?);
    delete(call, guard, scope).await
}

/// What holds afterwards is the clinic's, or that of the settings: the answer says which messages that makes. Asked twice it is a 404.
async fn delete(call: Call, guard: Guard<ManagePolicy>, scope: PolicyScope) -> Answer {
    call.no_query()?;
    call.idempotency_key()?;
    guard.permit(&scope)?;
    require_doctor(&call, scope).await?;
    let registry = call.engine().registry();
    let policy = registry.policy(scope).await?.ok_or_else(no_policy)?;
    registry.put_policy(scope, None, call.now()).await?;
    json(StatusCode::OK, &policy)
}

fn clinic(call: &Call) -> Result<PolicyScope, Problem> {
    call.path_id().map(PolicyScope::Clinic)
}

/// A clinic is an opaque id; a doctor must be there.
async fn require_doctor(call: &Call, scope: PolicyScope) -> Result<(), Problem> {
    let PolicyScope::Doctor(id) = scope else { return Ok(()) };
    let id: DoctorId = id;
    call.engine().registry().doctor(id).await?.map(drop).ok_or_else(no_doctor)
}

fn no_policy() -> Problem {
    Problem::new(Code::NotFound, "No policy was put here: that of the clinic or of the settings holds.")
}
