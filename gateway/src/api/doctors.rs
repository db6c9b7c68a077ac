//! Doctors: register, change, find, read.
//! Must not know: days, bookings.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue, LOCATION};
use booking_core::DoctorId;
use engine::ledger::registry::{Doctor, DoctorQuery, Written};

use super::call::{Call, json};
use super::catalogue::Code;
use super::cursor;
use super::doctor_body::{self, DoctorPatch, DoctorView, NewDoctor};
use super::idempotency::IDEMPOTENCY_REPLAYED;
use super::lists::page;
use super::problem::Problem;
use crate::auth::permission::{Guard, ManageDoctors};
use crate::middleware::edge::Answer;

/// Longest search text, in bytes.
const FILTER_MAX: usize = 400;

/// `POST /v1/doctors`
pub(crate) async fn create(mut call: Call, guard: Guard<ManageDoctors>) -> Answer {
    call.no_query()?;
    let profile = call.body::<NewDoctor>().await?.into_profile()?;
    let key = call.idempotency_key()?;
    let digest = doctor_body::digest(call.digest("/v1/doctors"), &profile);
    let key = key.map(|key| digest.bind(guard.subject(), key));
    guard.permit(&())?;
    let now = call.now();
    let doctor = Doctor { id: DoctorId(call.engine().ids().next()), profile, created_at: now, updated_at: now };
    match call.engine().registry().create_doctor(&doctor, key.as_ref()).await? {
        Written::New(doctor) => created(&doctor, false),
        Written::Replayed(doctor) => created(&doctor, true),
        Written::KeyReused => Err(Problem::of(Code::IdempotencyKeyReused)),
    }
}

fn created(doctor: &Doctor, replayed: bool) -> Answer {
    let mut response = json(StatusCode::CREATED, &DoctorView::from(doctor))?;
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/doctors/{}", doctor.id)) {
        response.headers_mut().insert(LOCATION, location);
    }
    if replayed {
        response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// `PATCH /v1/doctors/{id}`
pub(crate) async fn change(mut call: Call, guard: Guard<ManageDoctors>) -> Answer {
    call.no_query()?;
    let id = call.path_doctor()?;
    let patch = call.body::<DoctorPatch>().await?;
    patch.check_alone()?;
    guard.permit(&())?;
    let worker = call.worker();
    let _one_at_a_time = worker.shared.profile_lock.lock().await;
    let registry = call.engine().registry();
    let mut doctor = registry.doctor(id).await?.ok_or_else(no_doctor)?;
    let profile = patch.apply(doctor.profile.clone())?;
    if profile != doctor.profile {
        doctor = registry.update_doctor(id, &profile, call.now()).await?.ok_or_else(no_doctor)?;
    }
    json(StatusCode::OK, &DoctorView::from(&doctor))
}

/// `GET /v1/doctors`
pub(crate) async fn list(call: Call) -> Answer {
    let query = call.query(&["specialty", "city", "cursor", "limit"], &[])?;
    let limit = query.limit()?;
    let filter = |name| match query.get(name) {
        Some(text) if text.len() > FILTER_MAX => Err(Problem::invalid(format!("{name} is too long."))),
        text => Ok(text.map(str::to_owned)),
    };
    let wanted = DoctorQuery {
        specialty: filter("specialty")?,
        city: filter("city")?,
        after: query.get("cursor").map(cursor::to_doctor).transpose()?,
        limit: limit + 1,
    };
    let rows = call.engine().registry().doctors(&wanted).await?;
    let body = page(&rows, limit, |doctor| cursor::of_doctor(&doctor.profile.name, doctor.id), DoctorView::from);
    revalidated(json(StatusCode::OK, &body))
}

/// `GET /v1/doctors/{id}`
pub(crate) async fn read(call: Call) -> Answer {
    call.no_query()?;
    let id = call.path_doctor()?;
    let doctor = call.engine().registry().doctor(id).await?.ok_or_else(no_doctor)?;
    revalidated(json(StatusCode::OK, &DoctorView::from(&doctor)))
}

fn revalidated(answer: Answer) -> Answer {
    answer.map(|mut response: HttpResponse| {
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    })
}

/// The refusal where a doctor is not registered.
pub(crate) fn no_doctor() -> Problem {
    Problem::new(Code::NotFound, "There is no such doctor.")
}
