//! What may leave a day, and when: nothing before it is durable, everything once it is.
//! Must not know: how the gate works.

use booking_core::{Fact, Rejection, Status};
use engine::journal::memory::Fault as AppendFault;
use simulator::oracle::{Asked, Told};
use simulator::scenario::{Scenario, book, cancel, from_all_sides, hold, keyed, list_of_day, reschedule};

use crate::town::{SIDES, clinic, first, later, one, small};

/// Rule 1.
#[test]
fn a_move_does_not_commit_on_a_place_that_is_not_durable() {
    for seed in 0..4 {
        let scenario = Scenario::open(clinic(seed, &[one(), later()]));
        let visit = scenario.do_now(book(1, one(), first(one())));
        scenario.hold_appends();
        let moving = scenario.ask(reschedule(1, visit.id, later(), first(later())));
        scenario.until_append_waits();
        scenario.pass_millis(1_000);
        assert!(scenario.events(later()).len() == 1 && !moving.is_over(), "the place is not durable");
        scenario.fail_append(AppendFault::Failed);
        scenario.release_appends();
        assert!(scenario.is_unknown(&moving));
        assert_eq!(scenario.read(visit.id).day, one());
        assert_eq!(scenario.events(one()).len(), 2, "published and taken, and nothing else");
        scenario.do_now(book(2, later(), first(later())));
        assert_eq!(scenario.try_now(book(3, one(), first(one()))), Rejection::SlotTaken);
        scenario.finish();
    }
}

/// Rules 1 and 10.
#[test]
fn a_refusal_waits_for_the_booking_that_it_rests_on() {
    for seed in 0..8 {
        let is_lost = seed % 2 == 0;
        let scenario = Scenario::open(small(seed, 1));
        scenario.hold_appends();
        let winner = scenario.ask(book(1, one(), None));
        scenario.until_append_waits();
        let loser = scenario.ask(book(2, one(), None));
        scenario.pass_millis(500);
        assert!(!winner.is_over() && !loser.is_over(), "nothing is durable yet");
        if is_lost {
            scenario.fail_append(AppendFault::Failed);
        }
        scenario.release_appends();
        if is_lost {
            assert!(scenario.is_unknown(&winner), "it was not written");
            let outcome = scenario.reply(&loser);
            assert!(
                !matches!(outcome, Err(engine::EngineError::Rejected(_))),
                "a place that was never taken refuses nobody: {outcome:?}"
            );
        } else {
            scenario.won(&winner);
            assert_eq!(scenario.refused(&loser), Rejection::SoldOut);
        }
        scenario.finish();
    }
}

/// Rule 2.
#[test]
fn whoever_hears_of_a_cancel_can_book_at_once() {
    let ways = from_all_sides(SIDES, |seed| {
        let scenario = Scenario::open(small(seed, 1));
        let visit = scenario.do_now(book(1, one(), None));
        assert_eq!(scenario.try_now(book(2, one(), None)), Rejection::SoldOut);
        let cancelled = scenario.ask(cancel(1, one(), visit.id));
        scenario.won(&cancelled);
        let is_behind = scenario.ledger().contents().cursor < scenario.records();
        scenario.do_now(book(2, one(), None));
        assert_eq!(scenario.listed(list_of_day(one())).len(), 2);
        scenario.finish();
        if is_behind { "before the ledger" } else { "after the ledger" }
    });
    assert!(ways.contains_key("before the ledger"), "{ways:?}");
}

/// Rule 2: the readers of a day see what any caller was told.
#[test]
fn a_reply_is_never_ahead_of_the_picture() {
    for seed in 0..SIDES {
        let scenario = Scenario::open(small(seed, 2));
        let booked = scenario.ask(book(1, one(), None));
        scenario.until("the reply left", |it| it.told("reply 2: ok") > 0);
        let seen = scenario.view(one()).snapshot.version();
        let visit = scenario.won(&booked);
        assert_eq!(seen.sequence, 2);
        assert_eq!(scenario.read(visit.placed.appointment.id).appointment, visit.placed.appointment);
        scenario.finish();
    }
}

