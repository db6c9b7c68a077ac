//! The ledger behind the journal: late, away, refusing, lost, and never ahead.
//! Must not know: how records are applied.

use booking_core::{Fact, Status};
use engine::journal::memory::{Fault as AppendFault, MemoryJournal};
use engine::ledger::Ledger;
use engine::ledger::memory::Fault as LedgerFault;
use futures_util::FutureExt;
use simulator::scenario::{
    Scenario, Setting, book, cancel, from_all_sides, hold, list_of_day, list_of_patient, reschedule,
};

use crate::town::{SIDES, clinic, double, first, later, one, second, small};

/// Rule 20: a journal that lost its tail is not served: the ledger, which has it, says so at the start.
#[test]
fn a_journal_that_is_behind_its_ledger_is_not_served() {
    let scenario = Scenario::open(small(0, 2));
    scenario.do_now(book(1, one(), None));
    scenario.until("the ledger has it", |it| it.ledger().contents().cursor == 2);
    scenario.crash(false);
    let whole = scenario.replace_journal(MemoryJournal::default());
    scenario.fail_to_start();
    assert_eq!(scenario.told("older copy"), 1);
    assert!(scenario.outcome(&scenario.ask(book(2, one(), None))).is_none(), "nobody is answered");
    scenario.crash(false);
    scenario.replace_journal(whole);
    scenario.restart();
    scenario.do_now(book(2, one(), None));
    scenario.finish();
}

/// Rule 21: what is not certain is not applied, and what the process before still writes is refused.
#[test]
fn the_ledger_is_never_ahead_of_the_journal_and_takes_nothing_from_the_dead() {
    for seed in 0..16 {
        let scenario = Scenario::open(small(seed, 3));
        scenario.fail_append(AppendFault::UnknownLate);
        scenario.fail_barriers(3);
        let (early, late) = (scenario.ask(book(1, one(), None)), scenario.ask_in(seed * 500, book(2, one(), None)));
        scenario.until("both are over", |it| {
            assert!(it.ledger().contents().cursor <= it.records(), "it has what is not durable");
            early.is_over() && late.is_over()
        });
        let of_the_dead = scenario.ledger();
        scenario.crash(seed % 2 == 0);
        scenario.restart();
        let written = of_the_dead.apply(&[], scenario.records()).now_or_never();
        assert!(matches!(written, Some(Err(_))), "{written:?}");
        scenario.finish();
    }
}

/// Rule 22: a record that commits late is not skipped by a cursor that others have moved.
#[test]
fn a_record_that_lands_late_is_not_skipped() {
    let ways = from_all_sides(SIDES, |seed| {
        let scenario = Scenario::open(clinic(seed, &[one(), later()]));
        scenario.fail_append(AppendFault::UnknownLate);
        scenario.fail_barriers((seed % 6) as usize);
        let late = scenario.ask(book(1, one(), None));
        let other = scenario.ask_in(seed * 100, book(2, later(), None));
        scenario.won(&other);
        scenario.won(&late);
        let is_first = scenario.events(one())[1].0 < scenario.events(later())[1].0;
        scenario.until("the ledger has both", |it| it.ledger().contents().cursor == 4);
        assert_eq!(scenario.ledger().contents().appointments.len(), 2);
        scenario.finish();
        if is_first { "before the other" } else { "after the other" }
    });
    assert!(ways.contains_key("before the other"), "{ways:?}");
}

/// Rules 20 and 23: a ledger that is lost is built again from the journal before the first answer.
#[test]
fn a_lost_ledger_is_rebuilt_from_the_journal() {
    for seed in 0..4 {
        let scenario = Scenario::open(clinic(seed, &[one(), later()]));
        let gone = scenario.do_now(book(1, one(), None)).id;
        let kept = scenario.do_now(book(2, one(), None)).id;
        scenario.do_now(cancel(1, one(), gone));
        scenario.do_now(reschedule(2, kept, later(), None));
        scenario.pass_millis(500);
        let records = scenario.records();
        scenario.crash(false);
        scenario.lose_ledger();
        scenario.restart();
        assert_eq!(scenario.ledger().contents().cursor, records, "before the first answer");
        assert_eq!(scenario.read(gone).appointment.status, Status::Cancelled);
        assert_eq!(scenario.listed(list_of_patient(2)).len(), 1);
        scenario.finish();
    }
}

