//! Taking a place: book and hold.
//! Must not know: who wins.

use std::sync::Arc;

use booking_core::{AppointmentId, Booking, DayKey, DoctorId, PatientId, Role};
use engine::view::BookRequest;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::appointments;
use super::call::Call;
use super::catalogue::Code;
use super::checks::Checks;
use super::input::{DateText, Id, Moment};
use super::problem::{FieldError, Problem};
use super::refusal::of_engine;
use crate::auth::permission::{Book, Guard};
use crate::middleware::edge::Answer;

/// How long a hold is kept if the caller does not say.
const TTL_SECONDS_DEFAULT: i64 = 300;
/// Longest hold.
const TTL_SECONDS_MAX: i64 = 900;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BookBody {
    doctor_id: Id,
    date: DateText,
    start: Option<Moment>,
    patient_id: Option<Id>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HoldBody {
    doctor_id: Id,
    date: DateText,
    start: Option<Moment>,
    patient_id: Option<Id>,
    ttl_seconds: Option<i64>,
}

/// Both bodies, before defaults.
struct Wish {
    day: DayKey,
    start: Option<Moment>,
    patient: Option<Id>,
    /// `None`: book at once.
    ttl_seconds: Option<i64>,
}

impl From<BookBody> for Wish {
    fn from(body: BookBody) -> Self {
        let day = DayKey { doctor: DoctorId(body.doctor_id.0), date: body.date.0 };
        Self { day, start: body.start, patient: body.patient_id, ttl_seconds: None }
    }
}

impl From<HoldBody> for Wish {
    fn from(body: HoldBody) -> Self {
        let day = DayKey { doctor: DoctorId(body.doctor_id.0), date: body.date.0 };
        let ttl_seconds = Some(body.ttl_seconds.unwrap_or(TTL_SECONDS_DEFAULT));
        Self { day, start: body.start, patient: body.patient_id, ttl_seconds }
    }
}

/// `POST /v1/appointments`
pub(crate) async fn book(call: Call, guard: Guard<Book>) -> Answer {
    take::<BookBody>(call, guard, "/v1/appointments").await
}

/// `POST /v1/holds`
pub(crate) async fn hold(call: Call, guard: Guard<Book>) -> Answer {
    take::<HoldBody>(call, guard, "/v1/holds").await
}

async fn take<B: DeserializeOwned + Into<Wish>>(mut call: Call, guard: Guard<Book>, route: &'static str) -> Answer {
    call.no_query()?;
    let wish: Wish = call.body::<B>().await?.into();
    check(&wish)?;
    let key = call.idempotency_key()?.ok_or_else(|| Problem::invalid("The header Idempotency-Key is needed."))?;
    let patient = patient_of(&wish, &guard)?;
    let digest = call
        .digest(route)
        .id(wish.day.doctor.0)
        .number(i64::from(wish.day.date.days()))
        .optional_number(wish.start.map(|start| start.0.0))
        .id(patient.0)
        .optional_number(wish.ttl_seconds);
    let principal = guard.permit(&patient)?;
    let request = BookRequest {
        day: wish.day,
        booking: Booking {
            appointment: AppointmentId(Uuid::nil()),
            patient,
            start: wish.start.map(|start| start.0),
            hold_millis: wish.ttl_seconds.map(|seconds| seconds * 1000),
            audiences: Arc::clone(&principal.audiences),
            busy: Vec::new(),
        },
        caller: call.caller(principal, Some(digest.bind(principal.subject, key))),
    };
    call.note_admitted();
    match call.engine().book(request).await {
        Ok(reply) => appointments::created(&reply),
        Err(error) => Err(of_engine(error, call.now())),
    }
}

/// The day that the body of a booking asks for: the way of [`book`] as far as it concerns the body alone.
#[cfg(feature = "testing")]
pub(crate) fn wanted_day(body: &[u8]) -> Result<DayKey, Problem> {
    let wish: Wish = super::body::parse::<BookBody>(body)?.into();
    check(&wish)?;
    Ok(wish.day)
}

fn check(wish: &Wish) -> Result<(), Problem> {
    let mut checks = Checks::default();
    if let Some(start) = wish.start {
        checks.require(start.0.is_whole_second(), "/start", "must be a whole second");
    }
    if let Some(ttl_seconds) = wish.ttl_seconds {
        checks.require((1..=TTL_SECONDS_MAX).contains(&ttl_seconds), "/ttl_seconds", "must be 1 to 900");
    }
    checks.finish()
}

/// For whom: the caller, unless it names somebody. An admin is nobody's patient and must.
fn patient_of(wish: &Wish, guard: &Guard<Book>) -> Result<PatientId, Problem> {
    match wish.patient {
        Some(id) => Ok(PatientId(id.0)),
        None if guard.role() == Role::Patient => Ok(PatientId(guard.subject().0)),
        None if guard.role() == Role::Admin => {
            let message = "an admin must name the patient".to_owned();
            Err(Problem::fields(vec![FieldError { pointer: "/patient_id".to_owned(), message }]))
        }
        None => Err(Problem::of(Code::Forbidden)),
    }
}
