//! Does a moved appointment stay itself, stand in exactly one place, and leave its old one free?
//! Must not know: what forbids a move (see `move_rules`), what races it (see `move_races`).

use blackbox::places::{assert_adds_up, live, remaining, server_clock_reaches};
use blackbox::{Client, Day, Plan, Server, Wish, at_once, instant_of, next_whole_second};
use jiff::SignedDuration;
use serde_json::{Value, json};

/// Everything that a move leaves as it is.
const KEPT: [&str; 6] = ["id", "patient_id", "status", "hold_expires_at", "cancellation_reason", "created_at"];

/// Fails unless `after` is `before` with a place in that slot of that day.
#[track_caller]
fn assert_moved(before: &Value, after: &Value, day: &Day, slot: usize) {
    for name in KEPT {
        assert_eq!(after[name], before[name], "{name}: {after}");
    }
    assert_eq!((&after["doctor_id"], &after["date"]), (&json!(day.doctor), &json!(day.date)), "{after}");
    assert_eq!(instant_of(&after["start"]), day.starts[slot], "{after}");
    let length = instant_of(&after["end"]).duration_since(instant_of(&after["start"]));
    assert_eq!(length, day.starts[1].duration_since(day.starts[0]), "{after}");
    assert!(after["version"].as_u64() > before["version"].as_u64(), "the version rises: {before} {after}");
    assert!(instant_of(&after["updated_at"]) >= instant_of(&before["updated_at"]), "{before} {after}");
}

fn id_of(appointment: &Value) -> &str {
    appointment["id"].as_str().expect("id")
}

/// Fails unless everything that can be read shows the appointment as it is, once, on that day and on no other.
async fn assert_stands(server: &Server, patient: &str, appointment: &Value, day: &Day, others: &[&Day]) {
    let patient = server.patient_as(patient);
    assert_eq!(patient.appointment(id_of(appointment)).await.expect(200).json(), *appointment);
    let own = patient.own_appointments("limit=200").await.expect(200).json();
    assert_eq!(own["items"], json!([appointment]), "listed once");
    assert_eq!(assert_adds_up(server, day).await.get(id_of(appointment)), Some(appointment));
    for other in others {
        assert!(
            !assert_adds_up(server, other).await.contains_key(id_of(appointment)),
            "on {} {}",
            other.doctor,
            other.date
        );
        let path = format!("/v1/doctors/{}/days/{}/appointments?limit=200", other.doctor, other.date);
        let listed = server.doctor(&other.doctor).all_items(&path).await;
        assert!(listed.iter().all(|item| item["id"] != appointment["id"]), "in no status: {listed:?}");
    }
}

async fn moved(patient: &Client, appointment: &Value, wish: &Wish) -> Value {
    patient.reschedule(id_of(appointment), wish).await.expect(200).json()
}

#[tokio::test]
async fn within_a_day_to_a_named_slot_to_the_earliest_and_to_the_same() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(4)).await;
    let patient = server.patient();
    let booked = patient.book(&Wish::slot(&day, 1)).await.expect(201).json();
    let later = moved(&patient, &booked, &Wish::date(&day.date).at(day.starts[3])).await;
    assert_moved(&booked, &later, &day, 3);
    assert_stands(&server, &patient.subject, &later, &day, &[]).await;
    for same in [Wish::slot(&day, 3), Wish::date(&day.date).at(day.starts[3]).with("doctor_id", Value::Null)] {
        assert_eq!(moved(&patient, &later, &same).await, later, "to the same place: unchanged");
    }
    let earliest = moved(&patient, &later, &Wish::any(&day)).await;
    assert_moved(&later, &earliest, &day, 0);
    assert_eq!(moved(&patient, &earliest, &Wish::date(&day.date)).await, earliest, "none is earlier");
    let second = server.patient();
    let behind = second.book(&Wish::any(&day)).await.expect(201).json();
    assert_eq!(instant_of(&behind["start"]), day.starts[1], "the place that was left is free");
    assert_eq!(moved(&second, &behind, &Wish::date(&day.date)).await, behind, "only later ones are free");
    server.patient().book(&Wish::slot(&day, 3)).await.expect(201);
    let forward = moved(&second, &behind, &Wish::slot(&day, 2)).await;
    assert_moved(&behind, &forward, &day, 2);
    assert_eq!(remaining(&server, &day).await, [0, 1, 0, 0]);
}