/// Rule 24: places that change hands several times within one bulk.
#[test]
fn a_place_that_changes_hands_within_one_bulk_is_no_conflict() {
    for seed in 0..8 {
        let scenario = Scenario::open(Setting::of(seed, vec![double(one(), 1)]));
        scenario.until("it has the day", |it| it.ledger().contents().cursor == 1);
        (0..8).for_each(|_| scenario.fail_ledger(LedgerFault::Unavailable));
        let early = scenario.do_now(book(1, one(), first(one()))).id;
        let late = scenario.do_now(book(2, one(), second(one()))).id;
        scenario.do_now(cancel(1, one(), early));
        scenario.do_now(reschedule(2, late, one(), first(one())));
        scenario.do_now(book(3, one(), second(one())));
        scenario.do_now(cancel(2, one(), late));
        scenario.do_now(book(1, one(), first(one())));
        assert!(scenario.ledger().contents().cursor <= 2, "the rest is one bulk");
        scenario.until("the ledger has all", |it| it.ledger().contents().cursor == it.records());
        assert!(scenario.ledger().contents().parked.is_empty());
        scenario.finish();
    }
}

/// Rule 25: a day that the ledger refuses waits; the others go on, and everybody is still told the truth.
#[test]
fn a_day_that_the_ledger_refuses_does_not_stop_the_house() {
    for seed in 0..8 {
        let scenario = Scenario::open(clinic(seed, &[one(), later()]));
        scenario.until("it has the days", |it| it.ledger().contents().cursor == 2);
        scenario.ledger().away(true);
        let poison = scenario.do_now(book(1, one(), None)).id;
        let sound = scenario.do_now(book(2, later(), None)).id;
        for _ in 0..3 {
            scenario.fail_ledger(LedgerFault::Refused);
        }
        scenario.ledger().away(false);
        scenario.until("the cursor goes on", |it| it.ledger().contents().cursor == 4);
        let rows = scenario.ledger().contents();
        assert_eq!(rows.parked.keys().copied().collect::<Vec<_>>(), [one()]);
        assert!(rows.appointments.contains_key(&sound) && !rows.appointments.contains_key(&poison));
        assert_eq!(scenario.read(poison).appointment.status, Status::Booked);
        scenario.do_now(book(3, one(), None));
        assert_eq!(scenario.listed(list_of_day(one())).len(), 2);
        scenario.stop_and_start();
        assert!(scenario.ledger().contents().parked.is_empty(), "it was tried again");
        scenario.finish();
    }
}

/// Rule 25: an acknowledgement of the ledger that is lost is applied again, and changes nothing.
#[test]
fn a_bulk_that_is_applied_twice_changes_nothing() {
    for seed in 0..8 {
        let scenario = Scenario::open(small(seed, 2));
        scenario.fail_ledger(LedgerFault::UnavailableAfter);
        scenario.fail_ledger(LedgerFault::UnavailableAfter);
        let id = scenario.do_now(book(1, one(), None)).id;
        scenario.do_now(cancel(1, one(), id));
        scenario.until("the ledger has all", |it| it.ledger().contents().cursor == 3);
        scenario.finish();
    }
}

/// Rule 26: after a death nobody asks for the day, and its hold ends all the same.
#[test]
fn a_hold_ends_after_a_crash_though_nobody_asks() {
    let ways = from_all_sides(16, |seed| {
        let setting = Setting { holds_seconds: 12, ..small(seed, 1) };
        let scenario = Scenario::open(setting);
        let held = scenario.do_now(hold(1, one(), None, 5_000));
        let is_overslept = seed % 2 == 0;
        scenario.crash(false);
        scenario.pass_millis(if is_overslept { 8_000 } else { 500 });
        scenario.restart();
        scenario.until("it expires by itself", |it| it.records() == 3);
        assert!(matches!(scenario.events(one()).last(), Some((_, event)) if matches!(event.fact, Fact::Expired)));
        let due = held.hold_expires_at.expect("a hold");
        assert!(scenario.engine_now().millis_since(due) < 5_000 || is_overslept);
        scenario.finish();
        if is_overslept { "due while nothing ran" } else { "due later" }
    });
    assert_eq!(ways.len(), 2, "{ways:?}");
}
