//! Reminders on time, once, and never for a visit that has moved: with all well, with changes that race them, with
//! clocks that are set.
//! Must not know: how they are found and sent.

use booking_core::Rejection;
use engine::ledger::reminders::{Kind, ReminderStatus};
use simulator::scenario::{Scenario, at, book, cancel, confirm, from_all_sides, hold, plan, reschedule};

use crate::post::{
    LATE_MILLIS, VISIT, clinic, elsewhere, judge, latest, of_kind, rows, start, statuses, today, two_hours_before,
};

const HOUR_MILLIS: i64 = 3_600_000;

#[test]
fn a_visit_is_confirmed_at_once_and_reminded_of_two_hours_before() {
    let (setting, post) = clinic(1);
    let scenario = Scenario::open(setting);
    let visits: Vec<_> = (1..=50).map(|number| scenario.do_now(book(number, today(), Some(start(today()))))).collect();
    scenario.pass_millis(1_000);
    assert_eq!(of_kind(&post, Kind::Confirmation).len(), 50);
    scenario.pass_until(two_hours_before());
    assert_eq!(of_kind(&post, Kind::Reminder).len(), 0, "before its time");
    scenario.pass_millis(1_000);
    assert_eq!(of_kind(&post, Kind::Reminder).len(), 50);
    assert!(latest(&post.taken()) < LATE_MILLIS, "{} ms late", latest(&post.taken()));
    scenario.pass_millis(60_000);
    judge(&scenario, &post, 0);
    let offsets = rows(&scenario, visits[0].id).iter().map(|row| row.key.offset_seconds).collect::<Vec<_>>();
    assert_eq!(offsets, [0, 7_200], "a day before had passed");
    scenario.finish();
}

#[test]
fn a_hold_is_told_of_when_it_is_confirmed_and_never_if_it_ends() {
    let (setting, post) = clinic(2);
    let scenario = Scenario::open(setting);
    let kept = scenario.do_now(hold(1, today(), Some(start(today())), 60_000));
    let lost = scenario.do_now(hold(2, today(), Some(start(today())), 60_000));
    scenario.pass_millis(10_000);
    assert_eq!(post.taken().len(), 0);
    scenario.do_now(confirm(1, today(), kept.id));
    scenario.pass_millis(90_000);
    assert_eq!(post.taken().len(), 2, "a confirmation and a reminder");
    assert!(rows(&scenario, lost.id).is_empty());
    judge(&scenario, &post, 0);
    scenario.finish();
}

#[test]
fn a_visit_that_moves_is_reminded_of_at_its_new_time_only() {
    let (setting, post) = clinic(3);
    let scenario = Scenario::open(setting);
    let id = scenario.do_now(book(1, today(), Some(start(today())))).id;
    scenario.pass_millis(2_000);
    let later = at(elsewhere(), VISIT + 3_600);
    scenario.do_now(reschedule(1, id, elsewhere(), Some(later)));
    scenario.pass_until(later.plus_millis(-7_190_000));
    let reminders = of_kind(&post, Kind::Reminder);
    assert_eq!(reminders.iter().map(|it| it.letter.placed.appointment.start).collect::<Vec<_>>(), [later]);
    assert_eq!(of_kind(&post, Kind::Change).len(), 1);
    assert_eq!(statuses(&scenario, id, Kind::Reminder)[0].1, ReminderStatus::Cancelled);
    judge(&scenario, &post, 0);
    scenario.finish();
}

/// A cancel that comes from a second before the instant to a quarter of a second after it, under every order of turns.
#[test]
fn a_cancel_that_races_the_reminder_wins_or_comes_after_it() {
    let counts = from_all_sides(120, |seed| {
        let (setting, post) = clinic(seed);
        let scenario = Scenario::open(setting);
        let id = scenario.do_now(book(1, today(), Some(start(today())))).id;
        scenario.pass_until(two_hours_before().plus_millis(-1_000));
        let cancelled = scenario.ask_in(700_000 + seed * 4_000, cancel(1, today(), id));
        scenario.pass_millis(5_000);
        scenario.won(&cancelled);
        judge(&scenario, &post, 0);
        assert_eq!(of_kind(&post, Kind::Cancellation).len(), 1, "that it is cancelled is told either way");
        let told = of_kind(&post, Kind::Reminder).len();
        scenario.finish();
        if told == 0 { "in time" } else { "after it" }
    });
    assert!(counts.len() == 2, "both must occur: {counts:?}");
}

#[test]
fn a_move_that_races_the_reminder_wins_or_comes_after_it() {
    let counts = from_all_sides(120, |seed| {
        let (setting, post) = clinic(seed);
        let scenario = Scenario::open(setting);
        let id = scenario.do_now(book(1, today(), Some(start(today())))).id;
        scenario.pass_until(two_hours_before().plus_millis(-1_000));
        let later = at(elsewhere(), VISIT + 3_600);
        let moved = scenario.ask_in(700_000 + seed * 4_000, reschedule(1, id, elsewhere(), Some(later)));
        scenario.pass_millis(5_000);
        scenario.won(&moved);
        judge(&scenario, &post, 0);
        let told = of_kind(&post, Kind::Reminder).len();
        scenario.finish();
        if told == 0 { "in time" } else { "after it" }
    });
    assert!(counts.len() == 2, "both must occur: {counts:?}");
}

