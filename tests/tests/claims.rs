//! Can a patient be in two places at once? One patient's time, across doctors and dates.
//! Must not know: how claims on time are kept (races of moves: see `move_races`).

use std::time::Duration;

use blackbox::places::{remaining, server_clock_reaches};
use blackbox::{Day, Plan, Server, Wish, at_once, count_of, days_ahead, instant, instant_of};
use jiff::SignedDuration;
use serde_json::json;

const DOCTORS: usize = 6;
const ROUNDS: usize = 100;
/// Days of that many doctors, each with one place at the same hour.
async fn at_one_hour(server: &Server, doctors: usize) -> Vec<Day> {
    let mut days = Vec::new();
    for _ in 0..doctors {
        days.push(server.publish(&Plan::quarters(1)).await);
    }
    days
}

/// A day of one slot, from 08:00 on, three days ahead.
fn long_slot(minutes: i64) -> Plan {
    Plan::grid(Plan::quarters(1).slots[0].0, 1, SignedDuration::from_mins(minutes), 9)
}

#[tokio::test]
async fn of_six_doctors_at_the_same_hour_a_patient_gets_one() {
    let mut server = Server::start().await;
    let days = at_one_hour(&server, DOCTORS).await;
    for round in 0..ROUNDS {
        let patient = server.patient();
        let replies = at_once(DOCTORS, |number| {
            let day = &days[number];
            let wish = if number % 2 == 0 { Wish::any(day) } else { Wish::slot(day, 0) };
            let call = if round % 2 == 0 { patient.book(&wish) } else { patient.hold(&wish) };
            call.into_future()
        })
        .await;
        assert_eq!(count_of(&replies, 201), 1, "round {round}: {replies:#?}");
        let winner = replies.iter().position(|reply| reply.status == 201).expect("one won");
        let id = replies[winner].text_of("id");
        for (number, reply) in replies.iter().enumerate() {
            if number != winner {
                assert_eq!(reply.problem(409, "already_booked")["appointment_id"], json!(id), "round {round}");
            }
            let left = u64::from(number != winner);
            assert_eq!(remaining(&server, &days[number]).await, [left], "round {round}: nobody else keeps a place");
        }
        // What was cancelled is in nobody's way with the very next request.
        patient.cancel(&id).await.expect(200);
        let elsewhere = patient.book(&Wish::any(&days[(winner + 1) % DOCTORS])).await.expect(201).text_of("id");
        patient.cancel(&elsewhere).await.expect(200);
    }
    server.assert_audited().await;
}

#[tokio::test]
async fn time_stays_taken_over_a_crash_and_over_a_clean_stop() {
    let mut server = Server::start().await;
    let days = at_one_hour(&server, 3).await;
    let patients: Vec<String> = (0..3).map(|_| server.patient().subject).collect();
    let booked = server.patient_as(&patients[0]).book(&Wish::any(&days[0])).await.expect(201).text_of("id");
    let held = server.patient_as(&patients[1]).hold(&Wish::any(&days[1])).await.expect(201).text_of("id");
    let given_back = server.patient_as(&patients[2]).book(&Wish::any(&days[2])).await.expect(201).text_of("id");
    server.patient_as(&patients[2]).cancel(&given_back).await.expect(200);
    for crash in [true, true, false] {
        if crash {
            server.kill().await;
        } else {
            assert!(server.terminate(Duration::from_secs(10)).await.status.success());
        }
        server.start_again().await;
        for (patient, id) in [(&patients[0], &booked), (&patients[1], &held)] {
            let problem = server.patient_as(patient).book(&Wish::any(&days[2])).await.problem(409, "already_booked");
            assert_eq!(problem["appointment_id"], json!(id), "crash {crash}");
        }
    }
    let freed = server.patient_as(&patients[2]).book(&Wish::any(&days[2])).await.expect(201).text_of("id");
    server.patient_as(&patients[2]).cancel(&freed).await.expect(200);
    server.patient_as(&patients[0]).cancel(&booked).await.expect(200);
    server.restart().await;
    server.patient_as(&patients[0]).book(&Wish::any(&days[2])).await.expect(201);
}

#[tokio::test]
async fn any_place_is_one_that_suits_the_patient() {
    let server = Server::start().await;
    let busy = server.publish(&long_slot(45)).await;
    let day = server.publish(&Plan::quarters_of(4, 2)).await;
    let patient = server.patient();
    let id = patient.book(&Wish::any(&busy)).await.expect(201).text_of("id");
    let suits = patient.book(&Wish::any(&day)).await.expect(201).json();
    assert_eq!(instant_of(&suits["start"]), day.starts[3], "the first that begins when the other visit is over");
    patient.cancel(suits["id"].as_str().expect("id")).await.expect(200);
    let short = server.publish(&Plan::quarters_of(3, 2)).await;
    let problem = patient.book(&Wish::any(&short)).await.problem(409, "already_booked");
    assert_eq!(problem["appointment_id"], json!(id));
    server.patient().book(&Wish::slot(&short, 2)).await.expect(201);
    assert_eq!(remaining(&server, &short).await, [2, 2, 1]);
}

