//! Is a request with several faults refused for the first one in the contract's order?
//! Must not know: each refusal by itself (see the other modules).

use blackbox::{Plan, Server, Wish, days_ahead, fresh_id, instant, next_whole_second, text_of};
use jiff::SignedDuration;
use serde_json::json;

#[tokio::test]
async fn no_route_and_no_method_come_before_the_token() {
    let server = Server::start().await;
    let anyone = server.anyone();
    anyone.call("POST", "/v1/appointment").raw("{").await.problem(404, "not_found");
    anyone.call("GET", "/v2/doctors").await.problem(404, "not_found");
    anyone.call("GET", "/").await.problem(404, "not_found");
    let wrong_method = anyone.call("PUT", "/v1/appointments").raw("{").await;
    wrong_method.problem(405, "method_not_allowed");
    assert_eq!(wrong_method.header("allow"), Some("POST"));
}

#[tokio::test]
async fn the_token_comes_before_the_body_and_the_body_before_the_role() {
    let server = Server::start().await;
    let doctor = server.new_doctor().await;
    let date = days_ahead(3).to_string();
    let put = format!("/v1/doctors/{doctor}/days/{date}");
    let book = "/v1/appointments";
    let anyone = server.anyone();
    for (method, path) in [("PUT", put.as_str()), ("POST", book), ("POST", "/v1/doctors")] {
        let broken = anyone.call(method, path).header("content-type", "application/json").raw("{");
        broken.await.problem(401, "unauthenticated");
        anyone.call(method, path).header("content-type", "text/plain").raw("{}").await.problem(401, "unauthenticated");
    }
    let patient = server.patient();
    patient.call("PUT", &put).header("content-type", "application/json").raw("{").await.problem(400, "invalid_request");
    patient.put_day(&doctor, &date, &json!({"slots": []})).await.problem(422, "invalid_field");
    patient.put_day(&doctor, &date, &Plan::quarters(1).body()).await.problem(403, "forbidden");
    let role_is_wrong = server.doctor(&doctor).call("POST", book);
    role_is_wrong.clone().json(&json!({})).key("K").await.problem(422, "invalid_field");
    let wish = Wish::any(&Plan::quarters(1).day_of(&doctor));
    role_is_wrong.clone().json(wish.body()).await.problem(400, "invalid_request");
    role_is_wrong.json(wish.body()).key("K").await.problem(403, "forbidden");
}

#[tokio::test]
async fn the_role_comes_before_what_does_not_exist() {
    let server = Server::start().await;
    let nowhere = Plan::quarters(1).day_of(&fresh_id());
    server.patient().put_day(&nowhere.doctor, &nowhere.date, &Plan::quarters(1).body()).await.problem(403, "forbidden");
    server.patient().close_day(&nowhere.doctor, &nowhere.date).await.problem(403, "forbidden");
    server.patient().book(&Wish::any(&nowhere).patient(&fresh_id())).await.problem(403, "forbidden");
    server.patient().book(&Wish::any(&nowhere)).await.problem(404, "not_found");
    server.patient().appointments_of(&fresh_id(), "").await.problem(403, "forbidden");
    let unpublished = Plan::quarters(1).day_of(&server.new_doctor().await);
    server.patient().book(&Wish::any(&unpublished)).await.problem(404, "not_found");
    server.admin().book(&Wish::any(&unpublished)).await.problem(422, "invalid_field");
}

#[tokio::test]
async fn a_key_known_to_the_day_comes_before_everything_the_day_says() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(2)).await;
    let patient = server.patient();
    let wish = Wish::slot(&day, 0);
    let first = patient.book(&wish).key("K").await.expect(201);
    server.admin().close_day(&day.doctor, &day.date).await.expect(200);
    assert_eq!(patient.book(&wish).key("K").await.expect(201).text(), first.text());
    patient.book(&Wish::slot(&day, 1)).key("K").await.problem(422, "idempotency_key_reused");
    let no_such_slot = Wish::any(&day).at(instant(days_ahead(3), "23:00"));
    patient.book(&no_such_slot).key("K").await.problem(422, "idempotency_key_reused");
    patient.book(&no_such_slot).await.problem(409, "closed");
}

