//! Every call of the interface, with something planted wherever a caller can put it; right calls and wrong ones.
//! Must not know: what is logged.

use blackbox::{Call, Claims, Client, Day, Plan, Server, Signer, Wish, fresh_id};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::planted::Planted;

/// Callers whose tokens are planted, too.
struct Callers<'server> {
    server: &'server Server,
    http: reqwest::Client,
    signer: Signer,
}

impl Callers<'_> {
    fn one(&self, role: &str, id: &str, planted: &mut Planted) -> Client {
        let token = self.signer.sign(&Claims::of(role, id));
        planted.also(&token);
        Client::new(&self.http, self.server.address(), id, Some(token))
    }
}

fn callers<'server>(server: &'server Server, key: &[u8]) -> Callers<'server> {
    let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
    Callers { server, http, signer: Signer::of_key(key) }
}

/// Everything, on stores that are well.
pub async fn make(server: &Server, key: &[u8], planted: &mut Planted) {
    let callers = callers(server, key);
    let admin = callers.one("admin", &fresh_id(), planted);
    let doctor = admin.create_doctor(&doctor_of(planted)).await.expect(201).text_of("id");
    let change = json!({"bio": planted.secret("bio"), "name": planted.secret("name")});
    admin.patch_doctor(&doctor, &change).await.expect(200);
    let clinic = json!({"name": planted.secret("clinic")});
    // Whatever a clinic must have beside its name, its name is not told.
    admin.call("PUT", &format!("/v1/clinics/{}", fresh_id())).json(&clinic).await;
    let own = callers.one("doctor", &doctor, planted);
    let mut days = Vec::new();
    for later in 0..3 {
        let plan = Plan::quarters(4).later(later);
        own.put_day(&doctor, &plan.date(), &plan.body()).await.expect(201);
        days.push(plan.day_of(&doctor));
    }
    for _ in 0..2 {
        let patient = callers.one("patient", &fresh_id(), planted);
        put_patient(&patient, planted).await.expect(200);
        journey(&patient, &own, &days, planted).await;
        read_all(&patient, &own, &days[0], planted).await;
    }
    let patient = callers.one("patient", &fresh_id(), planted);
    wrong(&patient, &days[0], planted).await;
    wrong_tokens(&callers, &days[0], planted).await;
    let because = json!({"reason": planted.secret("closing")});
    own.close_day(&doctor, &days[2].date).json(&because).await.expect(200);
}

/// What changes something, while a store is away: however it is answered.
pub async fn make_in_vain(server: &Server, key: &[u8], planted: &mut Planted) {
    let callers = callers(server, key);
    let admin = callers.one("admin", &fresh_id(), planted);
    let patient = callers.one("patient", &fresh_id(), planted);
    let plan = Plan::quarters(1);
    let day = plan.day_of(&fresh_id());
    let because = planted.secret("reason");
    let calls = vec![
        admin.create_doctor(&doctor_of(planted)),
        admin.put_day(&day.doctor, &day.date, &plan.body()),
        put_patient(&patient, planted),
        patient.book(&Wish::any(&day)).key(&planted.secret("key")),
        patient.cancel_because(&fresh_id(), &because).key(&planted.secret("key")),
        patient.own_appointments(""),
        patient.doctors(&format!("q={}", planted.secret("query"))),
    ];
    let mut all = JoinSet::new();
    for call in calls {
        // It may fail; only what is logged counts.
        all.spawn(async { drop(call.attempt().await) });
    }
    all.join_all().await;
}

fn doctor_of(planted: &mut Planted) -> Value {
    json!({
        "name": planted.secret("doctor"), "bio": planted.secret("bio"), "specialties": ["dermatology"], "time_zone": "UTC",
        "location": {"name": planted.secret("place"), "city": planted.secret("city"), "lat": 52.09, "lon": 5.12},
    })
}

fn put_patient(patient: &Client, planted: &mut Planted) -> Call {
    let digits: String = fresh_id().bytes().map(|byte| char::from(b'0' + byte % 10)).take(11).collect();
    let body = json!({
        "name": planted.secret("name"), "phone": planted.also(&format!("+49{digits}")),
        "email": format!("{}@example.org", planted.secret("mail")), "telegram": "@planted_telegram",
        "language": "de", "time_zone": "Europe/Berlin", "channels": ["sms", "email"],
    });
    patient.call("PUT", &format!("/v1/patients/{}", patient.subject)).json(&body)
}

/// A life of appointments, each step under a planted key where one can be given.
async fn journey(patient: &Client, doctor: &Client, days: &[Day], planted: &mut Planted) {
    let hold = patient.hold(&Wish::any(&days[0])).key(&planted.secret("key")).await.expect(201).text_of("id");
    patient.confirm(&hold).key(&planted.secret("key")).await.expect(200);
    let moved = patient.reschedule(&hold, &Wish::any(&days[1])).key(&planted.secret("key"));
    moved.await.expect(200);
    patient.appointment(&hold).await.expect(200);
    doctor.appointment(&hold).await.expect(200);
    doctor.no_show(&hold).await.problem(409, "not_changeable");
    patient.cancel_because(&hold, &planted.secret("reason")).await.expect(200);
    patient.history(&hold).await.expect(200);
    let key = planted.secret("key");
    let other = patient.book(&Wish::any(&days[0])).key(&key).await.expect(201).text_of("id");
    patient.book(&Wish::any(&days[0])).key(&key).await.expect(201);
    patient.book(&Wish::any(&days[1])).key(&key).await.problem(422, "idempotency_key_reused");
    patient.delete(&other).key(&planted.secret("key")).await.expect(200);
    patient.get(&format!("/v1/appointments/{other}/reminders")).await;
}

