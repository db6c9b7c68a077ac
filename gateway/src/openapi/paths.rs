//! Every call of the document.
//! Must not know: how a call is written as JSON (see `operation`).

use serde_json::{Value, json};

use super::activity;
use super::operation::Operation;
use super::people;
use super::reminders;
use crate::api::catalogue::Code;

const REPLAYED: &str = "Idempotency-Replayed";

/// All paths.
pub(super) fn paths() -> Value {
    let mut paths = booking_paths();
    if let (Value::Object(paths), Value::Object(more)) = (&mut paths, reminders::paths()) {
        paths.extend(more);
    }
    paths
}

fn booking_paths() -> Value {
    json!({
        "/v1/doctors": {"get": list_doctors(), "post": create_doctor()},
        "/v1/doctors/{id}": {"get": read_doctor(), "patch": change_doctor()},
        "/v1/doctors/{id}/days": {"get": list_days()},
        "/v1/doctors/{id}/days/{date}": {"get": read_day(), "put": publish_day()},
        "/v1/doctors/{id}/days/{date}/stream": {"get": stream_day()},
        "/v1/doctors/{id}/days/{date}/close": {"post": close_day()},
        "/v1/doctors/{id}/days/{date}/appointments": {"get": list_appointments_of_day()},
        "/v1/appointments": {"post": book()},
        "/v1/holds": {"post": hold()},
        "/v1/appointments/{id}": {"get": read_appointment(), "delete": delete_appointment()},
        "/v1/appointments/{id}/history": {"get": read_history()},
        "/v1/appointments/{id}/confirm": {"post": confirm()},
        "/v1/appointments/{id}/reschedule": {"post": reschedule()},
        "/v1/appointments/{id}/cancel": {"post": cancel()},
        "/v1/appointments/{id}/no-show": {"post": no_show()},
        "/v1/patients/{id}/appointments": {"get": list_appointments_of_patient()},
        "/v1/patients/{id}": {"get": people::read_patient(), "put": people::put_patient()},
        "/v1/clinics/{id}": {"get": people::read_clinic(), "put": people::put_clinic()},
        "/v1/admin/activity": {"get": activity::read()},
        "/openapi.json": {"get": document()},
        "/docs": {"get": docs()},
        "/healthz/live": {"get": live()},
        "/healthz/ready": {"get": ready()},
        "/metrics": {"get": metrics()}
    })
}

fn list_doctors() -> Value {
    Operation::new(
        "listDoctors",
        "doctors",
        "Find doctors",
        "By name, then id. Filters compare without regard to case and are combined.",
    )
    .query("specialty", false, "One of the doctor's specialties", json!({"type": "string", "minLength": 1}))
    .query("city", false, "The city of the practice", json!({"type": "string", "minLength": 1}))
    .paged()
    .answers(200, "A page of doctors", "DoctorPage", &[])
    .stored()
    .finish()
}

fn create_doctor() -> Value {
    let example = json!({
        "name": "Dr. Amalia Winter", "specialties": ["dermatology"], "time_zone": "Europe/Berlin",
        "location": {"name": "Praxis am Landwehrkanal", "city": "Berlin", "lat": 52.4956, "lon": 13.4217},
        "languages": ["de", "en"]
    });
    Operation::new("createDoctor", "doctors", "Register a doctor", "")
        .guarded("admins")
        .idempotent(false)
        .body(true, "NewDoctor", example)
        .answers(201, "Registered", "Doctor", &["Location", REPLAYED])
        .stored()
        .finish()
}

fn read_doctor() -> Value {
    Operation::new("readDoctor", "doctors", "Read a doctor", "")
        .path_id("doctor")
        .answers(200, "The doctor", "Doctor", &[])
        .stored()
        .finish()
}

fn change_doctor() -> Value {
    let description = "A merge patch (RFC 7396): what is left out stays, null takes an optional value away.";
    Operation::new("changeDoctor", "doctors", "Change a doctor", description)
        .guarded("admins")
        .path_id("doctor")
        .body(true, "DoctorPatch", json!({"bio": "Skin checks and laser treatment."}))
        .answers(200, "The doctor as changed", "Doctor", &[])
        .stored()
        .finish()
}

fn list_days() -> Value {
    let date = || json!({"type": "string", "format": "date"});
    Operation::new(
        "listDays",
        "days",
        "Look at a doctor's days",
        "The published days of a range of at most 92 dates, without their slots.",
    )
    .path_id("doctor")
    .query("from", true, "First date", date())
    .query("to", true, "Last date, inclusive", date())
    .answers(200, "The days, by date", "DayList", &[])
    .stored()
    .finish()
}

