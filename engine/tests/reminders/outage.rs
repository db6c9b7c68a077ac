//! A provider that is away for an hour: it is left alone meanwhile, nobody's message dies of it, and when it is back everything goes out
//! once that still makes sense.
//! Must not know: how the sender finds out.

use engine::ledger::people::Channel;
use engine::ledger::reminders::{Kind, ReminderStatus};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::post::Mood;
use crate::town::{HOUR, LATE_MILLIS, MINUTE, SECOND, Town, after, latest};

const SENT: ReminderStatus = ReminderStatus::Sent;
/// The longest pause between two looks whether a provider is back, and some seconds for what has waited.
const NOTICED_MILLIS: i64 = 65_000;

/// 0 closed, 1 half open, 2 open.
fn breaker(handle: &PrometheusHandle, channel: Channel) -> String {
    let name = format!("hotslot_reminder_breaker_state{{channel=\"{}\"}} ", channel.word());
    let text = handle.render();
    text.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or_else(|| panic!("{name} in {text}")).to_owned()
}

/// Sixty who are told by text message only, twenty who have mail besides.
async fn with_mail_for_some() -> Town {
    let town = Town::with(&[Channel::Sms, Channel::Email], &[7_200, 1_800]).await;
    for number in 1..=80 {
        town.reach(number, if number <= 60 { &[Channel::Sms] } else { &[Channel::Sms, Channel::Email] }).await;
    }
    town
}

#[tokio::test]
async fn a_provider_that_is_away_for_an_hour_kills_nothing_and_gets_everything_that_still_makes_sense() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let (meters, _recorder) = (recorder.handle(), metrics::set_default_local_recorder(&recorder));
    let town = with_mail_for_some().await;
    // The outage lasts from 10 to 70 minutes. In it: a half-hour reminder whose visit begins in it, too; a two-hour reminder whose visit is
    // later; messages of those who have mail besides; and visits that are booked in it.
    town.publish(1, &[50 * MINUTE, 150 * MINUTE], 50);
    town.publish(2, &[5 * HOUR], 50);
    let begun = town.book(1, 50 * MINUTE, 1..=20);
    let ahead = town.book(1, 150 * MINUTE, 21..=40);
    let by_mail = town.book(1, 150 * MINUTE, 61..=80);
    town.apply().await;
    town.house.time.pass(5 * SECOND).await;
    town.house.sleep_until(after(10 * MINUTE)).await;
    assert_eq!((town.post.count(), breaker(&meters, Channel::Sms)), ((60, 60), "0".to_owned()), "the confirmations");

    town.post.set(Channel::Sms, Some(Mood::Away));
    let calls = town.post.calls();
    town.house.time.pass(15 * MINUTE).await;
    let booked = town.book(2, 5 * HOUR, 41..=60);
    town.apply().await;
    town.house.time.pass(45 * MINUTE).await;
    assert_eq!(breaker(&meters, Channel::Sms), "2", "the breaker is open");
    assert_eq!(breaker(&meters, Channel::Email), "0");
    let by_sms = |taken: &&crate::post::Taken| taken.letter.row.key.channel == Channel::Sms;
    assert_eq!(town.post.taken().iter().filter(by_sms).count(), 60, "nobody was there");
    // Twenty went by mail; each look whether the provider is back is one call.
    assert!(town.post.calls() - calls < 20 + 100, "{} calls", town.post.calls() - calls);
    assert_eq!(town.house.statuses().await.get("dead"), None);

    town.post.set(Channel::Sms, None);
    town.house.time.pass(NOTICED_MILLIS).await;
    assert_eq!(breaker(&meters, Channel::Sms), "0");
    for id in begun {
        // Sent before the outage would be a row of two hours: that had passed when it was booked.
        assert_eq!(town.statuses(id, Kind::Reminder, 1).await, [(Channel::Sms, ReminderStatus::Missed)]);
    }
    for id in booked {
        assert_eq!(town.statuses(id, Kind::Confirmation, 1).await, [(Channel::Sms, SENT)]);
    }
    let both = [(Channel::Email, SENT), (Channel::Sms, ReminderStatus::Failed)];
    for (ids, expected) in [(ahead, &[(Channel::Sms, SENT)][..]), (by_mail, &both[..])] {
        for id in ids {
            let mut rows = town.house.rows(id).await;
            rows.retain(|row| row.key.offset_seconds == 7_200);
            rows.sort_by_key(|row| row.key);
            let statuses: Vec<_> = rows.iter().map(|row| (row.key.channel, row.status)).collect();
            assert_eq!(statuses, expected);
            assert!(rows.iter().all(|row| row.attempts <= 3), "an attempt was left: {rows:?}");
        }
    }
    let (taken, different) = town.post.count();
    assert_eq!((taken, different), (60 + 20 + 20 + 20, 60 + 20 + 20 + 20), "everything once");
    assert_eq!(town.house.statuses().await.get("dead"), None);

    // And everything else as if nothing had been.
    for minutes in [120, 180, 270, 300] {
        town.house.sleep_until(after(minutes * MINUTE)).await;
        town.house.time.pass(5 * SECOND).await;
    }
    let statuses = town.house.statuses().await;
    let counts = ["sent", "failed", "missed"].map(|status| statuses.get(status).copied().unwrap_or(0));
    // 80 confirmations; two hours before 20, 20 and 20, of which 20 by mail in place of a text; half an hour before 60.
    assert_eq!((counts, statuses.values().sum::<u64>()), ([200, 20, 20], 240), "{statuses:?}");
    let last: Vec<_> = town.post.taken().into_iter().filter(|it| it.letter.row.key.offset_seconds == 1_800).collect();
    assert!(last.len() == 60 && latest(&last) < LATE_MILLIS, "{} late by {}", last.len(), latest(&last));
    town.judge(1);
}

/// A provider that never answers is one that is away: at its deadline.
#[tokio::test]
async fn a_provider_that_hangs_for_an_hour_slows_no_other_channel_and_kills_nothing() {
    let town = Town::new(&[Channel::File, Channel::Sms]).await;
    for number in 1..=40 {
        town.reach(number, if number <= 20 { &[Channel::Sms] } else { &[Channel::File] }).await;
    }
    town.publish(1, &[5 * HOUR], 50);
    town.book(1, 5 * HOUR, 1..=40);
    town.apply().await;
    town.house.time.pass(5 * SECOND).await;
    town.house.sleep_until(after(179 * MINUTE)).await;
    town.post.set(Channel::Sms, Some(Mood::Stuck));
    town.house.time.pass(MINUTE + 2 * SECOND).await;
    let reminders = town.post.of_kind(Kind::Reminder);
    assert!(reminders.len() == 20 && latest(&reminders) < LATE_MILLIS, "{}", latest(&reminders));
    town.house.time.pass(HOUR).await;
    assert_eq!(town.house.statuses().await.get("dead"), None);
    town.post.set(Channel::Sms, None);
    town.house.time.pass(NOTICED_MILLIS).await;
    assert_eq!((town.post.of_kind(Kind::Reminder).len(), town.post.count()), (40, (80, 80)));
    town.judge(1);
}