#[tokio::test]
async fn to_another_date_to_another_doctor_back_and_on() {
    let mut server = Server::start().await;
    let first = server.publish(&Plan::quarters(3)).await;
    let next_date = server.publish_for(&first.doctor, &Plan::quarters(3).later(1)).await;
    let tokyo = server.new_doctor_in("Asia/Tokyo").await;
    let colleague = server.publish_for(&tokyo, &Plan::quarters(3)).await;
    let patient = server.patient().subject;
    let booked = server.patient_as(&patient).book(&Wish::slot(&first, 1)).await.expect(201).json();
    let date_only = Wish::date(&next_date.date);
    let mut here = booked.clone();
    let path = [
        (date_only, &next_date, 0, "UTC"),
        (Wish::slot(&colleague, 2), &colleague, 2, "Asia/Tokyo"),
        (Wish::any(&first), &first, 0, "UTC"),
        (Wish::slot(&next_date, 2), &next_date, 2, "UTC"),
        (Wish::slot(&first, 1), &first, 1, "UTC"),
        (Wish::any(&colleague), &colleague, 0, "Asia/Tokyo"),
    ];
    for (number, (wish, day, slot, time_zone)) in path.into_iter().enumerate() {
        let others: Vec<&Day> = [&first, &next_date, &colleague]
            .into_iter()
            .filter(|other| other.starts != day.starts || other.doctor != day.doctor)
            .collect();
        assert_eq!(others.len(), 2);
        let after = moved(&server.patient_as(&patient), &here, &wish).await;
        assert_moved(&here, &after, day, slot);
        assert_eq!(after["time_zone"], time_zone);
        assert_stands(&server, &patient, &after, day, &others).await;
        if number % 2 == 1 {
            server.restart().await;
            assert_stands(&server, &patient, &after, day, &others).await;
        }
        here = after;
    }
    // Whoever left a day may come to it again, and is then there already.
    let patient = server.patient_as(&patient);
    let again = patient.book(&Wish::slot(&first, 1)).await.expect(201).text_of("id");
    let refused = patient.reschedule(id_of(&here), &Wish::slot(&first, 2)).await;
    assert_eq!(refused.problem(409, "already_booked")["appointment_id"], json!(again));
    assert_eq!(patient.appointment(id_of(&here)).await.json(), here);
}

#[tokio::test]
async fn the_old_place_can_be_booked_at_once() {
    const ROUNDS: usize = 30;
    let server = Server::start().await;
    let days = [server.publish(&Plan::quarters(1)).await, server.publish(&Plan::quarters_of(1, ROUNDS as u32)).await];
    for round in 0..ROUNDS {
        let (patient, next) = (server.patient(), server.patient());
        let booked = patient.book(&Wish::slot(&days[0], 0)).await.expect(201).json();
        next.book(&Wish::any(&days[0])).await.problem(409, "sold_out");
        moved(&patient, &booked, &Wish::any(&days[1])).await;
        let won = next.book(&Wish::any(&days[0])).await.expect(201).text_of("id");
        assert_eq!(remaining(&server, &days[1]).await, [(ROUNDS - 1 - round) as u64]);
        next.cancel(&won).await.expect(200);
    }
}

