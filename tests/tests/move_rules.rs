//! Who may move what to where, and which refusal comes first?
//! Must not know: what a move that goes well does (see `moves`).

use std::time::Duration;

use blackbox::places::{assert_adds_up, remaining};
use blackbox::{
    Day, Plan, Server, Wish, days_ahead, eventually, fresh_id, instant, instant_of, next_whole_second, text_of,
};
use jiff::SignedDuration;
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn the_body_is_strict_and_the_method_is_post() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(2)).await;
    let patient = server.patient();
    let id = patient.book(&Wish::slot(&day, 0)).await.expect(201).text_of("id");
    let path = format!("/v1/appointments/{id}/reschedule");
    let wrong = patient.call("GET", &path).await;
    wrong.problem(405, "method_not_allowed");
    assert_eq!(wrong.header("allow"), Some("POST"));
    let good = Wish::slot(&day, 1);
    server.anyone().call("POST", &path).json(good.body()).await.problem(401, "unauthenticated");
    patient.call("POST", &path).await.problem(400, "invalid_request");
    patient
        .call("POST", &path)
        .header("content-type", "application/json")
        .raw("{")
        .await
        .problem(400, "invalid_request");
    patient.call("POST", &path).raw("{}").await.problem(415, "unsupported_media_type");
    patient.call("POST", &format!("{path}?start=1")).json(good.body()).await.problem(400, "invalid_request");
    patient.reschedule(&id, &good).key("two words").await.problem(400, "invalid_request");
    patient.reschedule("7", &good).await.problem(400, "invalid_request");
    for (body, pointer) in [
        (json!({}), "/date"),
        (json!({"date": "soon"}), "/date"),
        (json!({"date": day.date, "start": "08:00"}), "/start"),
        (json!({"date": day.date, "start": text_of(day.starts[1] + SignedDuration::from_millis(500))}), "/start"),
        (json!({"date": day.date, "doctor_id": "7"}), "/doctor_id"),
        (json!({"date": day.date, "patient_id": patient.subject}), "/patient_id"),
        (json!({"date": day.date, "ttl_seconds": 5}), "/ttl_seconds"),
    ] {
        let reply = patient.call("POST", &path).json(&body).await;
        assert_eq!(reply.pointers(), [pointer], "{body}");
    }
    assert_eq!(remaining(&server, &day).await, [0, 1]);
    patient.reschedule(&id, &good).await.expect(200);
}

#[tokio::test]
async fn its_patient_and_admins_move_it_and_nobody_else() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(3)).await;
    let patient = server.patient();
    let booked = patient.book(&Wish::slot(&day, 0)).await.expect(201).json();
    let id = booked["id"].as_str().expect("id");
    let unknown = Wish::any(&Plan::quarters(1).day_of(&fresh_id()));
    for stranger in [server.patient(), server.doctor(&day.doctor), server.doctor(&fresh_id())] {
        for wish in [Wish::slot(&day, 1), unknown.clone()] {
            stranger.reschedule(id, &wish).await.problem(403, "forbidden");
        }
        stranger.reschedule(id, &Wish::any(&day).with("date", "soon")).await.problem(422, "invalid_field");
        stranger.reschedule(&fresh_id(), &Wish::slot(&day, 1)).await.problem(404, "not_found");
    }
    assert_eq!(patient.appointment(id).await.json(), booked);
    server.admin().reschedule(id, &Wish::slot(&day, 1)).await.expect(200);
    patient.reschedule(id, &Wish::slot(&day, 2)).await.expect(200);
}

/// Days that refuse, each for one reason more than the one before it.
struct Wards {
    closed: Day,
    unreleased: Day,
    full: Day,
    free: Day,
}

async fn wards(server: &Server) -> Wards {
    let release = instant(days_ahead(2), "08:00");
    let wards = Wards {
        closed: server.publish(&Plan::quarters(2).released_at(release)).await,
        unreleased: server.publish(&Plan::quarters(2).released_at(release)).await,
        full: server.publish(&Plan::quarters(2)).await,
        free: server.publish(&Plan::quarters(2)).await,
    };
    server.admin().close_day(&wards.closed.doctor, &wards.closed.date).await.expect(200);
    for slot in 0..2 {
        server.patient().book(&Wish::slot(&wards.full, slot)).await.expect(201);
    }
    wards
}

