//! An appointment on its way from one day to another, stopped, overtaken and killed at every step.
//! Must not know: who drives the move.

use booking_core::{AppointmentId, DayKey, Fact, Rejection, Status};
use engine::EngineError;
use engine::journal::memory::Fault as AppendFault;
use simulator::oracle::Asked;
use simulator::scenario::{
    Pending, Scenario, Setting, book, cancel, confirm, from_all_sides, hold, list_of_day, list_of_patient, plan,
    publish, reschedule,
};

use crate::town::{FIRST, LENGTH, SIDES, clinic, double, first, later, one, second, single, three};

/// What the day has recorded, in words.
pub fn facts(scenario: &Scenario, day: DayKey) -> Vec<&'static str> {
    let word = |fact: &Fact| match fact {
        Fact::Published(_) => "published",
        Fact::Closed { .. } => "closed",
        Fact::Taken => "taken",
        Fact::Confirmed => "confirmed",
        Fact::Cancelled => "cancelled",
        Fact::NoShow => "no-show",
        Fact::Expired => "expired",
        Fact::Remembered => "remembered",
        Fact::Moved { .. } => "moved",
        Fact::MoveHeld { .. } => "held",
        Fact::MovedIn { .. } => "in",
        Fact::MoveDropped { .. } => "dropped",
        Fact::MovedOut { .. } => "out",
    };
    scenario.events(day).iter().map(|(_, event)| word(&event.fact)).collect()
}

/// Goes on until the last record of the day is `fact`, and until everybody may have heard of it: a store says that it has written
/// a while after it has.
pub fn until_last(scenario: &Scenario, day: DayKey, fact: &str) {
    scenario.until(&format!("the day records: {fact}"), |it| facts(it, day).last() == Some(&fact));
    scenario.pass_millis(500);
}

/// Somebody on day one, whose move waits for the record `passed` + 1 of place kept, departure, arrival.
pub fn on_the_way(seed: u64, passed: usize) -> (Scenario, AppointmentId, Pending) {
    let scenario = Scenario::open(clinic(seed, &[one(), later()]));
    let id = scenario.do_now(book(1, one(), first(one()))).id;
    scenario.hold_appends();
    let moving = scenario.ask(reschedule(1, id, later(), first(later())));
    for _ in 0..passed {
        scenario.pass_append();
    }
    scenario.until_append_waits();
    (scenario, id, moving)
}

/// A.1.
#[test]
fn a_move_is_three_records_between_days_and_one_within() {
    let scenario = Scenario::open(clinic(0, &[one(), later()]));
    let visit = scenario.do_now(book(1, one(), first(one())));
    scenario.do_now(reschedule(1, visit.id, one(), second(one())));
    let moved = scenario.do_now(reschedule(1, visit.id, later(), first(later())));
    assert_eq!((moved.id, moved.status), (visit.id, Status::Booked));
    scenario.until("the move has ended", |it| facts(it, later()).contains(&"in"));
    assert_eq!(facts(&scenario, one()), ["published", "taken", "moved", "out"]);
    assert_eq!(facts(&scenario, later()), ["published", "held", "in"]);
    scenario.finish();
}

/// A.2.
#[test]
fn a_second_move_of_one_appointment_waits_for_the_first() {
    let ways = from_all_sides(SIDES, |seed| {
        let scenario = Scenario::open(clinic(seed, &[one(), later(), three()]));
        let id = scenario.do_now(book(1, one(), first(one()))).id;
        let far = scenario.ask(reschedule(1, id, later(), None));
        let near = scenario.ask(reschedule(1, id, three(), None));
        let (far, near) = (scenario.won(&far), scenario.won(&near));
        let days = [far.placed.day, near.placed.day];
        let stands = scenario.read(id);
        assert_eq!(days, [later(), three()]);
        assert!(!days.iter().any(|day| facts(&scenario, *day).contains(&"dropped")), "neither was given up");
        assert_eq!(stands.appointment.version, 3, "one after the other");
        let rows = scenario.listed(list_of_patient(1));
        assert_eq!(rows.len(), 1);
        scenario.finish();
        if stands.day == later() { "the far one last" } else { "the near one last" }
    });
    assert_eq!(ways.len(), 2, "{ways:?}");
}

