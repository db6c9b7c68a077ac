//! What a peer answers: bodies with the fields that hotslot's have, so that every system writes about as many bytes.
//! Must not know: how it was decided.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::Serialize;
use uuid::Uuid;

use crate::wish::{BookingBody, Wish};

/// What became of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// A place, from 1 on; it is durable.
    Won {
        /// Which place of the day.
        place: i32,
    },
    /// No place is left, or the day was never published.
    SoldOut,
}

#[derive(Serialize)]
struct Appointment<'a> {
    id: Uuid,
    doctor_id: Uuid,
    patient_id: Uuid,
    date: &'a str,
    time_zone: &'static str,
    start: &'a str,
    end: &'a str,
    status: &'static str,
    hold_expires_at: Option<&'static str>,
    cancellation_reason: Option<&'static str>,
    created_at: &'a str,
    updated_at: &'a str,
    version: i32,
}

#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: &'static str,
    request_id: Uuid,
    code: &'a str,
}

/// 201 with the appointment, or 409 with a problem. Peers keep no clock times: instants are the beginning of the date.
pub(crate) fn decided(decision: Decision, wish: &Wish, body: &BookingBody) -> HttpResponse {
    let Decision::Won { place } = decision else {
        return refused(409, "sold_out");
    };
    let instant = format!("{}T08:00:00.000Z", body.date);
    let mut response = HttpResponse::Created();
    response.insert_header(("location", format!("/v1/appointments/{}", wish.id)));
    json(
        response,
        "application/json",
        &Appointment {
            id: wish.id,
            doctor_id: wish.doctor_day.doctor,
            patient_id: wish.patient,
            date: &body.date,
            time_zone: "UTC",
            start: body.start.as_deref().unwrap_or(&instant),
            end: &instant,
            status: "booked",
            hold_expires_at: None,
            cancellation_reason: None,
            created_at: &instant,
            updated_at: &instant,
            version: place,
        },
    )
}

/// A refusal or failure with that status and code.
pub(crate) fn refused(status: u16, code: &str) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let problem = Problem {
        kind: "about:blank",
        title: status.canonical_reason().unwrap_or_default(),
        status: status.as_u16(),
        detail: "The peer does not book this.",
        request_id: crate::wish::fresh_id(),
        code,
    };
    json(HttpResponseBuilder::new(status), "application/problem+json", &problem)
}

fn json(mut response: HttpResponseBuilder, content_type: &'static str, body: &impl Serialize) -> HttpResponse {
    match serde_json::to_vec(body) {
        Ok(bytes) => response.content_type(content_type).body(bytes),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}
