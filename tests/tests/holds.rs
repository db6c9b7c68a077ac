//! Does a hold keep its place until it is confirmed, and does its life read back as it was?
//! Must not know: what happens when its time runs out (see `expiry`).

use blackbox::{Plan, Server, Wish, instant_of, keys_of, next_whole_second};
use jiff::SignedDuration;
use serde_json::{Value, json};

#[tokio::test]
async fn a_hold_keeps_its_place_and_becomes_a_booking() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(1)).await;
    let patient = server.patient();
    let reply = patient.hold(&Wish::slot(&day, 0)).await.expect(201);
    let held = reply.json();
    let expected = [
        "cancellation_reason",
        "created_at",
        "date",
        "doctor_id",
        "end",
        "hold_expires_at",
        "id",
        "patient_id",
        "start",
        "status",
        "time_zone",
        "updated_at",
        "version",
    ];
    assert_eq!(keys_of(&held), expected);
    let location = reply.header("location").expect("Location").to_owned();
    assert!(location.ends_with(&format!("/v1/appointments/{}", reply.text_of("id"))), "{location}");
    assert_eq!(held["status"], "held");
    assert_eq!(held["patient_id"], json!(patient.subject));
    assert_eq!((&held["doctor_id"], &held["date"]), (&json!(day.doctor), &json!(day.date)));
    assert_eq!((&held["time_zone"], &held["cancellation_reason"]), (&json!("UTC"), &Value::Null));
    assert_eq!(instant_of(&held["start"]), day.starts[0]);
    assert_eq!(instant_of(&held["end"]), day.starts[0] + SignedDuration::from_mins(15));
    let kept = instant_of(&held["hold_expires_at"]).duration_since(instant_of(&held["created_at"]));
    assert_eq!(kept, SignedDuration::from_secs(300), "the default");
    assert_eq!(patient.appointment(&reply.text_of("id")).await.expect(200).json(), held);

    server.patient().book(&Wish::slot(&day, 0)).await.problem(409, "slot_taken");
    server.patient().book(&Wish::any(&day)).await.problem(409, "sold_out");
    server.patient().hold(&Wish::any(&day)).await.problem(409, "sold_out");

    let id = reply.text_of("id");
    let confirmed = patient.confirm(&id).await.expect(200).json();
    assert_eq!((&confirmed["id"], &confirmed["status"]), (&held["id"], &json!("booked")));
    assert_eq!((&confirmed["start"], &confirmed["created_at"]), (&held["start"], &held["created_at"]));
    assert_ne!(confirmed["version"], held["version"]);
    assert_eq!(patient.confirm(&id).await.expect(200).json(), confirmed, "confirmed again: unchanged");
    assert_eq!(patient.confirm(&id).json(&json!({})).await.expect(200).json(), confirmed, "{{}} and no body are alike");
    assert_eq!(patient.appointment(&id).await.expect(200).json(), confirmed);
}

#[tokio::test]
async fn a_hold_cannot_outlive_the_start_of_its_slot() {
    let server = Server::start().await;
    let start = next_whole_second(SignedDuration::from_secs(20));
    let day = server.publish(&Plan::grid(start, 1, SignedDuration::from_mins(10), 2)).await;
    let held = server.patient().hold(&Wish::slot(&day, 0).ttl(900)).await.expect(201).json();
    assert_eq!(instant_of(&held["hold_expires_at"]), start);
    let short = server.patient().hold(&Wish::slot(&day, 0).ttl(2)).await.expect(201).json();
    let kept = instant_of(&short["hold_expires_at"]).duration_since(instant_of(&short["created_at"]));
    assert_eq!(kept, SignedDuration::from_secs(2));
}

