//! What operators ask, in the document: the call and its shapes.
//! Must not know: the other calls.

use serde_json::{Value, json};

use super::operation::{Operation, reference};
use super::schemas::{instant, object, or_null, uuid};

pub(super) fn read() -> Value {
    let description = "Of this process alone, as of at most a second ago: the twenty days that are asked most (rates forget half in three \
                       seconds), queues with their bounds, lags. Names no person.";
    Operation::new("readActivity", "operations", "What this process is busy with", description)
        .guarded("admins")
        .answers(200, "The figures", "Activity", &[])
        .finish()
}

/// The shapes.
pub(super) fn schemas() -> Value {
    let count = || json!({"type": "integer", "minimum": 0});
    let number = || json!({"type": "number", "minimum": 0});
    let with_rates = |mut members: Value| {
        for name in ["commands_per_second", "reads_per_second", "records_per_second"] {
            members[name] = number();
        }
        object(members, json!({}))
    };
    let places = json!({"withheld": count(), "free": count(), "held": count(), "booked": count()});
    let state = json!({
        "type": ["string", "null"], "enum": ["scheduled", "open", "sold_out", "closed", null],
        "description": "Null: the day is not published, or being read"
    });
    json!({
        "Activity": with_rates(json!({
            "server_time": instant(),
            "days_awake": count(),
            "days_asleep": count(),
            "next_release_at": or_null(instant()),
            "places": reference("Places"),
            "release_days": {"type": "integer", "minimum": 0, "description": "Days with a release within fifteen minutes"},
            "release_places": reference("Places"),
            "queues": {"type": "array", "items": reference("Queue")},
            "journal_lag": reference("Lag"),
            "ledger_lag": reference("Lag"),
            "days": {"type": "array", "items": reference("HotDay"), "maxItems": 20, "description": "The hottest first"}
        })),
        "HotDay": with_rates(json!({
            "doctor_id": uuid(),
            "date": {"type": "string", "format": "date"},
            "state": state,
            "queued": {"type": "integer", "minimum": 0, "description": "Commands that wait for the day"},
            "places": reference("Places")
        })),
        "Places": object(places, json!({})),
        "Queue": object(json!({"name": {"type": "string"}, "depth": count(), "bound": count()}), json!({})),
        "Lag": object(json!({"records": count(), "seconds": number()}), json!({}))
    })
}
