//! What time alone changes: a hold that is due, a release, a clock that steps.
//! Must not know: how a day is woken.

use booking_core::{Fact, Rejection, Release, Status};
use engine::journal::memory::Fault as AppendFault;
use simulator::scenario::{
    Scenario, Setting, book, confirm, from_all_sides, hold, instant, list_of_day, plan_released,
};

use crate::town::{FIRST, LENGTH, SIDES, first, one, small};

const HOLD_MILLIS: i64 = 2_000;

fn holding(seed: u64) -> Setting {
    Setting { holds_seconds: 8, ..small(seed, 1) }
}

/// Rule 3: every request at and around the instant at which the only hold falls due.
#[test]
fn a_hold_that_is_due_refuses_nobody() {
    let ways = from_all_sides(SIDES, |seed| {
        let scenario = Scenario::open(holding(seed));
        let held = scenario.do_now(hold(1, one(), None, HOLD_MILLIS));
        let due = held.hold_expires_at.expect("a hold");
        scenario.pass_until(due.plus_millis(-2));
        let asked = scenario.ask_in(seed * 60, book(2, one(), None));
        let outcome = scenario.reply(&asked);
        let way = match outcome {
            Ok(_) => "won",
            Err(engine::EngineError::Rejected(Rejection::SoldOut)) => "before it was due",
            other => panic!("{other:?}"),
        };
        scenario.pass_until(due);
        if way != "won" {
            scenario.do_now(book(3, one(), None));
        }
        assert_eq!(scenario.read(held.id).appointment.status, Status::Expired);
        scenario.finish();
        way
    });
    assert!(ways.len() == 2, "{ways:?}");
}

/// Rule 3: a refusal from a picture counts only before the release.
#[test]
fn a_picture_from_before_the_release_refuses_nobody_after_it() {
    let ways = from_all_sides(SIDES, |seed| {
        let release = Release { at: instant(5_000), places: None, audience: None };
        let plan = plan_released(one(), &[(FIRST, LENGTH, 1)], vec![release]);
        let scenario = Scenario::open(Setting::of(seed, vec![plan]));
        scenario.pass_until(instant(4_999));
        let asked = scenario.ask_in(seed * 50, book(1, one(), None));
        let way = match scenario.reply(&asked) {
            Ok(_) => "released",
            Err(engine::EngineError::Rejected(Rejection::NotReleased { .. })) => "not yet",
            other => panic!("{other:?}"),
        };
        scenario.finish();
        way
    });
    assert_eq!(ways.len(), 2, "{ways:?}");
}

/// Rule 4: the append of the expiry is held up; nobody may be told of it.
#[test]
fn nobody_is_told_of_an_expiry_that_is_not_durable() {
    for seed in 0..8 {
        let scenario = Scenario::open(holding(seed));
        let held = scenario.do_now(hold(1, one(), None, HOLD_MILLIS));
        scenario.hold_appends();
        scenario.pass_until(held.hold_expires_at.expect("a hold"));
        let (late, next) = (scenario.ask(confirm(1, one(), held.id)), scenario.ask(book(2, one(), None)));
        scenario.pass_millis(1_000);
        assert!(!late.is_over() && !next.is_over(), "the expiry is on its way");
        assert_eq!(scenario.records(), 2);
        scenario.release_appends();
        assert_eq!(scenario.refused(&late), Rejection::HoldExpired);
        scenario.won(&next);
        scenario.finish();
    }
}

