//! What a PUT of a day may change while places of it are held, booked, left and moved to?
//! Must not know: the other rules of a day (see `days`, `day_rules`).

use std::time::Duration;

use blackbox::places::{assert_adds_up, live, remaining};
use blackbox::{Day, Plan, Reply, Server, Wish, at_once, codes, count_of, eventually, instant_of};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(10);

async fn put(server: &Server, day: &Day, plan: &Plan) -> Reply {
    server.admin().put_day(&day.doctor, &day.date, &plan.body()).await
}

/// The plan with one slot changed.
fn with_slot(plan: &Plan, slot: usize, change: impl FnOnce(&mut (Timestamp, Timestamp, u32))) -> Plan {
    let mut plan = plan.clone();
    change(&mut plan.slots[slot]);
    plan
}

/// The plan without one slot.
fn without_slot(plan: &Plan, slot: usize) -> Plan {
    let mut plan = plan.clone();
    plan.slots.remove(slot);
    plan
}

#[tokio::test]
async fn a_running_hold_keeps_its_slot_as_it_is_and_one_that_ran_out_does_not() {
    let mut server = Server::start().await;
    let plan = Plan::quarters_of(2, 3);
    let day = server.publish(&plan).await;
    let witness = server.publish(&plan).await;
    let (patient, second) = (server.patient(), server.patient());
    let held = patient.hold(&Wish::slot(&day, 1).ttl(2)).await.expect(201);
    second.hold(&Wish::slot(&day, 0)).await.expect(201);
    let minutes = SignedDuration::from_mins(5);
    for amended in [
        without_slot(&plan, 1),
        with_slot(&plan, 1, |slot| slot.1 -= minutes),
        with_slot(&plan, 1, |slot| slot.1 += minutes),
        with_slot(&plan, 1, |slot| slot.0 += minutes),
    ] {
        put(&server, &day, &amended).await.problem(409, "slot_has_bookings");
    }
    // Down to the places that are taken, and up again.
    put(&server, &day, &with_slot(&plan, 1, |slot| slot.2 = 1)).await.expect(200);
    assert_eq!(remaining(&server, &day).await, [2, 0]);
    put(&server, &day, &with_slot(&plan, 1, |slot| slot.2 = 5)).await.expect(200);
    assert_eq!(remaining(&server, &day).await, [2, 4]);
    assert_eq!(patient.appointment(&held.text_of("id")).await.expect(200).json(), held.json());

    let due = instant_of(&held.field("hold_expires_at"));
    eventually("the hold runs out", PATIENCE, async || {
        let seen = server.anyone().day(&witness.doctor, &witness.date).await.expect(200).json();
        (instant_of(&seen["server_time"]) >= due).then_some(())
    })
    .await;
    let amended = put(&server, &day, &without_slot(&plan, 1)).await.expect(200).json();
    assert_eq!(amended["slots"].as_array().map(Vec::len), Some(1), "{amended}");
    assert_eq!(patient.appointment(&held.text_of("id")).await.text_of("status"), "expired");
    patient.confirm(&held.text_of("id")).await.problem(410, "hold_expired");
    put(&server, &day, &without_slot(&plan, 0)).await.problem(409, "slot_has_bookings");
    server.assert_audited().await;
}

