//! The store of claims on a real PostgreSQL: one winner however many ask at once, the same claim under the same name, nothing kept that
//! is over.
//! Must not know: days, the committer.

use booking_core::{
    AppointmentId, Date, DayKey, DayVersion, DoctorId, Fingerprint, PatientId, RequestKey, SubjectId, UtcMillis,
};
use engine::claims::Visit;
use engine::claims::guard::{Blocker, ClaimGuard, GivenBack, RecordClaims};
use engine::claims::postgres::PostgresClaims;
use futures_util::future::join_all;
use servers::Postgres;
use uuid::Uuid;

/// 2030-01-01T09:00:00Z.
const NINE: i64 = 1_893_488_400_000;
const HOUR: i64 = 3_600_000;

fn day(number: u128) -> DayKey {
    DayKey { doctor: DoctorId(Uuid::from_u128(number)), date: Date::from_days(21_915).expect("a date") }
}

fn visit(patient: u128, appointment: u128, start: i64) -> Visit {
    Visit {
        patient: PatientId(Uuid::from_u128(patient)),
        appointment: AppointmentId(Uuid::from_u128(appointment)),
        start: UtcMillis(start),
        end: UtcMillis(start + HOUR),
        hold_expires_at: None,
    }
}

fn claims(number: u128, sequence: u64, visit: Visit) -> RecordClaims {
    RecordClaims::of(day(number), DayVersion { epoch: 1, sequence }, 1, Some(visit), None).expect("a claim")
}

async fn database(postgres: &Postgres) -> String {
    let url = postgres.create_database().await;
    let options = engine::postgres::options(&url).expect("a good address");
    engine::postgres::migrate(&options).await.expect("the schema comes up to date");
    url
}

async fn open(url: &str) -> PostgresClaims {
    PostgresClaims::open(url).await.expect("it opens")
}

#[tokio::test]
async fn of_a_thousand_visits_at_once_each_patient_has_one() {
    let postgres = Postgres::start().await;
    let url = database(&postgres).await;
    let stores = join_all((0..8).map(|_| open(&url))).await;
    let rounds = stores.iter().enumerate().map(async |(number, store)| {
        let mut won = 0;
        for round in 0..125_u128 {
            let number = number as u128;
            // Every store claims for patient `round`, half an hour later than the one before.
            let one = claims(number, 1 + round as u64, visit(round, 1_000 * number + round, NINE + number as i64 * 60_000));
            let lost = loop {
                match store.claim(&[&one]).await {
                    Ok(lost) => break lost,
                    Err(error) => eprintln!("again: {error}"),
                }
            };
            won += usize::from(lost.is_empty());
            for lost in lost {
                assert!(matches!(&lost.blockers[..], [Blocker::Visit { visit, .. }] if visit.patient == one.visit.as_ref().expect("it").visit.patient));
            }
        }
        won
    });
    assert_eq!(join_all(rounds).await.iter().sum::<usize>(), 125);
}

#[tokio::test]
async fn a_claim_is_the_same_under_the_same_name_and_gone_when_it_is_given_back() {
    let postgres = Postgres::start().await;
    let store = open(&database(&postgres).await).await;
    let first = claims(1, 5, visit(7, 70, NINE));
    let second = claims(2, 5, visit(7, 71, NINE + HOUR / 2));
    let elsewhere = claims(3, 5, visit(7, 70, NINE));
    assert!(store.claim(&[&first]).await.expect("an answer").is_empty());
    assert!(store.claim(&[&first, &elsewhere]).await.expect("an answer").is_empty(), "again, and a move of the same");
    let lost = store.claim(&[&second]).await.expect("an answer");
    assert_eq!(lost[0].blockers.len(), 2, "{lost:?}");
    let Blocker::Visit { visit: there, .. } = lost[0].blockers[0].clone() else { panic!("a visit") };
    assert_eq!((there.start, there.end), (UtcMillis(NINE), UtcMillis(NINE + HOUR)));
    let before = |sequence| GivenBack::Before { appointment: there.appointment, day: day(1), sequence };
    let name = elsewhere.visit.as_ref().expect("one").id;
    store.give_back(&[GivenBack::Id(name), before(5)]).await.expect("given back");
    assert_eq!(store.claim(&[&second]).await.expect("an answer")[0].blockers.len(), 1, "record 5 itself stays");
    store.give_back(&[before(6)]).await.expect("given back");
    assert!(store.claim(&[&second]).await.expect("an answer").is_empty());
    assert_eq!(store.sweep(UtcMillis(NINE)).await.expect("swept"), 0);
    assert_eq!(store.sweep(UtcMillis(NINE + 5 * HOUR)).await.expect("swept"), 1);
}

#[tokio::test]
async fn a_key_is_one_days() {
    let postgres = Postgres::start().await;
    let store = open(&database(&postgres).await).await;
    let key = RequestKey { subject: SubjectId(Uuid::from_u128(1)), key: "k".into(), fingerprint: Fingerprint([1; 16]) };
    let of = |number, sequence| {
        let version = DayVersion { epoch: 1, sequence };
        RecordClaims::of(day(number), version, 1, None, Some((&key, day(number).date))).expect("a claim")
    };
    assert!(store.claim(&[&of(1, 1)]).await.expect("an answer").is_empty());
    assert!(store.claim(&[&of(1, 2)]).await.expect("an answer").is_empty(), "its own day claims it anew");
    store.give_back(&of(1, 1).ids().map(GivenBack::Id).collect::<Vec<_>>()).await.expect("given back");
    let lost = store.claim(&[&of(2, 1)]).await.expect("an answer");
    assert!(matches!(&lost[0].blockers[..], [Blocker::Key { day: at, .. }] if *at == day(1)), "{lost:?}");
    store.give_back(&of(1, 2).ids().map(GivenBack::Id).collect::<Vec<_>>()).await.expect("given back");
    assert!(store.claim(&[&of(2, 1)]).await.expect("an answer").is_empty());
}

#[tokio::test]
async fn batches_of_any_size_are_claimed_at_once() {
    let postgres = Postgres::start().await;
    let store = open(&database(&postgres).await).await;
    let mut patient = 1;
    for size in [1, 20, 256] {
        let rounds = 512_usize.div_ceil(size).min(200);
        for _ in 0..rounds {
            let batch: Vec<RecordClaims> = (0..size)
                .map(|_| {
                    patient += 1;
                    claims(patient % 50, patient as u64, visit(patient, patient, NINE))
                })
                .collect();
            let wanted: Vec<&RecordClaims> = batch.iter().collect();
            assert!(store.claim(&wanted).await.expect("an answer").is_empty());
        }
    }
}
