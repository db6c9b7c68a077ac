//! Does an appointment stand in one place in the end, whatever comes at the same moment as its move?
//! Must not know: the order in which days decide.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use blackbox::places::{assert_adds_up, live, remaining};
use blackbox::{
    Client, Day, Dice, Plan, Reply, Server, Wish, at_once, codes, count_of, eventually, instant_of, wall_clock_reaches,
};
use jiff::SignedDuration;
use serde_json::{Value, json};

const ROUNDS: usize = 100;
const PATIENCE: Duration = Duration::from_secs(10);

/// Days of so many doctors on one date, with `capacity` places in each of four slots.
async fn wards(server: &Server, doctors: usize, capacity: u32) -> Vec<Day> {
    let mut days = Vec::new();
    for _ in 0..doctors {
        days.push(server.publish(&Plan::quarters_of(4, capacity)).await);
    }
    days
}

/// Waits until nothing is kept for a move any more, then fails unless every place of these days adds up.
async fn assert_settled(server: &Server, days: &[Day]) {
    for day in days {
        eventually("places kept for moves are given back", PATIENCE, async || {
            let taken = live(server, day).await.len() as u64;
            (remaining(server, day).await.iter().sum::<u64>() + taken == day.capacity as u64).then_some(())
        })
        .await;
        assert_adds_up(server, day).await;
    }
}

/// Which of the days the appointment stands on by its own word; fails if another day lists it as live too.
async fn home(server: &Server, appointment: &Value, days: &[Day]) -> usize {
    let id = appointment["id"].as_str().expect("id");
    let mut homes = Vec::new();
    for (number, day) in days.iter().enumerate() {
        if let Some(listed) = live(server, day).await.get(id) {
            assert_eq!(listed, appointment);
            homes.push(number);
        }
    }
    assert_eq!(homes.len(), 1, "{appointment} is on {homes:?}");
    assert_eq!(appointment["doctor_id"], json!(days[homes[0]].doctor));
    homes[0]
}

#[tokio::test]
async fn two_moves_of_one_appointment_leave_it_in_one_place() {
    let mut server = Server::start().await;
    let days = wards(&server, 3, 2).await;
    for round in 0..ROUNDS / 2 {
        let patient = server.patient();
        let id = patient.book(&Wish::any(&days[0])).await.expect(201).text_of("id");
        let replies = at_once(2, |number| {
            let wish = if round % 2 == 0 { Wish::slot(&days[1 + number], 1) } else { Wish::any(&days[1 + number]) };
            patient.reschedule(&id, &wish).into_future()
        })
        .await;
        // One waits for the other; both are answered with the place that the appointment had then.
        for (number, reply) in replies.iter().enumerate() {
            let answered = reply.clone().expect(200).json();
            assert_eq!(answered["doctor_id"], json!(days[1 + number].doctor), "round {round}");
        }
        let last = replies.iter().map(Reply::json).max_by_key(|answer| answer["version"].as_u64()).expect("two");
        assert_eq!(patient.appointment(&id).await.expect(200).json(), last, "round {round}");
        home(&server, &last, &days).await;
        patient.cancel(&id).await.expect(200);
    }
    assert_settled(&server, &days).await;
    for day in &days {
        assert_eq!(remaining(&server, day).await, [2; 4]);
    }
    server.assert_audited().await;
}

#[tokio::test]
async fn a_cancel_that_races_a_move_leaves_nothing_behind() {
    let mut server = Server::start().await;
    let days = wards(&server, 2, 2).await;
    let (mut moved_first, mut cancelled_first) = (0, 0);
    for round in 0..ROUNDS {
        let patient = server.patient();
        let id = patient.book(&Wish::any(&days[0])).await.expect(201).text_of("id");
        let cancel = if round % 2 == 0 { patient.cancel(&id) } else { patient.delete(&id) };
        let mut calls = [patient.reschedule(&id, &Wish::any(&days[1])), cancel];
        let cancel_leads = round % 4 < 2;
        if cancel_leads {
            calls.reverse();
        }
        let mut replies = at_once(2, |number| calls[number].clone().into_future()).await;
        if cancel_leads {
            replies.reverse();
        }
        let cancelled = replies[1].clone().expect(200).json();
        assert_eq!(cancelled["status"], "cancelled", "round {round}");
        assert_eq!(patient.appointment(&id).await.expect(200).json(), cancelled, "round {round}");
        if replies[0].status == 200 {
            moved_first += 1;
            assert_eq!(cancelled["doctor_id"], json!(days[1].doctor), "round {round}: where it was moved to");
        } else {
            cancelled_first += 1;
            replies[0].problem(409, "not_changeable");
            assert_eq!(cancelled["doctor_id"], json!(days[0].doctor), "round {round}: where it was");
        }
        // Neither the time nor the day is taken for the patient.
        let again = patient.book(&Wish::any(&days[round % 2])).await.expect(201).text_of("id");
        patient.cancel(&again).await.expect(200);
    }
    eprintln!("moved first {moved_first}, cancelled first {cancelled_first}");
    assert_settled(&server, &days).await;
    for day in &days {
        assert_eq!(remaining(&server, day).await, [2; 4]);
    }
    server.assert_audited().await;
}