/// A.3.
#[test]
fn a_place_kept_for_a_move_counts_and_blocks_and_has_no_time_limit() {
    for seed in 0..4 {
        let (scenario, id, moving) = on_the_way(seed, 1);
        scenario.pass_millis(3_000);
        assert_eq!(facts(&scenario, later()), ["published", "held"]);
        assert_eq!(scenario.try_now(book(2, later(), first(later()))), Rejection::SlotTaken);
        assert!(scenario.listed(list_of_day(later())).is_empty(), "it is no appointment yet");
        let without = plan(later(), &[(2 * FIRST, LENGTH, 1)]);
        let refused = scenario.try_now(publish(&without, None));
        assert!(matches!(refused, Rejection::SlotHasBookings { .. }), "{refused:?}");
        scenario.pass_millis(10_000);
        assert_eq!(scenario.read(id).day, one());
        scenario.release_appends();
        assert_eq!(scenario.won(&moving).placed.day, later());
        scenario.finish();
    }
}

/// A.4 and A.9: dead before the departure is durable, the move was never; dead after it, it was.
#[test]
fn the_departure_is_the_commit_point() {
    let ways = from_all_sides(SIDES, |seed| {
        let (scenario, id, moving) = on_the_way(seed, 1);
        let is_committed = seed % 2 == 0;
        if is_committed {
            scenario.pass_append();
        }
        scenario.crash(false);
        scenario.restart();
        let end = if is_committed { "in" } else { "dropped" };
        until_last(&scenario, later(), end);
        assert!(!matches!(scenario.outcome(&moving), Some(Err(_))), "nobody refused it");
        let (stands, free) = if is_committed { (later(), one()) } else { (one(), later()) };
        assert_eq!(scenario.read(id).day, stands);
        scenario.do_now(book(2, free, first(free)));
        assert_eq!(scenario.try_now(book(3, stands, first(stands))), Rejection::SlotTaken);
        scenario.finish();
        end
    });
    assert_eq!(ways.len(), 2, "{ways:?}");
}

/// A.4: the departure is lost after the place was kept.
#[test]
fn a_departure_that_fails_leaves_everything_as_it_was() {
    let faults = [AppendFault::Failed, AppendFault::UnknownBefore, AppendFault::UnknownAfter, AppendFault::UnknownLate];
    for (seed, fault) in (0..8).zip(faults.into_iter().cycle()) {
        let (scenario, id, moving) = on_the_way(seed, 1);
        scenario.fail_append(fault);
        scenario.release_appends();
        let has_moved = matches!(fault, AppendFault::UnknownAfter | AppendFault::UnknownLate);
        if has_moved {
            assert_eq!(scenario.won(&moving).placed.day, later());
        } else {
            assert!(scenario.is_unknown(&moving));
        }
        scenario.until("it is settled", |it| facts(it, later()).len() == 3);
        assert_eq!(facts(&scenario, later()).last(), Some(&if has_moved { "in" } else { "dropped" }));
        assert_eq!(scenario.read(id).day, if has_moved { later() } else { one() });
        scenario.finish();
    }
}

/// A.5: a refusal by the day of arrival changes nothing.
#[test]
fn a_refused_move_leaves_no_trace() {
    let scenario = Scenario::open(clinic(0, &[one(), later()]));
    let id = scenario.do_now(book(1, one(), first(one()))).id;
    scenario.do_now(book(2, later(), first(later())));
    assert_eq!(scenario.try_now(reschedule(1, id, later(), first(later()))), Rejection::SlotTaken);
    assert_eq!(facts(&scenario, later()), ["published", "taken"]);
    assert_eq!(scenario.do_now(cancel(1, one(), id)).status, Status::Cancelled);
    scenario.finish();
}

