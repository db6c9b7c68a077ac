//! Does a cancel give the place back at once, once, and only when the right person asks in time?
//! Must not know: how a place is given out again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use blackbox::{Client, Day, Plan, Server, Wish, at_once, count_of, fresh_id};
use serde_json::{Value, json};

/// Reads the day, and asks for a place in vain, until told to stop: what it meets is published, maybe old, state.
async fn keep_reading(reader: Client, day: Day, stop: Arc<AtomicBool>) -> usize {
    let mut reads = 0;
    while !stop.load(Ordering::Relaxed) {
        reader.day(&day.doctor, &day.date).await.expect(200);
        reads += 1;
    }
    reads
}

/// Cancels and books again at once, many times (fewer than one subject's keys of a day), on a day that is sold out whenever the place is not just free.
async fn cancels_and_books_again(rounds: usize, wish: impl Fn(&Day, usize) -> Wish) {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(4)).await;
    for _ in 0..3 {
        server.patient().book(&Wish::any(&day)).await.expect(201);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> =
        (0..4).map(|_| tokio::spawn(keep_reading(server.anyone(), day.clone(), Arc::clone(&stop)))).collect();
    let patient = server.patient();
    let mut id = patient.book(&Wish::any(&day)).await.expect(201).text_of("id");
    for round in 0..rounds {
        let full = server.anyone().day(&day.doctor, &day.date).await.expect(200);
        assert_eq!(full.text_of("state"), "sold_out", "round {round}: own writes are visible");
        let cancelled = if round % 2 == 0 { patient.cancel(&id) } else { patient.delete(&id) };
        cancelled.await.expect(200);
        id = patient.book(&wish(&day, 3)).await.expect(201).text_of("id");
        assert_eq!(patient.appointment(&id).await.expect(200).text_of("status"), "booked");
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.await.expect("a reader ends") > 0, "the readers did read");
    }
    let own = patient.all_items(&format!("/v1/patients/{}/appointments?limit=200", patient.subject)).await;
    assert_eq!(own.len(), rounds + 1);
    assert_eq!(own.iter().filter(|item| item["status"] == "booked").count(), 1);
}

#[tokio::test]
async fn whoever_cancels_and_books_any_place_at_once_gets_it() {
    cancels_and_books_again(60, |day, _| Wish::any(day)).await;
}

#[tokio::test]
async fn whoever_cancels_and_books_the_same_slot_at_once_gets_it() {
    cancels_and_books_again(60, Wish::slot).await;
}

#[tokio::test]
async fn a_second_cancel_changes_nothing() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(1)).await;
    let patient = server.patient();
    let id = patient.book(&Wish::any(&day)).await.expect(201).text_of("id");
    let first = patient.cancel_because(&id, "a cold").await.expect(200).json();
    assert_eq!((&first["status"], &first["cancellation_reason"]), (&json!("cancelled"), &json!("a cold")));
    for call in [
        patient.cancel(&id),
        patient.cancel(&id).json(&json!({})),
        patient.cancel_because(&id, "another reason"),
        patient.delete(&id),
        server.doctor(&day.doctor).cancel(&id),
    ] {
        assert_eq!(call.await.expect(200).json(), first);
    }
    patient.confirm(&id).await.problem(409, "not_changeable");
    let winner = server.patient();
    winner.book(&Wish::any(&day)).await.expect(201);
    assert_eq!(patient.cancel(&id).await.expect(200).json(), first);
    server.patient().book(&Wish::any(&day)).await.problem(409, "sold_out");
    let steps = patient.history(&id).await.expect(200).json();
    assert_eq!(steps["items"].as_array().map(Vec::len), Some(2), "{steps}");
}

#[tokio::test]
async fn a_hundred_cancels_at_once_free_one_place() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(1)).await;
    let patient = server.patient();
    let id = patient.book(&Wish::any(&day)).await.expect(201).text_of("id");
    let replies = at_once(100, |number| {
        let call = if number % 2 == 0 { patient.cancel(&id) } else { patient.delete(&id) };
        call.into_future()
    })
    .await;
    assert_eq!(count_of(&replies, 200), 100);
    let bodies: Vec<Value> = replies.iter().map(blackbox::Reply::json).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]), "one cancel, one answer");
    let replies = at_once(10, |_| server.patient().book(&Wish::any(&day)).into_future()).await;
    assert_eq!(count_of(&replies, 201), 1);
}

#[tokio::test]
async fn its_patient_its_doctor_and_an_admin_may_cancel_and_nobody_else() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(3)).await;
    let patients = [server.patient(), server.patient(), server.patient()];
    let mut ids = Vec::new();
    for patient in &patients {
        ids.push(patient.book(&Wish::any(&day)).await.expect(201).text_of("id"));
    }
    let other_doctor = server.new_doctor().await;
    for stranger in [server.patient(), server.doctor(&other_doctor), server.doctor(&fresh_id())] {
        stranger.cancel(&ids[0]).await.problem(403, "forbidden");
        stranger.delete(&ids[0]).await.problem(403, "forbidden");
        stranger.appointment(&ids[0]).await.problem(403, "forbidden");
    }
    server.anyone().delete(&ids[0]).await.problem(401, "unauthenticated");
    patients[0].cancel(&fresh_id()).await.problem(404, "not_found");
    patients[0].cancel(&ids[0]).await.expect(200);
    server.doctor(&day.doctor).cancel(&ids[1]).await.expect(200);
    server.admin().delete(&ids[2]).await.expect(200);
    for (patient, id) in patients.iter().zip(&ids) {
        assert_eq!(patient.appointment(id).await.expect(200).text_of("status"), "cancelled");
    }
    let seen = server.anyone().day(&day.doctor, &day.date).await.json();
    assert!(seen["slots"].as_array().expect("slots").iter().all(|slot| slot["remaining"] == 1), "{seen}");
}
