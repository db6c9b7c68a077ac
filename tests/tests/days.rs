//! Is a published day what was put, and does every reader see each of its versions as one?
//! Must not know: which days may not be put (see `day_rules`), releases.

use blackbox::{Plan, Server, Wish, days_ahead, fresh_id, instant, instant_of, keys_of, now};
use jiff::SignedDuration;
use serde_json::{Value, json};

#[tokio::test]
async fn a_put_creates_the_day_and_the_same_put_changes_nothing() {
    let server = Server::start().await;
    let doctor = server.new_doctor().await;
    let mut plan = Plan::quarters(3);
    plan.slots[1].2 = 7;
    let day = plan.day_of(&doctor);
    server.anyone().day(&doctor, &day.date).await.problem(404, "not_found");
    let created = server.admin().put_day(&doctor, &day.date, &plan.body()).await.expect(201).json();
    let fields = ["date", "doctor_id", "release_at", "server_time", "slots", "state", "time_zone", "version"];
    assert_eq!(keys_of(&created), fields);
    assert_eq!((&created["doctor_id"], &created["date"]), (&json!(doctor), &json!(day.date)));
    assert_eq!((&created["time_zone"], &created["state"]), (&json!("UTC"), &json!("open")));
    assert_eq!(created["release_at"], Value::Null, "open at once: no release is to come");
    let away = instant_of(&created["server_time"]).duration_since(now()).abs();
    assert!(away < SignedDuration::from_secs(5), "the server's time is the time: {away:#} away");
    for (slot, (start, end, capacity)) in created["slots"].as_array().expect("slots").iter().zip(&plan.slots) {
        assert_eq!(keys_of(slot), ["capacity", "end", "remaining", "start"]);
        assert_eq!((instant_of(&slot["start"]), instant_of(&slot["end"])), (*start, *end));
        assert_eq!((&slot["capacity"], &slot["remaining"]), (&json!(capacity), &json!(capacity)));
    }

    let mut spelt_out = plan.body();
    spelt_out["slots"].as_array_mut().expect("slots").reverse();
    spelt_out["slots"][0]["capacity"] = json!(1);
    for body in [plan.body(), spelt_out] {
        let again = server.doctor(&doctor).put_day(&doctor, &day.date, &body).await.expect(200).json();
        assert_eq!(without_time(again), without_time(created.clone()), "the same day in other words");
    }
    let read = server.anyone().day(&doctor, &day.date).await.expect(200).json();
    assert_eq!(without_time(read), without_time(created));
}

fn without_time(mut day: Value) -> Value {
    day.as_object_mut().expect("a day").remove("server_time");
    day
}

#[tokio::test]
async fn a_put_replaces_the_whole_day_around_what_is_booked() {
    let server = Server::start().await;
    let plan = Plan::quarters_of(3, 2);
    let day = server.publish(&plan).await;
    let patient = server.patient();
    let id = patient.book(&Wish::slot(&day, 1)).await.expect(201).text_of("id");
    let before = server.anyone().day(&day.doctor, &day.date).await.json();

    let mut amended = plan.clone();
    amended.slots.remove(0);
    amended.slots[0].2 = 1;
    amended.slots.push((instant(days_ahead(3), "15:00"), instant(days_ahead(3), "15:20"), 4));
    let doctor = server.doctor(&day.doctor);
    let after = doctor.put_day(&day.doctor, &day.date, &amended.body()).await.expect(200).json();
    assert_ne!(after["version"], before["version"]);
    let remaining: Vec<&Value> =
        after["slots"].as_array().expect("slots").iter().map(|slot| &slot["remaining"]).collect();
    assert_eq!(json!(remaining), json!([0, 2, 4]));
    server.patient().book(&Wish::slot(&day, 0)).await.problem(404, "not_found");
    server.patient().book(&Wish::slot(&day, 1)).await.problem(409, "slot_taken");
    server.patient().book(&Wish::any(&day).at(instant(days_ahead(3), "15:00"))).await.expect(201);
    assert_eq!(patient.appointment(&id).await.text_of("status"), "booked");
}

