//! What an answer says, in the recording's own numbers.
//! Must not know: what was asked, beyond the path that an unexpected answer names.

use std::hash::{DefaultHasher, Hash, Hasher};

use linearizability::day::{Answer, Code, Row, Status};
use serde_json::Value;

use super::connection::Response;
use super::recorder::Recorder;
use crate::reply::instant_of;

/// Reads an answer; fails the test on one that no recorded call may get.
pub(super) fn read(recorder: &Recorder, asked: &str, response: &Response) -> Answer {
    let told = || format!("{asked}: {} {}", response.status, String::from_utf8_lossy(&response.body));
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_else(|error| panic!("{}: {error}", told()));
    match response.status {
        200 | 201 if body.get("slots").is_some() => day(&body),
        200 | 201 => {
            let mut hasher = DefaultHasher::new();
            response.body.hash(&mut hasher);
            Answer::Row { row: row(recorder, &body), digest: hasher.finish(), replayed: response.replayed }
        }
        409 | 410 => {
            Answer::Refused(code(body["code"].as_str().unwrap_or_default()).unwrap_or_else(|| panic!("{}", told())))
        }
        // Shed or interrupted: the same key tells what happened, if anything did.
        503 => Answer::Unknown,
        _ => panic!("{}", told()),
    }
}

fn code(name: &str) -> Option<Code> {
    Some(match name {
        "slot_taken" => Code::SlotTaken,
        "sold_out" => Code::SoldOut,
        "already_booked" => Code::AlreadyBooked,
        "not_changeable" => Code::NotChangeable,
        "hold_expired" => Code::HoldExpired,
        _ => return None,
    })
}

fn day(body: &Value) -> Answer {
    let slots = body["slots"].as_array().expect("slots");
    let left = slots.iter().map(|slot| slot["remaining"].as_u64().expect("a number") as u16);
    Answer::Day { remaining: left.collect(), sold_out: body["state"] == "sold_out" }
}

fn row(recorder: &Recorder, body: &Value) -> Row {
    let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("{name}: {body}"));
    let status = match text("status") {
        "held" => Status::Held,
        "booked" => Status::Booked,
        "cancelled" => Status::Cancelled,
        "expired" => Status::Expired,
        other => panic!("status {other}: {body}"),
    };
    let (day, slot) = recorder.place(text("doctor_id"), text("date"), text("start"));
    let expires_at = &body["hold_expires_at"];
    Row {
        appointment: recorder.appointment(text("id")),
        patient: recorder.patient(text("patient_id")),
        day,
        slot,
        status,
        version: body["version"].as_u64().expect("a version") as u16,
        expires_at_micros: (!expires_at.is_null()).then(|| recorder.micros_of(instant_of(expires_at))),
        updated_at_micros: recorder.micros_of(instant_of(&body["updated_at"])),
    }
}
