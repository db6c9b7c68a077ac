//! Doctors as rows.
//! Must not know: appointments.

use std::sync::Arc;

use booking_core::{DoctorId, Fingerprint, RequestKey, SubjectId, UtcMillis};
use engine::ledger::registry::{Doctor, DoctorProfile, DoctorQuery, Location, Registry, Written};
use uuid::Uuid;

use crate::Backend;

pub(crate) fn doctor(number: u128, name: &str, city: &str, specialties: &[&str]) -> Doctor {
    Doctor {
        id: DoctorId(Uuid::from_u128(number)),
        profile: DoctorProfile {
            name: name.into(),
            specialties: specialties.iter().map(|it| (*it).to_owned()).collect(),
            time_zone: "Europe/Zurich".into(),
            location: Location { name: "Praxis".into(), city: city.into(), latitude: 47.37, longitude: -8.54 },
            bio: Some("„Guten Tag“".into()),
            languages: vec!["de-CH".into(), "fr".into()],
            clinic: Some(Uuid::from_u128(5)),
        },
        created_at: UtcMillis(1_000),
        updated_at: UtcMillis(1_000),
    }
}

fn key(subject: u128, key: &str, request: u8) -> RequestKey {
    RequestKey {
        subject: SubjectId(Uuid::from_u128(subject)),
        key: key.into(),
        fingerprint: Fingerprint([request; 16]),
    }
}

pub(crate) async fn create(registry: &Arc<dyn Registry>, doctor: &Doctor) {
    assert_eq!(registry.create_doctor(doctor, None).await.expect("written"), Written::New(doctor.clone()));
}

async fn names(registry: &Arc<dyn Registry>, query: DoctorQuery) -> Vec<String> {
    let page = registry.doctors(&DoctorQuery { limit: 100, ..query }).await.expect("read");
    page.into_iter().map(|doctor| doctor.profile.name).collect()
}

pub(crate) async fn a_key_answers_once(backend: &impl Backend) {
    let stores = backend.open().await;
    let registry = stores.registry;
    let (first, second) = (doctor(1, "Ada", "Zug", &["GP"]), doctor(2, "Bea", "Zug", &["GP"]));
    let new = registry.create_doctor(&first, Some(&key(1, "k", 1))).await.expect("written");
    assert_eq!(new, Written::New(first.clone()));
    let later = DoctorProfile { name: "Ada II".into(), ..first.profile.clone() };
    registry.update_doctor(first.id, &later, UtcMillis(9_000)).await.expect("written");

    let again = registry.create_doctor(&second, Some(&key(1, "k", 1))).await.expect("read");
    assert_eq!(again, Written::Replayed(first.clone()), "the first answer, whatever happened since");
    let reused = registry.create_doctor(&second, Some(&key(1, "k", 2))).await.expect("read");
    assert_eq!(reused, Written::KeyReused);
    assert_eq!(registry.doctor(second.id).await.expect("read"), None);
    let other_subject = registry.create_doctor(&second, Some(&key(2, "k", 2))).await.expect("written");
    assert_eq!(other_subject, Written::New(second.clone()));

    stores.ledger.close().await;
    let registry = backend.open().await.registry;
    let again = registry.create_doctor(&second, Some(&key(1, "k", 1))).await.expect("read");
    assert_eq!(again, Written::Replayed(first), "also after a restart");
}

pub(crate) async fn coordinates_are_replayed_to_the_last_digit(backend: &impl Backend) {
    let registry = backend.open().await.registry;
    let mut first = doctor(1, "Ada", "Zug", &[]);
    // Seventeen digits: a reader of JSON that rounds by the way ends beside the last one.
    (first.profile.location.latitude, first.profile.location.longitude) = (-47.75044271348353, -120.84898944573739);
    let new = registry.create_doctor(&first, Some(&key(1, "k", 1))).await.expect("written");
    assert_eq!(new, Written::New(first.clone()));
    let again = registry.create_doctor(&first, Some(&key(1, "k", 1))).await.expect("read");
    assert_eq!(again, Written::Replayed(first.clone()));
    assert_eq!(registry.doctor(first.id).await.expect("read"), Some(first));
}