fn read_day() -> Value {
    let description =
        "remaining counts what everyone can book at server_time; release_at names the next release to come.";
    Operation::new("readDay", "days", "Look at a day", description)
        .path_id("doctor")
        .path_date()
        .header("If-None-Match", "Tags that the reader has already")
        .answers(200, "The day", "Day", &["ETag"])
        .answers_plain(304, "The reader has it already", "", &["ETag"])
        .stored()
        .finish()
}

fn stream_day() -> Value {
    let description = "Server-sent events named day, each with the answer of readDay as data: one at once and one at every change, \
        at most one each 200 ms. Ids rise. In silence a comment comes each 15 s. Who does not take an event within 10 s is cut off; \
        come back with Last-Event-ID.";
    Operation::new("streamDay", "days", "Watch a day", description)
        .path_id("doctor")
        .path_date()
        .header("Last-Event-ID", "Only events above this id are sent; ignored if it is not an id")
        .answers_plain(200, "The events", "text/event-stream", &[])
        .refuses(&[Code::Overloaded])
        .stored()
        .finish()
}

fn publish_day() -> Value {
    let description = "Replaces the whole day. Without release_at and releases it is open at once. The identical call changes nothing.";
    let example = json!({
        "slots": [
            {"start": "2026-06-01T08:00:00+02:00", "end": "2026-06-01T08:20:00+02:00"},
            {"start": "2026-06-01T08:20:00+02:00", "end": "2026-06-01T08:40:00+02:00", "capacity": 2}
        ],
        "release_at": "2026-05-25T07:00:00+02:00"
    });
    Operation::new("publishDay", "days", "Publish or replace a day", description)
        .guarded("that doctor, admins")
        .path_id("doctor")
        .path_date()
        .header("If-Match", "Only if the day is at one of these versions; * only if it exists")
        .body(true, "PublishDay", example)
        .answers(200, "Replaced, or left as it was", "Day", &["ETag"])
        .answers(201, "Published", "Day", &["ETag"])
        .refuses(&[Code::SlotHasBookings, Code::OverlapsOtherDay, Code::PreconditionFailed, Code::Overloaded])
        .stored()
        .finish()
}

fn close_day() -> Value {
    Operation::new("closeDay", "days", "Close a day", "Nothing more can be booked; what is booked stays.")
        .guarded("that doctor, admins")
        .path_id("doctor")
        .path_date()
        .idempotent(false)
        .body(false, "Reason", json!({"reason": "The doctor is ill."}))
        .answers(200, "The day, closed", "Day", &["ETag", REPLAYED])
        .refuses(&[Code::Overloaded])
        .stored()
        .finish()
}

fn list_appointments_of_day() -> Value {
    Operation::new(
        "listAppointmentsOfDay",
        "days",
        "Read who comes",
        "All appointments of the day in whatever status, by start, then id.",
    )
    .guarded("that doctor, admins")
    .path_id("doctor")
    .path_date()
    .paged()
    .answers(200, "A page of appointments", "AppointmentPage", &[])
    .stored()
    .finish()
}

fn taking(operation: Operation) -> Value {
    operation
        .idempotent(true)
        .refuses(&[Code::NotFound, Code::Closed, Code::NotReleased, Code::SlotTaken, Code::SoldOut])
        .refuses(&[Code::AlreadyBooked, Code::Overloaded])
        .stored()
        .finish()
}

fn book() -> Value {
    let description = "With start that slot, without it the earliest free one that suits the patient.";
    let example = json!({"doctor_id": "0190a3c4-7b1e-7c3a-9d52-4f0b6a1c1000", "date": "2026-06-01"});
    taking(
        Operation::new("book", "appointments", "Book a place", description)
            .guarded("a patient for itself, admins for anyone (naming the patient)")
            .body(true, "NewAppointment", example)
            .answers(201, "Booked", "Appointment", &["Location", REPLAYED]),
    )
}

fn hold() -> Value {
    let description =
        "Keeps the place until hold_expires_at, unless it is confirmed; never longer than until the slot's start.";
    let example =
        json!({"doctor_id": "0190a3c4-7b1e-7c3a-9d52-4f0b6a1c1000", "date": "2026-06-01", "ttl_seconds": 120});
    taking(
        Operation::new("hold", "appointments", "Hold a place", description)
            .guarded("a patient for itself, admins for anyone (naming the patient)")
            .body(true, "NewHold", example)
            .answers(201, "Held", "Appointment", &["Location", REPLAYED]),
    )
}