/// A.6.
#[test]
fn a_cancel_before_the_departure_wins_at_once() {
    let ways = from_all_sides(SIDES, |seed| {
        let scenario = Scenario::open(clinic(seed, &[one(), later()]));
        let id = scenario.do_now(book(1, one(), first(one()))).id;
        let moving = scenario.ask(reschedule(1, id, later(), None));
        let cancelled = scenario.ask_in(seed * 150, cancel(1, one(), id));
        scenario.won(&cancelled);
        let way = match scenario.reply(&moving) {
            Ok(_) => "moved, then cancelled",
            Err(EngineError::Rejected(Rejection::NotChangeable)) if facts(&scenario, later()).contains(&"held") => {
                "cancelled on the way"
            }
            Err(EngineError::Rejected(Rejection::NotChangeable)) => "cancelled before",
            other => panic!("{other:?}"),
        };
        assert_eq!(scenario.read(id).appointment.status, Status::Cancelled);
        scenario.do_now(book(2, one(), first(one())));
        scenario.do_now(book(3, later(), first(later())));
        scenario.finish();
        way
    });
    assert!(ways.contains_key("moved, then cancelled") && ways.contains_key("cancelled on the way"), "{ways:?}");
}

/// A.6: a hold that is confirmed, or falls due, while its new place is being kept.
#[test]
fn a_confirm_or_an_expiry_before_the_departure_wins_at_once() {
    for seed in 0..8 {
        let is_confirmed = seed % 2 == 0;
        let setting = Setting { holds_seconds: 8, ..clinic(seed, &[one(), later()]) };
        let scenario = Scenario::open(setting);
        let held = scenario.do_now(hold(1, one(), first(one()), 2_000));
        scenario.pass_until(held.hold_expires_at.expect("a hold").plus_millis(-500));
        scenario.hold_appends();
        let moving = scenario.ask(reschedule(1, held.id, later(), None));
        scenario.until_append_waits();
        let confirmed = is_confirmed.then(|| scenario.ask(confirm(1, one(), held.id)));
        scenario.pass_millis(1_000);
        scenario.release_appends();
        let outcome = scenario.reply(&moving);
        if let Some(confirmed) = confirmed {
            scenario.won(&confirmed);
            assert!(outcome.is_ok(), "the confirmed one is moved afresh: {outcome:?}");
            assert_eq!(facts(&scenario, one()), ["published", "taken", "confirmed", "out"]);
            assert_eq!(scenario.read(held.id).appointment.status, Status::Booked);
        } else {
            assert!(matches!(outcome, Err(EngineError::Rejected(_))), "{outcome:?}");
            assert_eq!(scenario.read(held.id).appointment.status, Status::Expired);
            scenario.do_now(book(3, later(), first(later())));
        }
        scenario.finish();
    }
}

/// A.7.
#[test]
fn the_answer_and_the_old_place_do_not_wait_for_the_arrival() {
    for seed in 0..8 {
        let (scenario, id, moving) = on_the_way(seed, 2);
        assert_eq!(scenario.won(&moving).placed.day, later());
        assert_eq!(facts(&scenario, later()), ["published", "held"]);
        assert_eq!(scenario.read(id).day, later());
        let next = scenario.ask(book(2, one(), first(one())));
        scenario.pass_millis(200);
        scenario.release_appends();
        scenario.won(&next);
        scenario.finish();
    }
}

/// A.8.
#[test]
fn a_command_at_the_old_day_follows_and_the_arrival_comes_first() {
    for seed in 0..8 {
        let setting = Setting { holds_seconds: 65, ..clinic(seed, &[one(), later()]) };
        let scenario = Scenario::open(setting);
        let id = scenario.do_now(hold(1, one(), first(one()), 60_000)).id;
        scenario.hold_appends();
        let moving = scenario.ask(reschedule(1, id, later(), first(later())));
        scenario.pass_append();
        scenario.pass_append();
        scenario.until_append_waits();
        scenario.won(&moving);
        let confirmed = scenario.ask(confirm(1, one(), id));
        scenario.pass_millis(100);
        scenario.release_appends();
        assert_eq!(scenario.won(&confirmed).placed.day, later());
        assert_eq!(facts(&scenario, later()), ["published", "held", "in", "confirmed"]);
        scenario.finish();
    }
}

/// A.9: the driver's word of the end is lost with the record; the day asks by itself.
#[test]
fn an_arrival_that_fails_is_asked_for_by_its_day() {
    for (seed, fault) in (0..4).zip([AppendFault::Failed, AppendFault::UnknownBefore].into_iter().cycle()) {
        let (scenario, id, moving) = on_the_way(seed, 2);
        scenario.fail_append(fault);
        scenario.release_appends();
        scenario.won(&moving);
        until_last(&scenario, later(), "in");
        assert_eq!(scenario.read(id).day, later());
        scenario.finish();
    }
}

