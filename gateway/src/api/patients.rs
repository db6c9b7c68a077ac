//! Patients: put and read their particulars.
//! Must not know: their appointments.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use booking_core::PatientId;
use engine::ledger::people::Patient;

use super::call::{Call, json};
use super::catalogue::Code;
use super::patient_body::{PatientBody, PatientView};
use super::problem::Problem;
use crate::auth::permission::{Guard, ManagePatient};
use crate::middleware::edge::Answer;

/// `PUT /v1/patients/{id}`
pub(crate) async fn put(mut call: Call, guard: Guard<ManagePatient>) -> Answer {
    call.no_query()?;
    let id = PatientId(call.path_id()?);
    let profile = call.body::<PatientBody>().await?.into_profile()?;
    guard.permit(&id)?;
    let patient = call.engine().registry().put_patient(id, &profile, call.now()).await?;
    answer(&patient)
}

/// `GET /v1/patients/{id}`
pub(crate) async fn read(call: Call, guard: Guard<ManagePatient>) -> Answer {
    call.no_query()?;
    let id = PatientId(call.path_id()?);
    guard.permit(&id)?;
    let patient = call.engine().registry().patient(id).await?;
    answer(&patient.ok_or_else(|| Problem::new(Code::NotFound, "Nothing is known of this patient."))?)
}

/// Personal: kept by nobody on the way.
fn answer(patient: &Patient) -> Answer {
    json(StatusCode::OK, &PatientView::from(patient)).map(|mut response: HttpResponse| {
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    })
}
