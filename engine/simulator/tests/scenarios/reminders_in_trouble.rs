//! Messages whose sender dies, whose provider is away, stuck or silent: nothing is lost, and what goes out twice has
//! the same id.
//! Must not know: how they are found and sent.

use engine::ledger::memory::Fault as LedgerFault;
use engine::ledger::people::Channel;
use engine::ledger::reminders::{Kind, ReminderStatus};
use simulator::doubles::Mood;
use simulator::scenario::{Scenario, book, from_all_sides};

use crate::post::{
    LATE_MILLIS, clinic, clinic_with, judge, latest, of_kind, reach, rows, start, statuses, today, two_hours_before,
};

const HOUR_MILLIS: u64 = 3_600_000;

#[test]
fn a_crash_before_the_call_loses_nothing_and_sends_nothing_twice() {
    for seed in 0..20 {
        let (setting, post) = clinic(seed);
        let scenario = Scenario::open(setting);
        for number in 1..=30 {
            scenario.do_now(book(number, today(), Some(start(today()))));
        }
        scenario.pass_until(two_hours_before().plus_millis(-1_000));
        scenario.excuse(simulator::weather::Fault::Crash);
        post.set(Channel::File, Mood::CrashBefore);
        scenario.pass_millis(10_000);
        assert_eq!(of_kind(&post, Kind::Reminder).len(), 30);
        judge(&scenario, &post, 0);
        scenario.finish();
    }
}

#[test]
fn a_crash_between_the_call_and_its_record_repeats_the_same_ids() {
    for seed in 0..20 {
        let (setting, post) = clinic(seed);
        let scenario = Scenario::open(setting);
        for number in 1..=30 {
            scenario.do_now(book(number, today(), Some(start(today()))));
        }
        scenario.pass_until(two_hours_before().plus_millis(-1_000));
        scenario.excuse(simulator::weather::Fault::Crash);
        post.set(Channel::File, Mood::CrashAfter);
        scenario.pass_millis(10_000);
        let mut ids: Vec<_> = of_kind(&post, Kind::Reminder).iter().map(|it| it.letter.message_id).collect();
        assert_eq!(ids.len(), 60, "whoever died over them did not say whether they were sent");
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 30, "the same messages");
        judge(&scenario, &post, 30);
        scenario.finish();
    }
}

/// The process dies at any step from a second before the messages are due.
#[test]
fn a_crash_at_any_step_of_sending_loses_nothing() {
    let counts = from_all_sides(300, |seed| {
        let (setting, post) = clinic(seed);
        let scenario = Scenario::open(setting);
        for number in 1..=3 {
            scenario.do_now(book(number, today(), Some(start(today()))));
        }
        scenario.pass_until(two_hours_before());
        for _ in 0..seed {
            scenario.pass_micros(150);
        }
        scenario.crash(false);
        let at_death = of_kind(&post, Kind::Reminder).len();
        scenario.pass_millis(300);
        scenario.restart();
        scenario.pass_millis(5_000);
        let all = of_kind(&post, Kind::Reminder).len();
        judge(&scenario, &post, 3);
        let of = |row: &engine::ledger::reminders::ReminderRow| row.status == ReminderStatus::Sent;
        let ids: Vec<_> = post.taken().iter().map(|it| it.letter.row.key.appointment).collect();
        assert!(ids.iter().all(|id| rows(&scenario, *id).iter().all(of)), "every message is sent");
        scenario.finish();
        match (at_death, all) {
            (0, 3) => "before they were sent",
            (3, 3) => "after it was recorded",
            (3, 6) => "in between",
            other => panic!("{other:?}"),
        }
    });
    assert!(counts.len() == 3, "all must occur: {counts:?}");
}

#[test]
fn a_provider_that_is_away_for_an_hour_gets_everything_afterwards() {
    let (setting, post) = clinic(4);
    let scenario = Scenario::open(setting);
    let visits: Vec<_> = (1..=40).map(|number| scenario.do_now(book(number, today(), Some(start(today()))))).collect();
    scenario.pass_until(two_hours_before().plus_millis(-1_000));
    post.set(Channel::File, Mood::Away);
    let calls = post.calls();
    scenario.pass_millis(HOUR_MILLIS);
    assert_eq!(of_kind(&post, Kind::Reminder).len(), 0);
    assert!(post.calls() - calls < 120, "{} calls to somebody who is not there", post.calls() - calls);
    post.set(Channel::File, Mood::Well);
    scenario.pass_millis(120_000);
    assert_eq!(of_kind(&post, Kind::Reminder).len(), 40);
    assert!(visits.iter().all(|it| statuses(&scenario, it.id, Kind::Reminder) == [(1, ReminderStatus::Sent)]));
    judge(&scenario, &post, 0);
    scenario.finish();
}

#[test]
fn a_provider_that_is_stuck_slows_no_other_channel() {
    let (setting, post) = clinic_with(5, &[Channel::File, Channel::Sms]);
    let scenario = Scenario::open(setting);
    (1..=60).for_each(|number| {
        reach(&scenario, number, if number <= 30 { &[Channel::Sms] } else { &[Channel::File] });
        scenario.do_now(book(number, today(), Some(start(today()))));
    });
    scenario.pass_until(two_hours_before().plus_millis(-1_000));
    post.set(Channel::Sms, Mood::Stuck);
    scenario.pass_millis(3_000);
    let reminders = of_kind(&post, Kind::Reminder);
    assert!(reminders.len() == 30 && latest(&reminders) < LATE_MILLIS, "{} ms", latest(&reminders));
    scenario.pass_millis(HOUR_MILLIS);
    post.set(Channel::Sms, Mood::Well);
    scenario.pass_millis(120_000);
    assert_eq!(of_kind(&post, Kind::Reminder).len(), 60);
    judge(&scenario, &post, 0);
    scenario.finish();
}