#[tokio::test]
async fn a_confirm_that_races_a_move_is_not_lost() {
    let mut server = Server::start().await;
    let days = wards(&server, 2, 100).await;
    for round in 0..ROUNDS {
        let patient = server.patient();
        let id = patient.hold(&Wish::slot(&days[0], round % 4)).await.expect(201).text_of("id");
        let mut calls = [patient.reschedule(&id, &Wish::slot(&days[1], (round + 1) % 4)), patient.confirm(&id)];
        calls.rotate_left(round / 2 % 2);
        let replies = at_once(2, |number| calls[number].clone().into_future()).await;
        for reply in &replies {
            reply.clone().expect(200);
        }
        let after = patient.appointment(&id).await.expect(200).json();
        assert_eq!(after["status"], "booked", "round {round}");
        assert_eq!(home(&server, &after, &days).await, 1, "round {round}");
    }
    assert_settled(&server, &days).await;
    server.assert_audited().await;
}

#[tokio::test]
async fn an_expiry_that_races_a_move_frees_both_places() {
    const HOLDS: usize = 40;
    const HELD_SECONDS: i64 = 3;
    let mut server = Server::start().await;
    let mut dice = Dice::thrown();
    let days = wards(&server, 2, 20).await;
    let patients: Vec<Client> = (0..HOLDS).map(|_| server.patient()).collect();
    let offsets = dice.around_an_instant(HOLDS, SignedDuration::from_secs(HELD_SECONDS));
    let outcomes = at_once(HOLDS, |number| {
        let (patient, days) = (patients[number].clone(), days.clone());
        let offset = offsets[number];
        async move {
            let held = patient.hold(&Wish::slot(&days[0], number % 4).ttl(HELD_SECONDS)).await.expect(201);
            let (id, due) = (held.text_of("id"), instant_of(&held.field("hold_expires_at")));
            wall_clock_reaches(due + offset).await;
            let reply = patient.reschedule(&id, &Wish::any(&days[1])).await;
            (id, due, reply)
        }
    })
    .await;
    let mut moved = 0;
    for (patient, (id, due, reply)) in patients.iter().zip(outcomes) {
        let expired = eventually("the hold runs out", PATIENCE, async || {
            let seen = patient.appointment(&id).await.expect(200).json();
            (seen["status"] == "expired").then_some(seen)
        })
        .await;
        assert_eq!(instant_of(&expired["hold_expires_at"]), due, "{expired}");
        let stands = if reply.status == 200 {
            moved += 1;
            assert!(instant_of(&reply.field("updated_at")) < due, "not moved once it was over: {}", reply.text());
            &days[1]
        } else {
            reply.problem(409, "not_changeable");
            &days[0]
        };
        assert_eq!(expired["doctor_id"], json!(stands.doctor), "{expired}");
        patient.confirm(&id).await.problem(410, "hold_expired");
    }
    eprintln!("moved {moved} of {HOLDS}");
    assert!(moved > 0 && moved < HOLDS, "both sides of the instant were seen: {moved}");
    assert_settled(&server, &days).await;
    for day in &days {
        assert_eq!(remaining(&server, day).await, [20; 4]);
    }
    server.assert_audited().await;
}

/// Reads everything that shows the appointment until told to stop; fails if it is ever not there once. Answers how often.
async fn keep_reading(reader: Client, admin: Client, id: String, days: Vec<Day>, stop: Arc<AtomicBool>) -> usize {
    let mut reads = 0;
    while !stop.load(Ordering::Relaxed) {
        let seen = reader.appointment(&id).await.expect(200).json();
        assert_eq!(seen["status"], "booked", "{seen}");
        let own = reader.own_appointments("status=held&status=booked").await.expect(200).json();
        let items = own["items"].as_array().expect("items");
        assert_eq!(items.len(), 1, "listed once: {own}");
        assert!(
            items[0]["version"].as_u64() >= seen["version"].as_u64(),
            "never older than what was read: {own} {seen}"
        );
        for day in &days {
            let listed = admin.day_appointments(&day.doctor, &day.date).await.expect(200).json();
            for item in listed["items"].as_array().expect("items") {
                assert_eq!(item["doctor_id"], json!(day.doctor), "{listed}");
                assert_eq!(item["date"], json!(day.date), "{listed}");
            }
        }
        reads += 1;
    }
    reads
}

