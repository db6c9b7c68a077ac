//! What time does to an appointment: what can be changed before, during and after the visit.
//! Must not know: holds that run out (see `expiry`).

use std::time::Duration;

use blackbox::{Plan, Server, Wish, eventually, fresh_id, next_whole_second};
use jiff::SignedDuration;
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(12);

#[tokio::test]
async fn nobody_can_be_absent_before_the_visit_begins() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(2)).await;
    let patient = server.patient();
    let id = patient.book(&Wish::any(&day)).await.expect(201).text_of("id");
    server.doctor(&day.doctor).no_show(&id).await.problem(409, "not_changeable");
    server.admin().no_show(&id).await.problem(409, "not_changeable");
    patient.no_show(&id).await.problem(403, "forbidden");
    server.doctor(&fresh_id()).no_show(&id).await.problem(403, "forbidden");
    server.admin().no_show(&fresh_id()).await.problem(404, "not_found");
    patient.cancel(&id).await.expect(200);
    server.doctor(&day.doctor).no_show(&id).await.problem(409, "not_changeable");
}

#[tokio::test]
async fn a_visit_that_has_begun_is_over_for_the_patient_and_ends_by_itself() {
    let server = Server::start().await;
    let start = next_whole_second(SignedDuration::from_secs(3));
    let mut plan = Plan::grid(start, 1, SignedDuration::from_secs(3), 4);
    plan.slots.push((start + SignedDuration::from_mins(10), start + SignedDuration::from_mins(20), 2));
    let day = server.publish(&plan).await;
    let (comes, stays_away, holds) = (server.patient(), server.patient(), server.patient());
    let visit = comes.book(&Wish::slot(&day, 0)).await.expect(201).text_of("id");
    let absence = stays_away.book(&Wish::slot(&day, 0)).await.expect(201).text_of("id");
    let held = holds.hold(&Wish::slot(&day, 0).ttl(900)).await.expect(201).text_of("id");

    eventually("the first slot begins", PATIENCE, async || {
        let seen = server.anyone().day(&day.doctor, &day.date).await.expect(200);
        (blackbox::instant_of(&seen.field("server_time")) >= start).then_some(())
    })
    .await;
    server.patient().book(&Wish::slot(&day, 0)).await.problem(409, "closed");
    let seen = server.anyone().day(&day.doctor, &day.date).await.expect(200).json();
    assert_eq!((&seen["state"], &seen["slots"][0]["remaining"]), (&json!("open"), &json!(0)), "{seen}");
    let later = server.patient().book(&Wish::any(&day)).await.expect(201).json();
    assert_eq!(blackbox::instant_of(&later["start"]), day.starts[1], "a slot that has begun is not free");
    comes.cancel(&visit).await.problem(409, "not_changeable");
    comes.delete(&visit).await.problem(409, "not_changeable");
    holds.confirm(&held).await.problem(410, "hold_expired");
    let absent = server.doctor(&day.doctor).no_show(&absence).await.expect(200).json();
    assert_eq!(absent["status"], "no_show");
    assert_eq!(server.admin().no_show(&absence).json(&json!({})).await.expect(200).json(), absent);

    eventually("the visit ends", PATIENCE, async || {
        let seen = comes.appointment(&visit).await.expect(200);
        (seen.text_of("status") == "completed").then_some(())
    })
    .await;
    let listed = comes.own_appointments("status=completed").await.expect(200).json();
    assert_eq!(listed["items"][0]["id"], json!(visit), "{listed}");
    comes.cancel(&visit).await.problem(409, "not_changeable");
    assert_eq!(stays_away.appointment(&absence).await.text_of("status"), "no_show");
    stays_away.cancel(&absence).await.problem(409, "not_changeable");
}

#[tokio::test]
async fn a_day_is_closed_once_its_last_slot_has_begun() {
    let server = Server::start().await;
    let start = next_whole_second(SignedDuration::from_secs(2));
    let day = server.publish(&Plan::grid(start, 1, SignedDuration::from_mins(5), 2)).await;
    server.patient().book(&Wish::any(&day)).await.expect(201);
    eventually("the last slot begins", PATIENCE, async || {
        let seen = server.anyone().day(&day.doctor, &day.date).await.expect(200).json();
        let has_begun = blackbox::instant_of(&seen["server_time"]) >= start;
        let (state, remaining) = if has_begun { ("closed", 0) } else { ("open", 1) };
        assert_eq!((&seen["state"], &seen["slots"][0]["remaining"]), (&json!(state), &json!(remaining)), "{seen}");
        has_begun.then_some(())
    })
    .await;
    server.patient().book(&Wish::any(&day)).await.problem(409, "closed");
    server.patient().hold(&Wish::slot(&day, 0)).await.problem(409, "closed");
    let mut server = server;
    server.restart().await;
    server.patient().book(&Wish::any(&day)).await.problem(409, "closed");
}
