//! A primary that dies or is cut off before its replica has everything.
//! Must not know: clusters.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use booking_core::DayKey;
use engine::journal::contract::day;
use engine::journal::repair::{RawRecords, head_of};
use engine::journal::{AppendError, DayOutcome, Head, Journal, ReadError, ShardCursor, StoredRecord};
use engine::ledger::memory::MemoryLedger;
use servers::{OldPrimary, Redis, RedisOptions, ReplicaPair};

use crate::support::{Owner, alone, eventually, open, owner_under, settings};

/// What a ledger keeps of the records, and what it has noted as lost.
#[derive(Default)]
struct Kept {
    records: BTreeMap<DayKey, Vec<StoredRecord>>,
    noted: Mutex<Vec<StoredRecord>>,
    is_full: AtomicBool,
}

impl Kept {
    /// Everything that `owner` remembers of `day`'s shard.
    fn of(owner: &Owner, day: DayKey) -> Self {
        Self { records: [(day, owner.journal.remembered(day.shard()))].into(), ..Self::default() }
    }

    fn noted(&self) -> Vec<Vec<u8>> {
        self.noted.lock().expect("no panic").iter().map(|record| record.body.to_vec()).collect()
    }
}

#[async_trait]
impl RawRecords for Kept {
    async fn heads(&self, shard: u16) -> Result<Vec<(DayKey, Head)>, ReadError> {
        let of_shard = self.records.iter().filter(|(day, _)| day.shard() == shard);
        Ok(of_shard.filter_map(|(day, records)| Some((*day, head_of(records.last()?)))).collect())
    }

    async fn records(&self, day: DayKey) -> Result<Vec<StoredRecord>, ReadError> {
        Ok(self.records.get(&day).cloned().unwrap_or_default())
    }

    async fn note_lost(&self, records: &[StoredRecord]) -> Result<u64, ReadError> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(ReadError::Unavailable("full, as told".to_owned()));
        }
        let mut noted = self.noted.lock().expect("no panic");
        let news: Vec<_> =
            records.iter().filter(|record| !noted.iter().any(|known| known.hash == record.hash)).cloned().collect();
        noted.extend(news.iter().cloned());
        Ok(news.len() as u64)
    }
}

async fn pair() -> ReplicaPair {
    let pair = ReplicaPair::start(RedisOptions::default(), 1).await;
    pair.wait_until_in_step().await;
    pair
}

