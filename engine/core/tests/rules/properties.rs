//! What holds after every step of whatever is played: conservation, replay, sleep, and that the picture agrees with the
//! day (all in the driver), and that nobody is ever oversold.
//! Must not know: single rules.

use std::collections::HashMap;

use booking_core::{Rejection, Status, UtcMillis};
use proptest::prelude::*;

use crate::driver::Driver;
use crate::random::{Wish, any_definition, any_steps};

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_played_the_day_stays_in_order(first in any_definition(), steps in any_steps()) {
        let mut driver = Driver::published(first);
        let mut now = UtcMillis(0);
        for (number, step) in steps.iter().enumerate() {
            now = now.plus_millis(step.later_millis);
            let before = driver.day.pack();
            let decision = driver.run(&step.command(number, driver.day.version()), now);
            if decision.event.is_none() {
                prop_assert_eq!(before, driver.day.pack());
            }
            prop_assert!(!matches!(decision.outcome, Err(Rejection::UnknownDay)));
            nobody_is_oversold(&driver);
            if matches!(step.wish, Wish::Expire) {
                prop_assert!(driver.day.next_hold_expiry().is_none_or(|expiry| expiry > now));
            }
        }
    }

    #[test]
    fn time_alone_changes_the_picture_only_where_it_says_so(first in any_definition(), steps in any_steps()) {
        let mut driver = Driver::published(first);
        let mut now = UtcMillis(0);
        for (number, step) in steps.iter().take(12).enumerate() {
            now = now.plus_millis(step.later_millis);
            driver.run(&step.command(number, driver.day.version()), now);
        }
        let Some(snapshot) = driver.day.snapshot() else { return Ok(()) };
        let seen = |at: UtcMillis| {
            let counts: Vec<_> = (0..snapshot.definition().slots.len()).map(|slot| snapshot.counts_at(slot, at)).collect();
            (snapshot.state_at(at), counts, snapshot.next_release_after(at), snapshot.phase_at(at))
        };
        let mut instant = now;
        while let Some(next) = snapshot.next_change_after(instant) {
            prop_assert!(next > instant);
            prop_assert_eq!(seen(instant), seen(next.plus_millis(-1)));
            prop_assert!(snapshot.phase_at(next) > snapshot.phase_at(instant));
            instant = next;
        }
        prop_assert_eq!(seen(instant), seen(UtcMillis(i64::MAX)));
    }
}

/// Counted from the appointments alone.
fn nobody_is_oversold(driver: &Driver) {
    let Some(definition) = driver.day.definition() else { return };
    let mut sold: HashMap<UtcMillis, u32> = HashMap::new();
    let mut live: HashMap<_, u32> = HashMap::new();
    for row in driver.day.appointments() {
        *sold.entry(row.start).or_default() += u32::from(row.status.takes_place());
        let to_come = row.status == Status::Held || row.status == Status::Booked;
        *live.entry((row.patient, row.start)).or_default() += u32::from(to_come);
    }
    for (start, sold) in sold {
        let capacity = definition.slot_at(start).map_or(0, |slot| definition.slots[slot].capacity);
        assert!(sold <= capacity, "{sold} of {capacity} places at {start:?} are sold");
    }
    assert!(live.values().all(|count| *count <= 1), "a patient has two places in one slot");
}
