//! Policies as they are kept, and every mistake of one.
//! Must not know: plans.

use super::*;

fn policy(text: &str) -> ReminderPolicy {
    serde_json::from_str(text).expect("a policy")
}

#[test]
fn a_policy_is_read_as_it_was_kept() {
    let full = r#"{"offsets":[{"before_seconds":3600,"channels":["sms","email"],"template":"soon"},{"before_seconds":900}],
        "minimum_notice_seconds":600,"quiet_hours":{"from":"21:30","to":"08:00"},
        "doctor_notices":{"channels":[{"channel":"email","to":"anna@clinic.example"},{"channel":"file"}],
        "kinds":["confirmation","cancellation"]},"templates":{"change":"moved"}}"#;
    let policy = policy(full);
    assert_eq!(policy.mistakes(), []);
    let kept = serde_json::to_string(&policy).expect("kept");
    assert_eq!(serde_json::from_str::<ReminderPolicy>(&kept).expect("read"), policy);
    assert_eq!(policy.template(Kind::Reminder, 3_600), Some("soon"));
    assert_eq!(policy.template(Kind::Reminder, 600), None, "as the nearest, of 900 s");
    assert_eq!((policy.template(Kind::Change, 0), policy.template(Kind::Confirmation, 0)), (Some("moved"), None));
    assert_eq!(policy.doctor_address(Channel::Email), Some("anna@clinic.example"));
    assert_eq!((policy.doctor_address(Channel::File), policy.doctor_address(Channel::Sms)), (Some(""), None));
}

#[test]
fn a_time_of_day_is_hours_and_minutes() {
    for text in ["00:00", "08:05", "23:59"] {
        assert_eq!(text.parse::<WallTime>().expect(text).to_string(), text);
    }
    for text in ["", "8:00", "24:00", "12:60", "12:5", "12:005", "+1:00", "1２:00", "12.00", " 12:00", "12:00:00"] {
        assert_eq!(text.parse::<WallTime>(), Err(NoWallTime), "{text}");
    }
}

#[test]
fn quiet_hours_may_pass_midnight() {
    let time = |text: &str| text.parse::<WallTime>().expect(text);
    let night = QuietHours { from: time("21:00"), to: time("07:30") };
    let noon = QuietHours { from: time("12:00"), to: time("13:00") };
    for (hours, text, within) in [
        (night, "20:59", false),
        (night, "21:00", true),
        (night, "00:00", true),
        (night, "07:29", true),
        (night, "07:30", false),
        (noon, "11:59", false),
        (noon, "12:00", true),
        (noon, "13:00", false),
        (noon, "00:00", false),
    ] {
        assert_eq!(hours.contain(time(text)), within, "{hours:?} {text}");
    }
}

#[test]
fn every_mistake_is_named_with_its_place() {
    for (text, pointer) in [
        (r#"{"offsets":[{"before_seconds":60},{"before_seconds":59}]}"#, "/offsets/1/before_seconds"),
        (r#"{"offsets":[{"before_seconds":7776001}]}"#, "/offsets/0/before_seconds"),
        (r#"{"offsets":[{"before_seconds":60},{"before_seconds":60}]}"#, "/offsets/1/before_seconds"),
        (r#"{"offsets":[{"before_seconds":60,"channels":[]}]}"#, "/offsets/0/channels"),
        (r#"{"offsets":[{"before_seconds":60,"channels":["sms","sms"]}]}"#, "/offsets/0/channels"),
        (r#"{"offsets":[{"before_seconds":60,"template":"A b"}]}"#, "/offsets/0/template"),
        (r#"{"offsets":[],"minimum_notice_seconds":0}"#, "/minimum_notice_seconds"),
        (r#"{"offsets":[],"quiet_hours":{"from":"08:00","to":"08:00"}}"#, "/quiet_hours/to"),
        (r#"{"offsets":[],"templates":{"cancellation":""}}"#, "/templates/cancellation"),
        (r#"{"offsets":[],"doctor_notices":{"channels":[],"kinds":["change","change"]}}"#, "/doctor_notices/kinds/1"),
        (
            r#"{"offsets":[],"doctor_notices":{"channels":[{"channel":"file"},{"channel":"file"}],"kinds":[]}}"#,
            "/doctor_notices/channels/1/channel",
        ),
    ] {
        let pointers: Vec<String> = policy(text).mistakes().iter().map(PolicyError::pointer).collect();
        assert_eq!(pointers, [pointer], "{text}");
    }
    let many = ReminderPolicy {
        offsets: (1..=11).map(|n| Offset { before_seconds: n * 60, channels: None, template: None }).collect(),
        ..ReminderPolicy::default()
    };
    assert_eq!(many.mistakes(), [PolicyError::TooManyOffsets]);
}

#[test]
fn an_address_has_the_form_of_its_channel() {
    for (channel, good, bad) in [
        (Channel::Email, "a@b.example", ["", "a", "@b.example", "a@", "a b@c.example"]),
        (Channel::Sms, "+436601234567", ["", "436601234567", "+12", "+4366012345678901", "+43x601234567"]),
        (Channel::Telegram, "@anna", ["", "@", "anna", "12a", "an na"]),
        (Channel::Telegram, "-100123", ["-", "--1", "1-", "@ ", "+1"]),
        (Channel::Webhook, "", [" ", "a b", "\n", "\u{7f}", "\t"]),
    ] {
        assert!(is_address(channel, good), "{channel:?} {good}");
        for bad in bad {
            assert!(!is_address(channel, bad), "{channel:?} {bad:?}");
        }
    }
}

#[test]
fn the_settings_make_a_policy() {
    let policy = ReminderPolicy::of_settings(&ReminderSettings::default());
    let seconds: Vec<u32> = policy.offsets.iter().map(|offset| offset.before_seconds).collect();
    assert_eq!((seconds, policy.mistakes()), (vec![86_400, 7_200], Vec::new()));
}