async fn read_all(patient: &Client, doctor: &Client, day: &Day, planted: &mut Planted) {
    patient.get(&format!("/v1/patients/{}", patient.subject)).await.expect(200);
    patient.own_appointments("").await.expect(200);
    doctor.day_appointments(&day.doctor, &day.date).await.expect(200);
    patient.day(&day.doctor, &day.date).await.expect(200);
    patient.days(&day.doctor, &day.date, &day.date).await.expect(200);
    patient.doctor(&day.doctor).await.expect(200);
    for query in [format!("q={}", planted.secret("query")), format!("city={}", planted.secret("city"))] {
        // Answered or refused, by what this release knows of searching.
        patient.doctors(&query).await;
    }
}

/// Requests that are refused, each with something planted where it is wrong.
async fn wrong(patient: &Client, day: &Day, planted: &mut Planted) {
    let book = || patient.book(&Wish::any(day));
    let raw = |body: String| book().raw(body);
    let calls = vec![
        raw(planted.secret("nojson")),
        raw(format!("{{\"{}\": 1}}", planted.secret("field"))),
        raw(format!("{{\"doctor_id\": \"{}\"}}", planted.secret("id"))),
        raw(format!("{{\"doctor_id\": \"{}\", \"date\": \"{}\"}}", day.doctor, planted.secret("date"))),
        raw(planted.secret("long").repeat(4_000)),
        book().key(&format!("a {}", planted.secret("key"))),
        book().key(&planted.secret("key").repeat(20)),
        book().header("idempotency-key", &planted.secret("second")),
        book().header("if-match", &planted.secret("tag")).header("cookie", &planted.secret("cookie")),
        book().header("accept", &planted.secret("accept")),
        book().without("content-type").header("content-type", &planted.secret("type")),
        book().header("traceparent", &planted.secret("parent")).header("tracestate", &planted.secret("state")),
        book().header("x-request-id", &format!("no name: {}", planted.secret("request"))),
        book().header("x-padding", &planted.secret("padding").repeat(400)),
        patient.get(&format!("/v1/{}", planted.secret("path"))),
        patient.get(&format!("/v1/doctors/{}", planted.secret("id"))),
        patient.get(&format!("/v1/doctors?{}=1", planted.secret("parameter"))),
        patient.get(&format!("/v1/doctors?cursor={}", planted.secret("cursor"))),
        patient.get(&format!("/v1/doctors/{}/days/{}", day.doctor, planted.secret("date"))),
        patient.get(&format!("/v1/patients/{}/appointments?status={}", patient.subject, planted.secret("status"))),
        patient.call("PUT", &format!("/v1/patients/{}", patient.subject)).json(
            &json!({"name": planted.secret("name"), "phone": planted.secret("phone"), "email": planted.secret("mail")}),
        ),
        patient.cancel_because(&fresh_id(), &planted.secret("reason")),
        patient.cancel_because(&planted.secret("id"), &planted.secret("reason").repeat(200)),
        patient.call("TRACE", "/v1/appointments").header("x-secret", &planted.secret("header")),
    ];
    for call in calls {
        let reply = call.await;
        assert!(reply.status >= 400 || reply.status == 201, "{}", reply.text());
        if let (201, id) = (reply.status, reply.json()["id"].as_str().unwrap_or_default()) {
            patient.cancel_because(id, &planted.secret("reason")).await.expect(200);
        }
    }
}

async fn wrong_tokens(callers: &Callers<'_>, day: &Day, planted: &mut Planted) {
    let stranger = Client::new(&callers.http, callers.server.address(), "", None);
    let id = fresh_id();
    let other_key = Signer::of_key(planted.secret("otherkey").as_bytes());
    let tokens = [
        planted.secret("token"),
        callers.signer.sign(&Claims::of("patient", &id).with("exp", 1)),
        callers.signer.sign(&Claims::of(&planted.secret("role"), &id)),
        callers.signer.sign(&Claims::of("patient", &planted.secret("subject"))),
        callers.signer.sign(&Claims::of("patient", &id).with("audiences", json!([planted.secret("audience")]))),
        other_key.sign(&Claims::of("patient", &id)),
    ];
    for token in tokens {
        planted.also(&token);
        let reply = stranger.book(&Wish::any(day)).token(&token).await;
        assert!([201, 401].contains(&reply.status), "{}", reply.text());
    }
    for scheme in ["Basic", "bearer", ""] {
        let value = format!("{scheme} {}", planted.secret("credentials"));
        stranger.get("/v1/appointments/x").header("authorization", value.trim()).await.problem(401, "unauthenticated");
    }
}
