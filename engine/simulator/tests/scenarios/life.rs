//! A day that falls asleep, panics, dies and comes back, is amended under holds, and sheds what it may.
//! Must not know: how a day is woken.

use booking_core::{Rejection, Status};
use engine::EngineError;
use engine::ledger::memory::Fault as LedgerFault;
use simulator::scenario::{
    Pending, Scenario, Setting, book, cancel, close, confirm, from_all_sides, hold, keyed, list_of_day, plan, publish,
};

use crate::town::{FIRST, LENGTH, SECOND, SIDES, double, first, later, one, single, small};

/// A day that is sent to sleep by every sweep, and forgotten at once.
fn drowsy(seed: u64, capacity: u32) -> Setting {
    let mut setting = small(seed, capacity);
    (setting.config.idle_millis, setting.config.sleeping_bytes_max) = (0, 0);
    setting
}

fn loads(scenario: &Scenario) -> usize {
    scenario.told(&format!("read {}", one())) - scenario.told(&format!(": read day {}", one()))
}

/// Rule 13.
#[test]
fn versions_rise_over_lost_records_and_restarts() {
    for seed in 0..8 {
        let scenario = Scenario::open(small(seed, 8));
        let mut last = scenario.view(one()).snapshot.version();
        for round in 0..3 {
            scenario.hold_appends();
            let lost = scenario.ask(book(round, one(), None));
            scenario.until_append_waits();
            scenario.crash(false);
            scenario.restart();
            assert!(scenario.outcome(&lost).is_none());
            let seen = scenario.view(one()).snapshot.version();
            assert_eq!(seen, last, "what was lost was told to nobody");
            scenario.do_now(book(10 + round, one(), None));
            let next = scenario.view(one()).snapshot.version();
            assert!(next.epoch > last.epoch && next.sequence == last.sequence + 1, "{last:?} {next:?}");
            last = next;
        }
        scenario.finish();
    }
}

/// Rule 14: a panic with records on their way and a queue behind them.
#[test]
fn a_panic_waits_for_what_is_in_flight() {
    for seed in 0..16 {
        let scenario = Scenario::open(small(seed, 50));
        scenario.hold_appends();
        let flying = scenario.ask(keyed(book(1, one(), None), "k"));
        scenario.until_append_waits();
        // So many that they are worth a turn of their own though word of the journal is to come.
        let queue: Vec<Pending> = (2..50).map(|patient| scenario.ask(book(patient, one(), None))).collect();
        scenario.panic_at_next_decision();
        assert_eq!(scenario.records(), 1, "it happened before word of the journal");
        scenario.pass_millis(300);
        assert!(!flying.is_over() || scenario.is_unknown(&flying), "nothing is durable");
        scenario.release_appends();
        let told = scenario.reply(&flying);
        let again = scenario.won(&scenario.ask(keyed(book(1, one(), None), "k")));
        assert!(told.is_ok() && again.replayed, "the record was on its way, and was waited for");
        let won = queue.iter().filter(|pending| scenario.reply(pending).is_ok()).count();
        scenario.until("the ledger has all", |it| it.ledger().contents().cursor == it.records());
        assert!(scenario.listed(list_of_day(one())).len() > won);
        scenario.finish();
    }
}

/// Rule 14: commands at the very instant at which the day is sent to sleep.
#[test]
fn a_command_to_a_day_that_falls_asleep_finds_it_again() {
    let ways = from_all_sides(2 * SIDES, |seed| {
        let scenario = Scenario::open(drowsy(seed, 9));
        scenario.pass_until(simulator::scenario::instant(990));
        let before = loads(&scenario);
        let asked: Vec<Pending> =
            (0..6).map(|number| scenario.ask_in(seed * 200 + number * 700, book(1 + number, one(), None))).collect();
        for pending in &asked {
            scenario.won(pending);
        }
        let reads = loads(&scenario) - before;
        assert_eq!(scenario.listed(list_of_day(one())).len(), 6);
        scenario.finish();
        ["it did not sleep", "it slept once"].get(reads).copied().unwrap_or("it slept again")
    });
    assert!(ways.contains_key("it did not sleep") && ways.contains_key("it slept once"), "{ways:?}");
}

/// Rule 14: a day with a record on its way does not fall asleep, however idle it seems.
#[test]
fn a_day_that_waits_for_the_journal_stays_awake() {
    for seed in 0..4 {
        let scenario = Scenario::open(drowsy(seed, 2));
        scenario.hold_appends();
        let booked = scenario.ask(book(1, one(), None));
        scenario.until_append_waits();
        let before = loads(&scenario);
        scenario.pass_millis(5_000);
        assert_eq!(loads(&scenario), before);
        scenario.release_appends();
        scenario.won(&booked);
        scenario.finish();
    }
}

