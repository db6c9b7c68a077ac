//! Policies of reminders and templates of messages as rows.
//! Must not know: what a template says.

use booking_core::{DoctorId, UtcMillis};
use engine::ledger::registry::{Doctor, DoctorProfile, Location};
use engine::ledger::reminders::PolicyScope;
use engine::reminders::policy::ReminderPolicy;
use uuid::Uuid;

use crate::Backend;

const CLINIC: Uuid = Uuid::from_u128(0xC1);
const ANNA: DoctorId = DoctorId(Uuid::from_u128(0xA1));

/// One offset, and everything else that a policy can say.
pub(crate) fn policy(before_seconds: u32) -> ReminderPolicy {
    let text = format!(
        r#"{{"offsets":[{{"before_seconds":{before_seconds}}}],"minimum_notice_seconds":600,
        "quiet_hours":{{"from":"21:00","to":"07:30"}},"templates":{{"change":"moved"}},
        "doctor_notices":{{"channels":[{{"channel":"file","to":"„Anna“"}}],"kinds":[]}}}}"#
    );
    serde_json::from_str(&text).expect("a policy")
}

/// Registered, of a clinic or of none.
pub(crate) fn doctor(id: DoctorId, clinic: Option<Uuid>) -> Doctor {
    let location = Location { name: "Praxis".into(), city: "Wien".into(), latitude: 48.2, longitude: 16.4 };
    let profile = DoctorProfile {
        name: "Anna".into(),
        specialties: Vec::new(),
        time_zone: "Europe/Vienna".into(),
        location,
        bio: None,
        languages: Vec::new(),
        clinic,
    };
    Doctor { id, profile, created_at: UtcMillis(1), updated_at: UtcMillis(1) }
}

pub(crate) async fn a_policy_is_put_read_and_taken_away(backend: &impl Backend) {
    let stores = backend.open().await;
    let registry = stores.registry;
    // The same id, and two things all the same.
    let scopes = [PolicyScope::Clinic(ANNA.0), PolicyScope::Doctor(ANNA)];
    for (number, scope) in (1..).zip(scopes) {
        assert_eq!(registry.policy(scope).await.expect("read"), None);
        for seconds in [60 * number, 3_600 * number] {
            registry.put_policy(scope, Some(&policy(seconds)), UtcMillis(1)).await.expect("written");
            assert_eq!(registry.policy(scope).await.expect("read"), Some(policy(seconds)));
        }
    }
    stores.ledger.close().await;
    let registry = backend.open().await.registry;
    registry.put_policy(scopes[1], None, UtcMillis(2)).await.expect("written");
    assert_eq!(registry.policy(scopes[0]).await.expect("read"), Some(policy(3_600)), "also after a restart");
    assert_eq!(registry.policy(scopes[1]).await.expect("read"), None);
}

pub(crate) async fn a_doctors_policy_stands_before_its_clinics(backend: &impl Backend) {
    let registry = backend.open().await.registry;
    let holds =
        async |registry: &dyn engine::ledger::registry::Registry| registry.policy_for(ANNA).await.expect("read");
    let (of_clinic, own) = (PolicyScope::Clinic(CLINIC), PolicyScope::Doctor(ANNA));
    registry.put_policy(of_clinic, Some(&policy(60)), UtcMillis(1)).await.expect("written");
    assert_eq!(holds(&*registry).await, None, "nobody knows where the doctor works");
    registry.create_doctor(&doctor(ANNA, Some(CLINIC)), None).await.expect("written");
    assert_eq!(holds(&*registry).await, Some(policy(60)));
    registry.put_policy(own, Some(&policy(120)), UtcMillis(1)).await.expect("written");
    assert_eq!(holds(&*registry).await, Some(policy(120)));
    registry.put_policy(of_clinic, None, UtcMillis(1)).await.expect("written");
    assert_eq!(holds(&*registry).await, Some(policy(120)));
    registry.put_policy(own, None, UtcMillis(1)).await.expect("written");
    assert_eq!(holds(&*registry).await, None);
}

pub(crate) async fn templates_are_put_read_and_listed(backend: &impl Backend) {
    let registry = backend.open().await.registry;
    let texts = [("b", r#"{"ru":"Приём"}"#), ("Z", "{}"), ("a_1", "{}"), ("a-2", "{}")];
    for (name, text) in texts {
        assert_eq!(registry.template(name).await.expect("read"), None);
        registry.put_template(name, Some("1"), UtcMillis(1)).await.expect("written");
        registry.put_template(name, Some(text), UtcMillis(2)).await.expect("written");
        assert_eq!(registry.template(name).await.expect("read").as_deref(), Some(text));
    }
    let names = async |after: Option<&str>, limit| {
        let page = registry.templates(after, limit).await.expect("read");
        page.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(None, 9).await, ["Z", "a-2", "a_1", "b"], "by their bytes");
    assert_eq!(
        (names(None, 1).await, names(Some("Z"), 2).await),
        (vec!["Z".to_owned()], vec!["a-2".into(), "a_1".into()])
    );
    registry.put_template("a_1", None, UtcMillis(3)).await.expect("written");
    assert_eq!(
        (registry.template("a_1").await.expect("read"), names(Some("a-2"), 9).await),
        (None, vec!["b".to_owned()])
    );
}