#[tokio::test]
async fn the_earliest_of_those_in_the_way_is_named() {
    let server = Server::start().await;
    let (first, second) = (server.publish(&Plan::quarters(3)).await, server.publish(&Plan::quarters(3)).await);
    let long = server.publish(&long_slot(45)).await;
    let patient = server.patient();
    let later = patient.book(&Wish::slot(&second, 1)).await.expect(201).text_of("id");
    let problem = patient.book(&Wish::any(&long)).await.problem(409, "already_booked");
    assert_eq!(problem["appointment_id"], json!(later));
    let earlier = patient.book(&Wish::slot(&first, 0)).await.expect(201).text_of("id");
    for wish in [Wish::any(&long), Wish::slot(&long, 0)] {
        let problem = patient.book(&wish).await.problem(409, "already_booked");
        assert_eq!(problem["appointment_id"], json!(earlier), "not the one that was booked first");
    }
    // On the day of the later one both are in the way: one is on this day, the other overlaps.
    let problem = patient.book(&Wish::slot(&second, 0)).await.problem(409, "already_booked");
    assert_eq!(problem["appointment_id"], json!(earlier));
    patient.cancel(&earlier).await.expect(200);
    let problem = patient.book(&Wish::slot(&second, 0)).await.problem(409, "already_booked");
    assert_eq!(problem["appointment_id"], json!(later));
}

#[tokio::test]
async fn a_hold_that_has_run_out_elsewhere_is_in_nobodys_way() {
    let server = Server::start().await;
    let days = at_one_hour(&server, 2).await;
    let witness = server.publish(&Plan::quarters(1)).await;
    for round in 0..4 {
        let patient = server.patient();
        let held = patient.hold(&Wish::any(&days[0]).ttl(1)).await.expect(201);
        let wish = if round % 2 == 0 { Wish::any(&days[1]) } else { Wish::slot(&days[1], 0) };
        patient.book(&wish).await.problem(409, "already_booked");
        let due = instant_of(&held.field("hold_expires_at"));
        server_clock_reaches(&server, &witness, due).await;
        // The first thing that anybody asks after the instant.
        let id = patient.book(&wish).await.expect(201).text_of("id");
        patient.confirm(&held.text_of("id")).await.problem(410, "hold_expired");
        patient.cancel(&id).await.expect(200);
    }
}

#[tokio::test]
async fn an_admin_who_books_for_a_patient_meets_the_same_rule() {
    let server = Server::start().await;
    let days = at_one_hour(&server, 3).await;
    let (patient, admin) = (server.patient(), server.admin());
    let id = patient.book(&Wish::any(&days[0])).await.expect(201).text_of("id");
    let problem = admin.book(&Wish::any(&days[1]).patient(&patient.subject)).await.problem(409, "already_booked");
    assert_eq!(problem["appointment_id"], json!(id));
    patient.cancel(&id).await.expect(200);
    let id = admin.hold(&Wish::any(&days[1]).patient(&patient.subject)).await.expect(201).text_of("id");
    for client in [&patient, &admin] {
        let wish = Wish::any(&days[2]).patient(&patient.subject);
        assert_eq!(client.book(&wish).await.problem(409, "already_booked")["appointment_id"], json!(id));
    }
    // An admin is nobody's patient: the same admin books others at the same hour.
    admin.book(&Wish::any(&days[0]).patient(&server.patient().subject)).await.expect(201);
    admin.book(&Wish::any(&days[2]).patient(&server.patient().subject)).await.expect(201);
}

#[tokio::test]
async fn visits_that_touch_do_not_overlap() {
    let server = Server::start().await;
    let (first, second) = (server.publish(&Plan::quarters(3)).await, server.publish(&Plan::quarters(3)).await);
    let patient = server.patient();
    patient.book(&Wish::slot(&first, 1)).await.expect(201);
    patient.book(&Wish::slot(&second, 1)).await.problem(409, "already_booked");
    let before = patient.book(&Wish::slot(&second, 0)).await.expect(201).text_of("id");
    patient.cancel(&before).await.expect(200);
    patient.book(&Wish::slot(&second, 2)).await.expect(201);
    let a_second_too_long = Plan::grid(first.starts[0], 1, SignedDuration::from_secs(15 * 60 + 1), 1);
    let third = server.publish(&a_second_too_long).await;
    patient.book(&Wish::any(&third)).await.problem(409, "already_booked");
}

#[tokio::test]
async fn a_visit_after_midnight_stands_in_the_way_of_the_next_date() {
    let server = Server::start().await;
    let night = Plan::grid(instant(days_ahead(3), "22:00"), 8, SignedDuration::from_mins(30), 1);
    let night = server.publish(&night).await;
    let small_hours = Plan::grid(instant(days_ahead(4), "00:30"), 3, SignedDuration::from_mins(30), 2);
    let small_hours = server.publish(&small_hours).await;
    assert_ne!(night.date, small_hours.date);
    let patient = server.patient();
    let id = patient.book(&Wish::slot(&night, 6)).await.expect(201).text_of("id");
    let problem = patient.book(&Wish::slot(&small_hours, 1)).await.problem(409, "already_booked");
    assert_eq!(problem["appointment_id"], json!(id), "both are at 01:00");
    patient.book(&Wish::slot(&small_hours, 0)).await.expect(201);
    let rival = server.patient();
    let at_one = rival.book(&Wish::slot(&small_hours, 1)).await.expect(201).text_of("id");
    let problem = rival.book(&Wish::slot(&night, 6)).await.problem(409, "slot_taken");
    assert_eq!(problem["appointment_id"], json!(null), "a full slot comes first");
    patient.cancel(&id).await.expect(200);
    let problem = rival.book(&Wish::slot(&night, 6)).await.problem(409, "already_booked");
    assert_eq!(problem["appointment_id"], json!(at_one));
}
