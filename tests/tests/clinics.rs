//! Are doctors created, changed, read and found as the contract says?
//! Must not know: their days.

use std::collections::BTreeSet;

use blackbox::{Server, fresh_id};
use serde_json::{Value, json};

fn doctor(name: &str, specialty: &str, city: &str) -> Value {
    json!({
        "name": name, "specialties": [specialty], "time_zone": "Europe/Paris",
        "location": {"name": "House", "city": city, "lat": 48.85, "lon": 2.35},
    })
}

#[tokio::test]
async fn a_doctor_is_created_read_and_patched() {
    let mut server = Server::start().await;
    let body = json!({
        "name": "Dr. Ève O'Hara", "specialties": ["dermatology", "allergology"], "time_zone": "America/New_York",
        "location": {"name": "East", "city": "New York", "lat": 40.71, "lon": -74.0},
        "bio": "Twenty years of skin.", "languages": ["en", "fr"], "clinic_id": fresh_id(),
    });
    let created = server.admin().create_doctor(&body).await.expect(201).json();
    let id = created["id"].as_str().expect("id").to_owned();
    for (name, value) in body.as_object().expect("an object") {
        assert_eq!(&created[name], value, "{name}");
    }
    assert_eq!(server.anyone().doctor(&id).await.expect(200).json(), created);

    let patch = json!({"bio": "Retired.", "location": {"name": "West", "city": "Boston", "lat": 42.36, "lon": -71.06}});
    let patched = server.admin().patch_doctor(&id, &patch).await.expect(200).json();
    assert_eq!((&patched["bio"], &patched["location"]), (&patch["bio"], &patch["location"]));
    assert_eq!((&patched["name"], &patched["specialties"]), (&created["name"], &created["specialties"]));
    assert_eq!(server.anyone().doctor(&id).await.expect(200).json(), patched, "own writes");
    server.restart().await;
    assert_eq!(server.anyone().doctor(&id).await.expect(200).json(), patched);
    server.anyone().doctor(&fresh_id()).await.problem(404, "not_found");
    server.admin().patch_doctor(&fresh_id(), &json!({"bio": "x"})).await.problem(404, "not_found");
}

#[tokio::test]
async fn each_wrong_field_of_a_doctor_is_pointed_at() {
    let server = Server::start().await;
    let good = doctor("Dr. Good", "ent", "Lyon");
    let id = server.admin().create_doctor(&good).await.expect(201).text_of("id");
    let cases = [
        ("/name", json!("")),
        ("/name", json!(17)),
        ("/specialties", json!("ent")),
        ("/time_zone", json!("Mars/Olympus")),
        ("/time_zone", json!("")),
        ("/time_zone", json!(2)),
        ("/location/lat", json!(91)),
        ("/location/lon", json!(-181)),
        ("/location/lat", json!("48")),
        ("/location/city", Value::Null),
        ("/location/town", json!("Lyon")),
        ("/clinic_id", json!("north")),
        ("/languages", json!("fr")),
        ("/nmae", json!("Dr. Typo")),
    ];
    for (pointer, value) in cases {
        let mut body = good.clone();
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        body.pointer_mut(parent).expect("a parent")[name] = value.clone();
        let reply = server.admin().create_doctor(&body).await;
        assert_eq!(reply.pointers(), [pointer], "{pointer} = {value}");
        let patch = match parent {
            "" => json!({ name: value }),
            _ => json!({"location": body["location"]}),
        };
        if !value.is_null() {
            assert_eq!(server.admin().patch_doctor(&id, &patch).await.pointers(), [pointer], "patch {patch}");
        }
    }
    for missing in ["name", "specialties", "time_zone", "location"] {
        let mut body = good.clone();
        body.as_object_mut().expect("an object").remove(missing);
        assert_eq!(server.admin().create_doctor(&body).await.pointers(), [format!("/{missing}")]);
    }
    let list = server.anyone().doctors("limit=200").await.expect(200).json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "nothing else was created");
}

#[tokio::test]
async fn doctors_are_found_by_specialty_and_city() {
    let server = Server::start().await;
    let admin = server.admin();
    for (name, specialty, city) in [
        ("Dr. Anna Arend", "cardiology", "Ghent"),
        ("Dr. Bert Blom", "dermatology", "Ghent"),
        ("Dr. Cara Blom", "cardiology", "Bruges"),
    ] {
        admin.create_doctor(&doctor(name, specialty, city)).await.expect(201);
    }
    let mut far = doctor("Dr. Dora Far", "cardiology", "Sydney");
    far["location"] = json!({"name": "South", "city": "Sydney", "lat": -33.87, "lon": 151.21});
    admin.create_doctor(&far).await.expect(201);
    for (query, expected) in [
        ("specialty=cardiology", vec!["Dr. Anna Arend", "Dr. Cara Blom", "Dr. Dora Far"]),
        ("city=Ghent", vec!["Dr. Anna Arend", "Dr. Bert Blom"]),
        ("specialty=cardiology&city=Ghent", vec!["Dr. Anna Arend"]),
        ("specialty=astrology", vec![]),
    ] {
        let page = server.anyone().doctors(query).await.expect(200).json();
        let found: BTreeSet<&str> =
            page["items"].as_array().expect("items").iter().filter_map(|item| item["name"].as_str()).collect();
        assert_eq!(found, expected.into_iter().collect(), "{query}");
    }
    for query in ["speciality=ent", "specialty=ent&specialty=ent", "limit=0", "limit=201", "limit=ten"] {
        server.anyone().doctors(query).await.problem(400, "invalid_request");
    }
}

#[tokio::test]
async fn pages_of_doctors_hold_each_doctor_once() {
    let server = Server::start().await;
    let admin = server.admin();
    let mut made = BTreeSet::new();
    for number in 0..23 {
        let city = if number % 2 == 0 { "Even" } else { "Odd" };
        made.insert(admin.create_doctor(&doctor("Dr. Same", "ent", city)).await.expect(201).text_of("id"));
    }
    for (query, count) in [("limit=5", 23), ("limit=23", 23), ("limit=4&city=Even", 12), ("limit=200", 23)] {
        let items = server.anyone().all_items(&format!("/v1/doctors?{query}")).await;
        let ids: BTreeSet<String> = items.iter().map(|item| item["id"].as_str().expect("id").to_owned()).collect();
        assert_eq!((items.len(), ids.len()), (count, count), "{query}");
        assert!(ids.is_subset(&made));
    }
    let first = server.anyone().doctors("limit=5").await.json();
    let cursor = first["next_cursor"].as_str().expect("a further page").to_owned();
    let tampered = format!("{}{}", if cursor.starts_with('A') { "B" } else { "A" }, &cursor[1..]);
    for bad in [tampered, cursor[1..].to_owned(), format!("{cursor}A")] {
        server.anyone().doctors(&format!("limit=5&cursor={bad}")).await.problem(400, "invalid_request");
    }
}