/// A.10.
#[test]
fn every_reader_finds_a_moving_appointment_exactly_once() {
    let ways = from_all_sides(SIDES, |seed| {
        let scenario = Scenario::open(clinic(seed, &[one(), later()]));
        let id = scenario.do_now(book(1, one(), first(one()))).id;
        let moving = scenario.ask(reschedule(1, id, later(), None));
        let reads: Vec<Pending> = (0..12)
            .flat_map(|number| {
                let micros = number * 1_000 + seed * 20;
                [
                    scenario.ask_in(micros, list_of_patient(1)),
                    scenario.ask_in(micros, Asked::ReadAppointment(id)),
                    scenario.ask_in(micros, list_of_day(later())),
                ]
            })
            .collect();
        let mut seen = [false; 2];
        for read in &reads {
            match scenario.reply(read) {
                Ok(simulator::oracle::Told::List(rows)) if rows.is_empty() => {}
                Ok(simulator::oracle::Told::List(rows)) => {
                    assert_eq!(rows.len(), 1);
                    seen[usize::from(rows[0].day == later())] = true;
                }
                Ok(simulator::oracle::Told::Placed(placed)) => seen[usize::from(placed.day == later())] = true,
                other => panic!("{other:?}"),
            }
        }
        scenario.won(&moving);
        assert_eq!(scenario.listed(list_of_patient(1)).len(), 1);
        scenario.finish();
        if seen == [true, true] { "seen on both sides" } else { "seen on one" }
    });
    assert!(ways.contains_key("seen on both sides"), "{ways:?}");
}

/// A.10: the forward pointer has the whole row.
#[test]
fn an_appointment_is_read_while_its_new_day_cannot_be() {
    let (scenario, id, _) = on_the_way(1, 2);
    scenario.crash(false);
    scenario.restart();
    scenario.excuse(simulator::weather::Fault::JournalReadFailed);
    scenario.journal().fail_reads(true);
    assert_eq!(scenario.read(id).day, later());
    assert!(scenario.is_unknown(&scenario.ask(Asked::ReadDay(later()))), "the day is away");
    scenario.journal().fail_reads(false);
    scenario.finish();
}

/// A.11.
#[test]
fn two_who_want_to_swap_two_full_places_are_both_refused_at_once() {
    for seed in 0..SIDES {
        let days = [one(), later()];
        let scenario = Scenario::open(Setting::of(seed, days.iter().map(|day| single(*day, 1)).collect()));
        let ours = scenario.do_now(book(1, one(), first(one()))).id;
        let theirs = scenario.do_now(book(2, later(), first(later()))).id;
        let begun_micros = scenario.now_micros();
        let there = scenario.ask(reschedule(1, ours, later(), first(later())));
        let here = scenario.ask(reschedule(2, theirs, one(), first(one())));
        assert_eq!((scenario.refused(&there), scenario.refused(&here)), (Rejection::SlotTaken, Rejection::SlotTaken));
        assert!(scenario.now_micros() - begun_micros < 1_500_000, "nobody waited for anybody");
        scenario.finish();
    }
}

/// A.11, with a place free: both swap through it, or one does.
#[test]
fn two_moves_that_cross_take_each_place_once() {
    let ways = from_all_sides(SIDES, |seed| {
        let scenario = Scenario::open(Setting::of(seed, vec![double(one(), 1), single(later(), 2)]));
        let ours = scenario.do_now(book(1, one(), first(one()))).id;
        let theirs = scenario.do_now(book(2, later(), first(later()))).id;
        let there = scenario.ask(reschedule(1, ours, later(), first(later())));
        let here = scenario.ask_in(seed * 150, reschedule(2, theirs, one(), first(one())));
        scenario.won(&there);
        let way = match scenario.reply(&here) {
            Ok(_) => "swapped",
            Err(EngineError::Rejected(Rejection::SlotTaken)) => "came too early",
            other => panic!("{other:?}"),
        };
        scenario.finish();
        way
    });
    assert_eq!(ways.len(), 2, "{ways:?}");
}