#[tokio::test]
async fn closed_then_not_released_then_no_such_slot_then_taken_then_already_booked() {
    let server = Server::start().await;
    let release = instant(days_ahead(2), "08:00");
    let scheduled = server.publish(&Plan::quarters(1).released_at(release)).await;
    let patient = server.patient();
    let no_such_slot = |day| Wish::any(day).at(instant(days_ahead(3), "23:00"));
    patient.book(&no_such_slot(&scheduled)).await.problem(409, "not_released");
    server.admin().close_day(&scheduled.doctor, &scheduled.date).await.expect(200);
    patient.book(&no_such_slot(&scheduled)).await.problem(409, "closed");

    let day = server.publish(&Plan::quarters_of(2, 1)).await;
    patient.book(&Wish::slot(&day, 0)).await.expect(201);
    patient.book(&no_such_slot(&day)).await.problem(404, "not_found");
    patient.book(&Wish::slot(&day, 0)).await.problem(409, "slot_taken");
    patient.book(&Wish::slot(&day, 1)).await.problem(409, "already_booked");
    patient.book(&Wish::any(&day)).await.problem(409, "already_booked");
    server.patient().book(&Wish::slot(&day, 1)).await.expect(201);
    patient.book(&Wish::slot(&day, 1)).await.problem(409, "slot_taken");
    patient.book(&Wish::any(&day)).await.problem(409, "sold_out");
}

#[tokio::test]
async fn the_appointment_that_stands_in_the_way_is_named_to_its_patient() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(3)).await;
    let elsewhere = server.publish(&Plan::grid(day.starts[0], 1, SignedDuration::from_mins(45), 9)).await;
    let patient = server.patient();
    let id = patient.book(&Wish::slot(&day, 1)).await.expect(201).text_of("id");
    for wish in [Wish::slot(&day, 2), Wish::any(&day), Wish::any(&elsewhere), Wish::slot(&elsewhere, 0)] {
        let problem = patient.book(&wish).await.problem(409, "already_booked");
        assert_eq!(problem["appointment_id"], json!(id));
    }
    patient.cancel(&id).await.expect(200);
    patient.book(&Wish::any(&elsewhere)).await.expect(201);
    let at_its_end = day.starts[0] + SignedDuration::from_mins(45);
    let touching = server.publish(&Plan::grid(at_its_end, 1, SignedDuration::from_mins(5), 1)).await;
    patient.book(&Wish::any(&touching)).await.expect(201);
}

#[tokio::test]
async fn a_patient_who_books_two_overlapping_days_at_once_gets_one() {
    let server = Server::start().await;
    for _ in 0..20 {
        let days = [server.publish(&Plan::quarters(1)).await, server.publish(&Plan::quarters(1)).await];
        let patient = server.patient();
        let replies = blackbox::at_once(2, |number| patient.book(&Wish::any(&days[number])).into_future()).await;
        assert_eq!(blackbox::count_of(&replies, 201), 1, "{} / {}", replies[0].text(), replies[1].text());
        let lost = replies.iter().find(|reply| reply.status != 201).expect("one lost");
        lost.problem(409, "already_booked");
        let won = replies.iter().position(|reply| reply.status == 201).expect("one won");
        server.patient().book(&Wish::any(&days[1 - won])).await.expect(201);
    }
}

#[tokio::test]
async fn a_named_slot_that_has_begun_is_closed_before_it_is_anything_else() {
    let server = Server::start().await;
    let start = next_whole_second(SignedDuration::from_secs(1));
    let mut plan = Plan::grid(start, 1, SignedDuration::from_secs(2), 1);
    plan.slots.push((start + SignedDuration::from_hours(1), start + SignedDuration::from_hours(2), 1));
    let day = server.publish(&plan.released_at(start + SignedDuration::from_mins(30))).await;
    blackbox::wall_clock_reaches(start + SignedDuration::from_millis(50)).await;
    server.patient().book(&Wish::slot(&day, 0)).await.problem(409, "closed");
    let other = Wish::any(&day).with("start", text_of(start + SignedDuration::from_hours(1)));
    server.patient().book(&other).await.problem(409, "not_released");
}
