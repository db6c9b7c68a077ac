//! A ledger that several owners write: each asks for its own shards, and goes on where the one before it was.
//! Must not know: who owns what.

use std::collections::BTreeSet;

use booking_core::UtcMillis;
use engine::journal::ShardCursor;
use engine::ledger::AppliedRecord;
use engine::ownership::ShardSet;

use crate::Backend;
use crate::ledger::{apply_news, assert_same_rows};
use crate::story::{Story, date, day};

const DAYS: u128 = 12;

/// A booking under a key on each of some days.
fn town() -> Story {
    let mut story = Story::new();
    for number in 1..=DAYS {
        story.publish(day(number), 2, 1);
        story.key = Some("book");
        story.book(day(number), number, 0);
    }
    story
}

pub(crate) async fn only_the_shards_that_are_asked_for_are_told(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let mut story = town();
    apply_news(&*ledger, &mut story).await;
    let sets = [
        ShardSet::default(),
        (1..=DAYS / 2).map(|number| day(number).shard()).collect(),
        [day(DAYS).shard()].into_iter().collect(),
        ShardSet::ALL,
    ];
    for shards in sets {
        let expected: BTreeSet<_> = (1..=DAYS).map(day).filter(|day| shards.contains(day.shard())).collect();
        let (mut live, mut won) = (BTreeSet::new(), BTreeSet::new());
        ledger.live_appointments(&shards, UtcMillis(0), &mut |it| _ = live.insert(it.day)).await.expect("read");
        ledger.won_keys(&shards, date(0), &mut |_, day, _| _ = won.insert(day)).await.expect("read");
        assert_eq!((&live, &won), (&expected, &expected));
    }
}

pub(crate) async fn an_appointment_that_moves_is_told_by_its_new_shard(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let mut story = Story::of_day(day(1), 2, 1);
    story.publish(day(2), 2, 1);
    assert_ne!(day(1).shard(), day(2).shard());
    let id = story.book(day(1), 1, 0);
    apply_news(&*ledger, &mut story).await;
    story.move_to(day(1), id, day(2), 0);
    apply_news(&*ledger, &mut story).await;
    for (shard, expected) in [(day(1).shard(), vec![]), (day(2).shard(), vec![id])] {
        let mut live = Vec::new();
        let shards = [shard].into_iter().collect();
        ledger.live_appointments(&shards, UtcMillis(0), &mut |it| live.push(it.id)).await.expect("read");
        assert_eq!(live, expected);
    }
}

pub(crate) async fn a_new_owner_goes_on_where_the_shard_is(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let story = town();
    let of_shard = |records: &[AppliedRecord]| -> Vec<AppliedRecord> {
        records.iter().filter(|record| record.day == day(1)).cloned().collect()
    };
    let records = of_shard(&story.records);
    let shard = day(1).shard();
    assert_eq!(ledger.shard_cursor(shard).await.expect("read"), ShardCursor::default());
    ledger.apply_shard(shard, &records[..1], records[0].cursor()).await.expect("applied");
    assert_eq!(ledger.shard_cursor(shard).await.expect("read"), records[0].cursor());
    assert_eq!(ledger.applied_sequence(day(1)).await.expect("read"), 1);
    // What was applied before changes nothing, nor does an older cursor move the newer one back.
    ledger.apply_shard(shard, &records, records[1].cursor()).await.expect("applied");
    ledger.apply_shard(shard, &records[..1], records[0].cursor()).await.expect("applied");
    assert_eq!(ledger.shard_cursor(shard).await.expect("read"), records[1].cursor());
    assert_eq!(ledger.applied_sequence(day(1)).await.expect("read"), 2);
    // An epoch counts more than a position, which begins again with each owner.
    let later = ShardCursor { epoch: records[1].version.epoch + 1, position: 1 };
    ledger.apply_shard(shard, &[], later).await.expect("applied");
    assert_eq!(ledger.shard_cursor(shard).await.expect("read"), later);
    ledger.apply(&story.records, story.position()).await.expect("the others follow");
    assert_same_rows(&*ledger, &story).await;
    assert_eq!(ledger.shard_cursor(shard).await.expect("read"), later);
    assert_eq!(ledger.shard_cursor(day(2).shard()).await.expect("read").epoch, 1);
}