#[test]
fn a_provider_that_stays_away_hands_over_to_the_next_channel() {
    let (setting, post) = clinic_with(6, &[Channel::Sms, Channel::Email]);
    let scenario = Scenario::open(setting);
    let visits: Vec<_> = (1..=30)
        .map(|number| {
            reach(&scenario, number, &[Channel::Sms, Channel::Email]);
            scenario.do_now(book(number, today(), Some(start(today()))))
        })
        .collect();
    scenario.pass_until(two_hours_before().plus_millis(-1_000));
    post.set(Channel::Sms, Mood::Away);
    scenario.pass_millis(180_000);
    let reminders = of_kind(&post, Kind::Reminder);
    assert!(reminders.iter().all(|it| it.letter.row.key.channel == Channel::Email));
    assert_eq!(reminders.len(), 30, "three minutes later at most by mail");
    let both = [(1, ReminderStatus::Failed), (1, ReminderStatus::Sent)];
    assert!(visits.iter().all(|it| statuses(&scenario, it.id, Kind::Reminder) == both));
    judge(&scenario, &post, 0);
    scenario.finish();
}

#[test]
fn an_address_that_is_refused_is_not_tried_again() {
    let (setting, post) = clinic_with(7, &[Channel::Sms, Channel::Email]);
    let scenario = Scenario::open(setting);
    reach(&scenario, 1, &[Channel::Sms, Channel::Email]);
    reach(&scenario, 2, &[Channel::Sms]);
    post.set(Channel::Sms, Mood::Refusing);
    let [first, second] = [1, 2].map(|number| scenario.do_now(book(number, today(), Some(start(today())))).id);
    scenario.pass_millis(3_000);
    assert_eq!(of_kind(&post, Kind::Confirmation).len(), 1, "the first has another channel");
    let both = [(1, ReminderStatus::Failed), (1, ReminderStatus::Sent)];
    assert_eq!(statuses(&scenario, first, Kind::Confirmation), both);
    assert_eq!(statuses(&scenario, second, Kind::Confirmation), [(1, ReminderStatus::Dead)]);
    let row = rows(&scenario, second).into_iter().find(|row| row.status == ReminderStatus::Dead).expect("it is dead");
    assert_eq!((row.attempts, row.last_error.as_deref()), (1, Some("no such address")));
    judge(&scenario, &post, 0);
    scenario.finish();
}

#[test]
fn a_provider_that_takes_a_message_in_silence_gets_it_again_under_the_same_id() {
    let (setting, post) = clinic(8);
    let scenario = Scenario::open(setting);
    scenario.do_now(book(1, today(), Some(start(today()))));
    scenario.pass_until(two_hours_before().plus_millis(-1_000));
    post.set(Channel::File, Mood::SilentOnce);
    scenario.pass_millis(30_000);
    let ids: Vec<_> = of_kind(&post, Kind::Reminder).iter().map(|it| it.letter.message_id).collect();
    assert!(ids.len() == 2 && ids[0] == ids[1], "{ids:?}");
    judge(&scenario, &post, 1);
    scenario.finish();
}

#[test]
fn a_store_that_is_away_while_they_are_sent_repeats_nothing() {
    let (setting, post) = clinic(9);
    let scenario = Scenario::open(setting);
    for number in 1..=30 {
        scenario.do_now(book(number, today(), Some(start(today()))));
    }
    scenario.pass_until(two_hours_before().plus_millis(-100));
    scenario.excuse(simulator::weather::Fault::LedgerAway);
    // As soon as they are taken, nobody can record it.
    scenario.until("they are taken", |_| of_kind(&post, Kind::Reminder).len() == 30);
    scenario.ledger().away(true);
    scenario.pass_millis(20_000);
    scenario.ledger().away(false);
    scenario.pass_millis(60_000);
    assert_eq!(of_kind(&post, Kind::Reminder).len(), 30);
    judge(&scenario, &post, 0);
    scenario.finish();
}

#[test]
fn a_stop_ends_within_two_seconds_whatever_a_provider_does() {
    let (setting, post) = clinic(10);
    let scenario = Scenario::open(setting);
    for number in 1..=10 {
        scenario.do_now(book(number, today(), Some(start(today()))));
    }
    scenario.pass_until(two_hours_before().plus_millis(-100));
    post.set(Channel::File, Mood::Stuck);
    scenario.pass_millis(500);
    let began = scenario.now_micros();
    scenario.stop_and_start();
    let took = scenario.now_micros() - began;
    assert!(took < 3_000_000, "{took} µs for a stop and a start");
    post.set(Channel::File, Mood::Well);
    scenario.pass_millis(5_000);
    assert_eq!(of_kind(&post, Kind::Reminder).len(), 10);
    judge(&scenario, &post, 0);
    scenario.finish();
}

#[test]
fn a_ledger_that_fails_now_and_then_delays_a_message_and_no_more() {
    let (setting, post) = clinic(11);
    let scenario = Scenario::open(setting);
    for number in 1..=10 {
        scenario.fail_ledger(LedgerFault::UnavailableAfter);
        scenario.do_now(book(number, today(), Some(start(today()))));
    }
    scenario.pass_millis(10_000);
    assert_eq!(of_kind(&post, Kind::Confirmation).len(), 10);
    scenario.pass_millis(60_000);
    judge(&scenario, &post, 0);
    scenario.finish();
}