pub(crate) async fn twins_in_flight_write_once(backend: &impl Backend) {
    let registry = backend.open().await.registry;
    let mut twins = Vec::new();
    for number in 0..8 {
        let registry = registry.clone();
        let twin = doctor(number, "Ada", "Zug", &[]);
        twins.push(tokio::spawn(async move { registry.create_doctor(&twin, Some(&key(1, "k", 1))).await }));
    }
    let (mut new, mut replayed) = (Vec::new(), Vec::new());
    for twin in twins {
        match twin.await.expect("no panic").expect("written") {
            Written::New(doctor) => new.push(doctor),
            Written::Replayed(doctor) => replayed.push(doctor),
            Written::KeyReused => panic!("the same request"),
        }
    }
    assert_eq!((new.len(), replayed.len()), (1, 7));
    assert!(replayed.iter().all(|doctor| *doctor == new[0]));
    assert_eq!(names(&registry, DoctorQuery::default()).await.len(), 1);
}

pub(crate) async fn updates_replace_the_profile(backend: &impl Backend) {
    let registry = backend.open().await.registry;
    let before = doctor(1, "Ada", "Zug", &["GP", "Kardiologie"]);
    create(&registry, &before).await;
    assert_eq!(registry.doctor(before.id).await.expect("read"), Some(before.clone()));
    let profile =
        DoctorProfile { bio: None, clinic: None, languages: vec![], ..doctor(1, "B", "Bern", &["ENT"]).profile };
    let after = registry.update_doctor(before.id, &profile, UtcMillis(2_000)).await.expect("written").expect("known");
    let expected = Doctor { profile: profile.clone(), updated_at: UtcMillis(2_000), ..before.clone() };
    assert_eq!(after, expected);
    assert_eq!(registry.doctor(before.id).await.expect("read"), Some(expected));
    let by_old = DoctorQuery { specialty: Some("GP".into()), ..DoctorQuery::default() };
    assert!(names(&registry, by_old).await.is_empty());
    let by_new = DoctorQuery { specialty: Some("ent".into()), ..DoctorQuery::default() };
    assert_eq!(names(&registry, by_new).await, ["B"]);
    let nobody = registry.update_doctor(DoctorId(Uuid::max()), &profile, UtcMillis(2_000)).await.expect("read");
    assert_eq!(nobody, None);
}

pub(crate) async fn filters_fold_case_and_combine(backend: &impl Backend) {
    let registry = backend.open().await.registry;
    create(&registry, &doctor(1, "A", "Zürich", &["Hals-Nasen-Ohren", "Gefäße"])).await;
    create(&registry, &doctor(2, "B", "ZÜRICH", &["GP", "gp"])).await;
    create(&registry, &doctor(3, "C", "Bern", &["GEFÄSSE"])).await;
    let of = |specialty: Option<&str>, city: Option<&str>| DoctorQuery {
        specialty: specialty.map(str::to_owned),
        city: city.map(str::to_owned),
        ..DoctorQuery::default()
    };
    assert_eq!(names(&registry, of(None, Some("zürich"))).await, ["A", "B"]);
    assert_eq!(names(&registry, of(Some("gefässe"), None)).await, ["A", "C"]);
    assert_eq!(names(&registry, of(Some("GEFÄßE"), Some("BERN"))).await, ["C"]);
    assert_eq!(names(&registry, of(Some("Gp"), None)).await, ["B"], "once, though named twice");
    assert!(names(&registry, of(Some("gp"), Some("Bern"))).await.is_empty());
    assert!(names(&registry, of(Some("%"), None)).await.is_empty(), "no pattern");
}

pub(crate) async fn pages_follow_name_and_id(backend: &impl Backend) {
    let registry = backend.open().await.registry;
    for number in (0..10).rev() {
        create(&registry, &doctor(number, if number % 3 == 0 { "Same" } else { "Émile" }, "Zug", &["GP"])).await;
    }
    for filter in [DoctorQuery::default(), DoctorQuery { specialty: Some("gp".into()), ..DoctorQuery::default() }] {
        let mut seen: Vec<(String, DoctorId)> = Vec::new();
        loop {
            let query = DoctorQuery { after: seen.last().cloned(), limit: 3, ..filter.clone() };
            let page = registry.doctors(&query).await.expect("read");
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= 3 && seen.len() <= 10);
            seen.extend(page.into_iter().map(|doctor| (doctor.profile.name, doctor.id)));
        }
        assert_eq!(seen.len(), 10);
        assert!(seen.is_sorted());
    }
}
