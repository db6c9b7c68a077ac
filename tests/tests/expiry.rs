//! Does a hold end exactly at its instant, for everyone, whether or not anybody was awake to see it?
//! Must not know: timers and sweeps.

use std::time::Duration;

use blackbox::places::server_clock_reaches;
use blackbox::{Client, Day, Dice, Plan, Reply, Server, Wish, at_once, eventually, instant_of, wall_clock_reaches};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(10);

async fn hold_for(seconds: i64, patient: &Client, day: &Day, slot: usize) -> (String, Timestamp) {
    let held = patient.hold(&Wish::slot(day, slot).ttl(seconds)).await.expect(201);
    (held.text_of("id"), instant_of(&held.field("hold_expires_at")))
}

async fn hold_for_a_second(patient: &Client, day: &Day, slot: usize) -> (String, Timestamp) {
    hold_for(1, patient, day, slot).await
}

/// Fails unless everything says that the hold has expired.
async fn assert_expired(server: &Server, patient: &str, id: &str) {
    let patient = server.patient_as(patient);
    let seen = patient.appointment(id).await.expect(200).json();
    assert_eq!(seen["status"], "expired", "{seen}");
    let listed = patient.own_appointments("status=expired").await.expect(200).json();
    assert_eq!(listed["items"], json!([seen]));
    let doctors = server.doctor(seen["doctor_id"].as_str().expect("doctor_id"));
    let date = seen["date"].as_str().expect("date");
    let day = doctors.day_appointments(&doctors.subject, date).await.expect(200).json();
    let of_day = day["items"].as_array().expect("items").iter().find(|item| item["id"] == seen["id"]);
    assert!(of_day.is_none_or(|item| item["status"] == "expired"), "{day}");
    patient.confirm(id).await.problem(410, "hold_expired");
    patient.cancel(id).await.problem(409, "not_changeable");
    let steps = patient.history(id).await.expect(200).json();
    let last = steps["items"].as_array().and_then(|items| items.last()).cloned().unwrap_or(Value::Null);
    assert_eq!((&last["from"], &last["to"]), (&json!("held"), &json!("expired")), "{steps}");
}

#[tokio::test]
async fn an_expired_hold_says_so_and_its_place_is_free_at_once() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(1)).await;
    let patient = server.patient();
    let (id, due) = hold_for_a_second(&patient, &day, 0).await;
    server_clock_reaches(&server, &day, due).await;
    let seen = server.anyone().day(&day.doctor, &day.date).await.expect(200).json();
    assert_eq!((&seen["state"], &seen["slots"][0]["remaining"]), (&json!("open"), &json!(1)));
    assert_expired(&server, &patient.subject, &id).await;
    let rival = server.patient();
    rival.book(&Wish::slot(&day, 0)).await.expect(201);
    patient.confirm(&id).await.problem(410, "hold_expired");
    patient.book(&Wish::any(&day)).await.problem(409, "sold_out");
}

#[tokio::test]
async fn the_first_request_after_the_instant_gets_the_place() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(1)).await;
    let witness = server.publish(&Plan::quarters(1)).await;
    for round in 0..6 {
        let holder = server.patient();
        let (_, due) = hold_for(2, &holder, &day, 0).await;
        let rival = server.patient();
        rival.book(&Wish::any(&day)).await.problem(409, "sold_out");
        server_clock_reaches(&server, &witness, due).await;
        // Nobody has asked this day since it was full: the refusal that it published is out of date now.
        let wish = if round % 2 == 0 { Wish::any(&day) } else { Wish::slot(&day, 0) };
        let id = rival.book(&wish).await.expect(201).text_of("id");
        rival.cancel(&id).await.expect(200);
    }
}

#[tokio::test]
async fn the_holder_may_book_again_after_the_expiry() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(2)).await;
    let patient = server.patient();
    let (_, due) = hold_for(2, &patient, &day, 0).await;
    patient.book(&Wish::slot(&day, 1)).await.problem(409, "already_booked");
    server_clock_reaches(&server, &day, due).await;
    patient.book(&Wish::slot(&day, 0)).await.expect(201);
    let (_, due) = hold_for_a_second(&server.patient(), &day, 1).await;
    server_clock_reaches(&server, &day, due).await;
    server.patient().hold(&Wish::slot(&day, 1)).await.expect(201);
}

