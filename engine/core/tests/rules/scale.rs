//! What only shows at size or over several owners: ten thousand holds that fall due together, the largest day, and
//! versions under a new epoch.
//! Must not know: how fast it is meant to be.

use std::sync::Arc;

use booking_core::definition::{CAPACITY_MAX, SLOTS_MAX};
use booking_core::{
    Action, DayVersion, Decision, DoctorDay, Fact, Status, Success, UtcMillis, decode_event, encode_event, invariant,
};

use crate::driver::{booking, command, definition, keyed, subject_of};

/// Decides and applies, without the checks of the driver, which cost as much as the day is large.
fn run(day: &mut DoctorDay, action: Action, at: UtcMillis) -> Decision {
    let decision = day.decide(&command(action), at);
    if let Some(event) = &decision.event {
        day.apply(day.next_version(), event);
    }
    decision
}

fn published(slots: i64, capacity: u32, releases: &[(i64, Option<u32>, Option<&str>)]) -> DoctorDay {
    let slots: Vec<_> = (0..slots).map(|slot| (1000 + slot * 60, 1060 + slot * 60, capacity)).collect();
    let definition = Arc::new(definition(&slots, releases).expect("a good definition"));
    let mut day = DoctorDay::default();
    run(&mut day, Action::Publish { definition, precondition: None }, UtcMillis(0))
        .outcome
        .expect("a first definition");
    day
}

#[test]
fn ten_thousand_holds_that_fall_due_together_expire_in_one_record() {
    let mut day = published(100, 100, &[(0, None, None)]);
    for number in 0..10_000 {
        run(&mut day, booking(number, number, None, Some(60_000)), UtcMillis(1)).outcome.expect("a place");
    }
    let at = UtcMillis(60_001);
    let decision = run(&mut day, booking(10_000, 3, None, None), at);
    let event = decision.event.expect("a resale is recorded");
    assert_eq!((&event.fact, event.changes.len()), (&Fact::Taken, 10_001));
    assert!(event.changes[..10_000].iter().all(|change| change.row.status == Status::Expired));
    assert!(event.changes[..10_000].is_sorted_by_key(|change| change.row.id));
    assert_eq!(decode_event(&encode_event(&event)).as_ref(), Ok(&event));
    assert_eq!(invariant::check(&day, at), Ok(()));
    assert_eq!(run(&mut day, Action::Expire, at).outcome, Ok(Success::Expired { holds: 0 }));
}

#[test]
fn the_largest_day_with_the_most_releases_can_be_published_booked_and_packed() {
    let mut releases = vec![(0, Some(CAPACITY_MAX), Some("gold")); 99];
    releases.push((0, None, None));
    let mut day = published(SLOTS_MAX as i64, CAPACITY_MAX, &releases);
    for number in 0..50 {
        run(&mut day, booking(number, number, None, None), UtcMillis(1)).outcome.expect("a place");
    }
    assert_eq!(invariant::check(&day, UtcMillis(1)), Ok(()));
    let snapshot = day.snapshot().expect("a picture");
    assert_eq!(snapshot.remaining_in_all_at(UtcMillis(1)), SLOTS_MAX as u64 * u64::from(CAPACITY_MAX) - 50);
    let woken = DoctorDay::unpack(&day.pack()).expect("what was packed can be unpacked");
    assert_eq!(woken.pack(), day.pack());
}

#[test]
fn a_new_owner_names_and_remembers_its_own_epoch() {
    let mut day = published(1, 1, &[(0, None, None)]);
    assert_eq!(day.version(), DayVersion { epoch: 0, sequence: 1 });
    assert!(day.adopt_epoch(7));
    assert_eq!(day.version(), DayVersion { epoch: 0, sequence: 1 });
    let close = keyed(Action::Close { reason: None }, subject_of(1), "key", 1);
    let decision = day.decide(&close, UtcMillis(5));
    let version = DayVersion { epoch: 7, sequence: 2 };
    assert_eq!(decision.outcome, Ok(Success::Day { version, created: false, replayed_at: None }));
    // The record is written by yet another owner in the end: what is remembered is the version it really has.
    let written = DayVersion { epoch: 9, sequence: 2 };
    day.apply(written, &decision.event.expect("closing is recorded"));
    assert!(!day.adopt_epoch(8), "it is the later owner's");
    assert_eq!(day.next_version(), DayVersion { epoch: 9, sequence: 3 });
    assert!(day.adopt_epoch(9) && day.adopt_epoch(10));
    assert_eq!(day.next_version(), DayVersion { epoch: 10, sequence: 3 });
    let woken = DoctorDay::unpack(&day.pack()).expect("what was packed can be unpacked");
    let replay = woken.decide(&close, UtcMillis(6)).outcome;
    assert_eq!(replay, Ok(Success::Day { version: written, created: false, replayed_at: Some(UtcMillis(5)) }));
}
