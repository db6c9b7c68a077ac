//! Who is let in, and who may do what?
//! Must not know: what the calls do once they are allowed.

use blackbox::{Call, Claims, Plan, Server, Signer, Wish, days_ahead, fresh_id, now};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

/// `{"alg":"none","typ":"JWT"}` in base64url.
const HEADER_WITHOUT_ALGORITHM: &str = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";

/// A call that any valid patient token may make.
fn own_list(server: &Server, subject: &str) -> Call {
    server.anyone().appointments_of(subject, "")
}

#[track_caller]
fn assert_unauthenticated(reply: &blackbox::Reply) {
    reply.problem(401, "unauthenticated");
    let challenge = reply.header("www-authenticate").expect("WWW-Authenticate");
    assert!(challenge.starts_with("Bearer"), "{challenge}");
}

#[tokio::test]
async fn only_a_genuine_living_token_is_accepted() {
    let server = Server::start().await;
    let id = fresh_id();
    let good = Claims::of("patient", &id);
    let second = now().as_second();
    let signer = server.signer();
    own_list(&server, &id).token(&signer.sign(&good)).await.expect(200);
    let genuine = signer.sign(&good);
    let parts: Vec<&str> = genuine.split('.').collect();
    let foreign = signer.sign(&Claims::of("admin", &fresh_id()));
    let foreign_claims = foreign.split('.').nth(1).expect("claims");
    let bad = [
        String::new(),
        "nonsense".to_owned(),
        "a.b.c".to_owned(),
        format!("{HEADER_WITHOUT_ALGORITHM}.{}.", parts[1]),
        format!("{HEADER_WITHOUT_ALGORITHM}.{}.{}", parts[1], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{foreign_claims}.{}", parts[0], parts[2]),
        Signer::of_key(&[7; 32]).sign(&good),
        Signer::of_key(b"").sign(&good),
        signer.sign_as(Algorithm::HS512, &good),
        signer.sign_as(Algorithm::HS384, &good),
        signer.sign(&good.clone().with("exp", second - 120)),
        signer.sign(&good.clone().with("iss", "someone else")),
        signer.sign(&good.clone().with("aud", "another house")),
        signer.sign(&good.clone().with("role", "king")),
        signer.sign(&good.clone().with("role", json!(["admin"]))),
        signer.sign(&good.clone().with("sub", "not-a-uuid")),
        signer.sign(&good.clone().with("exp", "later")),
        signer.sign(&good.clone().without("exp")),
        signer.sign(&good.clone().without("sub")),
        signer.sign(&good.clone().without("role")),
        signer.sign(&good.clone().without("iss")),
        signer.sign(&good.clone().without("aud")),
    ];
    for (number, token) in bad.iter().enumerate() {
        let reply = own_list(&server, &id).token(token).await;
        assert_eq!(reply.status, 401, "token number {number}: {token}");
        assert_unauthenticated(&reply);
    }
}

#[tokio::test]
async fn a_token_belongs_into_one_authorization_header() {
    let server = Server::start().await;
    let id = fresh_id();
    let token = server.signer().sign(&Claims::of("patient", &id));
    let call = || own_list(&server, &id);
    assert_unauthenticated(&call().await);
    for header in ["Bearer".to_owned(), token.clone(), format!("Basic {token}"), format!("Bearer {token} x")] {
        assert_unauthenticated(&call().header("authorization", &header).await);
    }
    let twice = call().token(&token).header("authorization", &format!("Bearer {token}")).await;
    assert!([400, 401].contains(&twice.status), "two tokens: {}", twice.status);
    call().header("authorization", &format!("bearer {token}")).await.expect(200);
}

#[tokio::test]
async fn open_calls_need_no_token() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(1)).await;
    let anyone = server.anyone();
    anyone.doctors("").await.expect(200);
    anyone.doctor(&day.doctor).await.expect(200);
    anyone.day(&day.doctor, &day.date).await.expect(200);
    anyone.days(&day.doctor, &day.date, &day.date).await.expect(200);
    for path in ["/openapi.json", "/docs", "/healthz/live", "/healthz/ready", "/metrics"] {
        let reply = anyone.get(path).await;
        assert!([200, 301, 302, 303, 307, 308].contains(&reply.status), "{path}: {}", reply.status);
    }
}