#[tokio::test]
async fn while_it_moves_it_is_listed_once_and_never_gone() {
    let mut server = Server::start().await;
    let mut days = wards(&server, 2, 1).await;
    days.push(server.publish_for(&days[0].doctor, &Plan::quarters(4).later(1)).await);
    let patient = server.patient();
    let id = patient.book(&Wish::any(&days[0])).await.expect(201).text_of("id");
    let stop = Arc::new(AtomicBool::new(false));
    let reading: Vec<_> = (0..3)
        .map(|_| {
            let reading = keep_reading(patient.clone(), server.admin(), id.clone(), days.clone(), Arc::clone(&stop));
            tokio::spawn(reading)
        })
        .collect();
    let mut dice = Dice::thrown();
    for _ in 0..ROUNDS {
        let target = &days[dice.below(days.len())];
        let answered = patient.reschedule(&id, &Wish::slot(target, dice.below(4))).await.expect(200).json();
        assert_eq!(patient.appointment(&id).await.expect(200).json(), answered);
        let own = patient.own_appointments("").await.expect(200).json();
        assert_eq!(own["items"], json!([answered]), "what was answered is visible");
    }
    stop.store(true, Ordering::Relaxed);
    for reading in reading {
        assert!(reading.await.expect("every read was right") > 10);
    }
    assert_settled(&server, &days).await;
    server.assert_audited().await;
}

#[tokio::test]
async fn a_crowd_that_moves_to_few_places_fills_exactly_those() {
    const CROWD: usize = 40;
    let mut server = Server::start().await;
    let from = server.publish(&Plan::quarters_of(4, 10)).await;
    let to = server.publish(&Plan::quarters_of(4, 3)).await;
    let patients: Vec<Client> = (0..CROWD).map(|_| server.patient()).collect();
    let mut ids = Vec::new();
    for patient in &patients {
        ids.push(patient.book(&Wish::any(&from)).await.expect(201).text_of("id"));
    }
    let others: Vec<Client> = (0..CROWD).map(|_| server.patient()).collect();
    let replies = at_once(2 * CROWD, |number| {
        let place = number / 2;
        let call = match number % 2 {
            0 => patients[place].reschedule(&ids[place], &Wish::any(&to)),
            _ => others[place].book(&Wish::any(&to)),
        };
        call.into_future()
    })
    .await;
    let (came, booked) = (count_of(&replies, 200), count_of(&replies, 201));
    assert_eq!(came + booked, to.capacity, "{:?}", codes(&replies));
    assert_eq!(codes(&replies), ["sold_out"]);
    assert_settled(&server, &[from.clone(), to.clone()]).await;
    assert_eq!(live(&server, &from).await.len(), CROWD - came);
    assert_eq!(live(&server, &to).await.len(), to.capacity);
    // Everybody stands where the answer said.
    let there: BTreeSet<String> = live(&server, &to).await.into_keys().collect();
    for (number, id) in ids.iter().enumerate() {
        assert_eq!(there.contains(id), replies[2 * number].status == 200, "{id}");
    }
    server.assert_audited().await;
}

#[tokio::test]
async fn a_move_and_a_booking_at_the_same_hour_elsewhere_never_both_succeed() {
    let mut server = Server::start().await;
    let days = wards(&server, 2, ROUNDS as u32).await;
    let from = server.publish(&Plan::quarters_of(4, ROUNDS as u32).later(1)).await;
    for round in 0..ROUNDS {
        let patient = server.patient();
        let id = patient.book(&Wish::any(&from)).await.expect(201).text_of("id");
        let mut calls = [patient.reschedule(&id, &Wish::slot(&days[0], 1)), patient.book(&Wish::slot(&days[1], 1))];
        calls.rotate_left(round % 2);
        let mut replies = at_once(2, |number| calls[number].clone().into_future()).await;
        replies.rotate_left(round % 2);
        let statuses = (replies[0].status, replies[1].status);
        assert!([(200, 409), (409, 201)].contains(&statuses), "round {round}: {replies:#?}");
        let (lost, won) = if statuses.0 == 409 { (0, 1) } else { (1, 0) };
        let problem = replies[lost].problem(409, "already_booked");
        assert_eq!(problem["appointment_id"], json!(replies[won].text_of("id")), "round {round}");
    }
    let mut all = days;
    all.push(from);
    assert_settled(&server, &all).await;
    server.assert_audited().await;
}
