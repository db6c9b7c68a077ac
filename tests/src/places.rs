//! What a day and its list say about its places and the time, side by side.
//! Must not know: who should have them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::crowd::eventually;
use crate::plan::Day;
use crate::reply::instant_of;
use crate::server::Server;

/// How long a server's clock may take to come to an instant a few seconds ahead.
const CLOCK_PATIENCE: Duration = Duration::from_secs(12);

/// Waits until the server's own clock, as a day tells it, has come to `instant`.
pub async fn server_clock_reaches(server: &Server, witness: &Day, instant: Timestamp) {
    eventually("the server's clock goes on", CLOCK_PATIENCE, async || {
        let seen = server.anyone().day(&witness.doctor, &witness.date).await.expect(200).json();
        (instant_of(&seen["server_time"]) >= instant).then_some(())
    })
    .await;
}

/// `remaining` of each slot, in order, as everyone reads it.
pub async fn remaining(server: &Server, day: &Day) -> Vec<u64> {
    let seen = server.anyone().day(&day.doctor, &day.date).await.expect(200).json();
    let slots = seen["slots"].as_array().expect("slots");
    slots.iter().map(|slot| slot["remaining"].as_u64().expect("a number")).collect()
}

/// Held and booked appointments of the day's list, by id; fails if one is listed twice.
pub async fn live(server: &Server, day: &Day) -> BTreeMap<String, Value> {
    let path = format!("/v1/doctors/{}/days/{}/appointments?limit=200", day.doctor, day.date);
    let mut live = BTreeMap::new();
    for item in server.doctor(&day.doctor).all_items(&path).await {
        let id = item["id"].as_str().expect("id").to_owned();
        if item["status"] == "held" || item["status"] == "booked" {
            let before = live.insert(id, item);
            assert!(before.is_none(), "listed twice: {before:?}");
        }
    }
    live
}

/// The live appointments of the day; fails unless each slot has as many places left as nobody has. All places are
/// released, and every slot has the same capacity.
pub async fn assert_adds_up(server: &Server, day: &Day) -> BTreeMap<String, Value> {
    let live = live(server, day).await;
    let capacity = day.capacity / day.starts.len();
    let taken = |start: &Timestamp| live.values().filter(|item| instant_of(&item["start"]) == *start).count();
    let expected: Vec<u64> = day.starts.iter().map(|start| (capacity - taken(start)) as u64).collect();
    assert_eq!(remaining(server, day).await, expected, "places of {} {}: {live:#?}", day.doctor, day.date);
    live
}
