//! Operators are told of messages that no channel takes: at once, then now and then, by another channel if one fails; and nobody waits
//! for it.
//! Must not know: how alerts are gathered and sent.

use engine::ledger::people::Channel;
use engine::ledger::reminders::{Kind, ReminderStore};
use futures_util::FutureExt;
use simulator::doubles::{Mood, Post, Rung};
use simulator::scenario::{Scenario, Setting, book};

use crate::post::{LATE_MILLIS, clinic_with, judge, latest, of_kind, reach, start, today};

/// What the settings say if nothing else is said.
const INTERVAL_MICROS: u64 = 300_000_000;
/// How long an alert may take by one channel.
const ALERT_MICROS: u64 = 10_000_000;

/// A clinic whose operator is told by `alarms`.
fn watched(seed: u64, channels: &[Channel], alarms: &[Channel]) -> (Setting, Post) {
    let (mut setting, post) = clinic_with(seed, channels);
    let post = post.with_alarms(alarms);
    setting.post = Some(post.clone());
    (setting, post)
}

/// Somebody who can be reached by text message only, and has booked.
fn unlucky(scenario: &Scenario, number: u64) {
    reach(scenario, number, &[Channel::Sms]);
    scenario.do_now(book(number, today(), Some(start(today()))));
}

fn dead(scenario: &Scenario) -> u64 {
    let rows = scenario.ledger().dead(None, 1_000).now_or_never().expect("memory answers at once");
    rows.expect("it is readable").len() as u64
}

fn told(rung: &Rung) -> u64 {
    rung.alert.dead.iter().sum()
}

#[test]
fn the_first_is_told_at_once_and_the_others_together_an_interval_later() {
    let (setting, post) = watched(1, &[Channel::Sms], &[Channel::Email]);
    let scenario = Scenario::open(setting);
    post.set(Channel::Sms, Mood::Refusing);
    let before = scenario.engine_now();
    unlucky(&scenario, 1);
    scenario.pass_millis(2_000);
    let [first] = &post.rung()[..] else { panic!("{:?}", post.rung()) };
    assert_eq!((told(first), first.alert.dead[Channel::Sms as usize]), (1, 1));
    assert!((0..2_000).contains(&first.alert.since.millis_since(before)), "{first:?}");
    (2..=5).for_each(|number| unlucky(&scenario, number));
    let since = scenario.engine_now();
    scenario.pass_millis(100_000);
    // Confirmations and reminders of all five.
    assert_eq!((dead(&scenario), post.rung().len()), (10, 1), "more, and nobody is told yet");
    scenario.pass_millis(220_000);
    let [_, second] = &post.rung()[..] else { panic!("{:?}", post.rung()) };
    assert_eq!(told(second), 9);
    assert!(second.at_micros - first.at_micros >= INTERVAL_MICROS, "{second:?}");
    assert!(second.alert.since.millis_since(since).abs() < 2_000 && second.alert.id != first.alert.id, "{second:?}");
    scenario.pass_millis(1_000_000);
    assert_eq!(post.rung().len(), 2, "there is nothing new to tell");
    judge(&scenario, &post, 0);
    scenario.finish();
}

#[test]
fn a_channel_that_fails_is_followed_by_the_next_and_what_nobody_was_told_is_not_lost() {
    let (setting, post) = watched(2, &[Channel::Sms], &[Channel::Email, Channel::File]);
    let scenario = Scenario::open(setting);
    post.set(Channel::Sms, Mood::Refusing);
    post.set_alarm(Channel::Email, Mood::Stuck);
    let began = scenario.now_micros();
    unlucky(&scenario, 1);
    scenario.pass_millis(12_000);
    let [first] = &post.rung()[..] else { panic!("{:?}", post.rung()) };
    assert_eq!((first.channel, told(first)), (Channel::File, 1));
    assert!((ALERT_MICROS..ALERT_MICROS + 2_000_000).contains(&(first.at_micros - began)), "{first:?}");
    post.set_alarm(Channel::Email, Mood::Away);
    post.set_alarm(Channel::File, Mood::Away);
    unlucky(&scenario, 2);
    scenario.pass_millis(400_000);
    assert_eq!(post.rung().len(), 1, "nobody could be told");
    post.set_alarm(Channel::Email, Mood::Well);
    scenario.pass_millis(400_000);
    let [_, second] = &post.rung()[..] else { panic!("{:?}", post.rung()) };
    assert_eq!((second.channel, told(second) + 1), (Channel::Email, dead(&scenario)));
    judge(&scenario, &post, 0);
    scenario.finish();
}

#[test]
fn an_alert_that_hangs_delays_no_message_and_no_stop() {
    let (setting, post) = watched(3, &[Channel::Sms, Channel::File], &[Channel::Email]);
    let scenario = Scenario::open(setting);
    post.set(Channel::Sms, Mood::Refusing);
    post.set_alarm(Channel::Email, Mood::Stuck);
    unlucky(&scenario, 1);
    scenario.pass_millis(1_000);
    for number in 2..=20 {
        reach(&scenario, number, &[Channel::File]);
        scenario.do_now(book(number, today(), Some(start(today()))));
    }
    scenario.pass_millis(2_000);
    let confirmations = of_kind(&post, Kind::Confirmation);
    assert_eq!(confirmations.len(), 19);
    assert!(latest(&confirmations) < LATE_MILLIS, "{} ms", latest(&confirmations));
    let began = scenario.now_micros();
    scenario.stop_and_start();
    let took = scenario.now_micros() - began;
    assert!(took < 1_000_000 && post.rung().is_empty(), "{took} µs for a stop and a start");
    post.set_alarm(Channel::Email, Mood::Well);
    unlucky(&scenario, 40);
    scenario.pass_millis(2_000);
    assert_eq!(post.rung().iter().map(told).collect::<Vec<_>>(), [1], "of what is new since the start");
    judge(&scenario, &post, 0);
    scenario.finish();
}

#[test]
fn without_a_way_to_an_operator_everything_goes_on() {
    let (setting, post) = watched(4, &[Channel::Sms], &[]);
    let scenario = Scenario::open(setting);
    post.set(Channel::Sms, Mood::Refusing);
    unlucky(&scenario, 1);
    scenario.pass_millis(60_000);
    assert_eq!((dead(&scenario), post.rung().len()), (2, 0));
    judge(&scenario, &post, 0);
    scenario.finish();
}
