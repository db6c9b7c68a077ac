//! Whole requests, made from a good one of every call: paths, query strings, headers and bodies are changed, and the service
//! answers each as it answers any other: never a defect, always with a problem of the catalogue, and what is refused changes
//! nothing.
//! Must not know: why a request is refused.

use std::panic::{AssertUnwindSafe, resume_unwind};

use actix_http::Request;
use actix_web::Error;
use actix_web::body::to_bytes;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::{Method, StatusCode};
use futures_util::FutureExt;
use serde_json::{Value, json};

use super::world::{Ask, Who, World};
use super::{Dice, Plan, again, shapes};
use crate::api::catalogue::CATALOGUE;

/// A new day after so many cases: the old one is full, or closed.
const CASES_OF_A_DAY: u64 = 300;
/// Headers that a call reads, with a value each.
const HEADERS: [(&str, &str); 10] = [
    ("idempotency-key", "0190a3c4-0000-7000-8000-000000000000"),
    ("if-match", "W/\"1.2.3\", \"1.3.0\""),
    ("if-none-match", "W/\"1.2.3\""),
    ("last-event-id", "4294967297000"),
    ("content-type", "application/json; charset=utf-8"),
    ("accept", "application/json;q=0.5, */*;q=0.1"),
    ("authorization", "Bearer e30.e30.e30"),
    ("x-request-id", "0190a3c4-0000-7000-8000-000000000001"),
    ("content-length", "12"),
    ("expect", "100-continue"),
];

/// An answer, read whole.
struct Answer {
    status: StatusCode,
    kind: String,
    tag: String,
    body: Vec<u8>,
}