/// The ledger is seconds behind when the reminder is due: what it has of the visit is old, and the door knows better.
#[test]
fn what_the_ledger_does_not_know_yet_is_known_at_the_moment_of_sending() {
    let (setting, post) = clinic(5);
    let scenario = Scenario::open(setting);
    let id = scenario.do_now(book(1, today(), Some(start(today())))).id;
    scenario.pass_until(two_hours_before().plus_millis(-2_000));
    for _ in 0..10 {
        scenario.fail_ledger(engine::ledger::memory::Fault::Unavailable);
    }
    scenario.do_now(cancel(1, today(), id));
    scenario.pass_until(two_hours_before().plus_millis(500));
    assert_eq!(of_kind(&post, Kind::Reminder).len(), 0);
    scenario.pass_millis(20_000);
    assert_eq!(of_kind(&post, Kind::Cancellation).len(), 1);
    judge(&scenario, &post, 0);
    scenario.finish();
}

#[test]
fn a_clock_that_is_set_forward_by_an_hour_and_back_loses_nothing_and_repeats_nothing() {
    for seed in 0..8 {
        let (mut setting, post) = clinic(seed);
        setting.begins_later_millis = -HOUR_MILLIS;
        let scenario = Scenario::open(setting);
        for number in 1..=20 {
            scenario.do_now(book(number, today(), Some(start(today()))));
        }
        scenario.pass_until(two_hours_before().plus_millis(-HOUR_MILLIS + 700 * (seed as i64 - 4)));
        scenario.step_clock(HOUR_MILLIS);
        scenario.pass_millis(4_000);
        let told = of_kind(&post, Kind::Reminder).len();
        assert_eq!(told, if scenario.engine_now() >= two_hours_before() { 20 } else { 0 });
        scenario.step_clock(-HOUR_MILLIS);
        for number in 21..=40 {
            scenario.do_now(book(number, today(), Some(start(today()))));
        }
        scenario.pass_millis(60_000);
        judge(&scenario, &post, 0);
        // Those who booked after the instant have no reminder.
        let told = of_kind(&post, Kind::Reminder).len();
        assert!((20..=40).contains(&told), "{told}");
        assert_eq!(of_kind(&post, Kind::Confirmation).len(), 40);
        scenario.finish();
    }
}

#[test]
fn a_clock_that_is_set_back_makes_nothing_early() {
    let (setting, post) = clinic(6);
    let scenario = Scenario::open(setting);
    scenario.do_now(book(1, today(), Some(start(today()))));
    scenario.pass_until(two_hours_before().plus_millis(-1_500));
    scenario.step_clock(-HOUR_MILLIS);
    scenario.pass_millis(10_000);
    judge(&scenario, &post, 0);
    assert_eq!(of_kind(&post, Kind::Reminder).len(), 1, "the engine's time goes on, and so do its visits");
    // A process that starts now believes the clock: it is an hour earlier, and what was sent stays sent.
    scenario.stop_and_start();
    scenario.pass_millis(10_000);
    assert!(scenario.engine_now() < two_hours_before());
    assert_eq!(post.taken().len(), 2);
    scenario.finish();
}

/// On the days on which Europe changes its clocks, a day before is 24 hours before: 23 or 25 by the clock on the wall.
#[test]
fn offsets_are_hours_and_not_readings_of_a_clock_that_changes() {
    for days in [27, 244] {
        let (mut setting, post) = clinic(days as u64);
        let day = simulator::scenario::day(1, days);
        // A visit at ten of the morning after the night of the change; begun a minute before the reminder.
        setting.plans = vec![plan(day, &[(7_200, 600, 5)])];
        setting.begins_later_millis = i64::from(days - 1) * 86_400_000 + 7_200_000 - 60_000;
        let scenario = Scenario::open(setting);
        let start = at(day, 7_200);
        scenario.do_now(book(1, day, Some(start)));
        scenario.pass_millis(70_000);
        let reminders = of_kind(&post, Kind::Reminder);
        assert_eq!(reminders.len(), 1, "{days}");
        assert!((0..LATE_MILLIS).contains(&reminders[0].at.millis_since(start.plus_millis(-86_400_000))));
        scenario.finish();
    }
}

#[test]
fn a_visit_that_has_begun_is_missed_and_not_sent() {
    let (setting, post) = clinic(7);
    let scenario = Scenario::open(setting);
    let id = scenario.do_now(book(1, today(), Some(start(today())))).id;
    scenario.pass_millis(2_000);
    scenario.crash(false);
    // The process is away until after the visit has begun.
    scenario.pass_millis(VISIT as u64 * 1_000);
    scenario.restart();
    scenario.pass_millis(3_000);
    assert_eq!(of_kind(&post, Kind::Reminder).len(), 0);
    assert_eq!(statuses(&scenario, id, Kind::Reminder), [(1, ReminderStatus::Missed)]);
    judge(&scenario, &post, 0);
    scenario.finish();
}

#[test]
fn what_was_due_while_nobody_was_there_is_sent_late() {
    let (setting, post) = clinic(8);
    let scenario = Scenario::open(setting);
    for number in 1..=30 {
        scenario.do_now(book(number, today(), Some(start(today()))));
    }
    scenario.pass_millis(2_000);
    scenario.crash(false);
    scenario.pass_millis(3_600_000);
    scenario.restart();
    let began = scenario.now_micros();
    scenario.until("all are sent", |_| of_kind(&post, Kind::Reminder).len() == 30);
    assert!(scenario.now_micros() - began < 2_000_000, "a sweep at most");
    scenario.pass_millis(5_000);
    judge(&scenario, &post, 0);
    scenario.finish();
}

#[test]
fn who_books_a_full_slot_is_told_nothing() {
    let (mut setting, post) = clinic(9);
    setting.plans = vec![plan(today(), &[(VISIT, 600, 1)])];
    let scenario = Scenario::open(setting);
    scenario.do_now(book(1, today(), None));
    assert_eq!(scenario.refused(&scenario.ask(book(2, today(), None))), Rejection::SoldOut);
    scenario.pass_millis(60_000);
    assert_eq!(post.taken().len(), 2);
    judge(&scenario, &post, 0);
    scenario.finish();
}
