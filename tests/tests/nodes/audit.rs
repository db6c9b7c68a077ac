//! What must be true after a storm, asked through every node and of the tables.
//! Must not know: which fault there was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use blackbox::cluster::{Cluster, Doors, Journal};
use blackbox::{Client, Day, at_once};
use serde_json::Value;

use super::storm::{Fate, Told, Visit, known};

/// Who asks at once, each through one node.
const ASKING: usize = 12;

/// Everything that is wrong, in words; empty if nothing is. Tables are asked only if everybody was told the right things meanwhile.
pub async fn findings(cluster: &Cluster, journal: Journal, told: Told, days: Arc<Vec<Day>>) -> Vec<String> {
    let (told, size) = (Arc::new(told), cluster.size());
    let mut findings = told.wrong.clone();
    if !findings.is_empty() {
        return findings;
    }
    let of_visits = at_once(ASKING, |number| visits_are_kept(cluster.doors().clone(), number, size, Arc::clone(&told)));
    findings.extend(of_visits.await.into_iter().flatten());
    let of_days = at_once(size, |node| {
        let (admin, told, days) = (cluster.doors().admin(node), Arc::clone(&told), Arc::clone(&days));
        async move {
            let mut wrong = Vec::new();
            for (number, day) in days.iter().enumerate() {
                wrong.extend(
                    day_is_right(&admin, number, day, &told).await.iter().map(|it| format!("node {node}: {it}")),
                );
            }
            wrong
        }
    });
    findings.extend(of_days.await.into_iter().flatten());
    findings.extend(super::tables::findings(cluster, journal, &told, &days).await);
    findings
}

/// The share of the one who asks as number `number`, through one of `size` nodes.
async fn visits_are_kept(doors: Doors, number: usize, size: usize, told: Arc<Told>) -> Vec<String> {
    let (node, first, step) = (number % size, number / size, ASKING.div_ceil(size));
    let mut wrong = Vec::new();
    for visit in told.visits.iter().filter(|visit| visit.booked.is_some()).skip(first).step_by(step) {
        let client = doors.client(node, &visit.patient, &visit.token);
        wrong.extend(visit_is_kept(&client, visit).await.err().map(|what| format!("node {node}: {what}")));
    }
    wrong
}

/// Found by its id; who still has a place also by its patient, and under its key.
async fn visit_is_kept(client: &Client, visit: &Visit) -> Result<(), String> {
    let (id, newest) = (visit.id(), visit.newest.as_ref());
    let found = known(|| client.appointment(&id)).await?;
    if found.status != 200 || Some(&found.json()) != newest {
        return Err(format!("{id} is {} {}, and its patient was told {newest:?}", found.status, found.text()));
    }
    if visit.fate == Fate::Cancelled {
        return Ok(());
    }
    let listed = known(|| client.own_appointments("limit=200")).await?;
    if listed.status != 200 || listed.json()["items"].as_array() != Some(&newest.cloned().into_iter().collect()) {
        return Err(format!("the list of {} is {} {}, not {newest:?}", visit.patient, listed.status, listed.text()));
    }
    let again = known(|| client.book(&visit.wish).key(&visit.key)).await?;
    if again.status != 201 || Some(again.json()) != visit.booked || !again.replayed() {
        return Err(format!("the key of {id} is answered {} {}, not {:?}", again.status, again.text(), visit.booked));
    }
    Ok(())
}

/// Sold out, by its picture and by its list, each place to whom it was given and nobody twice.
async fn day_is_right(admin: &Client, number: usize, day: &Day, told: &Told) -> Vec<String> {
    let mut wrong = Vec::new();
    let (picture, items) = match (
        known(|| admin.day(&day.doctor, &day.date)).await,
        known(|| admin.day_appointments(&day.doctor, &day.date)).await,
    ) {
        (Ok(picture), Ok(items)) => (picture.expect(200).json(), items.expect(200).json()),
        (picture, items) => return picture.err().into_iter().chain(items.err()).collect(),
    };
    let remaining: u64 = slots_of(&picture).filter_map(|slot| slot["remaining"].as_u64()).sum();
    if picture["state"] != "sold_out" || remaining != 0 {
        wrong.push(format!("day {number} is not sold out: {picture}"));
    }
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