#[tokio::test]
async fn a_move_is_a_step_of_the_history() {
    let server = Server::start().await;
    let days = [server.publish(&Plan::quarters(2)).await, server.publish(&Plan::quarters(2)).await];
    let (patient, admin) = (server.patient(), server.admin());
    let held = patient.hold(&Wish::slot(&days[0], 0)).await.expect(201).json();
    let id = id_of(&held);
    moved(&patient, &held, &Wish::slot(&days[0], 1)).await;
    moved(&patient, &held, &Wish::slot(&days[0], 1)).await;
    patient.confirm(id).await.expect(200);
    let last = moved(&admin, &held, &Wish::slot(&days[1], 1)).await;
    patient.cancel_because(id, "moved to Ghent").await.expect(200);
    let steps = patient.history(id).await.expect(200).json();
    let told: Vec<[&Value; 3]> = steps["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|step| [&step["from"], &step["to"], &step["actor"]])
        .collect();
    let (me, other) = (json!(patient.subject), json!(admin.subject));
    let (none, held, booked, cancelled) = (Value::Null, json!("held"), json!("booked"), json!("cancelled"));
    let expected = [
        [&none, &held, &me],
        [&held, &held, &me],
        [&held, &booked, &me],
        [&booked, &booked, &other],
        [&booked, &cancelled, &me],
    ];
    assert_eq!(told, expected, "{steps}");
    assert_eq!(steps["items"][3]["at"], last["updated_at"]);
    // The doctor it is with reads it; the one it was with does not any more.
    assert_eq!(server.doctor(&days[1].doctor).history(id).await.expect(200).json(), steps);
    server.doctor(&days[0].doctor).history(id).await.problem(403, "forbidden");
    server.doctor(&days[0].doctor).appointment(id).await.problem(403, "forbidden");
}

#[tokio::test]
async fn a_hold_keeps_its_expiry_and_runs_out_where_it_is() {
    const HOLDS: usize = 6;
    let mut server = Server::start().await;
    let first = server.publish(&Plan::quarters_of(2, HOLDS as u32)).await;
    let second = server.publish(&Plan::quarters_of(2, HOLDS as u32)).await;
    let witness = server.publish(&Plan::quarters(2)).await;
    // Who is asked behind a crash must be asked before the holds run out: a start on servers takes seconds.
    for (crash, asked_before, ttl_seconds) in [(false, true, 2), (true, true, 15), (true, false, 2)] {
        let patients: Vec<String> = (0..HOLDS).map(|_| server.patient().subject).collect();
        let held = at_once(HOLDS, |number| {
            let patient = server.patient_as(&patients[number]);
            patient.hold(&Wish::slot(&first, 0).ttl(ttl_seconds)).into_future()
        })
        .await;
        let mut after = Vec::new();
        for (patient, held) in patients.iter().zip(&held) {
            let client = server.patient_as(patient);
            after.push(client.reschedule(&held.text_of("id"), &Wish::slot(&second, 1)).await);
        }
        // A kill comes right behind the last answer.
        if crash {
            server.restart().await;
        }
        for (held, after) in held.iter().zip(&after) {
            assert_moved(&held.json(), &after.clone().expect(200).json(), &second, 1);
        }
        if asked_before {
            server.patient().hold(&Wish::slot(&second, 1)).await.problem(409, "slot_taken");
        }
        let due = held.iter().map(|held| instant_of(&held.field("hold_expires_at"))).max().expect("some");
        server_clock_reaches(&server, &witness, due).await;
        // The first who asks gets the place; each of them is free.
        for (patient, held) in patients.iter().zip(&held) {
            server.patient().hold(&Wish::slot(&second, 1).ttl(900)).await.expect(201);
            let (patient, id) = (server.patient_as(patient), held.text_of("id"));
            patient.confirm(&id).await.problem(410, "hold_expired");
            let seen = patient.appointment(&id).await.expect(200).json();
            assert_eq!((&seen["status"], &seen["doctor_id"]), (&json!("expired"), &json!(second.doctor)));
            patient.reschedule(&id, &Wish::any(&first)).await.problem(409, "not_changeable");
        }
        for id in live(&server, &second).await.keys() {
            server.admin().cancel(id).await.expect(200);
        }
        let all = vec![HOLDS as u64; 2];
        assert_eq!((remaining(&server, &first).await, remaining(&server, &second).await), (all.clone(), all));
    }
}

#[tokio::test]
async fn a_moved_appointment_is_confirmed_and_cancelled_by_its_id() {
    let mut server = Server::start().await;
    let first = server.publish(&Plan::quarters(2)).await;
    let second = server.publish(&Plan::quarters(2).later(1)).await;
    for crash in [false, true] {
        let patient = server.patient().subject;
        let held = server.patient_as(&patient).hold(&Wish::any(&first)).await.expect(201).json();
        let after = moved(&server.patient_as(&patient), &held, &Wish::slot(&second, 1)).await;
        if crash {
            server.restart().await;
        }
        let client = server.patient_as(&patient);
        let confirmed = client.confirm(id_of(&held)).await.expect(200).json();
        assert_eq!((&confirmed["status"], &confirmed["start"]), (&json!("booked"), &after["start"]));
        assert_stands(&server, &patient, &confirmed, &second, &[&first]).await;
        server.doctor(&first.doctor).cancel(id_of(&held)).await.problem(403, "forbidden");
        let cancelled = server.doctor(&second.doctor).cancel(id_of(&held)).await.expect(200).json();
        assert_eq!((&cancelled["status"], &cancelled["date"]), (&json!("cancelled"), &json!(second.date)));
        assert_eq!((remaining(&server, &first).await, remaining(&server, &second).await), (vec![1, 1], vec![1, 1]));
        assert!(live(&server, &second).await.is_empty());
    }
}

#[tokio::test]
async fn whoever_does_not_come_is_reported_where_the_appointment_is() {
    let server = Server::start().await;
    let first = server.publish(&Plan::quarters(2)).await;
    let start = next_whole_second(SignedDuration::from_secs(2));
    let soon = server.publish(&Plan::grid(start, 2, SignedDuration::from_mins(20), 2)).await;
    let (patient, comes) = (server.patient(), server.patient());
    let booked = patient.book(&Wish::any(&first)).await.expect(201).json();
    let other = comes.book(&Wish::any(&soon)).await.expect(201).json();
    let after = moved(&patient, &booked, &Wish::slot(&soon, 0)).await;
    assert_moved(&booked, &after, &soon, 0);
    server.doctor(&soon.doctor).no_show(id_of(&booked)).await.problem(409, "not_changeable");
    server_clock_reaches(&server, &soon, start).await;
    server.doctor(&first.doctor).no_show(id_of(&booked)).await.problem(403, "forbidden");
    let absent = server.doctor(&soon.doctor).no_show(id_of(&booked)).await.expect(200).json();
    assert_eq!(absent["status"], "no_show");
    // A visit that has begun goes nowhere any more.
    for appointment in [&booked, &other] {
        let client = if appointment == &booked { &patient } else { &comes };
        client.reschedule(id_of(appointment), &Wish::slot(&first, 1)).await.problem(409, "not_changeable");
    }
    assert_eq!(remaining(&server, &first).await, [1, 1]);
}

#[tokio::test]
async fn a_patients_own_old_time_is_not_in_the_way() {
    let server = Server::start().await;
    let short = server.publish(&Plan::quarters(3)).await;
    let long = server.publish(&Plan::grid(short.starts[0], 2, SignedDuration::from_mins(45), 1)).await;
    let patient = server.patient();
    let booked = patient.book(&Wish::slot(&short, 1)).await.expect(201).json();
    let over_it = moved(&patient, &booked, &Wish::any(&long)).await;
    assert_moved(&booked, &over_it, &long, 0);
    let back = moved(&patient, &over_it, &Wish::any(&short)).await;
    assert_moved(&over_it, &back, &short, 0);
    // Another appointment of the same patient is.
    let elsewhere = server.publish(&Plan::quarters(2)).await;
    let in_the_way = patient.book(&Wish::slot(&elsewhere, 1)).await.expect(201).text_of("id");
    let refused = patient.reschedule(id_of(&back), &Wish::slot(&long, 0)).await;
    assert_eq!(refused.problem(409, "already_booked")["appointment_id"], json!(in_the_way));
    assert_moved(&back, &moved(&patient, &back, &Wish::any(&long)).await, &long, 1);
    // The time that was left is free at another doctor's.
    patient.cancel(&in_the_way).await.expect(200);
    patient.book(&Wish::slot(&elsewhere, 0)).await.expect(201);
}