#[tokio::test]
async fn a_slot_with_places_taken_cannot_be_removed_shortened_or_made_too_small() {
    let server = Server::start().await;
    let plan = Plan::quarters_of(3, 3);
    let day = server.publish(&plan).await;
    let admin = server.admin();
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(server.patient().book(&Wish::slot(&day, 1)).await.expect(201).text_of("id"));
    }
    let held = server.patient().hold(&Wish::slot(&day, 2)).await.expect(201).text_of("id");
    let change = |edit: &dyn Fn(&mut Plan)| {
        let mut changed = plan.clone();
        edit(&mut changed);
        admin.put_day(&day.doctor, &day.date, &changed.body())
    };
    change(&|plan| plan.slots.retain(|slot| slot.0 != day.starts[1])).await.problem(409, "slot_has_bookings");
    change(&|plan| plan.slots[1].1 -= SignedDuration::from_mins(5)).await.problem(409, "slot_has_bookings");
    change(&|plan| plan.slots[1].0 += SignedDuration::from_mins(5)).await.problem(409, "slot_has_bookings");
    change(&|plan| plan.slots[1].2 = 1).await.problem(409, "slot_has_bookings");
    change(&|plan| plan.slots.truncate(2)).await.problem(409, "slot_has_bookings");
    change(&|plan| plan.slots[1].2 = 2).await.expect(200);
    change(&|plan| plan.slots[0].1 -= SignedDuration::from_mins(5)).await.expect(200);
    for id in ids.iter().chain([&held]) {
        admin.cancel(id).await.expect(200);
    }
    change(&|plan| plan.slots.truncate(1)).await.expect(200);
}

#[tokio::test]
async fn an_unchanged_day_is_not_sent_again() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(2)).await;
    let get = || server.anyone().day(&day.doctor, &day.date);
    let first = get().await.expect(200);
    let tag = first.header("etag").expect("ETag").to_owned();
    assert!(tag.starts_with("W/\"") && tag.ends_with('"') && tag.len() > 4, "a weak tag: {tag}");
    let unchanged = get().header("if-none-match", &tag).await.expect(304);
    assert_eq!((unchanged.header("etag"), unchanged.body.len()), (Some(tag.as_str()), 0));
    get().header("if-none-match", &format!("\"other\", {tag}")).await.expect(304);
    get().header("if-none-match", "*").await.expect(304);
    get().header("if-none-match", "W/\"other\"").await.expect(200);

    let id = server.patient().book(&Wish::any(&day)).await.expect(201).text_of("id");
    let booked = get().header("if-none-match", &tag).await.expect(200);
    let booked_tag = booked.header("etag").expect("ETag").to_owned();
    assert_ne!(booked_tag, tag);
    assert_ne!(booked.json()["version"], first.json()["version"]);
    server.admin().cancel(&id).await.expect(200);
    get().header("if-none-match", &booked_tag).await.expect(200);
}