#[tokio::test]
async fn a_hold_lives_for_one_to_nine_hundred_seconds() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(2)).await;
    let patient = server.patient();
    for wrong in [json!(0), json!(901), json!(-1), json!(1.5), json!("300"), json!(1e12)] {
        let reply = patient.hold(&Wish::any(&day).with("ttl_seconds", wrong.clone())).await;
        assert_eq!(reply.pointers(), ["/ttl_seconds"], "ttl_seconds {wrong}");
    }
    let reply = patient.book(&Wish::any(&day).ttl(300)).await;
    assert_eq!(reply.pointers(), ["/ttl_seconds"], "a booking has no time to live");
    let held = patient.hold(&Wish::any(&day).ttl(900)).await.expect(201).json();
    let kept = instant_of(&held["hold_expires_at"]).duration_since(instant_of(&held["created_at"]));
    assert_eq!(kept, SignedDuration::from_secs(900));
}

#[tokio::test]
async fn whoever_holds_has_a_live_appointment_already() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(3)).await;
    let elsewhere = server.publish(&Plan::quarters_of(3, 2)).await;
    let patient = server.patient();
    let id = patient.hold(&Wish::slot(&day, 1)).await.expect(201).text_of("id");
    for reply in [
        patient.hold(&Wish::any(&day)).await,
        patient.book(&Wish::slot(&day, 0)).await,
        patient.book(&Wish::slot(&elsewhere, 1)).await,
    ] {
        assert_eq!(reply.problem(409, "already_booked")["appointment_id"], json!(id));
    }
    let beside = patient.book(&Wish::any(&elsewhere)).await.expect(201).json();
    assert_eq!(instant_of(&beside["start"]), elsewhere.starts[0], "the earliest that suits the patient");
    let after = server.patient();
    after.hold(&Wish::slot(&day, 0)).await.expect(201);
    let suits = after.book(&Wish::any(&elsewhere)).await.expect(201).json();
    assert_eq!(instant_of(&suits["start"]), elsewhere.starts[1], "not at the same time at another doctor's");
}

#[tokio::test]
async fn the_history_tells_every_step_in_order() {
    let mut server = Server::start().await;
    let day = server.publish(&Plan::quarters(1)).await;
    let patient = server.patient().subject;
    let id = server.patient_as(&patient).hold(&Wish::any(&day)).await.expect(201).text_of("id");
    let steps_after_hold = server.patient_as(&patient).history(&id).await.expect(200).json();
    assert_eq!(steps_after_hold["items"].as_array().map(Vec::len), Some(1), "own writes: {steps_after_hold}");
    server.patient_as(&patient).confirm(&id).await.expect(200);
    server.patient_as(&patient).confirm(&id).await.expect(200);
    server.doctor(&day.doctor).cancel_because(&id, "the doctor is ill").await.expect(200);

    let steps = server.patient_as(&patient).history(&id).await.expect(200).json();
    let items = steps["items"].as_array().expect("items");
    let told: Vec<Value> = items.iter().map(|item| json!([item["from"], item["to"], item["reason"]])).collect();
    let expected =
        json!([[null, "held", null], ["held", "booked", null], ["booked", "cancelled", "the doctor is ill"],]);
    assert_eq!(json!(told), expected);
    let instants: Vec<_> = items.iter().map(|item| instant_of(&item["at"])).collect();
    assert!(instants.is_sorted(), "{steps}");
    for item in items {
        assert_eq!(keys_of(item), ["actor", "at", "from", "reason", "to"]);
    }
    assert_eq!(items[0]["actor"], items[1]["actor"], "the patient twice");
    assert_ne!(items[1]["actor"], items[2]["actor"], "then the doctor");

    server.restart().await;
    for reader in [server.patient_as(&patient), server.doctor(&day.doctor), server.admin()] {
        assert_eq!(reader.history(&id).await.expect(200).json(), steps);
    }
    server.patient().history(&id).await.problem(403, "forbidden");
    server.doctor(&blackbox::fresh_id()).history(&id).await.problem(403, "forbidden");
    server.anyone().history(&id).await.problem(401, "unauthenticated");
}
