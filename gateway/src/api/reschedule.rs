//! Giving an appointment another place.
//! Must not know: how a place is found, on which days it is decided.

use std::sync::Arc;

use actix_web::http::StatusCode;
use booking_core::DoctorId;
use engine::view::RescheduleRequest;
use serde::Deserialize;

use super::appointments::{answered, find, parties};
use super::call::Call;
use super::checks::Checks;
use super::input::{DateText, Id, Moment};
use super::refusal::of_engine;
use crate::auth::permission::{Guard, Reschedule};
use crate::middleware::edge::Answer;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RescheduleBody {
    doctor_id: Option<Id>,
    date: DateText,
    start: Option<Moment>,
}

/// `POST /v1/appointments/{id}/reschedule`
pub(crate) async fn reschedule(mut call: Call, guard: Guard<Reschedule>) -> Answer {
    call.no_query()?;
    let body = call.body::<RescheduleBody>().await?;
    let mut checks = Checks::default();
    let whole_second = body.start.is_none_or(|start| start.0.is_whole_second());
    checks.require(whole_second, "/start", "must be a whole second");
    checks.finish()?;
    let key = call.idempotency_key()?;
    let placed = find(&call).await?;
    let principal = guard.permit(&parties(&placed))?;
    let id = placed.appointment.id;
    // The doctor is digested as it was given: the one it is with is another one once it has moved, and a retry must
    // still be the same request then.
    let digest = call
        .digest("/v1/appointments/{id}/reschedule")
        .id(id.0)
        .optional_id(body.doctor_id.map(|doctor| doctor.0))
        .number(i64::from(body.date.0.days()))
        .optional_number(body.start.map(|start| start.0.0));
    let request = RescheduleRequest {
        id,
        doctor: body.doctor_id.map(|doctor| DoctorId(doctor.0)),
        date: body.date.0,
        start: body.start.map(|start| start.0),
        audiences: Arc::clone(&principal.audiences),
        caller: call.caller(principal, key.map(|key| digest.bind(principal.subject, key))),
    };
    let reply = call.engine().reschedule(request).await;
    answered(StatusCode::OK, &reply.map_err(|error| of_engine(error, call.now()))?)
}
