//! The index against a list of everything that was granted: nobody is in two places, nothing is forgotten, everybody who waits is told.
//! Must not know: days, journals.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use booking_core::{AppointmentId, Date, DayKey, DoctorId, Fingerprint, PatientId, RequestKey, SubjectId, UtcMillis};
use proptest::prelude::*;

use super::{Claimed, Claims, Visit, Waiter, Wish};

#[derive(Default)]
struct Told(AtomicUsize);

impl Waiter for Told {
    fn settled(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn date() -> Date {
    Date::from_days(20_000).expect("a date")
}

fn day(number: u8) -> DayKey {
    DayKey { doctor: DoctorId::from_bytes([number; 16]), date: date() }
}

fn visit(patient: u8, appointment: u8, start: i64) -> Visit {
    Visit {
        patient: PatientId::from_bytes([patient; 16]),
        appointment: AppointmentId::from_bytes([appointment; 16]),
        start: UtcMillis(start),
        end: UtcMillis(start + 2),
        hold_expires_at: None,
    }
}

fn key(number: u8) -> RequestKey {
    let subject = SubjectId::from_bytes([1; 16]);
    RequestKey { subject, key: format!("k{number}").into(), fingerprint: Fingerprint([number; 16]) }
}

fn wish(day: DayKey, visit: Visit, sequence: u64) -> Wish<'static> {
    Wish { day, sequence, visit: Some(visit), key: None, now: UtcMillis(0) }
}

/// Claims that were granted, as a list. Appointments stay on the day they were born on here.
#[derive(Default)]
struct Model {
    granted: Vec<(DayKey, Visit, bool)>,
}

impl Model {
    fn in_the_way(&self, day: DayKey, visit: &Visit) -> Vec<bool> {
        let overlaps = |other: &Visit| other.start < visit.end && visit.start < other.end;
        let others = self.granted.iter().filter(|(at, other, _)| {
            *at != day && other.patient == visit.patient && other.appointment != visit.appointment && overlaps(other)
        });
        others.map(|(_, _, pending)| *pending).collect()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Claim {
        patient: u8,
        day: u8,
        start: i64,
    },
    /// The record of a granted claim is durable, or lost.
    Settle {
        which: usize,
        landed: bool,
    },
    /// A live appointment ends.
    Free {
        which: usize,
    },
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..3, 0_u8..3, 1_i64..8).prop_map(|(patient, day, start)| Step::Claim { patient, day, start }),
        3 => (0_usize..8, any::<bool>()).prop_map(|(which, landed)| Step::Settle { which, landed }),
        1 => (0_usize..8).prop_map(|which| Step::Free { which }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_is_ever_in_two_places(steps in proptest::collection::vec(any_step(), 1..60)) {
        let (claims, mut model) = (Claims::default(), Model::default());
        let (told, mut waiting) = (Arc::new(Told::default()), [0_usize; 3]);
        let waiter = Arc::clone(&told) as Arc<dyn Waiter>;
        let mut expected_told = 0;
        for (number, step) in steps.iter().enumerate() {
            let settled = match step {
                Step::Claim { patient, day: at, start } => {
                    let visit = visit(*patient, 100 + number as u8, *start);
                    let in_the_way = model.in_the_way(day(*at), &visit);
                    match claims.claim(&wish(day(*at), visit, number as u64), &waiter) {
                        Claimed::Granted => {
                            prop_assert!(in_the_way.is_empty());
                            model.granted.push((day(*at), visit, true));
                        }
                        Claimed::Busy(busy) => {
                            prop_assert!(in_the_way.contains(&false));
                            prop_assert!(busy.iter().any(|busy| busy.overlaps(visit.start, visit.end)));
                        }
                        Claimed::Unsettled { expire: None } => {
                            prop_assert!(!in_the_way.is_empty() && in_the_way.iter().all(|pending| *pending));
                            // However often one asks, it is told once.
                            waiting[usize::from(*patient)] = 1;
                        }
                        other => prop_assert!(false, "{:?}", other),
                    }
                    None
                }
                Step::Settle { which, landed } => {
                    let found = model.granted.iter_mut().filter(|(_, _, pending)| *pending).nth(*which);
                    found.map(|granted| { granted.2 = false; (*granted, *landed) })
                }
                Step::Free { which } => {
                    model.granted.iter().filter(|(_, _, pending)| !pending).nth(*which).map(|granted| (*granted, false))
                }
            };
            if let Some(((at, visit, _), stays)) = settled {
                claims.settle(visit.patient, visit.appointment, at, u64::MAX, stays.then_some(visit));
                if !stays {
                    model.granted.retain(|(_, other, _)| other.appointment != visit.appointment);
                }
                expected_told += std::mem::take(&mut waiting[usize::from(visit.patient.as_bytes()[0])]);
            }
            prop_assert_eq!(claims.visits(), model.granted.len());
            prop_assert_eq!(told.0.load(Ordering::Relaxed), expected_told);
        }
    }
}

#[test]
fn a_hold_that_is_due_is_to_be_expired_where_it_is() {
    let claims = Claims::default();
    let waiter: Arc<dyn Waiter> = Arc::new(Told::default());
    let held = Visit { hold_expires_at: Some(UtcMillis(5)), ..visit(1, 1, 10) };
    claims.settle(held.patient, held.appointment, day(1), 1, Some(held));
    let claim = |now| claims.claim(&Wish { now: UtcMillis(now), ..wish(day(2), visit(1, 2, 10), 1) }, &waiter);
    assert!(matches!(claim(4), Claimed::Busy(_)));
    assert!(matches!(claim(5), Claimed::Unsettled { expire: Some(at) } if at == day(1)));
}

#[test]
fn a_later_record_of_the_same_appointment_keeps_its_claim() {
    let claims = Claims::default();
    let waiter: Arc<dyn Waiter> = Arc::new(Told::default());
    let (first, second) = (visit(1, 1, 10), visit(1, 1, 20));
    assert!(matches!(claims.claim(&wish(day(1), first, 1), &waiter), Claimed::Granted));
    assert!(matches!(claims.claim(&wish(day(1), second, 2), &waiter), Claimed::Granted));
    claims.settle(first.patient, first.appointment, day(1), 1, Some(first));
    assert!(matches!(claims.claim(&wish(day(2), visit(1, 2, 20), 1), &waiter), Claimed::Unsettled { .. }));
    claims.settle(second.patient, second.appointment, day(1), 2, Some(second));
    assert_eq!(claims.visits(), 1);
    assert!(matches!(claims.claim(&wish(day(2), visit(1, 3, 10), 1), &waiter), Claimed::Granted));
}

#[test]
fn a_transfer_leaves_no_moment_without_a_claim() {
    let claims = Claims::default();
    let waiter: Arc<dyn Waiter> = Arc::new(Told::default());
    let (here, there) = (visit(1, 1, 10), visit(1, 1, 11));
    claims.settle(here.patient, here.appointment, day(1), 1, Some(here));
    assert!(
        matches!(claims.claim(&wish(day(2), there, 7), &waiter), Claimed::Granted),
        "its own time is not in its way"
    );
    claims.transfer(day(1), 2, day(2), there);
    assert_eq!(claims.visits(), 1);
    assert!(matches!(claims.claim(&wish(day(3), visit(1, 2, 12), 1), &waiter), Claimed::Busy(_)));
    assert!(matches!(claims.claim(&wish(day(3), visit(1, 3, 8), 1), &waiter), Claimed::Granted));
    assert!(!claims.is_pending(there.patient, there.appointment, day(2)));
}

#[test]
fn a_departure_that_is_told_late_changes_nothing_of_what_the_day_of_arrival_has_told() {
    let claims = Claims::default();
    let waiter: Arc<dyn Waiter> = Arc::new(Told::default());
    let (before, came, stands) = (visit(1, 1, 10), visit(1, 1, 20), visit(1, 1, 30));
    claims.settle(before.patient, before.appointment, day(1), 1, Some(before));
    // It has come to the second day, and was moved there.
    claims.settle(came.patient, came.appointment, day(2), 7, Some(stands));
    claims.transfer(day(1), 2, day(2), came);
    assert_eq!(claims.visits(), 1);
    assert!(matches!(claims.claim(&wish(day(3), visit(1, 2, 30), 1), &waiter), Claimed::Busy(_)));
    assert!(
        matches!(claims.claim(&wish(day(3), visit(1, 3, 20), 1), &waiter), Claimed::Granted),
        "where it came first"
    );
    assert!(
        matches!(claims.claim(&wish(day(3), visit(1, 4, 10), 1), &waiter), Claimed::Granted),
        "where it was before"
    );
}

#[test]
fn one_key_is_one_days() {
    let claims = Claims::default();
    let told = Arc::new(Told::default());
    let waiter = Arc::clone(&told) as Arc<dyn Waiter>;
    let claim = |at, number| {
        let key = key(number);
        claims.claim(
            &Wish { day: day(at), sequence: 3, visit: None, key: Some((&key, date())), now: UtcMillis(0) },
            &waiter,
        )
    };
    assert!(matches!(claim(1, 1), Claimed::Granted));
    assert!(matches!(claim(2, 1), Claimed::Unsettled { expire: None }));
    claims.key_lost(&key(1), day(1));
    assert_eq!(told.0.load(Ordering::Relaxed), 1);
    assert!(matches!(claim(2, 1), Claimed::Granted));
    claims.key_won(&key(1), day(2), date());
    assert!(matches!(claim(1, 1), Claimed::KeyElsewhere));
    assert_eq!(claims.day_of_key(&key(1)), Some(day(2)));
    claims.key_lost(&key(1), day(2));
    assert_eq!(claims.day_of_key(&key(1)), Some(day(2)), "what has won stays");
    assert!(matches!(claim(1, 2), Claimed::Granted), "another key");
}

#[test]
fn time_is_given_back_with_the_key_that_was_not_granted() {
    let claims = Claims::default();
    let waiter: Arc<dyn Waiter> = Arc::new(Told::default());
    let (here, there) = (visit(1, 1, 10), visit(1, 1, 20));
    claims.settle(here.patient, here.appointment, day(2), 1, Some(here));
    claims.key_won(&key(1), day(1), date());
    let key = key(1);
    let refused = Wish { key: Some((&key, date())), ..wish(day(2), there, 2) };
    assert!(matches!(claims.claim(&refused, &waiter), Claimed::KeyElsewhere));
    assert_eq!(claims.visits(), 1, "the place that the appointment has stays claimed");
    assert!(matches!(claims.claim(&wish(day(3), visit(1, 2, 20), 1), &waiter), Claimed::Granted));
    assert!(matches!(claims.claim(&wish(day(3), visit(1, 3, 10), 2), &waiter), Claimed::Busy(_)));
    let busy_too = Wish { key: Some((&key, date())), ..wish(day(4), visit(1, 4, 10), 1) };
    assert!(matches!(claims.claim(&busy_too, &waiter), Claimed::Busy(_)), "a refusal stays that refusal");
}

#[test]
fn a_key_is_given_back_with_the_time_that_was_not_granted() {
    let claims = Claims::default();
    let waiter: Arc<dyn Waiter> = Arc::new(Told::default());
    let taken = visit(1, 1, 10);
    claims.settle(taken.patient, taken.appointment, day(1), 1, Some(taken));
    let key = key(1);
    let refused = Wish { key: Some((&key, date())), ..wish(day(2), visit(1, 2, 10), 1) };
    assert!(matches!(claims.claim(&refused, &waiter), Claimed::Busy(_)));
    assert_eq!((claims.keys(), claims.visits()), (0, 1));
}