async fn call(app: &impl Service<Request, Response = ServiceResponse, Error = Error>, ask: &Ask) -> Option<Answer> {
    let response = app.call(ask.request()?).await.expect("a route answers");
    let header = |name: &str| {
        let value = response.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let (status, kind, tag) = (response.status(), header("content-type"), header("etag"));
    let Ok(body) = to_bytes(response.into_body()).await else { panic!("an answer that breaks off: {ask:?}") };
    let body = body.to_vec();
    Some(Answer { status, kind, tag, body })
}

/// A good request of every call, for the day of `date`; `id` is an appointment of it.
fn good(world: &World, date: &str, id: &str) -> Vec<Ask> {
    let (doctor, patient, clinic) = (world.doctor, world.patient, world.clinic);
    let day = format!("/v1/doctors/{doctor}/days/{date}");
    let start = format!("{date}T08:00:00Z");
    let of = |path: &str| format!("/v1/appointments/{id}{path}");
    let profile = json!({"name": "P", "phone": "+4930123456", "email": "p@example.org", "language": "de",
        "time_zone": "Europe/Berlin", "channels": ["email"]});
    let mut asks = vec![
        world.ask(
            Who::Patient,
            Method::POST,
            "/v1/appointments".into(),
            Some(json!({"doctor_id": doctor, "date": date})),
        ),
        world.ask(
            Who::Admin,
            Method::POST,
            "/v1/appointments".into(),
            Some(json!({"doctor_id": doctor, "date": date,
            "start": start, "patient_id": patient})),
        ),
        world.ask(
            Who::Patient,
            Method::POST,
            "/v1/holds".into(),
            Some(json!({"doctor_id": doctor, "date": date,
            "start": start, "ttl_seconds": 600})),
        ),
        world.ask(Who::Doctor, Method::PUT, day.clone(), Some(world.day_body(date))),
        world.ask(Who::Doctor, Method::POST, format!("{day}/close"), Some(json!({"reason": "ill"}))),
        world.ask(Who::Patient, Method::POST, of("/confirm"), Some(json!({}))),
        world.ask(Who::Patient, Method::POST, of("/reschedule"), Some(json!({"date": date, "start": start}))),
        world.ask(Who::Patient, Method::POST, of("/cancel"), Some(json!({"reason": "better"}))),
        world.ask(Who::Patient, Method::DELETE, of(""), Some(json!({}))),
        world.ask(Who::Doctor, Method::POST, of("/no-show"), None),
        world.ask(Who::Admin, Method::POST, "/v1/doctors".into(), Some(doctor_profile())),
        world.ask(
            Who::Admin,
            Method::PATCH,
            format!("/v1/doctors/{doctor}"),
            Some(json!({"bio": null, "location": {"lat": 1.5}})),
        ),
        world.ask(Who::Patient, Method::PUT, format!("/v1/patients/{patient}"), Some(profile)),
        world.ask(
            Who::Admin,
            Method::PUT,
            format!("/v1/clinics/{clinic}"),
            Some(json!({"name": "C", "time_zone": "UTC"})),
        ),
    ];
    asks.extend(good_reads(world, date, id));
    asks
}

/// The same, of the calls that change nothing.
fn good_reads(world: &World, date: &str, id: &str) -> Vec<Ask> {
    let (doctor, patient, clinic) = (world.doctor, world.patient, world.clinic);
    let day = format!("/v1/doctors/{doctor}/days/{date}");
    let of = |path: &str| format!("/v1/appointments/{id}{path}");
    let mut asks = vec![
        world.ask(Who::Patient, Method::HEAD, format!("{day}/stream"), None),
        world.ask(Who::Patient, Method::GET, "/openapi.json".into(), None),
        world.ask(Who::Admin, Method::GET, "/v1/admin/activity".into(), None),
    ];
    let gets = [
        day.clone(),
        of(""),
        of("/history"),
        format!("/v1/patients/{patient}"),
        format!("/v1/doctors/{doctor}"),
        format!("/v1/clinics/{clinic}"),
    ];
    asks.extend(gets.into_iter().map(|path| world.ask(Who::Patient, Method::GET, path, None)));
    let lists = [
        (format!("/v1/doctors/{doctor}/days"), format!("from={date}&to={date}")),
        (format!("{day}/appointments"), "limit=3&status=booked&status=held".to_owned()),
        (format!("/v1/patients/{patient}/appointments"), format!("from={date}T00:00:00Z&limit=2")),
        ("/v1/doctors".to_owned(), "city=Berlin&specialty=skin&limit=1&cursor=AWQ".to_owned()),
    ];
    asks.extend(
        lists.into_iter().map(|(path, query)| Ask { query, ..world.ask(Who::Doctor, Method::GET, path, None) }),
    );
    asks
}

fn doctor_profile() -> Value {
    json!({"name": "Dr. W", "specialties": ["skin"], "time_zone": "UTC", "languages": ["de"], "bio": "b",
        "location": {"name": "P", "city": "Berlin", "lat": 52.5, "lon": 13.4}})
}

/// `ask` with one to three changes.
fn change(dice: &mut Dice, ask: &mut Ask, good: &[Ask]) {
    for _ in 0..=dice.below(3) {
        match dice.below(10) {
            0 => ask.path = shapes::text(dice, &ask.path),
            1 => ask.query = shapes::text(dice, &ask.query),
            2 => {
                let (name, value) = *dice.one_of(&HEADERS);
                let value = if dice.below(2) == 0 { value.to_owned() } else { shapes::text(dice, value) };
                if dice.below(3) > 0 {
                    ask.headers.retain(|(known, _)| known != name);
                }
                ask.headers.push((name.to_owned(), value));
            }
            3 if !ask.headers.is_empty() => {
                let at = dice.below(ask.headers.len());
                if dice.below(3) == 0 {
                    ask.headers.remove(at);
                } else {
                    ask.headers[at].1 = shapes::text(dice, &ask.headers[at].1);
                }
            }
            4 => {
                ask.method =
                    dice.one_of(&[Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE]).clone()
            }
            5 => ask.body = dice.one_of(good).body.clone(),
            _ => {
                let tree = ask.body.as_ref().and_then(|body| serde_json::from_slice::<Value>(body).ok());
                if let Some(mut tree) = tree {
                    shapes::tree(dice, &mut tree);
                    ask.body = Some(shapes::body(dice, &tree));
                }
            }
        }
    }
}

/// A stream writes into its connection's socket, which a call in this process has not: refused there as a defect.
fn is_stream(ask: &Ask) -> bool {
    let last = ask.path.rsplit('/').next().unwrap_or_default();
    ask.method == Method::GET && ask.path.contains("/days/") && (last == "stream" || last.contains('%'))
}

/// A refusal is a problem of the catalogue, and whatever is JSON can be read.
fn judge(ask: &Ask, answer: &Answer) {
    let (status, words) = (answer.status, String::from_utf8_lossy(&answer.body));
    if is_stream(ask) && status == StatusCode::INTERNAL_SERVER_ERROR {
        return;
    }
    assert!(status.as_u16() < 500, "{status}: {words}");
    if status.as_u16() < 400 || ask.method == Method::HEAD {
        assert!(
            answer.kind != "application/json"
                || answer.body.is_empty()
                || serde_json::from_slice::<Value>(&answer.body).is_ok()
        );
        return;
    }
    assert_eq!(answer.kind, "application/problem+json", "{status}: {words}");
    let problem: Value = serde_json::from_slice(&answer.body).expect("a problem is JSON");
    let entry = CATALOGUE.iter().find(|entry| problem["code"] == entry.name);
    let entry = entry.unwrap_or_else(|| panic!("a code that the catalogue does not know: {words}"));
    assert_eq!((entry.status, problem["type"].as_str()), (status, Some(entry.type_uri)), "{words}");
    assert!(problem["title"].is_string() && problem["detail"].is_string(), "{words}");
}

/// A JSON text without what names one request, or the present.
fn without_names(body: &[u8]) -> String {
    let mut tree: Value = serde_json::from_slice(body).expect("JSON");
    if let Some(fields) = tree.as_object_mut() {
        ["request_id", "server_time"].iter().for_each(|name| drop(fields.remove(*name)));
    }
    tree.to_string()
}

/// What the clinic looks like: everything that a request of these could change, the expiry of holds aside.
async fn picture(
    app: &impl Service<Request, Response = ServiceResponse, Error = Error>,
    world: &World,
    date: &str,
) -> Vec<String> {
    let (doctor, patient, clinic) = (world.doctor, world.patient, world.clinic);
    let mut seen = Vec::new();
    for path in [format!("/v1/doctors/{doctor}"), format!("/v1/patients/{patient}"), format!("/v1/clinics/{clinic}")] {
        let answer = call(app, &world.ask(Who::Patient, Method::GET, path, None)).await.expect("a good request");
        seen.push(without_names(&answer.body));
    }
    let path = format!("/v1/doctors/{doctor}/days/{date}/appointments");
    let ask = Ask {
        query: "limit=200&status=booked&status=cancelled".into(),
        ..world.ask(Who::Admin, Method::GET, path, None)
    };
    seen.push(without_names(&call(app, &ask).await.expect("a good request").body));
    seen
}

/// The days as they come, and what is known of the present one.
struct Clinic {
    number: u64,
    date: String,
    good: Vec<Ask>,
    picture: Vec<String>,
}

async fn next_day(
    app: &impl Service<Request, Response = ServiceResponse, Error = Error>,
    world: &World,
    number: u64,
) -> Clinic {
    let date = world.date(number);
    let path = format!("/v1/doctors/{}/days/{date}", world.doctor);
    let day = world.ask(Who::Admin, Method::PUT, path, Some(world.day_body(&date)));
    let answer = call(app, &day).await.expect("a good request");
    // A case may have published it already.
    assert!(answer.status.as_u16() < 500, "{}", String::from_utf8_lossy(&answer.body));
    let wish = json!({"doctor_id": world.doctor, "date": date});
    let mut ask = world.ask(Who::Patient, Method::POST, "/v1/appointments".into(), Some(wish));
    ask.give_key(&format!("day-{number}"));
    let booked = call(app, &ask).await;
    let booked: Value = serde_json::from_slice(&booked.expect("a good request").body).expect("JSON");
    let id = booked["id"].as_str().unwrap_or("0190a3c4-0000-7000-8000-000000000000");
    Clinic { number, good: good(world, &date, id), picture: picture(app, world, &date).await, date }
}

async fn attempt(
    app: &impl Service<Request, Response = ServiceResponse, Error = Error>,
    world: &World,
    clinic: &mut Clinic,
    ask: &Ask,
) -> Option<StatusCode> {
    let answer = call(app, ask).await?;
    judge(ask, &answer);
    assert!(answer.tag.is_empty() || answer.tag.starts_with("W/\""), "{}", answer.tag);
    if ask.method != Method::GET {
        let seen = picture(app, world, &clinic.date).await;
        let words = String::from_utf8_lossy(&answer.body);
        assert!(answer.status.as_u16() < 400 || seen == clinic.picture, "what was refused changed something: {words}");
        clinic.picture = seen;
    }
    Some(answer.status)
}

#[actix_web::test]
async fn requests() {
    let plan = Plan::from_environment();
    let mut world = World::start().await;
    let app = world.routes().await;
    let mut ask = world.ask(Who::Admin, Method::POST, "/v1/doctors".into(), Some(doctor_profile()));
    ask.give_key("the-doctor");
    let made = call(&app, &ask).await;
    let made: Value = serde_json::from_slice(&made.expect("a good request").body).expect("JSON");
    world.doctor = made["id"].as_str().and_then(|id| id.parse().ok()).expect("a doctor");
    let mut clinic = next_day(&app, &world, 2).await;
    // Nearly all are taken as they are: what is changed is worth changing.
    let mut taken = 0;
    for (number, mut ask) in clinic.good.clone().into_iter().enumerate() {
        ask.give_key(&format!("good-{number}"));
        taken += u32::from(attempt(&app, &world, &mut clinic, &ask).await.is_some_and(|status| status.is_success()));
    }
    assert!(taken >= 15, "{taken} of the good requests are taken");
    let mut counts = std::collections::BTreeMap::<u16, u64>::new();
    for case in plan.cases() {
        if case % CASES_OF_A_DAY == 0 {
            clinic = next_day(&app, &world, clinic.number + 1).await;
        }
        let mut dice = plan.dice(case);
        let mut ask = dice.one_of(&clinic.good).clone();
        ask.give_key(&format!("case-{}-{case}", plan.seed));
        change(&mut dice, &mut ask, &clinic.good);
        match AssertUnwindSafe(attempt(&app, &world, &mut clinic, &ask)).catch_unwind().await {
            Ok(status) => *counts.entry(status.map_or(0, |status| status.as_u16())).or_default() += 1,
            Err(panic) => {
                let body = ask.body.as_deref().map(String::from_utf8_lossy);
                eprintln!("{}\nand keep it: {ask:?}\nbody: {body:?}", again(&plan, "requests::requests", case));
                resume_unwind(panic);
            }
        }
    }
    eprintln!("requests by status (0: no request at all): {counts:?}, seed {}", plan.seed);
    drop(app);
    world.stop().await;
}