/// Rule 16: a snapshot, records after it, and a death.
#[test]
fn a_day_is_read_from_its_snapshot_and_the_records_after_it() {
    for seed in 0..8 {
        let scenario = Scenario::open(drowsy(seed, 40));
        for patient in 0..20 {
            scenario.do_now(book(patient, one(), None));
        }
        let is_saved = |it: &Scenario| {
            let loaded = futures_util::FutureExt::now_or_never(engine::journal::Journal::load(&it.journal(), one()));
            let loaded = loaded.and_then(Result::ok).flatten().expect("the day is there");
            (loaded.snapshot.is_some(), loaded.tail.len())
        };
        // Asked all the while, so that snapshot and records come together in every order.
        let more: Vec<Pending> =
            (0..10).map(|number| scenario.ask_in(number * 300_000 + seed, book(100 + number, one(), None))).collect();
        scenario.until("a snapshot is saved", |it| is_saved(it).0);
        for pending in &more {
            scenario.won(pending);
        }
        scenario.do_now(book(200, one(), None));
        assert!(is_saved(&scenario).1 > 0, "there are records after it");
        scenario.crash(false);
        scenario.restart();
        assert_eq!(scenario.view(one()).snapshot.remaining_at(0, scenario.engine_now()), 40 - 31);
        assert_eq!(scenario.listed(list_of_day(one())).len(), 31);
        scenario.finish();
    }
}

/// Rule 17: when the ledger is too far behind, only what takes a place is shed.
#[test]
fn shedding_spares_what_gives_places_back() {
    for seed in 0..4 {
        let mut setting = Setting { holds_seconds: 8, ..small(seed, 9) };
        setting.config.ledger_lag_max = 3;
        let scenario = Scenario::open(setting);
        scenario.until("it has the day", |it| it.ledger().contents().cursor == 1);
        (0..12).for_each(|_| scenario.fail_ledger(LedgerFault::Unavailable));
        let booked = scenario.do_now(book(1, one(), None)).id;
        let held = scenario.do_now(hold(2, one(), None, 60_000)).id;
        let passing = scenario.do_now(hold(3, one(), None, 3_000));
        scenario.do_now(book(4, one(), None));
        let shed = scenario.reply(&scenario.ask(book(5, one(), None)));
        assert!(matches!(shed, Err(EngineError::Overloaded { .. })), "{shed:?}");
        assert_eq!(scenario.do_now(confirm(2, one(), held)).status, Status::Booked);
        assert_eq!(scenario.do_now(cancel(1, one(), booked)).status, Status::Cancelled);
        let before = scenario.records();
        scenario.pass_until(passing.hold_expires_at.expect("a hold"));
        scenario.until_records(before + 1);
        scenario.decide_day(close(one()));
        scenario.finish();
    }
}

/// Rule 18.
#[test]
fn a_slot_with_places_taken_is_neither_removed_nor_shortened_nor_made_smaller() {
    for seed in 0..4 {
        let scenario = Scenario::open(Setting::of(seed, vec![double(one(), 2)]));
        let gone = scenario.do_now(book(1, one(), first(one()))).id;
        let kept = scenario.do_now(book(2, one(), first(one())));
        let forbidden =
            [vec![(SECOND, LENGTH, 2)], vec![(FIRST, LENGTH / 2, 2), (SECOND, LENGTH, 2)], vec![(FIRST, LENGTH, 1)]];
        for slots in forbidden {
            let refused = scenario.try_now(publish(&plan(one(), &slots), None));
            assert!(matches!(refused, Rejection::SlotHasBookings { .. }), "{slots:?}: {refused:?}");
        }
        scenario.do_now(cancel(1, one(), gone));
        scenario.decide_day(publish(&plan(one(), &[(FIRST, LENGTH, 5)]), None));
        assert_eq!(scenario.read(kept.id).appointment.place, kept.place, "places keep their numbers");
        scenario.do_now(book(3, one(), first(one())));
        scenario.finish();
    }
}

/// Rule 18: an amendment at the instant at which the only hold falls due.
#[test]
fn a_due_hold_expires_before_the_day_is_amended() {
    let ways = from_all_sides(SIDES, |seed| {
        let setting = Setting { holds_seconds: 8, ..small(seed, 1) };
        let scenario = Scenario::open(setting);
        let held = scenario.do_now(hold(1, one(), None, 2_000));
        scenario.pass_until(held.hold_expires_at.expect("a hold").plus_millis(-20));
        let without = plan(one(), &[(SECOND, LENGTH, 1)]);
        let reply = scenario.reply(&scenario.ask_in(seed * 600, publish(&without, None)));
        let way = match reply {
            Ok(_) => {
                assert_eq!(scenario.read(held.id).appointment.status, Status::Expired);
                "amended"
            }
            Err(EngineError::Rejected(Rejection::SlotHasBookings { .. })) => "still held",
            other => panic!("{other:?}"),
        };
        scenario.finish();
        way
    });
    assert_eq!(ways.len(), 2, "{ways:?}");
}

/// Rule 18: an amendment beside a booking of the slot that it takes away.
#[test]
fn an_amendment_and_a_booking_of_the_removed_slot_never_both_win() {
    let ways = from_all_sides(SIDES, |seed| {
        let scenario = Scenario::open(Setting::of(seed, vec![double(one(), 1), single(later(), 1)]));
        let amended = scenario.ask(publish(&plan(one(), &[(SECOND, LENGTH, 1)]), None));
        let booked = scenario.ask_in(seed * 200, book(1, one(), first(one())));
        let (amended, booked) = (scenario.reply(&amended), scenario.reply(&booked));
        scenario.finish();
        match (amended, booked) {
            (Ok(_), Err(EngineError::Rejected(Rejection::UnknownSlot))) => "amended",
            (Err(EngineError::Rejected(Rejection::SlotHasBookings { .. })), Ok(_)) => "booked",
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(ways.len(), 2, "{ways:?}");
}