#[tokio::test]
async fn if_match_protects_against_lost_updates() {
    let server = Server::start().await;
    let plan = Plan::quarters(2);
    let doctor = server.new_doctor().await;
    let day = plan.day_of(&doctor);
    let admin = server.admin();
    let put = |plan: &Plan| admin.put_day(&doctor, &day.date, &plan.body());
    put(&plan).header("if-match", "*").await.problem(412, "precondition_failed");
    put(&plan).header("if-match", "W/\"1\"").await.problem(412, "precondition_failed");
    server.anyone().day(&doctor, &day.date).await.problem(404, "not_found");
    put(&plan).await.expect(201);
    let tag = server.anyone().day(&doctor, &day.date).await.header("etag").expect("ETag").to_owned();

    let mut longer = plan.clone();
    longer.slots.push((instant(days_ahead(3), "16:00"), instant(days_ahead(3), "16:30"), 1));
    let amended = put(&longer).header("if-match", &tag).await.expect(200);
    let new_tag = amended.header("etag").expect("a PUT answers with the new ETag").to_owned();
    assert_ne!(new_tag, tag);
    put(&plan).header("if-match", &tag).await.problem(412, "precondition_failed");
    server.patient().book(&Wish::any(&day)).await.expect(201);
    put(&plan).header("if-match", &new_tag).await.problem(412, "precondition_failed");
    put(&longer).header("if-match", "*").await.expect(200);
    let seen = server.anyone().day(&doctor, &day.date).await.json();
    assert_eq!(seen["slots"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn a_closed_day_sells_nothing_more_and_keeps_what_is_booked() {
    let mut server = Server::start().await;
    let day = server.publish(&Plan::quarters(3)).await;
    let patient = server.patient().subject;
    let booked = server.patient_as(&patient).book(&Wish::any(&day)).await.expect(201).text_of("id");
    let holder = server.patient().subject;
    let held = server.patient_as(&holder).hold(&Wish::any(&day)).await.expect(201).text_of("id");
    let body = json!({"reason": "the doctor is ill"});
    let closed = server.doctor(&day.doctor).close_day(&day.doctor, &day.date).json(&body).await.expect(200).json();
    assert_eq!(closed["state"], "closed");
    for slot in closed["slots"].as_array().expect("slots") {
        assert_eq!(slot["remaining"], 0, "nothing can be booked: {slot}");
    }
    for crash in [false, true] {
        if crash {
            server.restart().await;
        }
        let again = server.admin().close_day(&day.doctor, &day.date).await.expect(200).json();
        assert_eq!(again["version"], closed["version"], "closed again: unchanged");
        server.patient().book(&Wish::any(&day)).await.problem(409, "closed");
        server.patient().hold(&Wish::slot(&day, 2)).await.problem(409, "closed");
        server.patient().book(&Wish::slot(&day, 0)).await.problem(409, "closed");
        assert_eq!(server.patient_as(&patient).appointment(&booked).await.text_of("status"), "booked");
        assert_eq!(server.anyone().day(&day.doctor, &day.date).await.text_of("state"), "closed");
    }
    server.patient_as(&holder).confirm(&held).await.expect(200);
    server.patient_as(&patient).cancel(&booked).await.expect(200);
    server.patient().book(&Wish::any(&day)).await.problem(409, "closed");
}

#[tokio::test]
async fn the_list_of_days_shows_what_is_left_without_slots() {
    let server = Server::start().await;
    let doctor = server.new_doctor().await;
    let plan = Plan::quarters_of(2, 5);
    let first = server.publish_for(&doctor, &plan).await;
    let third = server.publish_for(&doctor, &plan.clone().later(2)).await;
    let last = server.publish_for(&doctor, &plan.clone().later(91)).await;
    server.publish_for(&doctor, &plan.clone().later(92)).await;
    server.patient().book(&Wish::any(&first)).await.expect(201);
    let page = server.anyone().days(&doctor, &first.date, &last.date).await.expect(200).json();
    let items = page["items"].as_array().expect("items");
    let told: Vec<Value> = items.iter().map(|item| json!([item["date"], item["remaining"], item["state"]])).collect();
    let expected = json!([[first.date, 9, "open"], [third.date, 10, "open"], [last.date, 10, "open"]]);
    assert_eq!(json!(told), expected, "92 days, both ends included");
    let fields = ["date", "doctor_id", "release_at", "remaining", "server_time", "state", "time_zone", "version"];
    assert_eq!(keys_of(&items[0]), fields);

    let one = server.anyone().days(&doctor, &third.date, &third.date).await.expect(200).json();
    assert_eq!(one["items"].as_array().map(Vec::len), Some(1));
    let too_far = plan.later(92).date();
    server.anyone().days(&doctor, &first.date, &too_far).await.problem(400, "invalid_request");
    server.anyone().days(&doctor, "2026-02-30", &last.date).await.problem(400, "invalid_request");
    server.anyone().days(&fresh_id(), &first.date, &last.date).await.problem(404, "not_found");
}
