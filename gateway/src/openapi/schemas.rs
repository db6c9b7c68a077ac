//! The shapes of bodies, both ways.
//! Must not know: which call uses which.

use serde_json::{Map, Value, json};

use super::activity;
use super::code_table;
use super::operation::reference;
use super::people;
use super::reminders;
use crate::api::catalogue::CATALOGUE;

const DOCTOR_ID: &str = "0190a3c4-7b1e-7c3a-9d52-4f0b6a1c1000";
const APPOINTMENT_ID: &str = "0190a3c4-7b1e-7c3a-9d52-4f0b6a1c2000";

/// All schemas.
pub(super) fn schemas() -> Value {
    let mut schemas = Map::new();
    for group in
        [doctors(), days(), appointments(), people::schemas(), reminders::schemas(), activity::schemas(), common()]
    {
        if let Value::Object(group) = group {
            schemas.extend(group);
        }
    }
    Value::Object(schemas)
}

/// A closed object; all members are required but those whose schema is in `optional`.
pub(super) fn object(required: Value, optional: Value) -> Value {
    let (Value::Object(mut properties), Value::Object(optional)) = (required, optional) else {
        return Value::Null;
    };
    let names: Vec<String> = properties.keys().cloned().collect();
    properties.extend(optional);
    let mut schema = json!({"type": "object", "additionalProperties": false, "properties": properties});
    if !names.is_empty() {
        schema["required"] = json!(names);
    }
    schema
}

pub(super) fn uuid() -> Value {
    json!({"type": "string", "format": "uuid"})
}

fn date() -> Value {
    json!({"type": "string", "format": "date"})
}

pub(super) fn instant() -> Value {
    json!({"type": "string", "format": "date-time", "description": "RFC 3339; answered in UTC with milliseconds"})
}

pub(super) fn or_null(mut schema: Value) -> Value {
    schema["type"] = json!([schema["type"], "null"]);
    schema
}

pub(super) fn line(length_max: u32) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": length_max})
}

fn list(items: Value, count_max: u32) -> Value {
    json!({"type": "array", "items": items, "maxItems": count_max})
}

fn page(items: &str) -> Value {
    object(
        json!({
            "items": {"type": "array", "items": reference(items)},
            "next_cursor": {"type": ["string", "null"], "description": "Null on the last page"}
        }),
        json!({}),
    )
}

fn doctors() -> Value {
    let zone = json!({"type": "string", "description": "IANA name", "examples": ["Europe/Berlin"]});
    let languages = || list(json!({"type": "string", "description": "BCP 47", "maxLength": 35}), 32);
    let bio = || or_null(json!({"type": "string", "maxLength": 4000}));
    let (latitude, longitude) = (
        json!({"type": "number", "minimum": -90, "maximum": 90}),
        json!({"type": "number", "minimum": -180, "maximum": 180}),
    );
    let location = json!({"name": line(200), "city": line(200), "lat": latitude, "lon": longitude});
    let required = json!({
        "name": line(200), "specialties": list(line(100), 32), "time_zone": zone, "location": reference("Location")
    });
    let optional = json!({"bio": bio(), "languages": or_null(languages()), "clinic_id": or_null(uuid())});
    let mut patch = required.clone();
    patch["location"] = object(json!({}), location.clone());
    for (name, schema) in optional.as_object().into_iter().flatten() {
        patch[name] = schema.clone();
    }
    let mut answered = required.clone();
    for (name, schema) in [
        ("id", uuid()),
        ("bio", bio()),
        ("languages", languages()),
        ("clinic_id", or_null(uuid())),
        ("created_at", instant()),
        ("updated_at", instant()),
    ] {
        answered[name] = schema;
    }
    json!({
        "Location": object(location, json!({})),
        "NewDoctor": object(required, optional),
        "DoctorPatch": object(json!({}), patch),
        "Doctor": object(answered, json!({})),
        "DoctorPage": page("Doctor")
    })
}

fn days() -> Value {
    let capacity = || json!({"type": "integer", "minimum": 1, "maximum": 100_000});
    let slot_instant = || json!({"type": "string", "format": "date-time", "description": "A whole second"});
    let places = json!({"type": ["integer", "null"], "minimum": 1, "description": "Null: all the rest"});
    let audience = json!({"type": ["string", "null"], "maxLength": 64, "description": "Null: everyone"});
    let mut default_capacity = or_null(capacity());
    default_capacity["default"] = json!(1);
    let head = json!({
        "doctor_id": uuid(),
        "date": date(),
        "time_zone": {"type": "string"},
        "state": {"type": "string", "enum": ["scheduled", "open", "sold_out", "closed"]},
        "release_at": or_null(json!({"type": "string", "format": "date-time", "description": "The next release to come"})),
        "server_time": instant(),
        "version": {"type": "integer", "format": "int64", "minimum": 1, "description": "Rises with every change"}
    });
    let with = |name: &str, schema: Value| {
        let mut members = head.clone();
        members[name] = schema;
        object(members, json!({}))
    };
    let remaining = json!({"type": "integer", "minimum": 0, "description": "What everyone can book now"});
    let slots = |name: &str| json!({"type": "array", "minItems": 1, "maxItems": 500, "items": reference(name)});
    json!({
        "Slot": object(
            json!({"start": slot_instant(), "end": slot_instant(), "capacity": capacity(), "remaining": remaining}),
            json!({})
        ),
        "Day": with("slots", slots("Slot")),
        "DaySummary": with("remaining", remaining.clone()),
        "DayList": object(json!({"items": {"type": "array", "items": reference("DaySummary")}}), json!({})),
        "NewSlot": object(json!({"start": slot_instant(), "end": slot_instant()}), json!({"capacity": default_capacity})),
        "Release": object(json!({"at": instant()}), json!({"places": places, "audience": audience})),
        "PublishDay": object(
            json!({"slots": slots("NewSlot")}),
            json!({
                "release_at": or_null(instant()),
                "releases": {"type": ["array", "null"], "minItems": 1, "maxItems": 100, "items": reference("Release"),
                    "description": "The long form; not beside release_at"}
            })
        )
    })
}

