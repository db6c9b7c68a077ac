//! Do the lists of appointments show what was asked for, each appointment once, own writes included?
//! Must not know: doctors' lists (see `clinics`).

use std::collections::BTreeSet;

use blackbox::{Client, Day, Plan, Server, Wish, instant_of, text_of};
use jiff::SignedDuration;
use serde_json::{Value, json};

/// One patient with one appointment on each of `count` days, in reverse order of their dates.
async fn booked_days(server: &Server, patient: &Client, count: usize) -> Vec<(Day, String)> {
    let doctor = server.new_doctor().await;
    let mut booked = Vec::new();
    for number in (0..count).rev() {
        let day = server.publish_for(&doctor, &Plan::quarters_of(2, 9).later(number as i64)).await;
        let id = patient.book(&Wish::any(&day)).await.expect(201).text_of("id");
        booked.push((day, id));
    }
    booked.reverse();
    booked
}

fn ids(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["id"].as_str().expect("id")).collect()
}

#[tokio::test]
async fn a_patients_list_is_ordered_by_start_and_comes_in_pages() {
    let mut server = Server::start().await;
    let patient = server.patient();
    let booked = booked_days(&server, &patient, 11).await;
    server.patient().book(&Wish::any(&booked[0].0)).await.expect(201);
    let expected: Vec<&str> = booked.iter().map(|(_, id)| id.as_str()).collect();
    let subject = patient.subject.clone();
    for crash in [false, true] {
        if crash {
            server.restart().await;
        }
        let patient = server.patient_as(&subject);
        for limit in [1, 4, 11, 200] {
            let items = patient.all_items(&format!("/v1/patients/{subject}/appointments?limit={limit}")).await;
            assert_eq!(ids(&items), expected, "limit {limit}");
        }
        let page = patient.own_appointments("limit=4").await.expect(200).json();
        assert_eq!(page["items"].as_array().map(Vec::len), Some(4));
        let first = patient.appointment(expected[0]).await.expect(200).json();
        assert_eq!(page["items"][0], first, "an item is the appointment itself");
    }
}

#[tokio::test]
async fn a_patients_list_is_filtered_by_status_and_time() {
    let server = Server::start().await;
    let patient = server.patient();
    let booked = booked_days(&server, &patient, 4).await;
    patient.cancel(&booked[1].1).await.expect(200);
    let held_day = server.publish(&Plan::quarters(1).later(9)).await;
    let held = patient.hold(&Wish::any(&held_day)).await.expect(201).text_of("id");
    let all: Vec<&str> = booked.iter().map(|(_, id)| id.as_str()).chain([held.as_str()]).collect();
    let start = |number: usize| text_of(booked[number].0.starts[0]);
    let (second, third) = (start(1), start(2));
    let second_later = text_of(booked[1].0.starts[0] + SignedDuration::from_secs(1));
    for (query, expected) in [
        (String::new(), vec![0, 1, 2, 3, 4]),
        ("status=booked".to_owned(), vec![0, 2, 3]),
        ("status=cancelled".to_owned(), vec![1]),
        ("status=held&status=cancelled".to_owned(), vec![1, 4]),
        ("status=expired&status=completed&status=no_show".to_owned(), vec![]),
        (format!("from={second}"), vec![1, 2, 3, 4]),
        (format!("from={second_later}"), vec![2, 3, 4]),
        (format!("to={third}"), vec![0, 1]),
        (format!("from={second}&to={third}"), vec![1]),
        (format!("from={second}&to={second}"), vec![]),
        (format!("from={second}&status=booked&limit=2"), vec![2, 3]),
    ] {
        let expected: Vec<&str> = expected.into_iter().map(|number: usize| all[number]).collect();
        let path = format!("/v1/patients/{}/appointments?{query}", patient.subject);
        assert_eq!(ids(&patient.all_items(&path).await), expected, "{query}");
    }
    patient.confirm(&held).await.expect(200);
    let now_booked = patient.own_appointments("status=booked").await.json();
    assert_eq!(now_booked["items"].as_array().map(Vec::len), Some(4), "own writes");
    let none_held = patient.own_appointments("status=held").await.json();
    assert_eq!(none_held, json!({"items": [], "next_cursor": null}));
}

#[tokio::test]
async fn a_days_list_shows_every_appointment_in_pages() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters_of(5, 5)).await;
    let mut expected = BTreeSet::new();
    for number in 0..20 {
        let reply = server.patient().book(&Wish::slot(&day, number % 5)).await.expect(201);
        expected.insert(reply.text_of("id"));
    }
    let desk = server.doctor(&day.doctor);
    for limit in [3, 20, 200] {
        let path = format!("/v1/doctors/{}/days/{}/appointments?limit={limit}", day.doctor, day.date);
        let items = desk.all_items(&path).await;
        assert_eq!(items.len(), 20, "limit {limit}");
        assert_eq!(ids(&items).into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), expected);
        assert!(items.iter().map(|item| instant_of(&item["start"])).is_sorted(), "by start");
    }
    let empty = server.publish_for(&day.doctor, &Plan::quarters(1).later(1)).await;
    let page = desk.day_appointments(&empty.doctor, &empty.date).await.expect(200).json();
    assert_eq!(page, json!({"items": [], "next_cursor": null}));
    let never = Plan::quarters(1).later(5).date();
    desk.day_appointments(&day.doctor, &never).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_cursor_that_was_tampered_with_is_refused() {
    let server = Server::start().await;
    let patient = server.patient();
    let booked = booked_days(&server, &patient, 3).await;
    let page = patient.own_appointments("limit=1").await.json();
    let cursor = page["next_cursor"].as_str().expect("a further page").to_owned();
    let desk = server.doctor(&booked[0].0.doctor);
    let flipped = format!("{}{}", if cursor.starts_with('A') { "B" } else { "A" }, &cursor[1..]);
    for bad in [flipped, cursor[1..].to_owned(), format!("{cursor}AAAA"), "%00".to_owned(), "-".to_owned()] {
        let query = format!("limit=1&cursor={bad}");
        patient.own_appointments(&query).await.problem(400, "invalid_request");
        let path = format!("/v1/doctors/{}/days/{}/appointments?{query}", desk.subject, booked[0].0.date);
        desk.get(&path).await.problem(400, "invalid_request");
    }
    patient.own_appointments(&format!("limit=1&cursor={cursor}")).await.expect(200);
}

#[tokio::test]
async fn a_list_read_while_bookings_arrive_misses_none_that_was_answered() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters_of(4, 100)).await;
    let desk = server.doctor(&day.doctor);
    let path = format!("/v1/doctors/{}/days/{}/appointments?limit=200", day.doctor, day.date);
    let seen = blackbox::at_once(60, |_| {
        let (patient, desk, path, wish) = (server.patient(), desk.clone(), path.clone(), Wish::any(&day));
        async move {
            let booked = patient.book(&wish).await.expect(201).json();
            let own = patient.own_appointments("limit=2").await.expect(200).json();
            assert_eq!(own["items"], json!([booked]));
            let items = desk.get(&path).await.expect(200).json();
            items["items"].as_array().is_some_and(|items| items.contains(&booked))
        }
    })
    .await;
    assert!(seen.into_iter().all(|listed| listed), "whatever was answered is in the next list");
}