#[tokio::test]
async fn a_hold_that_expires_while_the_program_is_down_is_expired_when_it_is_back() {
    let mut server = Server::start().await;
    let by_get = server.publish(&Plan::quarters(1)).await;
    let by_booking = server.publish(&Plan::quarters(1)).await;
    let by_confirm = server.publish(&Plan::quarters(1)).await;
    let by_list = server.publish(&Plan::quarters(1)).await;
    let patients: Vec<String> = (0..4).map(|_| server.patient().subject).collect();
    let mut holds = Vec::new();
    for (patient, day) in patients.iter().zip([&by_get, &by_booking, &by_confirm, &by_list]) {
        holds.push(hold_for_a_second(&server.patient_as(patient), day, 0).await);
    }
    server.kill().await;
    let last_due = holds.iter().map(|(_, due)| *due).max().expect("four holds");
    wall_clock_reaches(last_due + SignedDuration::from_millis(50)).await;
    server.start_again().await;

    // Each of the days sleeps: its first request is one of another kind.
    assert_expired(&server, &patients[0], &holds[0].0).await;
    server.patient().book(&Wish::any(&by_booking)).await.expect(201);
    server.patient_as(&patients[2]).confirm(&holds[2].0).await.problem(410, "hold_expired");
    server.patient().book(&Wish::slot(&by_confirm, 0)).await.expect(201);
    let listed = server.patient_as(&patients[3]).own_appointments("limit=1").await.expect(200).json();
    assert_eq!(listed["items"][0]["status"], "expired", "{listed}");
    for (patient, (id, _)) in patients.iter().zip(&holds) {
        assert_expired(&server, patient, id).await;
    }
    server.restart().await;
    for (patient, (id, _)) in patients.iter().zip(&holds) {
        assert_expired(&server, patient, id).await;
    }
}

#[tokio::test]
async fn a_hold_survives_a_crash_and_ends_at_its_own_instant() {
    let mut server = Server::start().await;
    let day = server.publish(&Plan::quarters(2)).await;
    let patients = [server.patient().subject, server.patient().subject];
    let kept = server.patient_as(&patients[0]).hold(&Wish::slot(&day, 0)).await.expect(201).json();
    let short = server.patient_as(&patients[1]).hold(&Wish::slot(&day, 1).ttl(4)).await.expect(201).json();
    server.restart().await;
    let id = short["id"].as_str().expect("id");
    eventually("the short hold has expired", PATIENCE, async || {
        let reply = server.patient().book(&Wish::slot(&day, 1)).await;
        let seen = server.anyone().day(&day.doctor, &day.date).await.expect(200).json();
        if reply.status == 409 {
            reply.problem(409, "slot_taken");
            return None;
        }
        reply.expect(201);
        assert!(instant_of(&seen["server_time"]) >= instant_of(&short["hold_expires_at"]), "not before its instant");
        Some(())
    })
    .await;
    assert_expired(&server, &patients[1], id).await;
    let id = kept["id"].as_str().expect("id");
    assert_eq!(server.patient_as(&patients[0]).appointment(id).await.expect(200).json(), kept);
    server.patient_as(&patients[0]).confirm(id).await.expect(200);
}

/// One confirm and one rival booking for the same place, around the instant of the expiry.
async fn race(holder: &Client, rival: &Client, id: &str, wish: &Wish) -> (Reply, Reply) {
    tokio::join!(holder.confirm(id).into_future(), rival.book(wish).into_future())
}

