//! One patient and several days at once: in one place at a time, and never refused for something that did not happen.
//! Must not know: how claims are kept.

use booking_core::{Rejection, Status};
use engine::EngineError;
use engine::journal::memory::Fault as AppendFault;
use simulator::oracle::{Reply, Told};
use simulator::scenario::{
    Scenario, Setting, book, cancel, confirm, day, from_all_sides, hold, list_of_patient, reschedule,
};

use crate::town::{SIDES, clinic, first, later, one, second, single, three, two};

fn is_already_booked(reply: &Reply) -> bool {
    matches!(reply, Err(EngineError::Rejected(Rejection::AlreadyBooked { .. })))
}

/// B.1: two devices of one patient on one day.
#[test]
fn one_patient_has_one_live_appointment_a_day() {
    let ways = from_all_sides(SIDES, |seed| {
        let scenario = Scenario::open(clinic(seed, &[one()]));
        let (early, late) = (scenario.ask(book(1, one(), first(one()))), scenario.ask(book(1, one(), second(one()))));
        let (early, late) = (scenario.reply(&early), scenario.reply(&late));
        assert!(is_already_booked(&early) != is_already_booked(&late) && early.is_ok() != late.is_ok());
        scenario.finish();
        if early.is_ok() { "the early one" } else { "the late one" }
    });
    assert_eq!(ways.len(), 2, "{ways:?}");
}

/// B.2: six doctors who offer the same hour, one patient, one instant.
#[test]
fn six_doctors_with_the_same_hour_sell_it_once_to_one_patient() {
    let ways = from_all_sides(SIDES, |seed| {
        let days: Vec<_> = (1..=6).map(|doctor| day(doctor, 1)).collect();
        let scenario = Scenario::open(Setting::of(seed, days.iter().map(|day| single(*day, 1)).collect()));
        let asked: Vec<_> = days.iter().map(|day| scenario.ask(book(1, *day, None))).collect();
        let replies: Vec<Reply> = asked.iter().map(|pending| scenario.reply(pending)).collect();
        assert_eq!(replies.iter().filter(|reply| reply.is_ok()).count(), 1);
        assert_eq!(replies.iter().filter(|reply| is_already_booked(reply)).count(), 5);
        let winner = replies.iter().position(Result::is_ok);
        for (number, day) in days.iter().enumerate().filter(|(number, _)| Some(*number) != winner) {
            scenario.do_now(book(10 + number as u64, *day, None));
        }
        scenario.finish();
        ["first", "second", "third", "fourth", "fifth", "sixth"][winner.unwrap_or(0)]
    });
    assert!(ways.len() >= 3, "{ways:?}");
}

/// Rule 10 and B.2: against a claim that is not settled one waits, whatever comes of it.
#[test]
fn a_claim_that_is_not_settled_refuses_nobody() {
    let ways = from_all_sides(SIDES, |seed| {
        let faults =
            [None, Some(AppendFault::Failed), Some(AppendFault::UnknownBefore), Some(AppendFault::UnknownLate)];
        let fault = faults[(seed / 4 % 4) as usize];
        let scenario = Scenario::open(clinic(seed, &[one(), two()]));
        scenario.hold_appends();
        let here = scenario.ask(book(1, one(), first(one())));
        scenario.until_append_waits();
        let there = scenario.ask(book(1, two(), first(two())));
        scenario.pass_millis(300);
        assert!(!here.is_over() && !there.is_over());
        // While it waits it holds no place.
        let other = scenario.ask(book(2, two(), first(two())));
        scenario.pass_millis(300);
        if let Some(fault) = fault {
            scenario.fail_append(fault);
        }
        scenario.release_appends();
        scenario.won(&other);
        let (here, there) = (scenario.reply(&here), scenario.reply(&there));
        assert_eq!(here.is_ok(), matches!(fault, None | Some(AppendFault::UnknownLate)), "{here:?}");
        assert!(there.is_err(), "somebody else has the place: {there:?}");
        scenario.finish();
        match there {
            Err(EngineError::Rejected(Rejection::SlotTaken)) => "the place is gone",
            Err(EngineError::Rejected(Rejection::AlreadyBooked { .. })) => "elsewhere",
            _ => "unknown",
        }
    });
    assert!(ways.contains_key("the place is gone"), "{ways:?}");
}

