//! Are patients and clinics put, read and guarded as the contract says, and are names kept out of the log?
//! Must not know: appointments.

use blackbox::{Call, Client, Server, fresh_id, instant_of, keys_of};
use serde_json::{Value, json};

const FIELDS: [&str; 10] =
    ["channels", "created_at", "email", "id", "language", "name", "phone", "telegram", "time_zone", "updated_at"];

fn particulars() -> Value {
    json!({
        "name": "Zephyrine O'Quill", "phone": "+4930555123", "email": "zephyrine@quill.example",
        "telegram": "@zephyrine_q", "language": "de-AT", "time_zone": "Europe/Vienna", "channels": ["sms", "email"],
    })
}

fn put(caller: &Client, id: &str, body: &Value) -> Call {
    caller.call("PUT", &format!("/v1/patients/{id}")).json(body)
}

fn get(caller: &Client, id: &str) -> Call {
    caller.get(&format!("/v1/patients/{id}"))
}

fn put_clinic(caller: &Client, id: &str, body: &Value) -> Call {
    caller.call("PUT", &format!("/v1/clinics/{id}")).json(body)
}

fn get_clinic(caller: &Client, id: &str) -> Call {
    caller.get(&format!("/v1/clinics/{id}"))
}

#[tokio::test]
async fn a_patient_is_put_read_and_replaced() {
    let server = Server::start().await;
    let patient = server.patient();
    let id = patient.subject.as_str();
    get(&patient, id).await.problem(404, "not_found");
    let first = put(&patient, id, &particulars()).await.expect(200).json();
    let mut fields = keys_of(&first);
    fields.sort_unstable();
    assert_eq!(fields, FIELDS);
    assert_eq!(first["id"], id);
    for (name, value) in particulars().as_object().expect("an object") {
        assert_eq!(&first[name], value, "{name}");
    }
    assert_eq!(first["created_at"], first["updated_at"]);
    assert_eq!(get(&patient, id).await.expect(200).json(), first);

    let second = put(&server.admin(), id, &json!({"name": "Zoe", "phone": null})).await.expect(200).json();
    assert_eq!((&second["name"], &second["created_at"]), (&json!("Zoe"), &first["created_at"]));
    assert!(instant_of(&second["updated_at"]) >= instant_of(&first["updated_at"]));
    for gone in ["phone", "email", "telegram", "language", "time_zone", "channels"] {
        assert_eq!(second.get(gone), Some(&Value::Null), "{gone}");
    }
    assert_eq!(get(&patient, id).await.expect(200).json(), second);
    get(&server.admin(), &fresh_id()).await.problem(404, "not_found");
}

#[tokio::test]
async fn only_that_patient_and_admins_see_or_put_it() {
    let server = Server::start().await;
    let patient = server.patient();
    let id = patient.subject.as_str();
    let before = put(&patient, id, &particulars()).await.expect(200).json();
    let doctor = server.new_doctor().await;
    let body = json!({"name": "Mallory"});
    // A doctor is no patient, even with the same id.
    for stranger in [server.patient(), server.doctor(&doctor), server.doctor(id)] {
        get(&stranger, id).await.problem(403, "forbidden");
        put(&stranger, id, &body).await.problem(403, "forbidden");
        get(&stranger, &fresh_id()).await.problem(403, "forbidden");
    }
    get(&server.anyone(), id).await.problem(401, "unauthenticated");
    put(&server.anyone(), id, &body).await.problem(401, "unauthenticated");
    assert_eq!(get(&server.admin(), id).await.expect(200).json(), before);
}

