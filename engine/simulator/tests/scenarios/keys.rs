//! One idempotency key, sent twice, late, together, for something else, and over a death.
//! Must not know: where keys are kept.

use booking_core::{Rejection, Status};
use engine::EngineError;
use engine::journal::memory::Fault as AppendFault;
use simulator::oracle::{Asked, Reply, Told};
use simulator::scenario::{Scenario, book, cancel, confirm, from_all_sides, hold, keyed, reschedule};

use crate::town::{SIDES, clinic, first, later, one, second, small};

fn appointment(reply: &Reply) -> Option<(booking_core::AppointmentId, bool)> {
    match reply {
        Ok(Told::Appointment(told)) => Some((told.placed.appointment.id, told.replayed)),
        _ => None,
    }
}

/// C.1 and C.2: the same request under one key, three times at once.
#[test]
fn twins_are_answered_once_and_alike() {
    let ways = from_all_sides(SIDES, |seed| {
        let scenario = Scenario::open(clinic(seed, &[one()]));
        let wish = keyed(book(1, one(), None), "k");
        let all = [0, seed * 60, seed * 150].map(|micros| scenario.ask_in(micros, wish.clone()));
        scenario.until_records(2);
        let is_together = scenario.told("request ") == 4;
        let told = all.each_ref().map(|pending| scenario.won(pending));
        assert!(told.iter().all(|it| it.placed.appointment == told[0].placed.appointment));
        assert_eq!(scenario.records(), 2, "one record");
        scenario.finish();
        if is_together { "all in flight" } else { "one came after" }
    });
    assert_eq!(ways.len(), 2, "{ways:?}");
}

/// C.2: the first client goes away; whoever sends the key again gets the same answer, from the journal after a death.
#[test]
fn the_first_answer_is_repeated_over_a_death() {
    for seed in 0..8 {
        let scenario = Scenario::open(small(seed, 2));
        let wish = keyed(book(1, one(), None), "k");
        let lost = scenario.ask(wish.clone());
        scenario.until_records(2);
        scenario.crash(seed % 2 == 0);
        scenario.restart();
        assert!(scenario.outcome(&lost).is_none(), "it was durable and told to nobody");
        let again = scenario.won(&scenario.ask(wish));
        assert!(again.replayed);
        assert_eq!(scenario.records(), 2);
        scenario.finish();
    }
}

/// C.2: another request under a key that has won is refused, also when the day is sold out.
#[test]
fn another_request_under_a_known_key_is_refused_at_once() {
    let scenario = Scenario::open(small(0, 1));
    let id = scenario.do_now(keyed(book(1, one(), None), "k")).id;
    assert_eq!(scenario.try_now(keyed(book(1, one(), first(one())), "k")), Rejection::KeyReused);
    assert_eq!(scenario.try_now(keyed(cancel(1, one(), id), "k")), Rejection::KeyReused);
    assert_eq!(scenario.try_now(keyed(book(2, one(), None), "k")), Rejection::SoldOut, "keys of others never meet");
    scenario.finish();
}

/// C.2: two different requests under one key at once: one wins, the other is refused, or both are refused for their own reasons.
#[test]
fn two_requests_under_one_key_win_once() {
    let ways = from_all_sides(SIDES, |seed| {
        let scenario = Scenario::open(clinic(seed, &[one()]));
        let early = scenario.ask(keyed(book(1, one(), first(one())), "k"));
        let late = scenario.ask(keyed(book(1, one(), second(one())), "k"));
        let (early, late) = (scenario.reply(&early), scenario.reply(&late));
        let way = match (appointment(&early), appointment(&late)) {
            (Some(_), None) => "the early slot",
            (None, Some(_)) => "the late slot",
            _ => panic!("{early:?} {late:?}"),
        };
        let loser = if early.is_ok() { late } else { early };
        assert!(matches!(loser, Err(EngineError::Rejected(Rejection::KeyReused))), "{loser:?}");
        scenario.finish();
        way
    });
    assert_eq!(ways.len(), 2, "{ways:?}");
}

/// C.3: one key for two days at one instant.
#[test]
fn one_key_sent_for_two_days_at_once_wins_once() {
    let ways = from_all_sides(SIDES, |seed| {
        let scenario = Scenario::open(clinic(seed, &[one(), later()]));
        let here = scenario.ask(keyed(book(1, one(), None), "k"));
        let there = scenario.ask(keyed(book(1, later(), None), "k"));
        let (here, there) = (scenario.reply(&here), scenario.reply(&there));
        let (way, loser) = match (&here, &there) {
            (Ok(_), Err(error)) => ("here", error),
            (Err(error), Ok(_)) => ("there", error),
            other => panic!("{other:?}"),
        };
        assert_eq!(*loser, EngineError::Rejected(Rejection::KeyReused));
        scenario.finish();
        way
    });
    assert_eq!(ways.len(), 2, "{ways:?}");
}

/// C.3 and B.5: the day that had claimed the key loses its record; the key is free for the other.
#[test]
fn a_key_whose_record_is_lost_is_free_again() {
    for seed in 0..8 {
        let scenario = Scenario::open(clinic(seed, &[one(), later()]));
        scenario.hold_appends();
        let lost = scenario.ask(keyed(book(1, one(), None), "k"));
        scenario.until_append_waits();
        let other = scenario.ask(keyed(book(1, later(), None), "k"));
        scenario.pass_millis(200);
        assert!(!other.is_over(), "who has the key is not settled");
        scenario.fail_append(AppendFault::Failed);
        scenario.release_appends();
        assert!(scenario.is_unknown(&lost));
        assert!(!scenario.won(&other).replayed);
        assert_eq!(scenario.try_now(keyed(book(1, one(), None), "k")), Rejection::KeyReused);
        scenario.finish();
    }
}