fn read_appointment() -> Value {
    Operation::new("readAppointment", "appointments", "Read an appointment", "")
        .guarded("its patient, its doctor, admins")
        .path_id("appointment")
        .answers(200, "The appointment", "Appointment", &[])
        .stored()
        .finish()
}

fn read_history() -> Value {
    Operation::new("readHistory", "appointments", "Read an appointment's life", "Oldest step first.")
        .guarded("its patient, its doctor, admins")
        .path_id("appointment")
        .answers(200, "The steps", "History", &[])
        .stored()
        .finish()
}

fn changing(operation: Operation, answered: &str) -> Value {
    operation
        .path_id("appointment")
        .idempotent(false)
        .answers(200, answered, "Appointment", &[REPLAYED])
        .refuses(&[Code::NotChangeable, Code::Overloaded])
        .stored()
        .finish()
}

fn confirm() -> Value {
    let operation = Operation::new("confirm", "appointments", "Confirm a hold", "Of a booked appointment: unchanged.")
        .guarded("its patient, admins")
        .body(false, "NoFields", json!({}))
        .refuses(&[Code::HoldExpired]);
    changing(operation, "Booked")
}

fn reschedule() -> Value {
    let description = "To another slot, date or doctor: id, status, hold_expires_at and created_at stay. Without doctor_id the doctor it is \
        with. With start that slot, without it the earliest free one of the date that suits the patient; on the day it is on, only \
        an earlier one than its own. To the place it has, or to none earlier: unchanged. Whatever is refused changes nothing.";
    let example = json!({"date": "2026-06-02", "start": "2026-06-02T08:20:00+02:00"});
    let operation = Operation::new("reschedule", "appointments", "Move an appointment", description)
        .guarded("its patient, admins")
        .body(true, "NewPlace", example)
        .refuses(&[Code::Closed, Code::NotReleased, Code::SlotTaken, Code::SoldOut, Code::AlreadyBooked]);
    changing(operation, "At its new place")
}

fn cancel() -> Value {
    let operation =
        Operation::new("cancel", "appointments", "Cancel an appointment", "Of a cancelled one: unchanged. Never shed.")
            .guarded("its patient, its doctor, admins")
            .body(false, "Reason", json!({"reason": "Feeling better."}));
    changing(operation, "Cancelled")
}

fn delete_appointment() -> Value {
    let operation =
        Operation::new("deleteAppointment", "appointments", "Cancel an appointment", "The same as the call `cancel`.")
            .guarded("its patient, its doctor, admins")
            .body(false, "Reason", json!({}));
    changing(operation, "Cancelled")
}

fn no_show() -> Value {
    let operation = Operation::new("noShow", "appointments", "Say that the patient did not come", "")
        .guarded("its doctor, admins")
        .body(false, "NoFields", json!({}));
    changing(operation, "Not come")
}

fn list_appointments_of_patient() -> Value {
    let instant = || json!({"type": "string", "format": "date-time"});
    let statuses = json!({"type": "array", "items": {"$ref": "#/components/schemas/Status"}});
    Operation::new("listAppointmentsOfPatient", "appointments", "Read a patient's appointments", "By start, then id.")
        .guarded("that patient, admins")
        .path_id("patient")
        .query("status", false, "Only in one of these; can be given again", statuses)
        .query("from", false, "Only starts at or after this instant", instant())
        .query("to", false, "Only starts before this instant", instant())
        .paged()
        .answers(200, "A page of appointments", "AppointmentPage", &[])
        .stored()
        .finish()
}

fn document() -> Value {
    Operation::new("readDocument", "operations", "This document", "")
        .answers(200, "OpenAPI 3.1", "Document", &[])
        .finish()
}

fn docs() -> Value {
    Operation::new("readDocs", "operations", "A page that renders this document", "Loads nothing from elsewhere.")
        .answers_plain(200, "The page", "text/html", &[])
        .finish()
}

fn live() -> Value {
    Operation::new("live", "operations", "Whether the process can answer", "")
        .answers(200, "It can", "Health", &[])
        .finish()
}

fn ready() -> Value {
    Operation::new("ready", "operations", "Whether bookings can be taken", "The problem's part names what is missing.")
        .answers(200, "They can", "Health", &[])
        .stored()
        .finish()
}

fn metrics() -> Value {
    Operation::new(
        "readMetrics",
        "operations",
        "Figures for Prometheus",
        "Only on the metrics listener, where one is set.",
    )
    .answers_plain(200, "The text format", "text/plain", &[])
    .finish()
}