#[tokio::test]
async fn each_wrong_field_of_a_patient_is_pointed_at() {
    let server = Server::start().await;
    let patient = server.patient();
    let id = patient.subject.as_str();
    let cases = [
        ("/name", json!("")),
        ("/name", json!("A\nB")),
        ("/name", json!("x".repeat(201))),
        ("/name", json!(null)),
        ("/phone", json!("0305551234")),
        ("/phone", json!("+49 30 555")),
        ("/phone", json!("+123456")),
        ("/phone", json!("+1234567890123456")),
        ("/phone", json!(4930555123_u64)),
        ("/email", json!("nobody")),
        ("/email", json!("a@b@c.example")),
        ("/email", json!("a b@c.example")),
        ("/email", json!(format!("a@{}.example", "b.".repeat(150)))),
        ("/telegram", json!("zephyrine")),
        ("/telegram", json!("@")),
        ("/language", json!("not a tag")),
        ("/time_zone", json!("Mars/Olympus")),
        ("/channels", json!("sms")),
        ("/channels/0", json!(["pigeon"])),
        ("/channels/1", json!(["sms", "sms"])),
        ("/nmae", json!("Typo")),
    ];
    for (pointer, value) in cases {
        let mut body = particulars();
        let name = pointer.split('/').nth(1).expect("a name");
        body[name] = value.clone();
        assert_eq!(put(&patient, id, &body).await.pointers(), [pointer], "{pointer} = {value}");
    }
    assert_eq!(put(&patient, id, &json!({"phone": "+4930555123"})).await.pointers(), ["/name"]);
    let two = put(&patient, id, &json!({"name": " ", "email": "x"})).await;
    assert_eq!(two.pointers(), ["/email", "/name"], "all at once");
    get(&patient, id).await.problem(404, "not_found");
    put(&patient, "me", &particulars()).await.problem(400, "invalid_request");
    patient.call("PUT", &format!("/v1/patients/{id}?dry=1")).json(&particulars()).await.problem(400, "invalid_request");

    for telegram in ["123456789", "-1001234567890", "@Zed"] {
        let body = json!({"name": "x".repeat(200), "telegram": telegram, "channels": []});
        let reply = put(&patient, id, &body).await.expect(200).json();
        assert_eq!((&reply["telegram"], &reply["channels"]), (&json!(telegram), &json!([])));
    }
}

#[tokio::test]
async fn patients_and_clinics_survive_a_kill_and_no_name_is_logged() {
    let mut server = Server::start_with(&["--log-filter", "debug,actix_http=off"]).await;
    let subject = fresh_id();
    let clinic = fresh_id();
    let patient = put(&server.patient_as(&subject), &subject, &particulars()).await.expect(200).json();
    let house = put_clinic(&server.admin(), &clinic, &json!({"name": "House"})).await.expect(200).json();
    let mut wrong = particulars();
    wrong["time_zone"] = json!("Quill/Nowhere");
    put(&server.patient_as(&subject), &subject, &wrong).await.problem(422, "invalid_field");
    server.restart().await;
    assert_eq!(get(&server.patient_as(&subject), &subject).await.expect(200).json(), patient);
    assert_eq!(get_clinic(&server.anyone(), &clinic).await.expect(200).json(), house);
    server.terminate(std::time::Duration::from_secs(10)).await;
    let log = server.log().join("\n");
    assert!(log.contains("/v1/patients/"), "requests are in the log: {log}");
    for secret in ["Zephyrine", "Quill", "+4930555123", "zephyrine"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn clinics_are_put_by_admins_and_read_by_everyone() {
    let server = Server::start().await;
    let (admin, anyone, id) = (server.admin(), server.anyone(), fresh_id());
    get_clinic(&anyone, &id).await.problem(404, "not_found");
    let body = json!({"name": "Praxis Süd", "time_zone": "Europe/Berlin"});
    let first = put_clinic(&admin, &id, &body).await.expect(200).json();
    assert_eq!((&first["id"], &first["name"], &first["time_zone"]), (&json!(id), &body["name"], &body["time_zone"]));
    assert_eq!(get_clinic(&anyone, &id).await.expect(200).json(), first);
    let second = put_clinic(&admin, &id, &json!({"name": "Praxis Nord"})).await.expect(200).json();
    assert_eq!((&second["time_zone"], &second["created_at"]), (&Value::Null, &first["created_at"]));

    for (pointer, wrong) in [
        ("/name", json!({"name": ""})),
        ("/name", json!({})),
        ("/time_zone", json!({"name": "A", "time_zone": "Mars/Olympus"})),
        ("/city", json!({"name": "A", "city": "B"})),
    ] {
        assert_eq!(put_clinic(&admin, &id, &wrong).await.pointers(), [pointer], "{wrong}");
    }
    for stranger in [server.patient(), server.doctor(&fresh_id())] {
        put_clinic(&stranger, &id, &body).await.problem(403, "forbidden");
    }
    put_clinic(&anyone, &id, &body).await.problem(401, "unauthenticated");
    assert_eq!(get_clinic(&anyone, &id).await.expect(200).json(), second);
}
