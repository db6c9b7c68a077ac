//! Does it fail as told, only so, and without a trace where it says so?
//! Must not know: the contract, which is checked together with the other ledgers' (`tests/ledger_contract`).

use booking_core::{DayKey, DoctorId};
use uuid::Uuid;

use super::*;
use crate::ledger::registry::Registry;
use crate::ownership::ShardSet;

fn day() -> DayKey {
    let date = Date::from_days(20_000).expect("a date");
    DayKey { doctor: DoctorId(Uuid::from_u128(1)), date }
}

fn version(sequence: u64) -> DayVersion {
    DayVersion { epoch: 1, sequence }
}

fn is_away<T>(outcome: &Result<T, ApplyError>) -> bool {
    matches!(outcome, Err(ApplyError::Unavailable(_)))
}

#[tokio::test]
async fn faults_come_one_a_write_in_their_order() {
    let ledger = MemoryLedger::default();
    ledger.fail_next(Fault::Unavailable);
    ledger.spare_next();
    ledger.fail_next(Fault::Refused);
    ledger.fail_next(Fault::UnavailableAfter);
    let other = ledger.clone();
    assert!(is_away(&ledger.apply(&[], 3).await));
    assert_eq!(other.applied_position().await.expect("a read has no fault"), 0, "nothing was applied");
    other.apply(&[], 5).await.expect("spared");
    assert!(matches!(ledger.apply(&[], 7).await, Err(ApplyError::Refused(_))));
    assert_eq!(ledger.contents().cursor, 5);
    assert!(is_away(&other.apply(&[], 9).await));
    assert_eq!(ledger.contents().cursor, 9, "applied all the same");
    ledger.apply(&[], 11).await.expect("no fault is left");
}

#[tokio::test]
async fn every_write_of_the_ledger_takes_a_fault() {
    let ledger = MemoryLedger::default();
    let before = ledger.contents();
    for _ in 0..4 {
        ledger.fail_next(Fault::Unavailable);
    }
    assert!(is_away(&ledger.apply(&[], 1).await));
    assert!(is_away(&ledger.park(day(), version(1), "sick").await));
    assert!(is_away(&ledger.unpark(day(), &[]).await));
    assert!(is_away(&ledger.forget_won_keys(day().date).await));
    assert_eq!(ledger.contents(), before);
    ledger.fail_next(Fault::UnavailableAfter);
    assert!(is_away(&ledger.park(day(), version(1), "sick").await));
    assert_eq!(ledger.contents().parked.len(), 1);
    ledger.fail_next(Fault::Refused);
    assert!(matches!(ledger.unpark(day(), &[]).await, Err(ApplyError::Refused(_))));
    assert_eq!(ledger.contents().parked.len(), 1, "the mark stays");
    ledger.unpark(day(), &[]).await.expect("no fault is left");
    assert!(ledger.contents().parked.is_empty());
}

#[tokio::test]
async fn away_is_told_by_every_call_and_uses_up_no_fault() {
    let ledger = MemoryLedger::default();
    ledger.fail_next(Fault::Refused);
    ledger.away(true);
    let query = AppointmentQuery {
        scope: AppointmentScope::Day(day()),
        statuses: vec![],
        from: None,
        to: None,
        after: None,
        limit: 1,
        now: UtcMillis(0),
    };
    let id = AppointmentId(Uuid::nil());
    assert!(is_away(&ledger.apply(&[], 1).await));
    assert!(is_away(&ledger.park(day(), version(1), "sick").await));
    assert!(is_away(&ledger.unpark(day(), &[]).await));
    assert!(is_away(&ledger.forget_won_keys(day().date).await));
    let reads = [
        ledger.parked().await.err(),
        ledger.time_zone(day()).await.err(),
        ledger.applied_sequence(day()).await.err(),
        ledger.applied_position().await.err(),
        ledger.appointment(id).await.err(),
        ledger.history(id).await.err(),
        ledger.appointments(&query).await.err(),
        ledger.live_appointments(&ShardSet::ALL, UtcMillis(0), &mut |_| {}).await.err(),
        ledger.won_keys(&ShardSet::ALL, day().date, &mut |_, _, _| {}).await.err(),
        ledger.doctor(day().doctor).await.err(),
        ledger.clinic(Uuid::nil()).await.err(),
    ];
    assert!(reads.iter().all(|error| matches!(error, Some(ReadError::Unavailable(_)))), "{reads:?}");
    let clinic = crate::ledger::people::ClinicProfile { name: "Nord".into(), time_zone: None };
    assert!(ledger.put_clinic(Uuid::nil(), &clinic, UtcMillis(0)).await.is_err());
    ledger.away(false);
    assert_eq!(ledger.clinic(Uuid::nil()).await.expect("read"), None);
    assert!(matches!(ledger.apply(&[], 1).await, Err(ApplyError::Refused(_))));
}

#[tokio::test]
async fn the_next_process_has_the_rows_and_no_faults() {
    let dead = MemoryLedger::default();
    dead.apply(&[], 5).await.expect("applied");
    dead.fail_next(Fault::Refused);
    dead.away(true);
    let alive = dead.reopen();
    assert_eq!(alive.applied_position().await.expect("read"), 5);
    alive.apply(&[], 6).await.expect("no fault came along");
    dead.away(false);
    assert!(is_away(&dead.apply(&[], 9).await), "a dead process writes nothing");
    let clinic = crate::ledger::people::ClinicProfile { name: "Nord".into(), time_zone: None };
    assert!(dead.put_clinic(Uuid::nil(), &clinic, UtcMillis(0)).await.is_err());
    assert_eq!(dead.contents(), alive.contents());
    assert_eq!(alive.contents().cursor, 6);
}
