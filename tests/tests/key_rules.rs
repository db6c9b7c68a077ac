//! What an idempotency key may look like, where it is needed, and what the same key on another request means.
//! Must not know: where keys are kept.

use blackbox::{Plan, Server, Wish, fresh_id};
use serde_json::json;

#[tokio::test]
async fn a_missing_empty_doubled_spaced_or_overlong_key_is_refused() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(20)).await;
    let patient = server.patient();
    let wish = Wish::any(&day);
    for call in [patient.book(&wish), patient.hold(&wish)] {
        call.clone().without("idempotency-key").await.problem(400, "invalid_request");
        call.clone().key("").await.problem(400, "invalid_request");
        call.clone().key("two words").await.problem(400, "invalid_request");
        call.clone().key("tab\tbed").await.problem(400, "invalid_request");
        call.clone().key("käse").await.problem(400, "invalid_request");
        call.clone().key(&"k".repeat(256)).await.problem(400, "invalid_request");
        call.clone().key("one").header("idempotency-key", "two").await.problem(400, "invalid_request");
        call.clone().key("one").header("idempotency-key", "one").await.problem(400, "invalid_request");
    }
    let seen = server.anyone().day(&day.doctor, &day.date).await.json();
    assert!(seen["slots"].as_array().expect("slots").iter().all(|slot| slot["remaining"] == 1), "{seen}");
    patient.book(&wish).key(&"k".repeat(255)).await.expect(201);
    server.patient().book(&wish).key("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~").await.expect(201);
    server.patient().book(&wish).key(",").await.expect(201);
}

#[tokio::test]
async fn a_bad_key_is_refused_on_every_call_that_takes_one() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(2)).await;
    let patient = server.patient();
    let id = patient.book(&Wish::any(&day)).await.expect(201).text_of("id");
    let admin = server.admin();
    for call in [
        patient.confirm(&id),
        patient.cancel(&id),
        patient.delete(&id),
        admin.no_show(&id),
        admin.close_day(&day.doctor, &day.date),
        admin.create_doctor(&doctor_body("Dr. A")),
    ] {
        call.key("two words").await.problem(400, "invalid_request");
    }
    assert_eq!(patient.appointment(&id).await.text_of("status"), "booked");
}

#[tokio::test]
async fn the_same_key_on_another_request_is_refused_at_once() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(2)).await;
    let patient = server.patient();
    let won = patient.book(&Wish::slot(&day, 0)).key("K").await.expect(201);
    patient.book(&Wish::slot(&day, 1)).key("K").await.problem(422, "idempotency_key_reused");
    patient.book(&Wish::any(&day)).key("K").await.problem(422, "idempotency_key_reused");
    patient.hold(&Wish::slot(&day, 0)).key("K").await.problem(422, "idempotency_key_reused");
    patient.cancel(&won.text_of("id")).key("K").await.problem(422, "idempotency_key_reused");
    server.patient().book(&Wish::any(&day)).await.expect(201);
    // Sold out now, and still the key is what is wrong.
    patient.book(&Wish::any(&day)).key("K").await.problem(422, "idempotency_key_reused");
    assert_eq!(patient.appointment(&won.text_of("id")).await.text_of("status"), "booked");
}

#[tokio::test]
async fn the_same_request_in_other_words_is_the_same_request() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(4)).await;
    let patient = server.patient();
    let start = day.starts[1];
    let first = patient.book(&Wish::slot(&day, 1)).key("K").await.expect(201);
    let in_zone = format!("{}+02:00", (start + jiff::SignedDuration::from_hours(2)).strftime("%Y-%m-%dT%H:%M:%S"));
    let body = format!(
        "{{ \"start\": \"{in_zone}\",\n \"patient_id\": \"{}\", \"date\":\"{}\", \"doctor_id\":\"{}\" }}",
        patient.subject,
        day.date,
        day.doctor.to_uppercase(),
    );
    let again = patient.book(&Wish::any(&day)).key("K").raw(body).await.expect(201);
    assert!(again.replayed());
    assert_eq!(again.text(), first.text());

    let holder = server.patient();
    let held = holder.hold(&Wish::any(&day)).key("H").await.expect(201);
    let spelt_out = holder.hold(&Wish::any(&day).ttl(300)).key("H").await.expect(201);
    assert!(spelt_out.replayed());
    assert_eq!(spelt_out.text(), held.text());
    holder.hold(&Wish::any(&day).ttl(301)).key("H").await.problem(422, "idempotency_key_reused");
}

