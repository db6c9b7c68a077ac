//! Holds what everybody was told against what is there afterwards.
//! Must not know: what went wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use blackbox::{Day, Reply, Server, Stopwatch, at_once};
use serde_json::Value;

use crate::away::house::House;
use crate::away::traffic::{Callers, Deed, Kind};

/// Everything has an answer that is final by then.
const ANSWERED_DEADLINE: Duration = Duration::from_secs(20);
/// Between two tries.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// Asked again at once.
const CHUNK: usize = 50;

/// Asks under every key again, and counts: nothing acknowledged is missing, nothing is sold twice. Then once more after a kill.
pub async fn balance(house: &mut House, deeds: Vec<Deed>) {
    let callers = Callers::of(&house.server);
    let mut settled = Vec::with_capacity(deeds.len());
    for chunk in deeds.chunks(CHUNK) {
        settled.extend(
            at_once(chunk.len(), |place| {
                let (deed, callers) = (chunk[place].clone(), callers.clone());
                async move { ask_again(deed, &callers).await }
            })
            .await,
        );
    }
    let before = count(&house.server, &house.days, &settled).await;
    house.server.restart().await;
    house.works().await;
    let after = count(&house.server, &house.days, &settled).await;
    let lost: Vec<_> = before.difference(&after).collect();
    assert!(lost.is_empty(), "gone after a kill: {lost:?}");
}

/// The same answer as before, or one where there was none.
async fn ask_again(mut deed: Deed, callers: &Callers) -> Deed {
    let (watch, mut looks) = (Stopwatch::start(), tokio::time::interval(LOOK_INTERVAL));
    let reply: Reply = loop {
        looks.tick().await;
        let reply = deed.call(callers).await;
        if reply.status != 503 {
            break reply;
        }
        assert!(watch.elapsed() < ANSWERED_DEADLINE, "no answer yet: {} to {deed:?}", reply.text());
    };
    for earlier in deed.answers.iter().filter(|reply| reply.status < 300) {
        assert_eq!((reply.status, reply.text()), (earlier.status, earlier.text()), "the first answer again: {deed:?}");
        assert!(reply.replayed(), "it says that it was answered before: {deed:?}");
    }
    match &deed.kind {
        Kind::Book(day) if reply.status == 409 => {
            assert!(day.capacity < 100, "a roomy day has room: {}", reply.text());
            reply.problem(409, "sold_out");
        }
        Kind::Book(_) => assert_eq!(reply.status, 201, "{}", reply.text()),
        Kind::Cancel(_) => assert_eq!(reply.status, 200, "{}", reply.text()),
    }
    deed.answers.push(reply);
    deed
}

/// What is booked, by id; fails unless it is what was answered, each place sold once, and none missing.
async fn count(server: &Server, days: &[Day], deeds: &[Deed]) -> BTreeSet<String> {
    let cancelled: BTreeSet<&str> = deeds
        .iter()
        .filter_map(|deed| match &deed.kind {
            Kind::Cancel(id) => Some(id.as_str()),
            Kind::Book(_) => None,
        })
        .collect();
    let mut live = BTreeSet::new();
    for day in days {
        let items = booked(server, day).await;
        let ids: BTreeSet<String> = items.iter().map(|item| text(item, "id")).collect();
        assert_eq!(ids.len(), items.len(), "each once");
        let mut by_start: BTreeMap<String, u64> = BTreeMap::new();
        items.iter().for_each(|item| *by_start.entry(text(item, "start")).or_default() += 1);
        let shown = server.anyone().day(&day.doctor, &day.date).await.expect(200).json();
        for slot in shown["slots"].as_array().expect("slots") {
            let taken = by_start.get(&text(slot, "start")).copied().unwrap_or(0);
            let (capacity, remaining) = (slot["capacity"].as_u64(), slot["remaining"].as_u64());
            assert!(Some(taken) <= capacity, "oversold: {taken} in {slot}");
            assert_eq!(
                Some(taken + remaining.expect("remaining")),
                capacity,
                "a place is neither free nor taken: {slot}"
            );
        }
        for deed in deeds.iter().filter(|deed| matches!(&deed.kind, Kind::Book(of) if of.doctor == day.doctor)) {
            let Some(success) = deed.success() else { continue };
            let id = success.text_of("id");
            assert_eq!(ids.contains(&id), !cancelled.contains(id.as_str()), "{id} of {}", deed.patient);
        }
        live.extend(ids);
    }
    live
}

async fn booked(server: &Server, day: &Day) -> Vec<Value> {
    let path = format!("/v1/doctors/{}/days/{}/appointments?limit=200", day.doctor, day.date);
    let mut items = server.doctor(&day.doctor).all_items(&path).await;
    items.retain(|item| item["status"] == "booked");
    items
}

fn text(item: &Value, name: &str) -> String {
    item[name].as_str().unwrap_or_else(|| panic!("{name} of {item}")).to_owned()
}