/// Rule 4: an expiry that was decided and lost, then a clock that is set back. Whatever the hold comes to, it comes to one thing.
#[test]
fn an_expiry_that_is_lost_was_told_to_nobody_and_the_clock_may_step_back() {
    let ways = from_all_sides(16, |seed| {
        let scenario = Scenario::open(holding(seed));
        let held = scenario.do_now(hold(1, one(), None, HOLD_MILLIS));
        scenario.hold_appends();
        scenario.pass_until(held.hold_expires_at.expect("a hold"));
        let lost = scenario.ask(confirm(1, one(), held.id));
        scenario.until_append_waits();
        scenario.step_clock(-1_500);
        scenario.crash(false);
        scenario.restart();
        assert!(scenario.outcome(&lost).is_none());
        let (late, next) = (scenario.ask(confirm(1, one(), held.id)), scenario.ask(book(2, one(), None)));
        let is_confirmed = match scenario.reply(&late) {
            Ok(_) => true,
            Err(engine::EngineError::Rejected(Rejection::HoldExpired)) => false,
            other => panic!("{other:?}"),
        };
        assert_eq!(scenario.reply(&next).is_ok(), !is_confirmed, "one of them has the place");
        scenario.finish();
        if is_confirmed { "confirmed" } else { "expired" }
    });
    assert!(ways.contains_key("confirmed"), "{ways:?}");
}

/// Rule 4: the engine's time never goes back in one process, whatever the wall clock does.
#[test]
fn a_wall_clock_that_steps_back_revives_no_hold() {
    for seed in 0..8 {
        let scenario = Scenario::open(holding(seed));
        let held = scenario.do_now(hold(1, one(), None, HOLD_MILLIS));
        scenario.pass_until(held.hold_expires_at.expect("a hold").plus_millis(-1));
        let before = scenario.engine_now();
        scenario.step_clock(-20_000);
        scenario.pass_millis(100);
        assert!(scenario.engine_now() > before, "time goes on");
        assert_eq!(scenario.try_now(confirm(1, one(), held.id)), Rejection::HoldExpired);
        scenario.do_now(book(2, one(), None));
        scenario.finish();
    }
}

/// Rule 4: whoever keeps the timers waits for time to pass, and a clock that is set forward does not pass it.
#[test]
fn a_wall_clock_that_steps_forward_ends_holds_within_seconds() {
    for seed in 0..8 {
        let scenario = Scenario::open(Setting { holds_seconds: 40, ..small(seed, 1) });
        scenario.do_now(hold(1, one(), None, 30_000));
        scenario.step_clock(40_000);
        scenario.pass_millis(3_000);
        let is_over = scenario.events(one()).iter().any(|(_, event)| event.fact == Fact::Expired);
        assert!(is_over, "the end of the hold is recorded though nobody asks");
        scenario.finish();
    }
}

/// Rules 3 and 4: a confirm that comes as the hold falls due, beside somebody who wants the place.
#[test]
fn a_confirm_at_the_last_instant_and_a_new_patient_never_both_win() {
    let ways = from_all_sides(SIDES, |seed| {
        let scenario = Scenario::open(holding(seed));
        let held = scenario.do_now(hold(1, one(), None, HOLD_MILLIS));
        scenario.pass_until(held.hold_expires_at.expect("a hold").plus_millis(-40));
        let kept = scenario.ask_in(seed * 1_000, confirm(1, one(), held.id));
        let next = scenario.ask_in(seed * 1_000, book(2, one(), first(one())));
        let (kept, next) = (scenario.reply(&kept), scenario.reply(&next));
        assert!(!(kept.is_ok() && next.is_ok()), "both have it");
        scenario.finish();
        match (kept.is_ok(), next.is_ok()) {
            (true, _) => "confirmed",
            (_, true) => "resold",
            _ => "expired, and asked too early",
        }
    });
    assert!(ways.contains_key("confirmed") && ways.contains_key("resold"), "{ways:?}");
}

/// Rule 4: the expiry itself fails at first. The hold ends all the same, without anybody asking.
#[test]
fn an_expiry_that_fails_is_tried_again_by_itself() {
    for seed in 0..4 {
        let scenario = Scenario::open(holding(seed));
        let held = scenario.do_now(hold(1, one(), None, HOLD_MILLIS));
        scenario.fail_append(AppendFault::Failed);
        scenario.pass_until(held.hold_expires_at.expect("a hold"));
        scenario.until_records(3);
        assert!(matches!(scenario.events(one()).last(), Some((_, event)) if matches!(event.fact, Fact::Expired)));
        let rows = scenario.listed(list_of_day(one()));
        assert_eq!(rows.iter().map(|row| row.appointment.status).collect::<Vec<_>>(), [Status::Expired]);
        scenario.finish();
    }
}
