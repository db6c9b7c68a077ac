//! What must be true after a storm, asked through every node and of the tables.
//! Must not know: which fault there was.

use std::collections::{BTreeMap, BTreeSet};

use blackbox::cluster::{Cluster, Journal};
use blackbox::{Client, Day};
use serde_json::Value;

use super::storm::{Fate, Told, Visit};

/// Everything that is wrong, in words; empty if nothing is.
pub async fn findings(cluster: &Cluster, journal: Journal, told: &Told, days: &[Day]) -> Vec<String> {
    let mut findings = told.wrong.clone();
    for node in 0..cluster.size() {
        for visit in told.visits.iter().filter(|visit| visit.booked.is_some()) {
            let client = cluster.doors().client(node, &visit.patient, &visit.token);
            findings.extend(visit_is_kept(&client, visit, days).await.err().map(|what| format!("node {node}: {what}")));
        }
        for (number, day) in days.iter().enumerate() {
            let admin = cluster.doors().admin(node);
            findings.extend(day_is_right(&admin, number, day, told).await.into_iter().map(|what| format!("node {node}: {what}")));
        }
    }
    findings.extend(super::tables::findings(cluster, journal, told, days).await);
    findings
}

/// Found by its id, by its patient, and under its key.
async fn visit_is_kept(client: &Client, visit: &Visit, days: &[Day]) -> Result<(), String> {
    let (id, newest) = (visit.id(), visit.newest.as_ref());
    let found = client.appointment(&id).await;
    if found.status != 200 || Some(&found.json()) != newest {
        return Err(format!("{id} is {} {}, and its patient was told {newest:?}", found.status, found.text()));
    }
    let listed = client.own_appointments("limit=200").await;
    if listed.status != 200 || listed.json()["items"].as_array() != Some(&newest.cloned().into_iter().collect()) {
        return Err(format!("the list of {} is {} {}, not {newest:?}", visit.patient, listed.status, listed.text()));
    }
    // The first wish may have named a slot; the answer says which.
    for wish in visit.wishes(days) {
        let again = client.book(&wish).key(&visit.key).await;
        if again.status == 422 {
            continue;
        }
        if again.status != 201 || Some(again.json()) != visit.booked || !again.replayed() {
            return Err(format!("the key of {id} is answered {} {}, not {:?}", again.status, again.text(), visit.booked));
        }
        return Ok(());
    }
    Err(format!("the key of {id} knows none of the wishes that it can have been sent with"))
}

/// Sold out, by its picture and by its list, each place to whom it was given and nobody twice.
async fn day_is_right(admin: &Client, number: usize, day: &Day, told: &Told) -> Vec<String> {
    let mut wrong = Vec::new();
    let picture = admin.day(&day.doctor, &day.date).await.expect(200).json();
    let remaining: u64 = slots_of(&picture).filter_map(|slot| slot["remaining"].as_u64()).sum();
    if picture["state"] != "sold_out" || remaining != 0 {
        wrong.push(format!("day {number} is not sold out: {picture}"));
    }
    let items = admin.day_appointments(&day.doctor, &day.date).await.expect(200).json();
    let items = items["items"].as_array().expect("items").clone();
    let live: Vec<&Value> = items.iter().filter(|item| ["booked", "held"].contains(&text(item, "status"))).collect();
    let expected: BTreeSet<String> =
        told.visits.iter().filter(|visit| visit.fate == Fate::Booked(number)).map(Visit::id).collect();
    let listed: BTreeSet<String> = live.iter().map(|item| text(item, "id").to_owned()).collect();
    if listed != expected || live.len() != day.capacity {
        let missing: Vec<&String> = expected.difference(&listed).collect();
        let more: Vec<&String> = listed.difference(&expected).collect();
        wrong.push(format!(
            "day {number} of {} places lists {} live ones; of those that were told: missing {missing:?}; never told: {more:?}",
            day.capacity,
            live.len()
        ));
    }
    let patients: BTreeSet<&str> = live.iter().map(|item| text(item, "patient_id")).collect();
    if patients.len() != live.len() {
        wrong.push(format!("day {number} has somebody twice"));
    }
    let mut sold: BTreeMap<&str, u64> = BTreeMap::new();
    live.iter().for_each(|item| *sold.entry(text(item, "start")).or_default() += 1);
    for slot in slots_of(&picture).filter(|slot| sold.get(text(slot, "start")).copied() != slot["capacity"].as_u64()) {
        wrong.push(format!("day {number}: {slot} is sold {:?} times", sold.get(text(slot, "start"))));
    }
    wrong
}

fn slots_of(picture: &Value) -> impl Iterator<Item = &Value> {
    picture["slots"].as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}
