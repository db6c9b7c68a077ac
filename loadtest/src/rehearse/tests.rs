//! Whether a clone has the free places of the day that was read, the rules of its next release, and nobody's data.
//! Must not know: servers.

use serde_json::{Value, json};

use super::model::{Model, ModelError};

/// 2030-01-02T08:00:00Z, the start of the first slot.
const FIRST_MILLIS: i64 = 1_893_571_200_000;
const RELEASE: &str = "2030-01-01T20:00:00Z";

fn doctor() -> Value {
    json!({"id": "x", "name": "Dr. A", "specialties": ["dermatology"], "time_zone": "Europe/Amsterdam", "bio": null,
        "location": {"name": "C", "city": "Utrecht", "lat": 52.0, "lon": 5.0}, "clinic_id": "y"})
}

fn day(state: &str, remaining: u64) -> Value {
    let slot = |hour: u32| {
        json!({"start": format!("2030-01-02T{hour:02}:00:00Z"), "end": format!("2030-01-02T{hour:02}:20:00Z"),
            "capacity": 3, "remaining": remaining})
    };
    json!({"doctor_id": "x", "date": "2030-01-02", "time_zone": "Europe/Amsterdam", "state": state, "version": 1,
        "release_at": if state == "scheduled" { json!("2030-01-02T06:00:00Z") } else { Value::Null },
        "server_time": "2030-01-01T12:00:00.000Z", "slots": [slot(8), slot(9)]})
}

fn nothing() -> Value {
    json!({"items": []})
}

fn preview(releases: Value) -> Value {
    json!({"items": [{"date": "2030-01-02", "slots": [], "warnings": [], "releases": releases}]})
}

fn model(day: Value, taken: &[(i64, u64)], preview: Value) -> Model {
    Model::of_json(doctor(), day, taken, preview).unwrap()
}

#[test]
fn taken_places_are_left_out_and_the_rest_is_released_to_everyone() {
    let model = model(day("scheduled", 0), &[(FIRST_MILLIS, 1)], nothing());
    let (date, body, limited) = model.put(RELEASE);
    assert_eq!((date.to_string().as_str(), limited, model.places()), ("2030-01-02", None, 5));
    assert_eq!(body["releases"], json!([{"at": RELEASE}]));
    let capacities: Vec<_> = body["slots"].as_array().unwrap().iter().map(|slot| slot["capacity"].clone()).collect();
    assert_eq!(capacities, [2, 3]);
    assert_eq!(body["slots"][0]["end"], "2030-01-02T08:20:00Z");
    assert_eq!(model.audiences(), [""; 0]);
    // A full slot is no slot.
    let full = self::model(day("scheduled", 0), &[(FIRST_MILLIS, 3)], nothing());
    assert_eq!(full.put(RELEASE).1["slots"].as_array().unwrap().len(), 1);
}

#[test]
fn the_next_release_alone_is_rehearsed() {
    let releases = json!([
        {"at": "2030-01-01T06:00:00Z", "places": 1, "audience": "members"},
        {"at": "2030-01-02T06:00:00.000Z", "places": 2},
        {"at": "2030-01-02T07:00:00Z"},
    ]);
    let model = model(day("scheduled", 0), &[(FIRST_MILLIS, 1)], preview(releases));
    let (_, body, limited) = model.put(RELEASE);
    assert_eq!((model.places(), limited), (2, Some(2)));
    assert_eq!(body["releases"], json!([{"at": RELEASE, "places": 2}]));
}

#[test]
fn what_is_open_already_is_there_too_and_never_more_than_is_free() {
    let releases = || json!([{"at": "2030-01-02T06:00:00Z", "places": 1}]);
    let mut open = day("open", 1);
    open["release_at"] = json!("2030-01-02T06:00:00Z");
    assert_eq!(model(open, &[], preview(releases())).places(), 3);
    let taken = [(FIRST_MILLIS, 3), (FIRST_MILLIS + 3_600_000, 3 - 1)];
    let last = model(day("scheduled", 0), &taken, preview(json!([{"at": "2030-01-02T06:00:00Z", "places": 4}])));
    assert_eq!((last.places(), last.put(RELEASE).2), (1, None));
}

#[test]
fn a_release_for_an_audience_is_rehearsed_by_it() {
    let releases = json!([{"at": "2030-01-02T06:00:00Z", "places": 2, "audience": "members"}]);
    let model = model(day("scheduled", 0), &[], preview(releases));
    assert_eq!(model.audiences(), ["members"]);
    let (_, body, limited) = model.put(RELEASE);
    assert_eq!(body["releases"], json!([{"at": RELEASE, "places": 2, "audience": "members"}]));
    assert_eq!(limited, Some(2));
}

#[test]
fn a_night_that_has_begun_is_cloned_on_the_date_of_what_is_left() {
    let mut night = day("open", 3);
    night["slots"][1]["start"] = json!("2030-01-02T23:30:00Z");
    night["slots"][1]["end"] = json!("2030-01-02T23:50:00Z");
    night["server_time"] = json!("2030-01-02T20:00:00.000Z");
    let (date, body, _) = model(night, &[], nothing()).put(RELEASE);
    // Half past midnight in Amsterdam.
    assert_eq!((date.to_string().as_str(), body["slots"].as_array().unwrap().len()), ("2030-01-03", 1));
}

#[test]
fn nothing_left_is_nothing_to_rehearse() {
    let mut over = day("open", 3);
    over["server_time"] = json!("2030-01-02T08:50:00.000Z");
    for day in [day("closed", 0), over] {
        let error = Model::of_json(doctor(), day, &[], nothing()).unwrap_err();
        assert!(matches!(error, ModelError::Nothing { .. }), "{error}");
    }
}