#[tokio::test]
async fn refusals_come_in_the_order_of_the_contract_and_change_nothing() {
    let server = Server::start().await;
    let wards = wards(&server).await;
    let home = server.publish(&Plan::quarters(2)).await;
    let afternoon = Plan::grid(instant(days_ahead(3), "15:00"), 2, SignedDuration::from_mins(15), 1);
    let afternoon = server.publish(&afternoon).await;
    let patient = server.patient();
    let booked = patient.book(&Wish::slot(&afternoon, 0)).await.expect(201).json();
    let id = booked["id"].as_str().expect("id");
    let in_the_way = patient.book(&Wish::slot(&home, 0)).await.expect(201).text_of("id");

    let nobody = Plan::quarters(2).day_of(&fresh_id());
    let no_day = Plan::quarters(2).later(20).day_of(&home.doctor);
    for day in [&nobody, &no_day] {
        patient.reschedule(id, &Wish::slot(day, 0)).await.problem(404, "not_found");
    }
    patient.reschedule(id, &Wish::date(&no_day.date)).await.problem(404, "not_found");
    let nowhere = wards.free.starts[0] + SignedDuration::from_secs(1);
    for wish in [Wish::any(&wards.closed), Wish::slot(&wards.closed, 0), Wish::any(&wards.closed).at(nowhere)] {
        patient.reschedule(id, &wish).await.problem(409, "closed");
    }
    for wish in
        [Wish::any(&wards.unreleased), Wish::slot(&wards.unreleased, 0), Wish::any(&wards.unreleased).at(nowhere)]
    {
        let reply = patient.reschedule(id, &wish).await;
        let problem = reply.problem(409, "not_released");
        assert_eq!(instant_of(&problem["release_at"]), instant(days_ahead(2), "08:00"));
        assert!(reply.header("retry-after").is_some_and(|seconds| seconds.parse::<u64>().is_ok()));
    }
    patient.reschedule(id, &Wish::any(&wards.full).at(nowhere)).await.problem(404, "not_found");
    // The first slot is full, and the patient is elsewhere then: full comes first.
    patient.reschedule(id, &Wish::slot(&wards.full, 0)).await.problem(409, "slot_taken");
    patient.reschedule(id, &Wish::any(&wards.full)).await.problem(409, "sold_out");
    let problem = patient.reschedule(id, &Wish::slot(&wards.free, 0)).await.problem(409, "already_booked");
    assert_eq!(problem["appointment_id"], json!(in_the_way));
    let problem = patient.reschedule(id, &Wish::slot(&home, 1)).await.problem(409, "already_booked");
    assert_eq!(problem["appointment_id"], json!(in_the_way), "two on one day");

    assert_eq!(patient.appointment(id).await.json(), booked);
    let steps = patient.history(id).await.json();
    assert_eq!(steps["items"].as_array().map(Vec::len), Some(1), "{steps}");
    assert_eq!(remaining(&server, &wards.free).await, [1, 1]);
    assert_eq!(remaining(&server, &wards.full).await, [0, 0]);
    for day in [&home, &afternoon, &wards.free, &wards.full] {
        assert_adds_up(&server, day).await;
    }
    // Without a start the second slot suits.
    let suits = patient.reschedule(id, &Wish::any(&wards.free)).await.expect(200).json();
    assert_eq!(instant_of(&suits["start"]), wards.free.starts[1]);
}

#[tokio::test]
async fn an_appointment_that_is_over_is_not_moved_wherever_to() {
    let server = Server::start().await;
    let wards = wards(&server).await;
    let day = server.publish(&Plan::quarters(3)).await;
    let (patient, holder) = (server.patient(), server.patient());
    let cancelled = patient.book(&Wish::slot(&day, 0)).await.expect(201).text_of("id");
    patient.cancel(&cancelled).await.expect(200);
    let held = holder.hold(&Wish::slot(&day, 1).ttl(1)).await.expect(201);
    let (expired, due) = (held.text_of("id"), instant_of(&held.field("hold_expires_at")));
    eventually("the hold runs out", PATIENCE, async || {
        let seen = server.anyone().day(&wards.free.doctor, &wards.free.date).await.expect(200).json();
        (instant_of(&seen["server_time"]) >= due).then_some(())
    })
    .await;
    for (client, id) in [(&patient, &cancelled), (&holder, &expired)] {
        let nobody = Plan::quarters(2).day_of(&fresh_id());
        client.reschedule(id, &Wish::any(&nobody)).await.problem(404, "not_found");
        for target in [&wards.closed, &wards.unreleased, &wards.full, &wards.free, &day] {
            client.reschedule(id, &Wish::any(target)).await.problem(409, "not_changeable");
            client.reschedule(id, &Wish::slot(target, 1)).await.problem(409, "not_changeable");
        }
    }
    assert_eq!(remaining(&server, &day).await, [1, 1, 1]);
    assert_eq!(remaining(&server, &wards.free).await, [1, 1]);
}

