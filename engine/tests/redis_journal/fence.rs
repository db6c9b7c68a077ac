//! What an owner may no longer do, and how it finds out what became of what it did.
//! Must not know: replicas, clusters.

use engine::journal::contract::day;
use engine::journal::{AppendError, DayOutcome, Head, Journal};
use servers::{AppendFsync, Redis, RedisOptions};

use crate::support::{INSTALLATION, alone, eventually, open, owner_under, settings};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_makes_the_first_stale() {
    let redis = Redis::start().await;
    let first = alone(settings(vec![redis.url()], 0)).await;
    let head = first.append(day(1), Head::default(), b"one").await;
    let second = alone(settings(vec![redis.url()], 0)).await;
    let (outcome, _) = first.try_append(day(1), head, b"late").await.expect("an answer");
    assert_eq!(outcome, DayOutcome::StaleEpoch { current: 2 });
    assert!(first.journal.lost_shards().borrow().contains(day(1).shard()));
    assert_eq!(first.journal.epoch_of(day(1).shard()), 0);
    assert!(first.journal.reclaim_alone(&[day(1).shard()]).await.expect("an answer").is_empty(), "it has a successor");
    second.append(day(1), head, b"two").await;
    assert_eq!(second.bodies(day(1)).await, [b"one", b"two"]);
    assert!(first.journal.load(day(2)).await.is_err(), "nor may it read for what it does not own any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_is_installed_once_and_never_goes_back() {
    let redis = Redis::start().await;
    owner_under(settings(vec![redis.url()], 0), 7).await;
    let other = open(settings(vec![redis.url()], 0)).await.journal;
    for epoch in [6, 7] {
        assert!(other.install(&[(3, epoch)]).await.expect("an answer").is_empty(), "{epoch}");
    }
    assert_eq!(other.install(&[(3, 8)]).await.expect("an answer"), [(3, 8)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_stands_already_is_a_success() {
    let redis = Redis::start().await;
    let owner = alone(settings(vec![redis.url()], 0)).await;
    let (first, head) = owner.try_append(day(1), Head::default(), b"one").await.expect("it writes");
    owner.append(day(1), head, b"two").await;
    let (again, _) = owner.try_append(day(1), Head::default(), b"one").await.expect("an answer");
    assert_eq!(again, first);
    let (other, _) = owner.try_append(day(1), Head::default(), b"uno").await.expect("an answer");
    assert!(matches!(other, DayOutcome::Conflict { .. }), "{other:?}");
    assert_eq!(owner.bodies(day(1)).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_that_are_gone_are_loaded_again() {
    let redis = Redis::start().await;
    let owner = alone(settings(vec![redis.url()], 0)).await;
    let head = owner.append(day(1), Head::default(), b"one").await;
    let () = redis.call(&["FUNCTION", "FLUSH"]).await;
    owner.append(day(1), head, b"two").await;
    assert_eq!(owner.bodies(day(1)).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_leaves_it_unknown_until_the_barrier() {
    let mut redis = Redis::start().await;
    let owner = alone(settings(vec![redis.url()], 0)).await;
    let head = owner.append(day(1), Head::default(), b"one").await;
    redis.stop().await;
    let unknown = owner.try_append(day(1), head, b"two").await;
    assert!(matches!(unknown, Err(AppendError::Unknown(_))), "{unknown:?}");
    assert!(owner.journal.barrier().await.is_err(), "nothing can be said while it stands still");
    redis.resume().await;
    owner.settle().await;
    let bodies = owner.bodies(day(1)).await;
    // What was in the server's socket is done when it goes on: then it stands, is remembered and has a position.
    assert_eq!(owner.remembered(day(1)), bodies);
    let end = owner.journal.load(day(1)).await.expect("a load").expect("a day").head;
    owner.append(day(1), end, b"three").await;
    let last = owner.journal.last_position().await.expect("a read");
    assert_eq!(owner.journal.read_after(0, 9).await.expect("a read").len(), bodies.len() + 1);
    assert_eq!(last, 3, "a number is used once");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_lease_acknowledges_nothing() {
    let redis = Redis::start().await;
    let owner = open(settings(vec![redis.url()], 0)).await;
    let shard = day(1).shard();
    owner.journal.install(&[(shard, 1)]).await.expect("it installs");
    owner.tenures.grant(shard, 1);
    let unknown = owner.try_append(day(1), Head::default(), b"one").await;
    assert!(matches!(unknown, Err(AppendError::Unknown(_))), "{unknown:?}");
    assert!(owner.remembered(day(1)).is_empty());
    owner.settle().await;
    assert_eq!((owner.bodies(day(1)).await, owner.remembered(day(1))), (vec![b"one".to_vec()], vec![b"one".to_vec()]));
    owner.tenures.revoke(shard);
    let (stale, _) = owner.try_append(day(1), Head::default(), b"two").await.expect("an answer");
    assert_eq!(stale, DayOutcome::StaleEpoch { current: 0 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_says_that_it_did_not_write() {
    let redis = Redis::start().await;
    let owner = alone(settings(vec![redis.url()], 0)).await;
    let head = owner.append(day(1), Head::default(), b"one").await;
    let () = redis.call(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let refused = owner.try_append(day(1), head, b"two").await;
    assert!(matches!(refused, Err(AppendError::Failed(_))), "{refused:?}");
    let () = redis.call(&["CONFIG", "SET", "maxmemory", "0"]).await;
    owner.append(day(1), head, b"two").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_over_a_server_that_was_emptied() {
    let redis = Redis::start().await;
    let owner = alone(settings(vec![redis.url()], 0)).await;
    let head = owner.append(day(1), Head::default(), b"one").await;
    let () = redis.call(&["FLUSHALL"]).await;
    for expected in [head, Head::default()] {
        let (outcome, _) = owner.try_append(day(1), expected, b"two").await.expect("an answer");
        assert!(matches!(outcome, DayOutcome::StaleEpoch { .. }), "{outcome:?}");
    }
    let keys: Vec<String> = redis.call(&["KEYS", "*"]).await;
    assert!(keys.is_empty(), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_another_reign_even_if_nothing_was_lost() {
    let options = RedisOptions { append_fsync: AppendFsync::EverySecond, ..RedisOptions::default() };
    let mut redis = Redis::start_with(options).await;
    let owner = alone(settings(vec![redis.url()], 0)).await;
    let head = owner.append(day(1), Head::default(), b"one").await;
    redis.restart().await;
    let lost = owner.journal.lost_shards();
    eventually("the loss is noticed", async || {
        let appended = owner.try_append(day(1), head, b"two").await;
        if matches!(appended, Err(AppendError::Unknown(_))) {
            owner.settle().await;
        }
        lost.borrow().contains(day(1).shard())
    })
    .await;
    let ours = owner.journal.reclaim_alone(&[day(1).shard()]).await.expect("it takes it back");
    assert_eq!(ours, [(day(1).shard(), 2)]);
    assert!(lost.borrow().is_empty() || !lost.borrow().contains(day(1).shard()));
    owner.append(day(1), head, b"two").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_arrives_after_the_barrier_writes_nothing() {
    let redis = Redis::start().await;
    let owner = open(settings(vec![redis.url()], 0)).await;
    let shard = day(1).shard();
    owner.journal.install(&[(shard, 1)]).await.expect("it installs");
    owner.tenures.grant(shard, 1);
    let late = async |generation: &str| {
        let reign: String = redis.call(&["HGET", &format!("hotslot:{{{shard}}}:shard"), "r"]).await;
        let keys = ["shard", "order", "work", "log:"].map(|name| format!("hotslot:{{{shard}}}:{name}").into_bytes());
        let mut command = redis::cmd("FCALL");
        command.arg("hotslot_append_v1").arg(4).arg(&keys[0]).arg(&keys[1]).arg(&keys[2]);
        command.arg([&keys[3][..], &day(1).to_bytes()].concat());
        command.arg(&INSTALLATION.as_bytes()[..]).arg(1).arg(reign).arg(generation).arg(0);
        let client = redis::Client::open(redis.url()).expect("an address");
        let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
        let answer: Vec<String> = command.query_async(&mut connection).await.expect("an answer");
        answer
    };
    assert_eq!(late("0").await, ["ok"], "so it would be taken");
    let unknown = owner.try_append(day(1), Head::default(), b"one").await;
    assert!(matches!(unknown, Err(AppendError::Unknown(_))), "without a lease: {unknown:?}");
    owner.settle().await;
    assert_eq!(late("0").await, ["generation", "1"]);
    owner.tenures.extend(u64::MAX);
    let end = owner.journal.load(day(1)).await.expect("a load").expect("a day").head;
    owner.append(day(1), end, b"two").await;
}