/// Rule 5.
#[test]
fn an_append_that_lands_late_is_waited_for_by_everybody() {
    for seed in 0..8 {
        let scenario = Scenario::open(small(seed, 1));
        scenario.fail_append(AppendFault::UnknownLate);
        scenario.fail_barriers(5);
        let winner = scenario.ask(keyed(book(1, one(), None), "k"));
        scenario.pass_millis(20);
        let (twin, other) = (scenario.ask(keyed(book(1, one(), None), "k")), scenario.ask(book(2, one(), None)));
        scenario.pass_millis(40);
        assert!(!winner.is_over() && !twin.is_over() && !other.is_over(), "nobody knows yet");
        assert_eq!(scenario.records(), 1, "it lands at the barrier");
        let told = scenario.won(&winner).placed;
        assert_eq!(scenario.won(&twin).placed.appointment, told.appointment);
        assert_eq!(scenario.refused(&other), Rejection::SoldOut);
        assert_eq!(scenario.records(), 2);
        scenario.finish();
    }
}

/// Rules 5 and 19: what was not written is told as 503, and not decided again behind the caller's back.
#[test]
fn an_append_that_never_lands_is_told_as_unknown_and_not_decided_again() {
    for seed in 0..8 {
        let scenario = Scenario::open(small(seed, 1));
        scenario.fail_append(AppendFault::UnknownBefore);
        let lost = scenario.ask(keyed(book(1, one(), None), "k"));
        assert!(scenario.is_unknown(&lost));
        scenario.pass_millis(5_000);
        assert_eq!(scenario.records(), 1, "nobody booked again");
        let again = scenario.won(&scenario.ask(keyed(book(1, one(), None), "k")));
        assert!(!again.replayed, "the key is free");
        scenario.finish();
    }
}

/// Rule 5: the stored record's hash is mine, so it was a success.
#[test]
fn a_lost_acknowledgement_is_found_by_its_hash() {
    for seed in 0..8 {
        let scenario = Scenario::open(small(seed, 1));
        scenario.fail_append(AppendFault::UnknownAfter);
        let booked = scenario.ask(book(1, one(), None));
        assert!(!scenario.won(&booked).replayed);
        assert_eq!(scenario.records(), 2, "one record, not two");
        scenario.finish();
    }
}

/// Rule 7.
#[test]
fn a_failed_disk_ends_the_process_and_nobody_is_told_a_success() {
    for seed in 0..8 {
        let scenario = Scenario::open(small(seed, 1));
        scenario.fail_append(AppendFault::Poisoned);
        let lost = scenario.ask(keyed(book(1, one(), None), "k"));
        let late = scenario.ask_in(5_000, book(2, one(), None));
        let outcome = scenario.outcome(&lost);
        assert!(!matches!(outcome, Some(Ok(_))), "{outcome:?}");
        assert!(!matches!(scenario.outcome(&late), Some(Err(engine::EngineError::Rejected(_)))), "nothing is taken");
        scenario.until("the process ends", |it| it.told("process ends") == 1);
        scenario.until("another process", |it| it.told("process is ready") == 2);
        let retried = scenario.won(&scenario.ask(keyed(book(3, one(), None), "k3"))).replayed;
        assert!(!retried);
        scenario.finish();
    }
}

/// Rule 7: full or busy before the commit is a definite failure, after which the same process goes on.
#[test]
fn a_definite_failure_is_no_poison() {
    let scenario = Scenario::open(small(0, 1));
    scenario.fail_append(AppendFault::Failed);
    assert!(scenario.is_unknown(&scenario.ask(book(1, one(), None))));
    scenario.do_now(book(2, one(), None));
    assert_eq!((scenario.told("process is ready"), scenario.records()), (1, 2));
    scenario.finish();
}

