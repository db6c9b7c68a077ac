//! Two registries, the same random writes: the same answers to every question.
//! Must not know: appointments, what is right.

use booking_core::{DoctorId, Fingerprint, PatientId, PersonalText, RequestKey, SubjectId, UtcMillis};
use engine::ledger::memory::MemoryLedger;
use engine::ledger::people::{Channel, ClinicProfile, PatientProfile};
use engine::ledger::registry::{Doctor, DoctorProfile, DoctorQuery, Location, Registry};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use uuid::Uuid;

use crate::{Backend, Database, Sqlite};

const WRITES: usize = 400;

/// Of which some are the same, to one who does not regard case.
const WORDS: [&str; 12] =
    ["Straße", "STRASSE", " strasse ", "Σίσυφος", "ΣΊΣΥΦΟΣ", "İzmir", "izmir", "", "%", "O'Hara \"Ö\"", "ö", "Zug"];

/// Which write, of which row, under which key, at which instant, and words and coordinates to fill it with.
type Write = (u8, u128, u128, i64, [usize; 4], (f64, f64));

/// Asks both the same, which must agree.
macro_rules! agreed {
    ($stored:expr, $memory:expr, $call:ident($($argument:expr),*)) => {{
        let stored = $stored.$call($($argument),*).await.expect("an answer");
        let memory = $memory.$call($($argument),*).await.expect("an answer");
        assert_eq!(stored, memory, "left stored, right memory: {} of {:?}", stringify!($call), ($(&$argument,)*));
        stored
    }};
}

fn word(number: usize) -> String {
    WORDS[number % WORDS.len()].to_owned()
}

fn profile(words: [usize; 4], (latitude, longitude): (f64, f64)) -> DoctorProfile {
    let [name, city, first, second] = words;
    DoctorProfile {
        name: word(name),
        specialties: if first == second { vec![] } else { vec![word(first), word(second)] },
        time_zone: "Europe/Zurich".into(),
        location: Location { name: word(second), city: word(city), latitude, longitude },
        bio: (first % 2 == 0).then(|| word(second)),
        languages: vec![word(city); second % 3],
        clinic: (name % 2 == 0).then(|| Uuid::from_u128(city as u128)),
    }
}

fn patient_profile(words: [usize; 4]) -> PatientProfile {
    let [name, phone, email, channels] = words;
    let sealed = |number: usize| PersonalText { key: number as u32, bytes: word(number).into_bytes().into() };
    PatientProfile {
        name: sealed(name),
        phone: (phone % 2 == 0).then(|| sealed(phone)),
        email: (email % 2 == 0).then(|| sealed(email)),
        telegram: (phone % 3 == 0).then(|| sealed(email)),
        language: (channels % 2 == 0).then(|| word(phone)),
        time_zone: (channels % 3 == 0).then(|| word(name)),
        channels: (channels > 0).then(|| Channel::ALL.into_iter().cycle().skip(name).take(channels % 6).collect()),
    }
}

async fn write(stored: &dyn Registry, memory: &MemoryLedger, write: Write) {
    let (kind, id, key, at, words, place) = write;
    let (doctor, at) = (DoctorId(Uuid::from_u128(id)), UtcMillis(at));
    match kind {
        0..=3 => {
            let doctor = Doctor { id: doctor, profile: profile(words, place), created_at: at, updated_at: at };
            let key = (key > 2).then(|| RequestKey {
                subject: SubjectId(Uuid::from_u128(key % 2)),
                key: (key / 4).to_string().into(),
                fingerprint: Fingerprint([(words[0] % 2) as u8; 16]),
            });
            agreed!(stored, memory, create_doctor(&doctor, key.as_ref()));
        }
        4..=5 => drop(agreed!(stored, memory, update_doctor(doctor, &profile(words, place), at))),
        6 => drop(agreed!(stored, memory, put_patient(PatientId(Uuid::from_u128(id)), &patient_profile(words), at))),
        _ => {
            let profile = ClinicProfile { name: word(words[0]), time_zone: (id % 2 == 0).then(|| word(words[1])) };
            agreed!(stored, memory, put_clinic(Uuid::from_u128(id), &profile, at));
        }
    }
    agreed!(stored, memory, doctor(doctor));
    agreed!(stored, memory, patient(PatientId(Uuid::from_u128(id))));
    agreed!(stored, memory, clinic(Uuid::from_u128(id)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_registries_agree_on_everything() {
    agree(&Sqlite::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_agrees_on_everything() {
    agree(&Database::new().await).await;
}

/// Has both write the same, and asks both the same.
pub(crate) async fn agree(backend: &impl Backend) {
    let registry = backend.open().await.registry;
    let stored = &*registry;
    let memory = MemoryLedger::default();
    let words = prop::array::uniform4(0..WORDS.len());
    let writes = (0..8_u8, 0..12_u128, 0..24_u128, 0..1_000_i64, words, (-90.0..90.0, -180.0..180.0));
    let some_word = || prop::option::of(0..WORDS.len());
    let queries = (some_word(), some_word(), prop::option::of((0..WORDS.len(), 0..12_u128)), 0..6_usize);
    let mut runner = TestRunner::deterministic();
    let mut rows = 0;
    for _ in 0..WRITES {
        write(stored, &memory, writes.new_tree(&mut runner).expect("a write").current()).await;
        let (specialty, city, after, limit) = queries.new_tree(&mut runner).expect("a query").current();
        let after = after.map(|(name, id)| (word(name), DoctorId(Uuid::from_u128(id))));
        let query = DoctorQuery { specialty: specialty.map(word), city: city.map(word), after, limit };
        rows += agreed!(stored, memory, doctors(&query)).len();
    }
    let all = DoctorQuery { limit: 100, ..DoctorQuery::default() };
    assert!(
        agreed!(stored, memory, doctors(&all)).len() == 12 && rows > 100,
        "worth nothing if little happens: {rows}"
    );
}