fn appointments() -> Value {
    let status = ["held", "booked", "cancelled", "expired", "completed", "no_show"];
    let wish = json!({"doctor_id": uuid(), "date": date()});
    let start =
        || or_null(json!({"type": "string", "format": "date-time", "description": "Null: the earliest free slot"}));
    let doctor = or_null(json!({"type": "string", "format": "uuid", "description": "Null: the doctor it is with"}));
    let patient =
        or_null(json!({"type": "string", "format": "uuid", "description": "Null: the caller; an admin must name it"}));
    let ttl = json!({"type": ["integer", "null"], "minimum": 1, "maximum": 900, "default": 300});
    let appointment = json!({
        "id": uuid(), "doctor_id": uuid(), "patient_id": uuid(), "date": date(), "time_zone": {"type": "string"},
        "start": instant(), "end": instant(), "status": reference("Status"), "hold_expires_at": or_null(instant()),
        "cancellation_reason": {"type": ["string", "null"]}, "created_at": instant(), "updated_at": instant(),
        "version": {"type": "integer", "minimum": 1}
    });
    let mut appointment = object(appointment, json!({}));
    appointment["examples"] = json!([{
        "id": APPOINTMENT_ID, "doctor_id": DOCTOR_ID, "patient_id": "0190a3c4-7b1e-7c3a-9d52-4f0b6a1c3000",
        "date": "2026-06-01", "time_zone": "Europe/Berlin", "start": "2026-06-01T06:00:00.000Z",
        "end": "2026-06-01T06:20:00.000Z", "status": "booked", "hold_expires_at": null, "cancellation_reason": null,
        "created_at": "2026-05-25T05:00:00.012Z", "updated_at": "2026-05-25T05:00:00.012Z", "version": 1
    }]);
    let step = json!({
        "at": instant(),
        "actor": {"type": "string", "description": "The subject who acted, or system"},
        "from": {"type": ["string", "null"], "description": "Null at birth"},
        "to": reference("Status"),
        "reason": {"type": ["string", "null"]}
    });
    json!({
        "Status": {"type": "string", "enum": status},
        "NewAppointment": object(wish.clone(), json!({"start": start(), "patient_id": patient})),
        "NewHold": object(wish, json!({"start": start(), "patient_id": patient, "ttl_seconds": ttl})),
        "NewPlace": object(json!({"date": date()}), json!({"doctor_id": doctor, "start": start()})),
        "Appointment": appointment,
        "AppointmentPage": page("Appointment"),
        "Step": object(step, json!({})),
        "History": object(json!({"items": {"type": "array", "items": reference("Step")}}), json!({}))
    })
}

fn common() -> Value {
    let codes: Vec<&str> = CATALOGUE.iter().map(|entry| entry.name).collect();
    let field_error = object(json!({"pointer": {"type": "string"}, "message": {"type": "string"}}), json!({}));
    let mut problem = object(
        json!({
            "type": {"type": "string", "format": "uri", "description": "urn:hotslot:problem: and the code"},
            "title": {"type": "string"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string"},
            "request_id": {"type": "string"},
            "code": {"type": "string", "enum": codes}
        }),
        json!({
            "errors": {"type": "array", "items": field_error, "description": "Of invalid_field: JSON Pointers into the body"},
            "release_at": {"type": "string", "format": "date-time", "description": "Of not_released"},
            "appointment_id": {"type": "string", "format": "uuid", "description": "Of already_booked"},
            "part": {"type": "string", "description": "Of unavailable at /healthz/ready: what is missing"}
        }),
    );
    problem["description"] = json!(code_table());
    problem["additionalProperties"] = json!(true);
    json!({
        "Problem": problem,
        "Reason": object(json!({}), json!({"reason": {"type": ["string", "null"], "maxLength": 500}})),
        "NoFields": object(json!({}), json!({})),
        "Health": object(json!({"status": {"type": "string", "enum": ["live", "ready"]}}), json!({})),
        "Document": {"type": "object", "description": "OpenAPI 3.1"}
    })
}
