//! Appointments: read, list, confirm, cancel, no-show.
//! Must not know: how a place was found, what makes a change possible.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, LOCATION};
use booking_core::{PatientId, PersonalText, Status, UtcMillis};
use engine::view::{
    AppointmentAction, AppointmentAddress, AppointmentQuery, AppointmentReply, AppointmentScope, HistoryItem,
    PlacedAppointment,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::call::{Call, json};
use super::cursor;
use super::day_view::DateView;
use super::days::ReasonBody;
use super::idempotency::{IDEMPOTENCY_REPLAYED, RequestDigest};
use super::instant::InstantText;
use super::lists::{Items, page};
use super::problem::Problem;
use super::query::Query;
use super::refusal::of_engine;
use crate::auth::permission::{
    AppointmentParties, Confirm, Guard, ManageDay, Permission, ReadPatient, ReportNoShow, TakePart,
};
use crate::middleware::edge::Answer;

/// An appointment as answered.
#[derive(Serialize)]
struct AppointmentView<'a> {
    id: Uuid,
    doctor_id: Uuid,
    patient_id: Uuid,
    date: DateView,
    time_zone: &'a str,
    start: InstantText,
    end: InstantText,
    status: &'static str,
    hold_expires_at: Option<InstantText>,
    cancellation_reason: Option<&'a str>,
    created_at: InstantText,
    updated_at: InstantText,
    version: u32,
}

impl<'a> AppointmentView<'a> {
    fn at(placed: &'a PlacedAppointment, now: UtcMillis) -> Self {
        let appointment = &placed.appointment;
        Self {
            id: appointment.id.0,
            doctor_id: placed.day.doctor.0,
            patient_id: appointment.patient.0,
            date: DateView(placed.day.date),
            time_zone: &placed.time_zone,
            start: InstantText(appointment.start),
            end: InstantText(appointment.end),
            status: appointment.status_at(now).word(),
            hold_expires_at: appointment.hold_expires_at.map(InstantText),
            cancellation_reason: appointment.cancellation_reason.as_ref().and_then(PersonalText::as_plain),
            created_at: InstantText(appointment.created_at),
            updated_at: InstantText(appointment.updated_at),
            version: appointment.version,
        }
    }
}

#[derive(Serialize)]
struct HistoryView<'a> {
    at: InstantText,
    actor: String,
    from: Option<&'static str>,
    to: &'static str,
    reason: Option<&'a str>,
}

impl<'a> From<&'a HistoryItem> for HistoryView<'a> {
    fn from(item: &'a HistoryItem) -> Self {
        Self {
            at: InstantText(item.at),
            actor: if item.actor.0.is_nil() { "system".to_owned() } else { item.actor.to_string() },
            from: item.from.map(Status::word),
            to: item.to.word(),
            reason: item.reason.as_ref().and_then(PersonalText::as_plain),
        }
    }
}

