//! Patients and clinics as rows.
//! Must not know: doctors, appointments.

use booking_core::{PatientId, PersonalText, UtcMillis};
use engine::ledger::people::{Channel, Clinic, ClinicProfile, Patient, PatientProfile};
use uuid::Uuid;

use crate::Backend;

const ADA: PatientId = PatientId(Uuid::from_u128(1));

fn full() -> PatientProfile {
    PatientProfile {
        name: PersonalText::plain("Ada „Äda“ Brandt"),
        phone: Some(PersonalText::plain("+4930123456")),
        email: Some(PersonalText::plain("ada@example.org")),
        telegram: Some(PersonalText::plain("@ada")),
        language: Some("de-CH".into()),
        time_zone: Some("Europe/Zurich".into()),
        channels: Some(vec![Channel::Webhook, Channel::File, Channel::Sms, Channel::Telegram, Channel::Email]),
    }
}

fn bare(name: &str) -> PatientProfile {
    PatientProfile {
        name: PersonalText::plain(name),
        phone: None,
        email: None,
        telegram: None,
        language: None,
        time_zone: None,
        channels: None,
    }
}

pub(crate) async fn a_patient_is_put_read_and_replaced(backend: &impl Backend) {
    let stores = backend.open().await;
    let registry = stores.registry;
    assert_eq!(registry.patient(ADA).await.expect("read"), None);
    let put = registry.put_patient(ADA, &full(), UtcMillis(5)).await.expect("written");
    assert_eq!(put, Patient { id: ADA, profile: full(), created_at: UtcMillis(5), updated_at: UtcMillis(5) });
    assert_eq!(registry.patient(ADA).await.expect("read"), Some(put));
    for channels in [None, Some(vec![])] {
        let profile = PatientProfile { channels, ..bare("Ada II") };
        let put = registry.put_patient(ADA, &profile, UtcMillis(6)).await.expect("written");
        assert_eq!(put.profile, profile, "nothing of before is left");
        assert_eq!(registry.patient(ADA).await.expect("read"), Some(put));
    }
    let other = PatientId(Uuid::max());
    assert_eq!(registry.patient(other).await.expect("read"), None);

    let before = registry.put_patient(ADA, &full(), UtcMillis(7)).await.expect("written");
    stores.ledger.close().await;
    let registry = backend.open().await.registry;
    assert_eq!(registry.patient(ADA).await.expect("read"), Some(before), "also after a restart");
}

pub(crate) async fn puts_keep_the_first_instant_and_never_go_back(backend: &impl Backend) {
    let registry = backend.open().await.registry;
    registry.put_patient(ADA, &full(), UtcMillis(50)).await.expect("written");
    for (at, updated) in [(70, 70), (60, 70)] {
        let put = registry.put_patient(ADA, &bare("Ada"), UtcMillis(at)).await.expect("written");
        assert_eq!((put.created_at, put.updated_at), (UtcMillis(50), UtcMillis(updated)));
    }
}

pub(crate) async fn sealed_text_stays_sealed(backend: &impl Backend) {
    let registry = backend.open().await.registry;
    let sealed = |key| PersonalText { key, bytes: vec![0, 0xff, 0x80].into() };
    let profile = PatientProfile { name: sealed(7), phone: Some(sealed(u32::MAX)), ..full() };
    registry.put_patient(ADA, &profile, UtcMillis(1)).await.expect("written");
    let read = registry.patient(ADA).await.expect("read").expect("known");
    assert_eq!(read.profile, profile);
    assert_eq!(read.profile.name.as_plain(), None);
}

pub(crate) async fn clinics_are_put_read_and_replaced(backend: &impl Backend) {
    let registry = backend.open().await.registry;
    let id = Uuid::from_u128(3);
    assert_eq!(registry.clinic(id).await.expect("read"), None);
    let first = ClinicProfile { name: "Nord".into(), time_zone: Some("Europe/Oslo".into()) };
    let second = ClinicProfile { name: "Süd".into(), time_zone: None };
    for (profile, at) in [(first, 10), (second, 20)] {
        let put = registry.put_clinic(id, &profile, UtcMillis(at)).await.expect("written");
        assert_eq!(put, Clinic { id, profile, created_at: UtcMillis(10), updated_at: UtcMillis(at) });
        assert_eq!(registry.clinic(id).await.expect("read"), Some(put));
    }
}
