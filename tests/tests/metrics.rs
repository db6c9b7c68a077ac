//! Are all metrics of the catalogue there, named and labelled as declared, and do they count what happened?
//! Must not know: how they are recorded. (It reads the catalogue as text, as an operator would.)

use std::collections::BTreeMap;

use blackbox::{Client, Plan, Server, Wish, at_once, program};

/// Labels that would grow with the number of people or days.
const FORBIDDEN_LABELS: [&str; 10] =
    ["doctor", "doctor_id", "day", "date", "patient", "patient_id", "appointment", "subject", "path", "key"];

/// The names that the catalogue declares.
fn catalogue() -> Vec<String> {
    let path = program::repository().join("engine/src/telemetry/catalogue.rs");
    let text = std::fs::read_to_string(path).expect("the catalogue");
    let mut names: Vec<String> = text.split('"').filter(|part| is_metric_name(part)).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    assert!(names.len() > 20, "the catalogue was read: {names:?}");
    names
}

fn is_metric_name(text: &str) -> bool {
    text.strip_prefix("hotslot_").is_some_and(|rest| {
        !rest.is_empty()
            && rest.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
    })
}

/// All samples: name with labels, as printed, to value.
async fn scrape(reader: &Client) -> BTreeMap<String, f64> {
    let reply = reader.get("/metrics").await.expect(200);
    assert!(reply.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")), "{:?}", reply.headers);
    let text = reply.text();
    let samples = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    samples
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("a sample: {line}"));
            (series.to_owned(), value.parse().unwrap_or_else(|error| panic!("{line}: {error}")))
        })
        .collect()
}

fn name_of(series: &str) -> &str {
    series.split('{').next().unwrap_or(series)
}

#[tokio::test]
async fn every_metric_of_the_catalogue_is_exported_from_the_start() {
    let server = Server::start().await;
    let text = server.anyone().get("/metrics").await.expect(200).text();
    let samples = scrape(&server.anyone()).await;
    for name in catalogue() {
        let exported = samples.keys().any(|series| {
            let series = name_of(series);
            series == name || ["_bucket", "_sum", "_count"].iter().any(|suffix| series == format!("{name}{suffix}"))
        });
        assert!(exported, "{name} is declared but not exported");
        assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help");
        assert!(text.contains(&format!("# TYPE {name} ")), "{name} has no type");
    }
}

#[tokio::test]
async fn everything_exported_is_declared_and_no_label_grows_with_people() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(2)).await;
    let patient = server.patient();
    let id = patient.book(&Wish::any(&day)).await.expect(201).text_of("id");
    patient.cancel(&id).await.expect(200);
    let declared = catalogue();
    for series in scrape(&server.anyone()).await.keys() {
        let name = name_of(series);
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
        if name.starts_with("hotslot_") {
            let known = declared.iter().any(|declared| declared == name || declared == base);
            assert!(known, "{name} is exported but not declared");
        }
        for label in FORBIDDEN_LABELS {
            let first = series.contains(&format!("{{{label}=\""));
            assert!(!first && !series.contains(&format!(",{label}=\"")), "{series} has label {label}");
        }
        for personal in [&day.doctor, &patient.subject, &id] {
            assert!(!series.contains(personal.as_str()), "{series} names somebody");
        }
    }
}

#[tokio::test]
async fn the_counters_count_what_was_answered() {
    let server = Server::start().await;
    let outcome = |outcome: &str| format!("hotslot_bookings_total{{outcome=\"{outcome}\"}}");
    let before = scrape(&server.anyone()).await;
    for name in ["won", "replayed", "sold_out", "slot_taken", "already_booked"] {
        assert_eq!(before.get(&outcome(name)), Some(&0.0), "{name} is exported as 0 in advance");
    }
    let day = server.publish(&Plan::quarters(2)).await;
    let patient = server.patient();
    patient.book(&Wish::any(&day)).key("K").await.expect(201);
    patient.book(&Wish::any(&day)).key("K").await.expect(201);
    patient.book(&Wish::any(&day)).await.problem(409, "already_booked");
    server.patient().hold(&Wish::any(&day)).await.expect(201);
    server.patient().book(&Wish::slot(&day, 0)).await.problem(409, "slot_taken");
    for _ in 0..5 {
        server.patient().book(&Wish::any(&day)).await.problem(409, "sold_out");
    }
    let after = scrape(&server.anyone()).await;
    for (name, count) in
        [("won", 2.0), ("replayed", 1.0), ("already_booked", 1.0), ("slot_taken", 1.0), ("sold_out", 5.0)]
    {
        assert_eq!(after.get(&outcome(name)), Some(&count), "{name}");
    }
    assert_eq!(after.get("hotslot_conservation_violations_total"), Some(&0.0));
}

#[tokio::test]
async fn with_a_listener_of_their_own_the_metrics_are_only_there() {
    let server = Server::start_with(&["--metrics-listen", "127.0.0.1:0"]).await;
    server.anyone().get("/metrics").await.problem(404, "not_found");
    server.anyone().get("/healthz/live").await.expect(200);
}

fn doctor_body() -> serde_json::Value {
    serde_json::json!({
        "name": "Dr. Vera Lind", "specialties": ["dermatology"], "time_zone": "UTC",
        "location": {"name": "Clinic at the Park", "city": "Utrecht", "lat": 52.09, "lon": 5.12},
    })
}

/// Doctors times days: what a large group of practices has in a season.
const DOCTORS: usize = 200;
const DAYS_OF_EACH: usize = 50;

#[tokio::test]
async fn ten_thousand_doctor_days_bring_no_new_series() {
    let server = Server::start().await;
    let reader = server.anyone();
    let first = server.publish(&Plan::quarters(2)).await;
    server.patient().book(&Wish::any(&first)).await.expect(201);
    reader.day(&first.doctor, &first.date).await.expect(200);
    let series = |samples: &BTreeMap<String, f64>| samples.keys().cloned().collect::<Vec<_>>();
    let before = series(&scrape(&reader).await);
    let admin = server.admin();
    // One after another: two hundred who register at once would wait for the one connection that writes them.
    let mut doctors = Vec::new();
    for _ in 0..DOCTORS {
        doctors.push(admin.create_doctor(&doctor_body()).await.expect(201).text_of("id"));
    }
    let crowd = at_once(DOCTORS, |number| {
        let (admin, patient, doctor) = (admin.clone(), server.patient(), doctors[number].clone());
        async move {
            for later in 0..DAYS_OF_EACH {
                let plan = Plan::quarters(1).later(later as i64);
                admin.put_day(&doctor, &plan.date(), &plan.body()).await.expect(201);
            }
            patient.book(&Wish::any(&Plan::quarters(1).day_of(&doctor))).await.expect(201);
        }
    });
    assert_eq!(crowd.await.len(), DOCTORS);
    let samples = scrape(&reader).await;
    assert_eq!(series(&samples), before, "as many series as before, and the same");
    let known = samples.get("hotslot_days_awake").copied().unwrap_or_default()
        + samples.get("hotslot_days_asleep").copied().unwrap_or_default();
    assert!(known >= (DOCTORS * DAYS_OF_EACH) as f64, "all of them are in memory: {known}");
}