/// Appends that find the loss; becomes ready when it is found.
async fn notice_loss(owner: &Owner, day: DayKey, head: Head) {
    let lost = owner.journal.lost_shards();
    eventually("the loss is noticed", async || {
        let appended = owner.try_append(day, head, b"never").await;
        assert!(!matches!(appended, Ok((DayOutcome::Appended { .. }, _))), "{appended:?}");
        if matches!(appended, Err(AppendError::Unknown(_))) {
            owner.settle().await;
        }
        lost.borrow().contains(day.shard())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_owner_puts_a_forgotten_end_back_from_its_memory() {
    let mut pair = pair().await;
    let owner = alone(settings(pair.urls(), 0)).await;
    let head = owner.append(day(1), Head::default(), b"one").await;
    pair.wait_until_in_step().await;
    pair.hold_replication();
    let head = owner.append(day(1), head, b"two").await;
    let head = owner.append(day(1), head, b"three").await;
    pair.promote(0, OldPrimary::Killed).await;
    notice_loss(&owner, day(1), head).await;
    // Again and again: a day that drops its state after the failed append reads it anew.
    for _ in 0..2 {
        let loaded = owner.journal.load(day(1)).await;
        assert!(matches!(loaded, Err(ReadError::Unavailable(_))), "the forgotten history is not ours: {loaded:?}");
    }

    owner.journal.reclaim_alone(&[day(1).shard()]).await.expect("it takes it back");
    assert_eq!(owner.bodies(day(1)).await, [b"one"], "the new primary has forgotten");
    let repaired = owner.journal.repair_shard(day(1).shard(), &Kept::default(), &[]).await.expect("a repair");
    assert_eq!((repaired.records, repaired.lost.len(), repaired.days), (2, 0, vec![day(1)]));
    let head_now = owner.journal.load(day(1)).await.expect("a load").expect("a day").head;
    assert_eq!(head_now, head, "with its old sequences, epochs and links");
    owner.append(day(1), head, b"four").await;
    assert_eq!(owner.bodies(day(1)).await, [&b"one"[..], b"two", b"three", b"four"]);
    let shard = owner.journal.read_shard(day(1).shard(), ShardCursor::default(), 9).await.expect("a read");
    assert_eq!(shard.iter().map(|record| record.version.sequence).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let again = owner.journal.repair_shard(day(1).shard(), &Kept::default(), &[]).await.expect("a repair");
    assert!(again.days.is_empty(), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_owner_puts_it_back_from_the_ledger_and_from_what_the_previous_one_tells() {
    let mut pair = pair().await;
    let first = owner_under(settings(pair.urls(), 0), 1).await;
    let head = first.append(day(1), Head::default(), b"one").await;
    pair.wait_until_in_step().await;
    pair.hold_replication();
    let head = first.append(day(1), head, b"two").await;
    let ledger = Kept::of(&first, day(1));
    let head = first.append(day(1), head, b"three").await;
    let told = first.journal.remembered(day(1).shard());
    pair.promote(0, OldPrimary::Killed).await;

    let second = owner_under(settings(pair.urls(), 0), 2).await;
    let repaired = second.journal.repair_shard(day(1).shard(), &ledger, &[]).await.expect("a repair");
    assert_eq!((repaired.records, repaired.lost.len()), (1, 0), "as far as the ledger has it");
    assert_eq!(second.bodies(day(1)).await, [b"one", b"two"]);
    let repaired = second.journal.repair_shard(day(1).shard(), &ledger, &told).await.expect("a repair");
    assert_eq!((repaired.records, repaired.lost.len()), (1, 0));
    second.append(day(1), head, b"four").await;
    assert_eq!(second.bodies(day(1)).await, [&b"one"[..], b"two", b"three", b"four"]);
}

/// Its owner's memory is the only copy of what was forgotten, and may not wait there for the next patient.
#[tokio::test(flavor = "multi_thread")]
async fn a_failover_is_noticed_though_nobody_writes() {
    let mut pair = pair().await;
    let owner = alone(settings(pair.urls(), 0)).await;
    owner.append(day(1), Head::default(), b"one").await;
    assert!(owner.journal.lost_shards().borrow().is_empty());
    pair.promote(0, OldPrimary::Killed).await;
    eventually("every shard is lost", async || owner.journal.lost_shards().borrow().len() == 1_024).await;
    let shards: Vec<u16> = (0..1_024).collect();
    assert_eq!(owner.journal.reclaim_alone(&shards).await.expect("it takes them back").len(), 1_024);
    assert!(owner.journal.lost_shards().borrow().is_empty());
}

/// Others are asked for what they remember only if there can be something that they alone remember.
#[tokio::test(flavor = "multi_thread")]
async fn a_shard_is_in_doubt_in_a_new_history_until_an_owner_has_repaired_it() {
    let mut pair = pair().await;
    let (shards, ledger) = ([day(1).shard()], MemoryLedger::default());
    let is_in_doubt = |owner: &Owner| owner.journal.in_doubt(&shards).contains(shards[0]);
    let first = owner_under(settings(pair.urls(), 0), 1).await;
    assert!(is_in_doubt(&first), "nobody has said that it is whole");
    first.journal.repair(&shards, &ledger, &[]).await.expect("a repair");
    assert!(!is_in_doubt(&first));
    let head = first.append(day(1), Head::default(), b"one").await;
    let second = owner_under(settings(pair.urls(), 0), 2).await;
    assert!(!is_in_doubt(&second), "the same history");
    pair.wait_until_in_step().await;
    pair.hold_replication();
    second.append(day(1), head, b"two").await;
    let told = second.journal.memory_of(&shards.into_iter().collect(), 0, 9);
    pair.promote(0, OldPrimary::Killed).await;

    let third = owner_under(settings(pair.urls(), 0), 3).await;
    let fourth = owner_under(settings(pair.urls(), 0), 4).await;
    assert!(is_in_doubt(&third) && is_in_doubt(&fourth), "the third has died before it repaired anything");
    fourth.journal.repair(&shards, &ledger, &told).await.expect("a repair");
    assert_eq!(fourth.bodies(day(1)).await, [b"one", b"two"]);
    assert!(third.journal.repair(&shards, &ledger, &[]).await.is_err(), "it is over");
    let fifth = owner_under(settings(pair.urls(), 0), 5).await;
    assert!(!is_in_doubt(&fourth) && !is_in_doubt(&fifth));
    let () = pair.primary().call(&["FLUSHALL"]).await;
    fifth.take_some(&shards, 6).await;
    assert!(!is_in_doubt(&fifth), "whatever is missing it has written itself, or somebody before it was whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_fork_the_ledgers_branch_replaces_what_redis_has() {
    let redis = Redis::start().await;
    let owner = owner_under(settings(vec![redis.url()], 0), 1).await;
    let trunk = owner.append(day(1), Head::default(), b"one").await;
    owner.append(day(1), trunk, b"two").await;
    let ledger = Kept::of(&owner, day(1));
    let () = redis.call(&["FLUSHALL"]).await;
    let other = owner_under(settings(vec![redis.url()], 0), 2).await;
    let fork = other.append(day(1), Head::default(), b"uno").await;
    other.append(day(1), fork, b"due").await;
    other.append(day(2), Head::default(), b"beside").await;

    let third = owner_under(settings(vec![redis.url()], 0), 3).await;
    ledger.is_full.store(true, Ordering::SeqCst);
    third.journal.repair_shard(day(1).shard(), &ledger, &[]).await.expect_err("what goes must be noted first");
    assert_eq!(third.bodies(day(1)).await, [b"uno", b"due"], "nothing has gone");
    ledger.is_full.store(false, Ordering::SeqCst);
    let repaired = third.journal.repair_shard(day(1).shard(), &ledger, &[]).await.expect("a repair");
    let lost: Vec<_> = repaired.lost.iter().map(|record| record.body.to_vec()).collect();
    assert_eq!((repaired.records, &lost), (2, &vec![b"uno".to_vec(), b"due".to_vec()]));
    assert_eq!(ledger.noted(), lost);
    assert_eq!(third.bodies(day(1)).await, [b"one", b"two"]);
    let shard = third.journal.read_shard(day(1).shard(), ShardCursor::default(), 9).await.expect("a read");
    assert_eq!(shard.iter().map(|record| record.body.to_vec()).collect::<Vec<_>>(), [b"one", b"two"]);
    assert_eq!(third.bodies(day(2)).await, [b"beside"]);
}

/// The way in which a fork comes about without anybody's mistake.
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_comes_back_notes_what_it_alone_remembers_and_the_newer_branch_stays() {
    let mut pair = pair().await;
    let first = owner_under(settings(pair.urls(), 0), 1).await;
    let trunk = first.append(day(1), Head::default(), b"one").await;
    pair.wait_until_in_step().await;
    pair.hold_replication();
    let head = first.append(day(1), trunk, b"two").await;
    let head = first.append(day(1), head, b"three").await;
    pair.promote(0, OldPrimary::Killed).await;
    let second = owner_under(settings(pair.urls(), 0), 2).await;
    second.append(day(1), trunk, b"zwei").await;

    notice_loss(&first, day(1), head).await;
    first.take_some(&[day(1).shard()], 3).await;
    let ledger = Kept::default();
    for _ in 0..2 {
        let repaired = first.journal.repair_shard(day(1).shard(), &ledger, &[]).await.expect("a repair");
        assert_eq!((repaired.records, repaired.lost.len()), (0, 2));
        assert_eq!(first.bodies(day(1)).await, [&b"one"[..], b"zwei"]);
        assert_eq!(ledger.noted(), [&b"two"[..], b"three"], "once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_server_is_filled_again() {
    let redis = Redis::start().await;
    let owner = alone(settings(vec![redis.url()], 0)).await;
    let head = owner.append(day(1), Head::default(), b"one").await;
    let head = owner.append(day(1), head, b"two").await;
    let () = redis.call(&["FLUSHALL"]).await;
    notice_loss(&owner, day(1), head).await;
    let ours = owner.journal.reclaim_alone(&[day(1).shard()]).await.expect("it takes it back");
    assert_eq!(ours.len(), 1);
    let repaired = owner.journal.repair_shard(day(1).shard(), &Kept::default(), &[]).await.expect("a repair");
    assert_eq!(repaired.records, 2);
    owner.append(day(1), head, b"three").await;
    assert_eq!(owner.bodies(day(1)).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_from_an_older_copy_is_repaired_from_memory() {
    let options = RedisOptions { append_only: false, ..RedisOptions::default() };
    let mut redis = Redis::start_with(options).await;
    let mut accepting = settings(vec![redis.url()], 0);
    accepting.accept_appendfsync_no = true;
    let owner = alone(accepting).await;
    let head = owner.append(day(1), Head::default(), b"one").await;
    let () = redis.call(&["SAVE"]).await;
    let head = owner.append(day(1), head, b"the last second").await;
    redis.kill().await;
    redis.restart().await;
    notice_loss(&owner, day(1), head).await;
    owner.journal.reclaim_alone(&[day(1).shard()]).await.expect("it takes it back");
    let repaired = owner.journal.repair_shard(day(1).shard(), &Kept::default(), &[]).await.expect("a repair");
    assert_eq!(repaired.records, 1);
    owner.append(day(1), head, b"three").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_replica_nothing_is_acknowledged() {
    let mut pair = pair().await;
    let owner = alone(settings(pair.urls(), 1)).await;
    let head = owner.append(day(1), Head::default(), b"one").await;
    pair.hold_replication();
    let unknown = owner.try_append(day(1), head, b"two").await;
    assert!(matches!(unknown, Err(AppendError::Unknown(_))), "{unknown:?}");
    assert!(owner.journal.barrier().await.is_err(), "the barrier waits for the replica too");
    assert_eq!(owner.remembered(day(1)).len(), 1);
    pair.release_replication();
    owner.settle().await;
    assert_eq!(owner.remembered(day(1)), [b"one", b"two"]);

    // Two primaries at once: the old one goes on, and whoever writes to it hears that no replica has it.
    pair.promote(0, OldPrimary::Isolated).await;
    let head = owner.journal.load(day(1)).await.expect("a load").expect("a day").head;
    let unknown = owner.try_append(day(1), head, b"three").await;
    assert!(matches!(unknown, Err(AppendError::Unknown(_))), "{unknown:?}");
    let second = open(settings(vec![pair.url()], 0)).await;
    second.take(2).await;
    assert_eq!(second.bodies(day(1)).await, [b"one", b"two"]);
    second.append(day(1), head, b"trois").await;
}