#[tokio::test]
async fn keys_on_confirm_cancel_and_close_repeat_the_first_answer() {
    let mut server = Server::start().await;
    let day = server.publish(&Plan::quarters(2)).await;
    let patient = server.patient();
    let id = patient.hold(&Wish::any(&day)).await.expect(201).text_of("id");
    let confirmed = patient.confirm(&id).key("confirm").await.expect(200);
    let cancelled = patient.cancel_because(&id, "a cold").key("cancel").await.expect(200);
    let admin = server.admin();
    let closed = admin.close_day(&day.doctor, &day.date).key("close").await.expect(200);
    for reply in [&confirmed, &cancelled, &closed] {
        assert!(!reply.replayed());
    }
    let (patient, admin) = (patient.subject, admin.subject);
    for crash in [false, true] {
        if crash {
            server.restart().await;
        }
        let patient = server.patient_as(&patient);
        let again = patient.confirm(&id).key("confirm").await.expect(200);
        assert!(again.replayed());
        assert_eq!(again.json(), confirmed.json(), "a confirm answered before the cancel is repeated after it");
        let again = patient.cancel_because(&id, "a cold").key("cancel").await.expect(200);
        assert!(again.replayed());
        assert_eq!(again.json(), cancelled.json());
        patient.cancel_because(&id, "no cold").key("cancel").await.problem(422, "idempotency_key_reused");
        let admin = server.client(&admin, &blackbox::Claims::of("admin", &admin));
        let again = admin.close_day(&day.doctor, &day.date).key("close").json(&json!({})).await.expect(200);
        assert!(again.replayed(), "no body and {{}} are alike");
        assert_eq!((&again.json()["state"], &again.json()["version"]), (&json!("closed"), &closed.json()["version"]));
    }
}

#[tokio::test]
async fn a_key_on_delete_and_on_creating_a_doctor_repeats_the_first_answer() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(2)).await;
    let patient = server.patient();
    let id = patient.book(&Wish::any(&day)).await.expect(201).text_of("id");
    let first = patient.delete(&id).key("D").await.expect(200);
    let again = patient.delete(&id).key("D").await.expect(200);
    assert_eq!((first.replayed(), again.replayed()), (false, true));
    assert_eq!(first.json(), again.json());

    let admin = server.admin();
    let name = format!("Dr. {}", fresh_id());
    let created = admin.create_doctor(&doctor_body(&name)).key("N").await.expect(201);
    let twins = blackbox::at_once(10, |_| admin.create_doctor(&doctor_body(&name)).key("N").into_future()).await;
    for twin in twins {
        assert!(twin.replayed());
        assert_eq!(twin.expect(201).json(), created.json());
    }
    admin.create_doctor(&doctor_body("Dr. Other")).key("N").await.problem(422, "idempotency_key_reused");
    let others = server.admin().create_doctor(&doctor_body(&name)).key("N").await.expect(201);
    assert_ne!(others.text_of("id"), created.text_of("id"));
}

fn doctor_body(name: &str) -> serde_json::Value {
    json!({
        "name": name, "specialties": ["cardiology"], "time_zone": "Europe/Amsterdam",
        "location": {"name": "North Wing", "city": "Leiden", "lat": 52.16, "lon": 4.49},
    })
}
