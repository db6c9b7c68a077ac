//! The actor alone: what it begins when, and what it forgets.
//! Must not know: stores, tasks.

use std::collections::BTreeSet;

use booking_core::AppointmentId;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::ledger::reminders::{Kind, Recipient};

const CAPACITY: Capacity = Capacity { batch: 10, calls: 1, deadline: Duration::from_secs(1) };
const POLICY: BreakerPolicy = BreakerPolicy { failures_max: 2, pause_micros: 1_000_000, pause_micros_max: 4_000_000 };

fn key(number: u128, channel: Channel) -> ReminderKey {
    ReminderKey {
        appointment: AppointmentId(Uuid::from_u128(number)),
        version: 1,
        kind: Kind::Reminder,
        offset_seconds: 60,
        channel,
        recipient: Recipient::Patient,
    }
}

fn found(number: u128, channel: Channel, at: i64) -> Found {
    Found { key: key(number, channel), shard: (number % 2) as u16, at: UtcMillis(at), has_fallback: number >= 100 }
}

fn at(millis: i64) -> Now {
    Now { utc: UtcMillis(millis), micros: millis as u64 * 1_000 }
}

fn actor() -> Actor {
    let mut actor = Actor::new(UtcMillis(0), |_| Some(CAPACITY), POLICY);
    assert_eq!(actor.handle(Message::Shards(Box::new([0, 1].into_iter().collect())), at(0)), []);
    actor
}

fn settled(job: &Job, provider: Provider, next: Next) -> Message {
    let rows = job.keys.iter().map(|key| (*key, next)).collect();
    let (channel, purpose) = (job.channel, job.purpose);
    Message::Settled(Box::new(Settled { channel, purpose, provider, rows, found: Vec::new() }))
}

#[test]
fn a_row_is_in_hand_once_and_begun_at_its_instant() {
    let mut actor = actor();
    let row = found(1, Channel::File, 500);
    assert_eq!(actor.handle(Message::Found(vec![row, row]), at(0)), []);
    assert_eq!((actor.timers(), actor.in_hand()), (1, 1));
    assert_eq!(actor.rest(at(0)), Duration::from_millis(500));
    assert_eq!(actor.tick(at(499)), []);
    let jobs = actor.tick(at(500));
    assert_eq!(jobs, [Job { channel: Channel::File, purpose: Purpose::Send, keys: vec![row.key] }]);
    // Found again by a sweep while it is being sent.
    assert_eq!(actor.handle(Message::Found(vec![row]), at(600)), []);
    assert!(!actor.is_quiet());
    assert_eq!(actor.handle(settled(&jobs[0], Provider::Answered, Next::Done), at(700)), []);
    assert_eq!((actor.timers(), actor.in_hand(), actor.is_quiet()), (0, 0, true));
}

#[test]
fn a_row_whose_instant_has_changed_waits_for_the_new_one() {
    let mut actor = actor();
    actor.handle(Message::Found(vec![found(1, Channel::File, 500)]), at(0));
    actor.handle(Message::Found(vec![found(1, Channel::File, 900)]), at(0));
    assert_eq!((actor.tick(at(899)), actor.timers()), (vec![], 1));
    assert_eq!(actor.tick(at(900)).len(), 1);
}

#[test]
fn what_is_of_other_shards_is_not_in_hand() {
    let mut actor = actor();
    let rows = (0..10).map(|number| found(number, Channel::File, 500 * (number % 3) as i64)).collect();
    let jobs = actor.handle(Message::Found(rows), at(0));
    assert_eq!(jobs[0].keys.len(), 4, "due at once");
    actor.handle(Message::Shards(Box::new([1].into_iter().collect())), at(1));
    assert!(actor.handle(Message::Found(vec![found(2, Channel::File, 5)]), at(1)).is_empty());
    assert_eq!((actor.timers(), actor.in_hand()), (3, 7), "timers of shard 1, and what is being sent");
    // What was being sent and is not ours any more is forgotten, whatever became of it.
    actor.handle(settled(&jobs[0], Provider::Answered, Next::At(UtcMillis(700))), at(2));
    assert_eq!((actor.timers(), actor.in_hand()), (5, 5));
}

#[test]
fn a_job_takes_a_bounded_part_and_two_run_at_once() {
    let mut actor = actor();
    let rows = (0..45).map(|number| found(number, Channel::File, 10)).collect();
    actor.handle(Message::Found(rows), at(0));
    let jobs = actor.tick(at(10));
    assert_eq!(jobs.iter().map(|job| job.keys.len()).collect::<Vec<_>>(), [10, 10]);
    let more = actor.handle(settled(&jobs[0], Provider::Answered, Next::Done), at(11));
    assert_eq!(more.len(), 1);
    let all: BTreeSet<_> = jobs.iter().chain(&more).flat_map(|job| job.keys.clone()).collect();
    assert_eq!(all.len(), 30, "none twice");
}