#[tokio::test]
async fn a_slot_that_has_begun_takes_nobody_in() {
    let server = Server::start().await;
    let home = server.publish(&Plan::quarters(2)).await;
    let start = next_whole_second(SignedDuration::from_secs(2));
    let mut plan = Plan::grid(start, 1, SignedDuration::from_mins(5), 2);
    plan.slots.push((start + SignedDuration::from_mins(10), start + SignedDuration::from_mins(15), 2));
    let soon = server.publish(&plan).await;
    let patient = server.patient();
    let id = patient.book(&Wish::any(&home)).await.expect(201).text_of("id");
    eventually("the slot begins", PATIENCE, async || {
        let seen = server.anyone().day(&soon.doctor, &soon.date).await.expect(200).json();
        (instant_of(&seen["server_time"]) >= start).then_some(())
    })
    .await;
    patient.reschedule(&id, &Wish::slot(&soon, 0)).await.problem(409, "closed");
    let after = patient.reschedule(&id, &Wish::any(&soon)).await.expect(200).json();
    assert_eq!(instant_of(&after["start"]), soon.starts[1]);
    patient.reschedule(&id, &Wish::slot(&soon, 0)).await.problem(409, "closed");
    assert_eq!(remaining(&server, &home).await, [1, 1]);
}

#[tokio::test]
async fn a_move_obeys_releases_and_their_audiences() {
    let server = Server::start().await;
    let (home, later) = (server.publish(&Plan::quarters(4)).await, instant(days_ahead(2), "08:00"));
    let early = text_of(instant(days_ahead(-1), "08:00"));
    let releases = json!([{"at": early, "places": 1, "audience": "members"}, {"at": text_of(later)}]);
    let day = server.publish(&Plan::quarters(2).with("releases", releases)).await;
    let (anyone, member) = (server.patient(), server.patient_of(&["members"]));
    let stays = anyone.book(&Wish::any(&home)).await.expect(201).text_of("id");
    let goes = member.book(&Wish::any(&home)).await.expect(201).text_of("id");
    let problem = anyone.reschedule(&stays, &Wish::any(&day)).await.problem(409, "not_released");
    assert_eq!(instant_of(&problem["release_at"]), later);
    member.reschedule(&goes, &Wish::slot(&day, 1)).await.problem(409, "not_released");
    let after = member.reschedule(&goes, &Wish::any(&day)).await.expect(200).json();
    assert_eq!(instant_of(&after["start"]), day.starts[0]);
    // Within the day too.
    member.reschedule(&goes, &Wish::slot(&day, 1)).await.problem(409, "not_released");
    assert_eq!(anyone.appointment(&stays).await.text_of("doctor_id"), home.doctor);
}

#[tokio::test]
async fn two_who_want_to_swap_two_full_places_both_hear_that_they_are_taken() {
    let server = Server::start().await;
    for doctors in [1, 2] {
        let first = server.publish(&Plan::quarters(2)).await;
        let second = if doctors == 1 { first.clone() } else { server.publish(&Plan::quarters(2)).await };
        let places = [(&first, 0), (&second, 1)];
        let patients = [server.patient(), server.patient()];
        let mut ids = Vec::new();
        for (patient, (day, slot)) in patients.iter().zip(places) {
            ids.push(patient.book(&Wish::slot(day, slot)).await.expect(201).text_of("id"));
        }
        for _ in 0..10 {
            let replies = blackbox::at_once(2, |number| {
                let (day, slot) = places[1 - number];
                patients[number].reschedule(&ids[number], &Wish::slot(day, slot)).into_future()
            })
            .await;
            for reply in &replies {
                reply.problem(409, "slot_taken");
            }
        }
        for day in [&first, &second] {
            assert_adds_up(&server, day).await;
        }
    }
}