#[tokio::test]
async fn a_confirm_that_races_the_expiry_is_booked_for_ever_or_expired_for_ever() {
    const PLACES: usize = 40;
    const HELD_SECONDS: i64 = 3;
    let server = Server::start().await;
    let mut dice = Dice::thrown();
    let (mut confirmed, mut expired) = (0, 0);
    for _ in 0..4 {
        let day = server.publish(&Plan::quarters(PLACES)).await;
        let rivals: Vec<(Client, Client)> = (0..PLACES).map(|_| (server.patient(), server.patient())).collect();
        let offsets = dice.around_an_instant(PLACES, SignedDuration::from_secs(HELD_SECONDS));
        let outcomes = at_once(PLACES, |slot| {
            let (holder, rival) = rivals[slot].clone();
            let (day, offset) = (day.clone(), offsets[slot]);
            async move {
                let (id, due) = hold_for(HELD_SECONDS, &holder, &day, slot).await;
                wall_clock_reaches(due + offset).await;
                let (confirm, booking) = race(&holder, &rival, &id, &Wish::slot(&day, slot)).await;
                (id, confirm, booking)
            }
        })
        .await;
        for (slot, (id, confirm, booking)) in outcomes.into_iter().enumerate() {
            let (holder, rival) = &rivals[slot];
            if confirm.status == 200 {
                confirmed += 1;
                booking.problem(409, "slot_taken");
                assert_eq!(holder.appointment(&id).await.text_of("status"), "booked");
                rival.book(&Wish::slot(&day, slot)).await.problem(409, "slot_taken");
                assert_eq!(holder.confirm(&id).await.expect(200).json(), confirm.json());
            } else {
                expired += 1;
                confirm.problem(410, "hold_expired");
                assert_eq!(holder.appointment(&id).await.text_of("status"), "expired");
                holder.confirm(&id).await.problem(410, "hold_expired");
                if booking.status != 201 {
                    booking.problem(409, "slot_taken");
                    rival.book(&Wish::slot(&day, slot)).await.expect(201);
                }
            }
        }
        let listed = server.doctor(&day.doctor).day_appointments(&day.doctor, &day.date).await.expect(200).json();
        let items = listed["items"].as_array().expect("items");
        let booked = items.iter().filter(|item| item["status"] == "booked");
        let mut starts: Vec<String> = booked.map(|item| item["start"].to_string()).collect();
        starts.sort();
        let count = starts.len();
        starts.dedup();
        assert_eq!(starts.len(), count, "a place is never both: {listed}");
    }
    eprintln!("confirmed {confirmed}, expired {expired}");
    assert!(
        confirmed > 0 && expired > 0,
        "both sides of the instant were seen: confirmed {confirmed}, expired {expired}"
    );
}

/// How many days sleep, as the metrics say.
async fn sleeping_days(server: &Server) -> u64 {
    let text = server.anyone().get("/metrics").await.expect(200).text();
    let value = text.lines().find_map(|line| line.strip_prefix("hotslot_days_asleep ")).expect("the gauge is exported");
    value.parse().expect("a number")
}

#[tokio::test]
async fn a_hold_ends_on_a_sleeping_day() {
    let server = Server::start_with(&["--idle-seconds", "1"]).await;
    let day = server.publish(&Plan::quarters(1)).await;
    let patient = server.patient();
    let held = patient.hold(&Wish::any(&day).ttl(6)).key("the-hold").await.expect(201);
    let (id, due) = (held.text_of("id"), instant_of(&held.field("hold_expires_at")));
    eventually("the day sleeps", PATIENCE, async || (sleeping_days(&server).await == 1).then_some(())).await;
    let again = patient.hold(&Wish::any(&day).ttl(6)).key("the-hold").await.expect(201);
    assert_eq!((again.replayed(), again.json()), (true, held.json()), "what slept is whole");
    eventually("it sleeps again", PATIENCE, async || (sleeping_days(&server).await == 1).then_some(())).await;
    wall_clock_reaches(due).await;
    let witness = server.publish(&Plan::quarters(1)).await;
    server_clock_reaches(&server, &witness, due).await;
    server.patient().book(&Wish::any(&day)).await.expect(201);
    assert_expired(&server, &patient.subject, &id).await;
}