#[test]
fn a_provider_that_is_away_is_probed_and_the_others_go_on() {
    let mut actor = actor();
    let rows = |from, channel| (from..from + 30).map(|number| found(number, channel, 10)).collect::<Vec<_>>();
    actor.handle(Message::Found([rows(0, Channel::Sms), rows(50, Channel::File)].concat()), at(0));
    let jobs = actor.tick(at(10));
    let of = |channel| jobs.iter().filter(move |job| job.channel == channel);
    assert_eq!((of(Channel::Sms).count(), of(Channel::File).count()), (2, 2));
    let away = |job| settled(job, Provider::Away { calls: 1 }, Next::At(UtcMillis(20)));
    // A third one begins in the place of the first, before the second has failed too.
    let more: Vec<Job> = of(Channel::Sms).flat_map(|job| actor.handle(away(job), at(15))).collect();
    assert_eq!(more.len(), 1);
    assert_eq!(actor.handle(away(&more[0]), at(15)), []);
    assert_eq!(actor.tick(at(900)), [], "it is left alone");
    let file = of(Channel::File).next().expect("a job");
    assert_eq!(actor.handle(settled(file, Provider::Answered, Next::Done), at(901)).len(), 1, "the others go on");
    let probe = actor.tick(at(1_015));
    assert_eq!((probe.len(), probe[0].purpose, probe[0].keys.len()), (1, Purpose::Probe, 1));
    assert_eq!(actor.tick(at(5_000)), [], "one probe at a time");
    assert_eq!(actor.handle(settled(&probe[0], Provider::Answered, Next::Done), at(5_001)).len(), 2, "all of it");
}

#[test]
fn who_has_another_channel_waits_a_minute_and_no_more() {
    let mut actor = actor();
    let rows = (98..104).map(|number| found(number, Channel::Sms, 10)).collect();
    actor.handle(Message::Found(rows), at(0));
    let job = actor.tick(at(10));
    actor.handle(settled(&job[0], Provider::Away { calls: 2 }, Next::At(UtcMillis(10))), at(10));
    let mut jobs = Vec::new();
    for second in 1..=61 {
        for job in actor.tick(at(10 + second * 1_000)) {
            if job.purpose == Purpose::Probe {
                actor.handle(
                    settled(&job, Provider::Away { calls: 1 }, Next::At(UtcMillis(10))),
                    at(10 + second * 1_000),
                );
            } else {
                jobs.push(job);
            }
        }
    }
    // 98 and 99 have none.
    assert!(jobs.iter().all(|job| job.purpose == Purpose::PassOn));
    let passed: BTreeSet<_> = jobs.iter().flat_map(|job| job.keys.clone()).collect();
    assert!(passed.len() >= 3 && passed.iter().all(|key| key.appointment.0.as_u128() >= 100), "{passed:?}");
}

#[test]
fn after_a_stop_nothing_begins() {
    let mut actor = actor();
    actor.handle(Message::Found(vec![found(1, Channel::File, 10)]), at(0));
    actor.stop();
    assert_eq!((actor.tick(at(10)), actor.is_quiet()), (vec![], true));
}

#[test]
fn what_finds_no_room_is_left_to_the_sweep() {
    let mut actor = actor();
    let rows =
        |from: u128, count| (from..from + count).map(|number| found(number, Channel::Sms, 10)).collect::<Vec<_>>();
    let most = super::super::lane::WAITING_MAX as u128;
    actor.handle(Message::Found(rows(0, most + 50)), at(0));
    let jobs = actor.tick(at(10));
    assert_eq!(jobs.len(), 2);
    assert_eq!(actor.in_hand(), most as usize, "the last fifty are forgotten");
    actor.handle(Message::Found(rows(0, most + 50)), at(11));
    assert_eq!(actor.in_hand(), most as usize + 20, "as many as have begun since");
}

proptest! {
    /// Whatever is found, closed and settled in whichever order: no row is in two jobs at once, and in the end every
    /// row that stays ours was begun.
    #[test]
    fn every_row_is_begun_and_none_twice_at_once(steps in prop::collection::vec((0_u8..6, 0_u128..40, 0_i64..3_000), 1..150)) {
        let mut actor = actor();
        let (mut now, mut under_way, mut begun): (i64, Vec<Job>, BTreeSet<ReminderKey>) = (0, Vec::new(), BTreeSet::new());
        let mut wanted = BTreeSet::new();
        for (step, number, millis) in steps {
            let jobs = match step {
                0 | 1 => {
                    let row = found(number, Channel::File, now + millis);
                    wanted.insert(row.key);
                    actor.handle(Message::Found(vec![row]), at(now))
                }
                2 => {
                    now += millis;
                    actor.tick(at(now))
                }
                3 if !under_way.is_empty() => {
                    let job = under_way.swap_remove(number as usize % under_way.len());
                    let next = if millis % 3 == 0 { Next::At(UtcMillis(now + millis)) } else { Next::Done };
                    actor.handle(settled(&job, Provider::Answered, next), at(now))
                }
                4 => {
                    let open = if millis % 2 == 0 { vec![0, 1] } else { vec![0] };
                    actor.handle(Message::Shards(Box::new(open.into_iter().collect())), at(now))
                }
                _ => Vec::new(),
            };
            for job in jobs {
                for key in &job.keys {
                    prop_assert!(under_way.iter().all(|other| !other.keys.contains(key)), "in two jobs at once");
                    begun.insert(*key);
                }
                under_way.push(job);
            }
        }
        // The sweep finds what is ours, and everything that was ever wanted is begun.
        let mut jobs = actor.handle(Message::Shards(Box::new([0, 1].into_iter().collect())), at(now));
        for _ in 0..100 {
            for job in jobs.into_iter().chain(std::mem::take(&mut under_way)) {
                begun.extend(job.keys.iter().copied());
                under_way.extend(actor.handle(settled(&job, Provider::Answered, Next::Done), at(now)));
            }
            now += 3_000;
            let rows = wanted.difference(&begun).map(|key| Found { at: UtcMillis(now), ..found(key.appointment.0.as_u128(), Channel::File, now) });
            jobs = actor.handle(Message::Found(rows.collect()), at(now));
            if jobs.is_empty() && under_way.is_empty() {
                break;
            }
        }
        prop_assert_eq!(wanted.difference(&begun).count(), 0, "never begun");
    }
}