#[tokio::test]
async fn each_role_may_do_what_the_contract_gives_it() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters_of(4, 9)).await;
    let patient = server.patient();
    let id = patient.book(&Wish::any(&day)).await.expect(201).text_of("id");
    let other_patient = server.patient();
    let own_doctor = server.doctor(&day.doctor);
    let other_doctor = server.doctor(&server.new_doctor().await);
    let body = Plan::quarters_of(4, 9).body();
    let new_doctor = json!({
        "name": "Dr. New", "specialties": ["ent"], "time_zone": "UTC",
        "location": {"name": "A", "city": "B", "lat": 1.0, "lon": 2.0},
    });
    let strangers = [&other_patient, &other_doctor];
    for stranger in strangers {
        stranger.put_day(&day.doctor, &day.date, &body).await.problem(403, "forbidden");
        stranger.close_day(&day.doctor, &day.date).await.problem(403, "forbidden");
        stranger.day_appointments(&day.doctor, &day.date).await.problem(403, "forbidden");
        stranger.appointment(&id).await.problem(403, "forbidden");
        stranger.history(&id).await.problem(403, "forbidden");
        stranger.confirm(&id).await.problem(403, "forbidden");
        stranger.cancel(&id).await.problem(403, "forbidden");
        stranger.no_show(&id).await.problem(403, "forbidden");
        stranger.appointments_of(&patient.subject, "").await.problem(403, "forbidden");
        stranger.book(&Wish::any(&day).patient(&patient.subject)).await.problem(403, "forbidden");
        stranger.hold(&Wish::any(&day).patient(&patient.subject)).await.problem(403, "forbidden");
    }
    for not_admin in [&patient, &own_doctor] {
        not_admin.create_doctor(&new_doctor).await.problem(403, "forbidden");
        not_admin.patch_doctor(&day.doctor, &json!({"bio": "x"})).await.problem(403, "forbidden");
    }
    patient.day_appointments(&day.doctor, &day.date).await.problem(403, "forbidden");
    own_doctor.book(&Wish::any(&day)).await.problem(403, "forbidden");
    own_doctor.hold(&Wish::any(&day).patient(&patient.subject)).await.problem(403, "forbidden");
    own_doctor.confirm(&id).await.problem(403, "forbidden");
    own_doctor.appointments_of(&patient.subject, "").await.problem(403, "forbidden");

    for reader in [&patient, &own_doctor, &server.admin()] {
        reader.appointment(&id).await.expect(200);
        reader.history(&id).await.expect(200);
    }
    for desk in [&own_doctor, &server.admin()] {
        desk.day_appointments(&day.doctor, &day.date).await.expect(200);
        desk.put_day(&day.doctor, &day.date, &body).await.expect(200);
    }
    server.admin().confirm(&id).await.expect(200);
    server.admin().appointments_of(&patient.subject, "").await.expect(200);
    server.admin().book(&Wish::any(&day).patient(&other_patient.subject)).await.expect(201);
    other_patient.book(&Wish::any(&day)).await.problem(409, "already_booked");
}

#[tokio::test]
async fn nobody_gets_past_a_guarded_call_without_a_token() {
    let server = Server::start().await;
    let (id, date) = (fresh_id(), days_ahead(3).to_string());
    let anyone = server.anyone();
    let guarded = [
        anyone.create_doctor(&json!({})),
        anyone.patch_doctor(&id, &json!({})),
        anyone.put_day(&id, &date, &json!({})),
        anyone.close_day(&id, &date),
        anyone.day_appointments(&id, &date),
        anyone.call("POST", "/v1/appointments"),
        anyone.call("POST", "/v1/holds"),
        anyone.confirm(&id),
        anyone.appointment(&id),
        anyone.history(&id),
        anyone.cancel(&id),
        anyone.delete(&id),
        anyone.no_show(&id),
        anyone.appointments_of(&id, ""),
    ];
    for call in guarded {
        assert_unauthenticated(&call.await);
    }
}

#[tokio::test]
async fn the_already_booked_appointment_is_not_named_to_others() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(3)).await;
    let patient = server.patient();
    let id = patient.book(&Wish::any(&day)).await.expect(201).text_of("id");
    let told = patient.book(&Wish::any(&day)).await.problem(409, "already_booked");
    assert_eq!(told["appointment_id"], json!(id));
    let refusal = server.patient().book(&Wish::any(&day).patient(&patient.subject)).await;
    refusal.problem(403, "forbidden");
    assert!(!refusal.text().contains(&id), "a stranger learns nothing");
    assert_eq!(refusal.json().get("appointment_id").unwrap_or(&Value::Null), &Value::Null);
}
