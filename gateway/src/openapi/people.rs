//! Patients and clinics in the document: their calls and their shapes.
//! Must not know: the other calls.

use serde_json::{Value, json};

use super::operation::Operation;
use super::schemas::{instant, line, object, or_null, uuid};

pub(super) fn read_patient() -> Value {
    let description = "404 until the patient was put; bookings need no such row.";
    Operation::new("readPatient", "patients", "Read a patient's particulars", description)
        .guarded("that patient, admins")
        .path_id("patient")
        .answers(200, "The patient", "Patient", &[])
        .stored()
        .finish()
}

pub(super) fn put_patient() -> Value {
    let description = "Creates or replaces: what is left out is null afterwards. created_at stays.";
    let example = json!({
        "name": "Ada Brandt", "phone": "+4930123456", "email": "ada@example.org", "language": "de",
        "time_zone": "Europe/Berlin", "channels": ["email"]
    });
    Operation::new("putPatient", "patients", "Put a patient's particulars", description)
        .guarded("that patient, admins")
        .path_id("patient")
        .body(true, "PatientParticulars", example)
        .answers(200, "The patient as put", "Patient", &[])
        .stored()
        .finish()
}

pub(super) fn read_clinic() -> Value {
    Operation::new("readClinic", "clinics", "Read a clinic", "")
        .path_id("clinic")
        .answers(200, "The clinic", "Clinic", &[])
        .stored()
        .finish()
}

pub(super) fn put_clinic() -> Value {
    let description = "Creates or replaces. A doctor's clinic_id may also name a clinic that was never put: it is an opaque id there.";
    Operation::new("putClinic", "clinics", "Put a clinic", description)
        .guarded("admins")
        .path_id("clinic")
        .body(true, "ClinicParticulars", json!({"name": "Praxis am Landwehrkanal", "time_zone": "Europe/Berlin"}))
        .answers(200, "The clinic as put", "Clinic", &[])
        .stored()
        .finish()
}

/// The shapes.
pub(super) fn schemas() -> Value {
    let zone = || or_null(json!({"type": "string", "description": "IANA name", "examples": ["Europe/Berlin"]}));
    let patient = json!({
        "phone": or_null(json!({"type": "string", "description": "E.164", "pattern": "^\\+[1-9][0-9]{6,14}$"})),
        "email": or_null(json!({"type": "string", "format": "email", "maxLength": 254})),
        "telegram": or_null(json!({
            "type": "string", "description": "A numeric chat id, or @ and a name",
            "pattern": "^(-?[0-9]{1,19}|@[A-Za-z][A-Za-z0-9_]{0,31})$"
        })),
        "language": or_null(json!({"type": "string", "description": "BCP 47", "maxLength": 35})),
        "time_zone": zone(),
        "channels": {
            "type": ["array", "null"], "maxItems": 5, "uniqueItems": true,
            "items": {"type": "string", "enum": ["file", "email", "sms", "telegram", "webhook"]},
            "description": "Where messages go; null: not said, empty: nowhere"
        }
    });
    let clinic = json!({"time_zone": zone()});
    json!({
        "PatientParticulars": object(json!({"name": line(200)}), patient.clone()),
        "Patient": object(answered(or_null(line(200)), patient), json!({})),
        "ClinicParticulars": object(json!({"name": line(200)}), clinic.clone()),
        "Clinic": object(answered(line(200), clinic), json!({}))
    })
}

/// With what every answered row has.
fn answered(name: Value, mut members: Value) -> Value {
    for (member, schema) in [("id", uuid()), ("name", name), ("created_at", instant()), ("updated_at", instant())] {
        members[member] = schema;
    }
    members
}