/// B.5: the record is lost; the claim goes with it and whoever waited wins.
#[test]
fn a_lost_booking_gives_its_claim_back() {
    for seed in 0..12 {
        let is_dead = seed % 3 == 0;
        let scenario = Scenario::open(clinic(seed, &[one(), two()]));
        scenario.hold_appends();
        let lost = scenario.ask(book(1, one(), first(one())));
        scenario.until_append_waits();
        let waiting = scenario.ask(book(1, two(), first(two())));
        scenario.pass_millis(200);
        if is_dead {
            scenario.crash(false);
            scenario.restart();
            assert!(scenario.outcome(&lost).is_none() && scenario.outcome(&waiting).is_none());
            scenario.do_now(book(1, two(), first(two())));
        } else {
            scenario.fail_append(AppendFault::Failed);
            scenario.release_appends();
            assert!(scenario.is_unknown(&lost));
            scenario.won(&waiting);
        }
        assert!(is_already_booked(&scenario.reply(&scenario.ask(book(1, one(), first(one()))))));
        scenario.finish();
    }
}

/// B.5: the day's actor panics between the claim and the record.
#[test]
fn a_panic_gives_the_claim_back() {
    for seed in 0..8 {
        let scenario = Scenario::open(clinic(seed, &[one(), two()]));
        let lost = scenario.ask(book(1, one(), first(one())));
        scenario.panic_at_next_decision();
        assert!(scenario.is_unknown(&lost));
        scenario.do_now(book(1, two(), first(two())));
        assert!(is_already_booked(&scenario.reply(&scenario.ask(book(1, one(), first(one()))))));
        scenario.finish();
    }
}

/// B.1: who finds no place has claimed nothing.
#[test]
fn a_loser_never_stands_in_its_own_way() {
    for seed in 0..SIDES {
        let scenario = Scenario::open(Setting::of(seed, vec![single(one(), 1), single(two(), 1)]));
        let winner = scenario.ask(book(2, one(), None));
        let loser = scenario.ask_in(300, book(1, one(), None));
        let elsewhere = scenario.ask_in(600, book(1, two(), None));
        let (winner, loser) = (scenario.reply(&winner), scenario.reply(&loser));
        let elsewhere = scenario.reply(&elsewhere);
        if loser.is_err() {
            assert!(elsewhere.is_ok(), "refused for nothing: {elsewhere:?}");
        } else {
            assert!(winner.is_err() && is_already_booked(&elsewhere), "{winner:?} {elsewhere:?}");
        }
        scenario.finish();
    }
}

/// B.2: a hold elsewhere that is due is made to expire there, and refuses nobody.
#[test]
fn a_due_hold_on_another_day_expires_there_first() {
    let ways = from_all_sides(SIDES, |seed| {
        let setting = Setting { holds_seconds: 8, ..clinic(seed, &[one(), two()]) };
        let scenario = Scenario::open(setting);
        let held = scenario.do_now(hold(1, one(), first(one()), 2_000));
        scenario.pass_until(held.hold_expires_at.expect("a hold").plus_millis(-1));
        let asked = scenario.ask_in(seed * 60, book(1, two(), first(two())));
        let reply = scenario.reply(&asked);
        let status = scenario.read(held.id).appointment.status;
        let way = if reply.is_ok() {
            assert_eq!(status, Status::Expired, "it was recorded before");
            "after it"
        } else {
            assert!(is_already_booked(&reply), "{reply:?}");
            "before it"
        };
        scenario.finish();
        way
    });
    assert_eq!(ways.len(), 2, "{ways:?}");
}

