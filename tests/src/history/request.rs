//! The bytes of a recorded call.
//! Must not know: connections, answers.

use linearizability::day::Call;
use serde_json::json;

use super::recorder::Recorder;
use crate::plan::text_of;

/// The whole request, sent with `token`.
pub(super) fn bytes_of(recorder: &Recorder, call: &Call, token: &str) -> Vec<u8> {
    let (method, path, body) = parts_of(recorder, call);
    let key = call.key().map_or_else(String::new, |key| format!("Idempotency-Key: {}\r\n", recorder.key_text(key)));
    let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\n{key}{kind}Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn parts_of(recorder: &Recorder, call: &Call) -> (&'static str, String, String) {
    let of = |appointment: u32, what: &str| format!("/v1/appointments/{}{what}", recorder.appointment_id(appointment));
    match call {
        Call::Take { day, slot, patient, hold_millis, .. } => {
            let mut body = place(recorder, *day, *slot);
            body["patient_id"] = json!(recorder.patient_id(*patient));
            if let Some(millis) = hold_millis {
                body["ttl_seconds"] = json!(millis / 1_000);
            }
            let path = if hold_millis.is_some() { "/v1/holds" } else { "/v1/appointments" };
            ("POST", path.to_owned(), body.to_string())
        }
        Call::Confirm { appointment, .. } => ("POST", of(*appointment, "/confirm"), String::new()),
        Call::Cancel { appointment, .. } => ("POST", of(*appointment, "/cancel"), String::new()),
        Call::Move { appointment, to, slot, .. } => {
            ("POST", of(*appointment, "/reschedule"), place(recorder, *to, *slot).to_string())
        }
        Call::ReadDay { day } => {
            let day = recorder.day(*day);
            ("GET", format!("/v1/doctors/{}/days/{}", day.doctor, day.date), String::new())
        }
        Call::ReadAppointment { appointment } => ("GET", of(*appointment, ""), String::new()),
    }
}

fn place(recorder: &Recorder, day: u32, slot: Option<u8>) -> serde_json::Value {
    let day = recorder.day(day);
    let mut body = json!({"doctor_id": day.doctor, "date": day.date});
    if let Some(slot) = slot {
        body["start"] = json!(text_of(day.starts[usize::from(slot)]));
    }
    body
}