/// C.3: left by a crash, before and after the record.
#[test]
fn a_key_left_by_a_crash_is_taken_over_or_kept() {
    let ways = from_all_sides(16, |seed| {
        let is_durable = seed % 2 == 0;
        let scenario = Scenario::open(clinic(seed, &[one(), later()]));
        scenario.hold_appends();
        let lost = scenario.ask(keyed(book(1, one(), None), "k"));
        scenario.until_append_waits();
        if is_durable {
            scenario.pass_append();
        }
        scenario.crash(false);
        scenario.restart();
        assert!(scenario.outcome(&lost).is_none());
        let other = scenario.reply(&scenario.ask(keyed(book(1, later(), None), "k")));
        let again = scenario.reply(&scenario.ask(keyed(book(1, one(), None), "k")));
        let reused = |reply: &Reply| matches!(reply, Err(EngineError::Rejected(Rejection::KeyReused)));
        if is_durable {
            assert!(reused(&other) && matches!(appointment(&again), Some((_, true))), "{other:?} {again:?}");
        } else {
            assert!(reused(&again) && matches!(appointment(&other), Some((_, false))), "{other:?} {again:?}");
        }
        scenario.finish();
        if is_durable { "kept" } else { "taken over" }
    });
    assert_eq!(ways.len(), 2, "{ways:?}");
}

/// C.4: the birth day repeats the first answer after a cancel, and after the appointment has gone elsewhere.
#[test]
fn the_first_answer_outlives_what_happens_to_the_appointment() {
    for seed in 0..4 {
        let scenario = Scenario::open(clinic(seed, &[one(), later()]));
        let wish = keyed(book(1, one(), first(one())), "k");
        let born = scenario.do_now(wish.clone());
        let moving = keyed(reschedule(1, born.id, later(), None), "m");
        let moved = scenario.do_now(moving.clone());
        let again = scenario.won(&scenario.ask(wish.clone()));
        assert!(again.replayed && again.placed.appointment == born && again.placed.day == one());
        assert_eq!(scenario.do_now(cancel(1, later(), born.id)).status, Status::Cancelled);
        scenario.stop_and_start();
        assert_eq!(scenario.won(&scenario.ask(wish)).placed.appointment, born);
        let told = scenario.won(&scenario.ask(moving));
        assert!(told.replayed && told.placed.appointment == moved && told.placed.day == later());
        assert_eq!(scenario.try_now(keyed(book(1, later(), None), "m")), Rejection::KeyReused);
        scenario.finish();
    }
}

/// C.4: only successes are kept.
#[test]
fn a_refusal_is_not_remembered() {
    let scenario = Scenario::open(small(0, 1));
    let id = scenario.do_now(book(1, one(), None)).id;
    let wish = keyed(book(2, one(), None), "k");
    assert_eq!(scenario.try_now(wish.clone()), Rejection::SoldOut);
    scenario.do_now(cancel(1, one(), id));
    assert!(!scenario.won(&scenario.ask(wish)).replayed);
    scenario.finish();
}

/// C.5: known only to another day, it is 422 in place of a success, and a refusal stays that refusal.
#[test]
fn a_key_known_elsewhere_replaces_a_success_and_no_refusal() {
    for seed in 0..4 {
        let scenario = Scenario::open(clinic(seed, &[one(), later()]));
        scenario.do_now(keyed(book(1, one(), None), "k"));
        scenario.do_now(book(2, later(), first(later())));
        assert_eq!(scenario.try_now(keyed(book(1, later(), first(later())), "k")), Rejection::SlotTaken);
        assert_eq!(scenario.try_now(keyed(book(1, later(), second(later())), "k")), Rejection::KeyReused);
        let events = scenario.events(later());
        assert_eq!(events.len(), 2, "published, and somebody else's visit");
        scenario.finish();
    }
}

/// Rule 36: a hop that is repeated, and a confirm of what is booked, change nothing.
#[test]
fn a_repeated_change_is_a_success_and_no_second_record() {
    for seed in 0..16 {
        let mut setting = small(seed, 1);
        setting.holds_seconds = 65;
        let scenario = Scenario::open(setting);
        let id = scenario.do_now(hold(1, one(), None, 60_000)).id;
        let both = [scenario.ask(confirm(1, one(), id)), scenario.ask_in(seed * 100, confirm(1, one(), id))];
        let told = both.each_ref().map(|pending| scenario.won(pending).placed.appointment);
        assert_eq!(told[0], told[1]);
        assert_eq!(scenario.do_now(confirm(1, one(), id)), told[0]);
        assert_eq!(scenario.records(), 3);
        let gone = scenario.do_now(cancel(1, one(), id));
        let again = scenario.reply(&scenario.ask(cancel(1, one(), id)));
        assert!(matches!(&again, Ok(Told::Appointment(told)) if told.placed.appointment == gone), "{again:?}");
        assert_eq!(scenario.records(), 4);
        assert!(matches!(scenario.reply(&scenario.ask(Asked::ReadAppointment(id))), Ok(Told::Placed(_))));
        scenario.finish();
    }
}