/// B.2: the claim goes when the cancel is durable, before anybody is told.
#[test]
fn a_cancel_frees_the_patient_before_it_is_told() {
    for seed in 0..SIDES {
        let scenario = Scenario::open(clinic(seed, &[one(), two()]));
        let id = scenario.do_now(book(1, one(), first(one()))).id;
        let cancelled = scenario.ask(cancel(1, one(), id));
        scenario.won(&cancelled);
        scenario.do_now(book(1, two(), first(two())));
        scenario.finish();
    }
}

/// B.2: after a death the index is filled before the first request.
#[test]
fn a_patient_is_still_elsewhere_after_a_restart() {
    let ways = from_all_sides(16, |seed| {
        let scenario = Scenario::open(clinic(seed, &[one(), two()]));
        let booked = scenario.ask(book(1, one(), first(one())));
        scenario.until_records(3);
        let is_behind = scenario.ledger().contents().cursor < 3;
        scenario.crash(false);
        scenario.restart();
        assert!(scenario.outcome(&booked).is_none());
        assert!(is_already_booked(&scenario.reply(&scenario.ask(book(1, two(), first(two()))))));
        scenario.do_now(book(1, two(), second(two())));
        scenario.finish();
        if is_behind { "the ledger was behind" } else { "the ledger had it" }
    });
    assert!(ways.contains_key("the ledger was behind"), "{ways:?}");
}

/// Rule 19: any slot is the earliest free one that suits, and already booked only if there is none.
#[test]
fn any_slot_is_the_earliest_that_does_not_overlap() {
    for seed in 0..8 {
        let scenario = Scenario::open(clinic(seed, &[one(), two(), three()]));
        scenario.do_now(book(1, one(), first(one())));
        let next = scenario.do_now(book(1, two(), None));
        assert_eq!(Some(next.start), second(two()), "the first overlaps");
        assert!(is_already_booked(&scenario.reply(&scenario.ask(book(1, three(), None)))), "both overlap");
        scenario.do_now(book(2, two(), None));
        assert_eq!(scenario.try_now(book(3, two(), None)), Rejection::SoldOut);
        scenario.finish();
    }
}

/// Rule 19: two days are asked at once for any slot; the two visits of the patient do not overlap.
#[test]
fn any_slot_of_two_days_at_once_gives_two_that_do_not_overlap() {
    let ways = from_all_sides(SIDES, |seed| {
        let scenario = Scenario::open(clinic(seed, &[one(), two()]));
        let (here, there) = (scenario.ask(book(1, one(), None)), scenario.ask(book(1, two(), None)));
        let (here, there) = (scenario.won(&here).placed.appointment, scenario.won(&there).placed.appointment);
        assert_ne!(here.start, there.start);
        scenario.finish();
        if here.start < there.start { "first here" } else { "first there" }
    });
    assert_eq!(ways.len(), 2, "{ways:?}");
}

/// A.7 and B.2: the old time is free again as soon as the move is told.
#[test]
fn a_move_frees_the_patients_old_time() {
    for seed in 0..8 {
        let scenario = Scenario::open(clinic(seed, &[one(), two(), later()]));
        let id = scenario.do_now(book(1, one(), first(one()))).id;
        let moving = scenario.ask(reschedule(1, id, later(), first(later())));
        scenario.won(&moving);
        scenario.do_now(book(1, two(), first(two())));
        assert!(matches!(
            scenario.reply(&scenario.ask(list_of_patient(1))),
            Ok(Told::List(rows)) if rows.len() == 2
        ));
        scenario.finish();
    }
}

/// B.2: a hold that is confirmed stands in the way as before, and its expiry does not free anything.
#[test]
fn a_confirmed_hold_keeps_its_patient() {
    let setting = Setting { holds_seconds: 8, ..clinic(3, &[one(), two()]) };
    let scenario = Scenario::open(setting);
    let held = scenario.do_now(hold(1, one(), first(one()), 2_000));
    scenario.do_now(confirm(1, one(), held.id));
    scenario.pass_millis(4_000);
    assert!(is_already_booked(&scenario.reply(&scenario.ask(book(1, two(), first(two()))))));
    scenario.finish();
}
