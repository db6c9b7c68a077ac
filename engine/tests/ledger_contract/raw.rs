//! Records as they were in a journal that may forget its end.
//! Must not know: who needs them again.

use booking_core::DayKey;
use engine::journal::ChainHash;
use engine::ledger::{AppliedRecord, ApplyError, Ledger};

use crate::Backend;
use crate::ledger::apply_news;
use crate::story::{Story, date, day};

type Record = (u64, u64, u32, ChainHash, Vec<u8>);

fn plain(record: &AppliedRecord) -> Record {
    let (version, body) = (record.version, record.body.to_vec());
    (version.sequence, record.position, version.epoch, record.hash, body)
}

/// Those of `day` after `sequence`, as the story tells them.
fn told(story: &Story, day: DayKey, sequence: u64) -> Vec<Record> {
    let records = story.records.iter().filter(|it| it.day == day && it.version.sequence > sequence);
    records.map(plain).collect()
}

async fn kept(ledger: &dyn Ledger, day: DayKey, sequence: u64) -> Vec<Record> {
    let records = ledger.raw_records(day, sequence).await.expect("read");
    assert!(records.iter().all(|record| record.day == day && record.shard == day.shard()));
    let plain = |it: &engine::journal::StoredRecord| {
        (it.version.sequence, it.position, it.version.epoch, it.hash, it.body.to_vec())
    };
    records.iter().map(plain).collect()
}

/// Three days of which the third is a day later.
fn town() -> (Story, [DayKey; 3]) {
    let days = [day(1), day(2), DayKey { date: date(1), ..day(1) }];
    let mut story = Story::new();
    for day in days {
        story.publish(day, 4, 1);
        story.book(day, 1, 0);
        story.book(day, 2, 1);
    }
    (story, days)
}

pub(crate) async fn records_are_kept_until_their_day_is_over(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let (mut story, days) = town();
    apply_news(&*ledger, &mut story).await;
    ledger.apply(&story.records, story.position()).await.expect("old records change nothing");
    for day in days {
        for sequence in 0..4 {
            assert_eq!(kept(&*ledger, day, sequence).await, told(&story, day, sequence));
        }
    }
    assert!(kept(&*ledger, day(9), 0).await.is_empty());
    ledger.forget_won_keys(date(0)).await.expect("forgotten");
    assert_eq!(kept(&*ledger, days[0], 0).await.len(), 3, "not over yet");
    ledger.forget_won_keys(date(1)).await.expect("forgotten");
    assert!(kept(&*ledger, days[0], 0).await.is_empty() && kept(&*ledger, days[1], 0).await.is_empty());
    assert_eq!(kept(&*ledger, days[2], 0).await, told(&story, days[2], 0));
}

pub(crate) async fn records_of_a_parked_day_are_kept_too(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let mut story = Story::of_day(day(1), 4, 1);
    apply_news(&*ledger, &mut story).await;
    story.book(day(1), 1, 0);
    story.book(day(1), 2, 1);
    ledger.park(day(1), story.records[1].version, "as the test wants it").await.expect("parked");
    let missing = story.news();
    ledger.apply(&missing, story.position()).await.expect("skipped");
    ledger.apply(&missing, story.position()).await.expect("skipped again");
    assert_eq!(ledger.applied_sequence(day(1)).await.expect("read"), 1);
    assert_eq!(kept(&*ledger, day(1), 0).await, told(&story, day(1), 0));
    ledger.unpark(day(1), &missing).await.expect("unparked");
    assert_eq!(kept(&*ledger, day(1), 0).await, told(&story, day(1), 0));
}

pub(crate) async fn another_record_in_the_place_of_a_kept_one_is_a_fork(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let mut story = Story::of_day(day(1), 4, 1);
    apply_news(&*ledger, &mut story).await;
    story.book(day(1), 1, 0);
    ledger.park(day(1), story.records[1].version, "as the test wants it").await.expect("parked");
    let missing = story.news();
    ledger.apply(&missing, story.position()).await.expect("skipped");
    let mut other = missing.clone();
    other[0].hash = ChainHash([0xEE; 16]);
    ledger.apply(&other, story.position()).await.expect("a parked day stops nobody");
    let outcome = ledger.unpark(day(1), &other).await;
    assert!(matches!(&outcome, Err(ApplyError::Refused(reason)) if reason.contains("fork")), "{outcome:?}");
    assert_eq!(ledger.applied_sequence(day(1)).await.expect("read"), 1);
    assert_eq!(kept(&*ledger, day(1), 1).await, told(&story, day(1), 1), "the first one stays");
    ledger.unpark(day(1), &missing).await.expect("unparked");
}
