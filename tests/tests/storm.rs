//! Does a day sell exactly its places when a thousand clients come at once, whatever they ask for?
//! Must not know: how the program orders them.

use std::collections::{BTreeMap, BTreeSet};

use blackbox::{Client, Day, Plan, Reply, Server, Wish, at_once, codes, count_of};
use serde_json::{Value, json};

/// Clients that come at the same moment.
const CLIENTS: usize = 1_000;
/// Losers whose own list is looked at, beside every winner's.
const LOSERS_ASKED: usize = 20;

/// Sends one wish for each of a thousand new patients at once.
async fn rush(server: &Server, wish: impl Fn(usize) -> Wish) -> (Vec<Client>, Vec<Reply>) {
    let patients: Vec<Client> = (0..CLIENTS).map(|_| server.patient()).collect();
    let replies = at_once(CLIENTS, |number| patients[number].book(&wish(number)).into_future()).await;
    (patients, replies)
}

/// Fails unless exactly the capacity was sold, every loser was told one of `refusals`, and the day, its list and the
/// patients' lists all say the same.
async fn sold_exactly(server: &Server, day: &Day, patients: &[Client], replies: &[Reply], refusals: &[&str]) {
    assert_eq!(count_of(replies, 201), day.capacity, "won; refusals: {:?}", codes(replies));
    assert_eq!(count_of(replies, 409), CLIENTS - day.capacity, "refused");
    assert_eq!(codes(replies), refusals, "codes of the refusals");
    replies.iter().filter(|reply| reply.status == 409).for_each(Reply::assert_problem_shape);

    let seen = server.anyone().day(&day.doctor, &day.date).await.expect(200).json();
    assert_eq!(seen["state"], "sold_out", "{seen}");
    for slot in seen["slots"].as_array().expect("slots") {
        assert_eq!(slot["remaining"], 0, "{slot}");
    }

    let won: BTreeMap<String, Value> =
        replies.iter().filter(|reply| reply.status == 201).map(|reply| (reply.text_of("id"), reply.json())).collect();
    let path = format!("/v1/doctors/{}/days/{}/appointments?limit=200", day.doctor, day.date);
    let listed: BTreeMap<String, Value> = server
        .doctor(&day.doctor)
        .all_items(&path)
        .await
        .into_iter()
        .map(|item| (item["id"].as_str().expect("id").to_owned(), item))
        .collect();
    assert_eq!(listed, won, "the day's list is exactly the winners");
    assert_slots_hold_their_capacity(&seen, won.values());

    let losers = patients.iter().zip(replies).filter(|(_, reply)| reply.status != 201).take(LOSERS_ASKED);
    let winners = patients.iter().zip(replies).filter(|(_, reply)| reply.status == 201);
    for (patient, reply) in winners.chain(losers) {
        let expected: Vec<Value> = (reply.status == 201).then(|| reply.json()).into_iter().collect();
        let page = patient.own_appointments("limit=200").await.expect(200).json();
        assert_eq!(page, json!({"items": expected, "next_cursor": null}), "the patient's own list");
    }
}

fn assert_slots_hold_their_capacity<'a>(day: &Value, won: impl Iterator<Item = &'a Value>) {
    let mut sold: BTreeMap<String, u64> = BTreeMap::new();
    let mut patients = BTreeSet::new();
    for appointment in won {
        *sold.entry(appointment["start"].as_str().expect("start").to_owned()).or_default() += 1;
        assert!(patients.insert(appointment["patient_id"].to_string()), "nobody has two: {appointment}");
        assert_eq!(appointment["status"], "booked", "{appointment}");
    }
    for slot in day["slots"].as_array().expect("slots") {
        let start = slot["start"].as_str().expect("start");
        assert_eq!(sold.get(start).copied(), slot["capacity"].as_u64(), "slot {start}");
    }
}

#[tokio::test]
async fn a_thousand_who_take_any_slot_get_exactly_the_twenty_places() {
    let mut server = Server::start().await;
    let day = server.publish(&Plan::quarters(20)).await;
    let (patients, replies) = rush(&server, |_| Wish::any(&day)).await;
    sold_exactly(&server, &day, &patients, &replies, &["sold_out"]).await;
    server.assert_audited().await;
}

#[tokio::test]
async fn a_thousand_who_name_their_slot_get_one_place_each_slot() {
    let mut server = Server::start().await;
    let day = server.publish(&Plan::quarters(20)).await;
    let (patients, replies) = rush(&server, |number| Wish::slot(&day, number % 20)).await;
    sold_exactly(&server, &day, &patients, &replies, &["slot_taken"]).await;
    server.assert_audited().await;
}

#[tokio::test]
async fn a_thousand_half_with_and_half_without_a_slot_sell_the_day_out() {
    let mut server = Server::start().await;
    let day = server.publish(&Plan::quarters(20)).await;
    let wish = |number: usize| {
        if number.is_multiple_of(2) { Wish::any(&day) } else { Wish::slot(&day, number / 2 % 20) }
    };
    let (patients, replies) = rush(&server, wish).await;
    sold_exactly(&server, &day, &patients, &replies, &["slot_taken", "sold_out"]).await;
    server.assert_audited().await;
}

