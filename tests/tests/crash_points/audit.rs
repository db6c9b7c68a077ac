//! Whether a process that came after a crash has everything that was answered, each thing once, and no place too often.
//! Must not know: scripts, points.

use std::collections::BTreeMap;
use std::time::Duration;

use blackbox::places::{live, remaining};
use blackbox::{Claims, Day, Server, eventually, fresh_id, instant_of};
use serde_json::{Value, json};

use super::notebook::{Known, Notebook, assert_is_known};

/// Places kept for moves that came to nothing are given back by then.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a reader has seen of a day; later readers see the same or more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Seen(u64);

impl Seen {
    /// What a day's body shows.
    pub fn of(body: &Value) -> Self {
        Self(body["version"].as_u64().expect("a day has a version"))
    }
}

/// Fails unless everything of `notebooks` reads as it was answered, right now. `days` are all on which an appointment can be.
pub async fn assert_nothing_is_lost(server: &Server, days: &[Day], notebooks: &[&Notebook]) {
    let mut listed: BTreeMap<String, Value> = BTreeMap::new();
    for day in days {
        // A day whose publication was not answered may be there or not.
        if server.anyone().day(&day.doctor, &day.date).await.status == 404 {
            continue;
        }
        let path = format!("/v1/doctors/{}/days/{}/appointments?limit=200", day.doctor, day.date);
        for item in server.doctor(&day.doctor).all_items(&path).await {
            assert_eq!((&item["doctor_id"], &item["date"]), (&json!(day.doctor), &json!(day.date)));
            let before = listed.insert(item["id"].as_str().expect("id").to_owned(), item);
            assert!(before.is_none(), "listed twice: {before:#?}");
        }
    }
    let admin = server.client("", &Claims::of("admin", &fresh_id()));
    for notebook in notebooks {
        for (id, known) in &notebook.appointments {
            let patient = known.answered["patient_id"].as_str().expect("a patient");
            let seen = server.patient_as(patient).appointment(id).await.expect(200).json();
            assert_is_known(known, &seen);
            assert_eq!(listed.get(id), Some(&seen), "listed on its day as it reads");
            let own = server.patient_as(patient).own_appointments("").await.expect(200).json();
            let of_it = own["items"].as_array().expect("items").iter().filter(|item| item["id"] == seen["id"]);
            assert_eq!(of_it.collect::<Vec<_>>(), [&seen], "listed once for its patient");
        }
        for (path, known) in &notebook.things {
            assert_thing(known, &admin.get(path).await.expect(200).json());
        }
    }
}

#[track_caller]
fn assert_thing(known: &Known, seen: &Value) {
    if seen.get("slots").is_some() {
        assert!(Seen::of(seen) >= Seen::of(&known.answered), "answered {:#}, read {seen:#}", known.answered);
        assert!(known.answered["state"] != "closed" || seen["state"] == "closed", "a closed day is closed: {seen:#}");
    } else if !known.is_open {
        assert_eq!(*seen, known.answered, "as it was answered");
    }
}

/// Waits until every day's places add up: as many left as nobody has. None may ever be sold beyond its capacity.
pub async fn assert_all_add_up(server: &Server, days: &[Day]) {
    for day in days {
        let what = format!("places of {} {} add up", day.doctor, day.date);
        eventually(&what, PATIENCE, async || adds_up(server, day).await.then_some(())).await;
    }
}

async fn adds_up(server: &Server, day: &Day) -> bool {
    let live = live(server, day).await;
    let capacity = day.capacity / day.starts.len();
    let mut left = Vec::new();
    for start in &day.starts {
        let taken = live.values().filter(|item| instant_of(&item["start"]) == *start).count();
        assert!(taken <= capacity, "{taken} of {capacity} places at {start} are sold: {live:#?}");
        left.push((capacity - taken) as u64);
    }
    left == remaining(server, day).await
}
