//! Moves that are given up, by whom ever, and tried again.
//! Must not know: who drives the move.

use booking_core::Status;
use engine::EngineError;
use simulator::scenario::{Scenario, Setting, book, confirm, from_all_sides, hold, list_of_patient, reschedule};

use crate::moves::{facts, on_the_way, until_last};
use crate::town::{SIDES, clinic, first, later, one, single};

/// A.5.
#[test]
fn a_move_that_is_given_up_after_two_seconds_never_commits() {
    for seed in 0..8 {
        let (scenario, id, moving) = on_the_way(seed, 0);
        scenario.pass_millis(2_500);
        assert!(scenario.is_unknown(&moving));
        assert_eq!(facts(&scenario, later()), ["published"]);
        scenario.release_appends();
        until_last(&scenario, later(), "dropped");
        assert_eq!(scenario.read(id).day, one());
        assert_eq!(facts(&scenario, one()), ["published", "taken"]);
        scenario.do_now(book(2, later(), first(later())));
        scenario.finish();
    }
}

/// A.6: a confirm overtakes the departure, so the move is tried again; the place that its first attempt has kept must not refuse it.
#[test]
fn a_move_that_is_tried_again_is_not_refused_by_its_own_place() {
    for seed in 0..SIDES {
        let plans = vec![single(one(), 1), single(later(), 1)];
        let scenario = Scenario::open(Setting { holds_seconds: 65, ..Setting::of(seed, plans) });
        let held = scenario.do_now(hold(1, one(), None, 60_000));
        scenario.hold_appends();
        let moving = scenario.ask(reschedule(1, held.id, later(), first(later())));
        scenario.until_append_waits();
        let confirmed = scenario.ask(confirm(1, one(), held.id));
        scenario.pass_millis(300);
        scenario.release_appends();
        scenario.won(&confirmed);
        let moved = scenario.won(&moving).placed;
        assert_eq!((moved.day, moved.appointment.status), (later(), Status::Booked));
        until_last(&scenario, later(), "in");
        assert_eq!(facts(&scenario, later()), ["published", "held", "dropped", "held", "in"]);
        scenario.finish();
    }
}

/// A.5 and A.9: the day of departure forgets the attempt while the place is being kept. The day of arrival may ask what became of it
/// before the driver does, and is told that it was given up; after that the driver must not commit.
#[test]
fn an_attempt_that_its_day_has_forgotten_never_commits() {
    let ways = from_all_sides(4 * SIDES, |seed| {
        let setting = Setting { jitter_micros: 3_000, ..clinic(seed, &[one(), later()]) };
        let scenario = Scenario::open(setting);
        let id = scenario.do_now(book(1, one(), first(one()))).id;
        scenario.hold_appends();
        let moving = scenario.ask(reschedule(1, id, later(), first(later())));
        scenario.until_append_waits();
        let interrupted = scenario.ask(book(2, one(), None));
        scenario.panic_at_next_decision();
        scenario.pass_millis(500);
        scenario.release_appends();
        let outcome = scenario.outcome(&moving);
        assert!(!matches!(outcome, Some(Err(EngineError::Rejected(_)))), "nothing refuses it: {outcome:?}");
        scenario.outcome(&interrupted);
        scenario.pass_millis(3_000);
        assert!(facts(&scenario, later()).contains(&"dropped"), "the first attempt came to nothing");
        assert_eq!(scenario.listed(list_of_patient(1)).len(), 1);
        scenario.finish();
        if matches!(outcome, Some(Ok(_))) { "moved by another attempt" } else { "told as unknown" }
    });
    assert!(ways.contains_key("moved by another attempt"), "{ways:?}");
}