/// Rule 8: the key waits behind a cancel while the picture says sold out; its retry must not be told so.
#[test]
fn a_key_in_flight_is_asked_before_the_picture() {
    let ways = from_all_sides(SIDES, |seed| {
        let scenario = Scenario::open(small(seed, 2));
        let leaving = scenario.do_now(book(1, one(), None));
        scenario.hold_appends();
        let last = scenario.ask(book(2, one(), None));
        scenario.until_append_waits();
        let freed = scenario.ask(cancel(1, one(), leaving.id));
        scenario.pass_millis(400);
        let wish = keyed(book(3, one(), None), "k");
        let behind = scenario.ask(wish.clone());
        scenario.pass_millis(400);
        scenario.pass_append();
        scenario.won(&last);
        let is_sold_out = scenario.view(one()).snapshot.remaining_at(0, scenario.engine_now()) == 0;
        let retry = scenario.ask(wish);
        scenario.pass_millis(400);
        assert!(!retry.is_over(), "its twin is not settled");
        scenario.release_appends();
        scenario.won(&freed);
        let told = scenario.won(&behind).placed.appointment;
        assert_eq!(scenario.won(&retry).placed.appointment, told);
        scenario.finish();
        if is_sold_out { "sold out meanwhile" } else { "a place free" }
    });
    assert!(ways.contains_key("sold out meanwhile"), "{ways:?}");
}

/// Rule 11.
#[test]
fn readers_see_their_own_writes_while_the_ledger_takes_them_over() {
    let ways = from_all_sides(SIDES, |seed| {
        let scenario = Scenario::open(small(seed, 3));
        let visit = scenario.do_now(book(1, one(), None));
        scenario.pass_micros(seed * 4_000);
        let before = scenario.ledger().contents().cursor >= scenario.records();
        let (row, rows) = (scenario.ask(Asked::ReadAppointment(visit.id)), scenario.ask(list_of_day(one())));
        let life = scenario.ask(Asked::History(visit.id));
        assert!(matches!(scenario.reply(&row), Ok(Told::Placed(_))));
        assert!(matches!(scenario.reply(&rows), Ok(Told::List(rows)) if rows.len() == 1));
        assert!(matches!(scenario.reply(&life), Ok(Told::History(steps)) if steps.len() == 1));
        let after = scenario.ledger().contents().cursor >= scenario.records();
        scenario.finish();
        match (before, after) {
            (false, false) => "only the overlay",
            (false, true) => "in between",
            _ => "only the ledger",
        }
    });
    assert!(ways.contains_key("in between") && ways.contains_key("only the ledger"), "{ways:?}");
}

/// Rule 15: an expiry and the resale of its place are one record, so that a crash leaves both or none.
#[test]
fn one_command_is_one_record_with_all_its_effects() {
    let ways = from_all_sides(SIDES, |seed| {
        let mut setting = small(seed, 1);
        setting.holds_seconds = 5;
        let scenario = Scenario::open(setting);
        let held = scenario.do_now(hold(1, one(), None, 2_000));
        scenario.pass_until(held.hold_expires_at.expect("a hold").plus_millis(-1));
        let resold = scenario.ask_in(seed * 20, book(2, one(), None));
        scenario.until_records(3);
        scenario.crash(false);
        assert!(!matches!(scenario.outcome(&resold), Some(Ok(_))), "it died before it could say so");
        scenario.restart();
        assert_eq!(scenario.read(held.id).appointment.status, Status::Expired, "the third record ended the hold");
        let taken = scenario.events(one()).into_iter().filter(|(_, event)| matches!(event.fact, Fact::Taken)).last();
        let (_, taken) = taken.expect("somebody took a place");
        scenario.finish();
        if taken.changes.len() == 2 { "one record" } else { "expired before" }
    });
    assert!(ways.contains_key("one record"), "{ways:?}");
}
