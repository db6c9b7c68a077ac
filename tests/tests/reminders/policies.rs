//! Policies of reminders: put, read, taken away, obeyed; and every mistake pointed at.
//! Must not know: how they are kept.

use blackbox::{Plan, Server, Wish, fresh_id};
use serde_json::{Value, json};

use super::{booked, told};

fn policy() -> Value {
    json!({
        "offsets": [{"before_seconds": 3_600}, {"before_seconds": 900, "channels": ["file"]}],
        "minimum_notice_seconds": 600,
        "quiet_hours": {"from": "21:00", "to": "07:00"},
        "doctor_notices": {"channels": [{"channel": "file", "to": ""}], "kinds": ["confirmation"]},
        "templates": {}
    })
}

#[tokio::test]
async fn a_doctors_policy_stands_before_the_clinics_and_that_before_the_settings() {
    let server = Server::start().await;
    let (admin, clinic) = (server.admin(), fresh_id());
    let doctor = server.new_doctor().await;
    admin.patch_doctor(&doctor, &json!({"clinic_id": clinic})).await.expect(200);
    let day = server.publish_for(&doctor, &Plan::quarters(3)).await;
    let of_clinic = format!("/v1/clinics/{clinic}/reminder-policy");
    let of_doctor = format!("/v1/doctors/{doctor}/reminder-policy");
    admin.get(&of_clinic).await.problem(404, "not_found");
    let put = json!({"offsets": [{"before_seconds": 7_200}]});
    admin.call("PUT", &of_clinic).json(&put).await.expect(200);
    let offsets = async |patient: &blackbox::Client| {
        let id = booked(patient, &Wish::any(&day)).await;
        let rows = told(patient, &id).await;
        rows.into_iter().filter(|row| row.1 == "reminder").map(|row| row.2).collect::<Vec<u64>>()
    };
    assert_eq!(offsets(&server.patient()).await, [7_200]);
    let own = server.doctor(&doctor);
    let told_back = own.call("PUT", &of_doctor).json(&policy()).await.expect(200).json();
    assert_eq!(told_back["quiet_hours"], json!({"from": "21:00", "to": "07:00"}));
    assert_eq!(own.get(&of_doctor).await.expect(200).json(), told_back);
    assert_eq!(offsets(&server.patient()).await, [900, 3_600]);
    own.call("DELETE", &of_doctor).await.expect(200);
    own.call("DELETE", &of_doctor).await.problem(404, "not_found");
    assert_eq!(offsets(&server.patient()).await, [7_200]);
}

#[tokio::test]
async fn whose_policy_it_is_not_may_not_touch_it() {
    let server = Server::start().await;
    let doctor = server.new_doctor().await;
    let of_doctor = format!("/v1/doctors/{doctor}/reminder-policy");
    let of_clinic = format!("/v1/clinics/{}/reminder-policy", fresh_id());
    let other = server.new_doctor().await;
    for stranger in [server.patient(), server.doctor(&other)] {
        stranger.get(&of_doctor).await.problem(403, "forbidden");
        stranger.call("PUT", &of_doctor).json(&policy()).await.problem(403, "forbidden");
        stranger.call("DELETE", &of_clinic).await.problem(403, "forbidden");
    }
    server.doctor(&doctor).get(&of_clinic).await.problem(403, "forbidden");
    let nobody = format!("/v1/doctors/{}/reminder-policy", fresh_id());
    server.admin().call("PUT", &nobody).json(&policy()).await.problem(404, "not_found");
}

#[tokio::test]
async fn each_mistake_of_a_policy_is_pointed_at_and_changes_nothing() {
    let server = Server::start().await;
    let doctor = server.new_doctor().await;
    let (admin, path) = (server.admin(), format!("/v1/doctors/{doctor}/reminder-policy"));
    admin.call("PUT", &path).json(&policy()).await.expect(200);
    let before = admin.get(&path).await.expect(200).json();
    for (pointer, value, place) in [
        ("/offsets/0/before_seconds", json!(59), "/offsets/0/before_seconds"),
        ("/offsets/0/before_seconds", json!(7_776_001), "/offsets/0/before_seconds"),
        ("/offsets/0/before_seconds", json!(900), "/offsets/1/before_seconds"),
        ("/offsets/1/channels", json!(["pigeon"]), "/offsets/1/channels/0"),
        ("/offsets/1/channels", json!([]), "/offsets/1/channels"),
        ("/minimum_notice_seconds", json!(1), "/minimum_notice_seconds"),
        ("/quiet_hours/from", json!("25:00"), "/quiet_hours/from"),
        ("/quiet_hours/to", json!("21:00"), "/quiet_hours/to"),
        ("/doctor_notices/channels/0/channel", json!("sms"), "/doctor_notices/channels/0/to"),
        ("/doctor_notices/kinds", json!(["wedding"]), "/doctor_notices/kinds/0"),
        ("/templates", json!({"change": "nobody-put-it"}), "/templates/change"),
        ("/offsets", json!(7), "/offsets"),
    ] {
        let mut body = policy();
        *body.pointer_mut(pointer).expect("a member") = value;
        let problem = admin.call("PUT", &path).json(&body).await.problem(422, "invalid_field");
        assert_eq!(problem["errors"][0]["pointer"], json!(place), "{body}: {problem}");
    }
    let mut unknown = policy();
    unknown["ofsets"] = json!([]);
    admin.call("PUT", &path).json(&unknown).await.problem(422, "invalid_field");
    assert_eq!(admin.get(&path).await.expect(200).json(), before);
}

#[tokio::test]
async fn wrong_settings_stop_the_start_and_are_named() {
    for (flag, value, name) in [
        ("--reminder-offsets", "soon", "reminder_offsets"),
        ("--reminder-offsets", "2h,120m", "reminder_offsets"),
        ("--reminder-offsets", "91d", "reminder_offsets"),
        ("--reminder-channels", "pigeon", "reminder_channels"),
        ("--reminder-channels", "sms", "reminder_channels"),
        ("--smtp-from", "a@example.org", "smtp_from"),
        ("--smtp-host", "mail.example.org", "smtp_from"),
        ("--webhook-url", "https://example.org/x", "webhook_secret"),
        ("--telegram-token", "no-token", "telegram_token"),
        ("--sms-account", "AC1", "sms_token"),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let place = directory.path().to_str().expect("a path");
        let output =
            blackbox::program::run(&["serve", "--listen", "127.0.0.1:0", "--data-dir", place, flag, value]).await;
        let told = &output.stderr;
        assert_eq!(output.code, Some(2), "{flag} {value}: {told}");
        assert!(told.lines().any(|line| line.contains(name)), "{flag} {value}: {told}");
        assert!(!told.contains("no-token"), "a secret is repeated: {told}");
    }
}