#[tokio::test]
async fn a_move_takes_the_protection_of_its_slot_along() {
    let mut server = Server::start().await;
    let plan = Plan::quarters(2);
    let (from, to) = (server.publish(&plan).await, server.publish(&plan).await);
    let patient = server.patient().subject;
    let id = server.patient_as(&patient).book(&Wish::slot(&from, 0)).await.expect(201).text_of("id");
    put(&server, &from, &without_slot(&plan, 0)).await.problem(409, "slot_has_bookings");
    server.patient_as(&patient).reschedule(&id, &Wish::slot(&to, 1)).await.expect(200);
    for crash in [false, true] {
        if crash {
            server.restart().await;
        }
        put(&server, &to, &without_slot(&plan, 1)).await.problem(409, "slot_has_bookings");
        put(&server, &from, &without_slot(&plan, usize::from(crash))).await.expect(200);
        put(&server, &from, &plan).await.expect(200);
    }
    let seen = server.patient_as(&patient).appointment(&id).await.expect(200).json();
    assert_eq!(instant_of(&seen["start"]), to.starts[1]);
    // A day that is amended takes an appointment back, in a slot that it did not have before.
    let mut longer = plan.clone();
    let start = from.starts[1] + SignedDuration::from_mins(60);
    longer.slots.push((start, start + SignedDuration::from_mins(15), 1));
    put(&server, &from, &longer).await.expect(200);
    let client = server.patient_as(&patient);
    client.reschedule(&id, &Wish::any(&from).at(start)).await.expect(200);
    put(&server, &from, &plan).await.problem(409, "slot_has_bookings");
    put(&server, &to, &without_slot(&plan, 1)).await.expect(200);
    server.assert_audited().await;
}

#[tokio::test]
async fn amending_while_places_come_and_go_never_pulls_one_away() {
    const PATIENTS: usize = 24;
    let mut server = Server::start().await;
    let wide = Plan::quarters_of(4, 3);
    let elsewhere = server.publish(&wide.clone().later(1)).await;
    let day = server.publish(&wide).await;
    let narrow = {
        let mut plan = wide.clone();
        plan.slots.truncate(2);
        plan.slots[0].2 = 1;
        plan
    };
    for round in 0..12 {
        let replies = at_once(PATIENTS + 2, |number| {
            let (patient, admin) = (server.patient(), server.admin());
            let (day, elsewhere) = (day.clone(), elsewhere.clone());
            let plan = if number % 2 == 0 { narrow.clone() } else { wide.clone() };
            async move {
                if number >= PATIENTS {
                    return vec![admin.put_day(&day.doctor, &day.date, &plan.body()).await];
                }
                let first = if number % 3 == 0 { &elsewhere } else { &day };
                let taken = patient.hold(&Wish::slot(first, number % 4)).await;
                if taken.status != 201 || number % 4 == 0 {
                    return vec![taken];
                }
                let id = taken.text_of("id");
                let other = if number % 3 == 0 { &day } else { &elsewhere };
                let moved = patient.reschedule(&id, &Wish::any(other)).await;
                vec![taken, moved, patient.cancel(&id).await]
            }
        })
        .await;
        let replies: Vec<Reply> = replies.into_iter().flatten().collect();
        let told = codes(&replies);
        let expected = ["not_found", "slot_has_bookings", "slot_taken", "sold_out"];
        assert!(told.iter().all(|code| expected.contains(&code.as_str())), "{told:?}");
        assert!(count_of(&replies, 201) > 0);

        let seen = server.anyone().day(&day.doctor, &day.date).await.expect(200).json();
        let slots = seen["slots"].as_array().expect("slots");
        let live = live(&server, &day).await;
        for slot in slots {
            let taken = live.values().filter(|item| item["start"] == slot["start"]).count() as u64;
            assert_eq!(
                slot["remaining"].as_u64().map(|left| left + taken),
                slot["capacity"].as_u64(),
                "round {round}: {seen}"
            );
        }
        for item in live.values() {
            let slot = slots.iter().find(|slot| slot["start"] == item["start"]).unwrap_or(&Value::Null);
            assert_eq!(slot["end"], item["end"], "round {round}: its slot is there: {item}");
        }
        assert_adds_up(&server, &elsewhere).await;
        for id in live.keys().chain(blackbox::places::live(&server, &elsewhere).await.keys()) {
            server.admin().cancel(id).await.expect(200);
        }
        put(&server, &day, &wide).await.expect(200);
        assert_eq!((remaining(&server, &day).await, json!(day.date)), (vec![3; 4], seen["date"].clone()));
    }
    server.assert_audited().await;
}