#[tokio::test]
async fn slots_of_several_places_sell_every_place_of_every_slot() {
    let mut server = Server::start().await;
    let mut plan = Plan::quarters_of(8, 4);
    plan.slots[3].2 = 1;
    plan.slots[5].2 = 30;
    let day = server.publish(&plan).await;
    let wish = |number: usize| match number % 3 {
        0 => Wish::any(&day),
        _ => Wish::slot(&day, number % 8),
    };
    let (patients, replies) = rush(&server, wish).await;
    sold_exactly(&server, &day, &patients, &replies, &["slot_taken", "sold_out"]).await;
    server.assert_audited().await;
}

#[tokio::test]
async fn a_thousand_on_one_slot_of_a_hundred_places_fill_it_exactly() {
    let mut server = Server::start().await;
    let day = server.publish(&Plan::quarters_of(1, 100)).await;
    let (patients, replies) = rush(&server, |_| Wish::slot(&day, 0)).await;
    sold_exactly(&server, &day, &patients, &replies, &["slot_taken"]).await;
    server.assert_audited().await;
}

#[tokio::test]
async fn patients_who_ask_twenty_times_at_once_get_one_place_each() {
    let mut server = Server::start().await;
    let day = server.publish(&Plan::quarters_of(20, 10)).await;
    let patients: Vec<Client> = (0..50).map(|_| server.patient()).collect();
    let replies = at_once(CLIENTS, |number| {
        let wish = if number.is_multiple_of(2) { Wish::any(&day) } else { Wish::slot(&day, number % 20) };
        patients[number % 50].book(&wish).into_future()
    })
    .await;
    assert_eq!(count_of(&replies, 201), 50);
    assert_eq!(count_of(&replies, 409), CLIENTS - 50);
    // A named slot cannot fill up: there are more places in each than every second patient needs.
    let refusals = codes(&replies);
    assert!(refusals.iter().all(|code| ["already_booked", "slot_taken"].contains(&code.as_str())), "{refusals:?}");
    for patient in &patients {
        let items = patient.all_items(&format!("/v1/patients/{}/appointments?limit=200", patient.subject)).await;
        assert_eq!(items.len(), 1, "one appointment each: {items:?}");
    }
    let stands_in_the_way = replies.iter().zip(0..).filter(|(reply, _)| reply.code() == "already_booked");
    for (reply, number) in stands_in_the_way {
        let own = patients[number % 50].appointment(&reply.text_of("appointment_id")).await;
        assert_eq!(own.expect(200).text_of("status"), "booked");
    }
    server.assert_audited().await;
}

#[tokio::test]
async fn holds_and_bookings_that_race_never_take_a_place_twice() {
    let mut server = Server::start().await;
    let day = server.publish(&Plan::quarters(20)).await;
    let patients: Vec<Client> = (0..CLIENTS).map(|_| server.patient()).collect();
    let replies = at_once(CLIENTS, |number| {
        let patient = &patients[number];
        let wish = Wish::any(&day);
        if number.is_multiple_of(2) { patient.hold(&wish).into_future() } else { patient.book(&wish).into_future() }
    })
    .await;
    assert_eq!(count_of(&replies, 201), 20, "{:?}", codes(&replies));
    assert_eq!(codes(&replies), ["sold_out"]);
    for (patient, reply) in patients.iter().zip(&replies).filter(|(_, reply)| reply.status == 201) {
        patient.confirm(&reply.text_of("id")).await.expect(200);
    }
    let listed = server.doctor(&day.doctor).day_appointments(&day.doctor, &day.date).await.expect(200).json();
    let starts: BTreeSet<String> =
        listed["items"].as_array().expect("items").iter().map(|item| item["start"].to_string()).collect();
    assert_eq!(starts.len(), 20, "each slot once: {listed}");
    server.assert_audited().await;
}

#[tokio::test]
async fn many_days_sell_out_at_the_same_time_without_mixing() {
    let mut server = Server::start().await;
    let mut days = Vec::new();
    for _ in 0..20 {
        days.push(server.publish(&Plan::quarters(5)).await);
    }
    let patients: Vec<Client> = (0..CLIENTS).map(|_| server.patient()).collect();
    let replies = at_once(CLIENTS, |number| patients[number].book(&Wish::any(&days[number % 20])).into_future()).await;
    assert_eq!(count_of(&replies, 201), 100);
    for (number, day) in days.iter().enumerate() {
        let of_day = replies.iter().skip(number).step_by(20);
        let won: BTreeSet<String> =
            of_day.filter(|reply| reply.status == 201).map(|reply| reply.text_of("start")).collect();
        assert_eq!(won.len(), 5, "each slot of day {number} once");
        let seen = server.anyone().day(&day.doctor, &day.date).await.expect(200);
        assert_eq!(seen.text_of("state"), "sold_out");
    }
    server.assert_audited().await;
}