/// The answer to a booking or hold: 201 also when it is repeated, as it was at first.
pub(crate) fn created(reply: &AppointmentReply) -> Answer {
    let mut response = answered(StatusCode::CREATED, reply)?;
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/appointments/{}", reply.placed.appointment.id)) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// The answer to a command on an appointment.
pub(super) fn answered(status: StatusCode, reply: &AppointmentReply) -> Answer {
    let mut response = json(status, &AppointmentView::at(&reply.placed, reply.now))?;
    if reply.replayed {
        response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// `GET /v1/appointments/{id}`
pub(crate) async fn read(call: Call, guard: Guard<TakePart>) -> Answer {
    call.no_query()?;
    let placed = find(&call).await?;
    guard.permit(&parties(&placed))?;
    json(StatusCode::OK, &AppointmentView::at(&placed, call.now()))
}

/// `GET /v1/appointments/{id}/history`
pub(crate) async fn history(call: Call, guard: Guard<TakePart>) -> Answer {
    call.no_query()?;
    let placed = find(&call).await?;
    guard.permit(&parties(&placed))?;
    let id = placed.appointment.id;
    let steps = call.engine().history(id).await.map_err(|error| of_engine(error, call.now()))?;
    json(StatusCode::OK, &Items { items: steps.iter().map(HistoryView::from).collect() })
}

/// The body of calls that take nothing.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct NoFields {}

/// `POST /v1/appointments/{id}/confirm`
pub(crate) async fn confirm(mut call: Call, guard: Guard<Confirm>) -> Answer {
    call.optional_body::<NoFields>().await?;
    let digest = call.digest("/v1/appointments/{id}/confirm");
    change(&call, &guard, digest, AppointmentAction::Confirm).await
}

/// `POST /v1/appointments/{id}/no-show`
pub(crate) async fn no_show(mut call: Call, guard: Guard<ReportNoShow>) -> Answer {
    call.optional_body::<NoFields>().await?;
    let digest = call.digest("/v1/appointments/{id}/no-show");
    change(&call, &guard, digest, AppointmentAction::NoShow).await
}

/// `POST /v1/appointments/{id}/cancel`
pub(crate) async fn cancel(call: Call, guard: Guard<TakePart>) -> Answer {
    give_back(call, guard, "/v1/appointments/{id}/cancel").await
}

/// `DELETE /v1/appointments/{id}`
pub(crate) async fn delete(call: Call, guard: Guard<TakePart>) -> Answer {
    give_back(call, guard, "/v1/appointments/{id}").await
}

async fn give_back(mut call: Call, guard: Guard<TakePart>, route: &'static str) -> Answer {
    let reason = call.optional_body::<ReasonBody>().await?.checked()?;
    let digest = call.digest(route).optional_text(reason.as_deref());
    let reason = reason.as_deref().map(PersonalText::plain);
    change(&call, &guard, digest, AppointmentAction::Cancel { reason }).await
}

async fn change<P: Permission<Target = AppointmentParties>>(
    call: &Call,
    guard: &Guard<P>,
    digest: RequestDigest,
    action: AppointmentAction,
) -> Answer {
    call.no_query()?;
    let key = call.idempotency_key()?;
    let placed = find(call).await?;
    let principal = guard.permit(&parties(&placed))?;
    let id = placed.appointment.id;
    let key = key.map(|key| digest.id(id.0).bind(principal.subject, key));
    let address = AppointmentAddress { day: placed.day, id };
    let reply = call.engine().change(address, action, call.caller(principal, key)).await;
    answered(StatusCode::OK, &reply.map_err(|error| of_engine(error, call.now()))?)
}

/// `GET /v1/patients/{id}/appointments`
pub(crate) async fn of_patient(call: Call, guard: Guard<ReadPatient>) -> Answer {
    let query = call.query(&["from", "to", "cursor", "limit"], &["status"])?;
    let patient = PatientId(call.path_id()?);
    let (from, to) = (query.instant("from")?, query.instant("to")?);
    if from.zip(to).is_some_and(|(from, to)| to < from) {
        return Err(Problem::invalid("to must not be before from."));
    }
    let statuses = query.all("status").map(parse_status).collect::<Result<Vec<_>, _>>()?;
    let mut wanted = scoped(&call, &query, AppointmentScope::Patient(patient))?;
    (wanted.from, wanted.to, wanted.statuses) = (from, to, statuses);
    guard.permit(&patient)?;
    listed(&call, wanted).await
}

/// `GET /v1/doctors/{id}/days/{date}/appointments`
pub(crate) async fn of_day(call: Call, guard: Guard<ManageDay>) -> Answer {
    let query = call.query(&["cursor", "limit"], &[])?;
    let day = call.path_day()?;
    let wanted = scoped(&call, &query, AppointmentScope::Day(day))?;
    guard.permit(&day.doctor)?;
    call.engine().day(day).await.map_err(|error| of_engine(error, call.now()))?;
    listed(&call, wanted).await
}

fn parse_status(text: &str) -> Result<Status, Problem> {
    Status::ALL
        .into_iter()
        .find(|status| status.word() == text)
        .ok_or_else(|| Problem::invalid("status must be held, booked, cancelled, expired, completed or no_show."))
}

/// The page that `query` asks for, of `scope`, with one row more to see if another follows.
fn scoped(call: &Call, query: &Query, scope: AppointmentScope) -> Result<AppointmentQuery, Problem> {
    Ok(AppointmentQuery {
        scope,
        statuses: Vec::new(),
        from: None,
        to: None,
        after: query.get("cursor").map(cursor::to_appointment).transpose()?,
        limit: query.limit()? + 1,
        now: call.now(),
    })
}

async fn listed(call: &Call, wanted: AppointmentQuery) -> Answer {
    let (limit, now) = (wanted.limit - 1, wanted.now);
    let rows = call.engine().appointments(wanted).await.map_err(|error| of_engine(error, call.now()))?;
    let cursor = |row: &PlacedAppointment| cursor::of_appointment(row.appointment.start, row.appointment.id);
    json(StatusCode::OK, &page(&rows, limit, cursor, |row| AppointmentView::at(row, now)))
}

/// The appointment in the path.
pub(super) async fn find(call: &Call) -> Result<PlacedAppointment, Problem> {
    let id = call.path_appointment()?;
    call.engine().appointment(id).await.map_err(|error| of_engine(error, call.now()))
}

/// Whose it is.
pub(super) fn parties(placed: &PlacedAppointment) -> AppointmentParties {
    AppointmentParties { patient: placed.appointment.patient, doctor: placed.day.doctor }
}
