//! Does the feed go on without a gap when a shard changes hands, in order or by a kill? Do nodes hear each other?
//! Must not know: how a relay is made.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use booking_core::DayKey;
use engine::config::{DatabaseSettings, RedisSettings, ServerUrl, StoreSettings};
use engine::feed::hints::HintChannel;
use engine::feed::nats::NatsSink;
use engine::feed::redis_streams::RedisSink;
use engine::{Engine, EngineConfig, EngineHandle};
use servers::{Nats, Postgres, Redis};

use crate::support::{
    assert_same_words, book, config, day, deduplicated, eventually, in_nats, in_redis, publish, try_book,
};

/// Short, so that a kill is soon noticed.
const LEASE_MILLIS: u64 = 2_000;
const DAYS: u128 = 8;
const ROUNDS: u128 = 8;

fn node(directory: &Path, url: &str, redis: &Redis, nats: &Nats) -> EngineConfig {
    let mut config = config(directory, Some(redis), Some(nats));
    let database = DatabaseSettings { url: ServerUrl::new(url), accept_asynchronous_standby: true };
    config.stores = StoreSettings::Postgres { database };
    config.node.lease_millis = LEASE_MILLIS;
    config
}

/// Books on each day, at whichever node has it.
async fn book_anywhere(nodes: &[EngineHandle], days: &[DayKey], first: u128) {
    for round in 0..ROUNDS {
        for (number, day) in days.iter().enumerate() {
            let patient = first + round * DAYS + number as u128;
            eventually("somebody has the day", async || {
                for node in nodes {
                    if try_book(node, *day, patient).await {
                        return true;
                    }
                }
                false
            })
            .await;
        }
    }
}

/// Whether a consumer that drops known ids has read each day from its first record on, in order and without a gap, and every booking.
fn assert_whole(read: &[(String, serde_json::Value)], bookings: usize) {
    assert_same_words(read);
    let by_day = deduplicated(read);
    assert_eq!(by_day.len(), DAYS as usize);
    for (day, ids) in by_day {
        let expected: Vec<_> = (1..=ids.len()).map(|sequence| format!("{day}/{sequence}/0")).collect();
        assert_eq!(ids, expected);
        assert_eq!(ids.len(), 1 + bookings, "{day}");
    }
}

fn is_there(read: &[(String, serde_json::Value)], bookings: usize) -> bool {
    deduplicated(read).values().map(Vec::len).sum::<usize>() >= DAYS as usize * (1 + bookings)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_goes_on_without_a_gap_when_a_node_hands_its_shards_on() {
    let (redis, nats, server) = (Redis::start().await, Nats::start().await, Postgres::start().await);
    let directories = [(); 2].map(|()| tempfile::tempdir().expect("a temporary directory"));
    let days: Vec<_> = (0..DAYS).map(day).collect();
    let first =
        Engine::start(node(directories[0].path(), &server.url(), &redis, &nats), None).await.expect("it starts");
    for day in &days {
        publish(&first.handle(), *day, 1).await;
    }
    let second =
        Engine::start(node(directories[1].path(), &server.url(), &redis, &nats), None).await.expect("it starts");
    let nodes = [first.handle(), second.handle()];
    book_anywhere(&nodes, &days, 0).await;
    first.stop().await;
    let nodes = [second.handle()];
    book_anywhere(&nodes, &days, 1_000_000).await;
    let bookings = 2 * ROUNDS as usize;
    eventually("everything is in Redis", async || is_there(&in_redis(&redis).await, bookings)).await;
    eventually("everything is in NATS", async || is_there(&in_nats(&nats).await, bookings)).await;
    second.stop().await;
    assert_whole(&in_redis(&redis).await, bookings);
    assert_whole(&in_nats(&nats).await, bookings);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_goes_on_without_a_gap_when_a_node_is_killed() {
    let (mut redis, nats, server) = (Redis::start().await, Nats::start().await, Postgres::start().await);
    let directories = [(); 2].map(|()| tempfile::tempdir().expect("a temporary directory"));
    let days: Vec<_> = (0..DAYS).map(day).collect();
    let settings = node(directories[0].path(), &server.url(), &redis, &nats);
    // Everything of the first node that is not a thread of its own dies with this runtime, wherever it is.
    let body = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let first = body.spawn(Engine::start(settings, None)).await.expect("it runs").expect("it starts");
    for day in &days {
        publish(&first.handle(), *day, 1).await;
    }
    // Its last records it cannot tell to one of the two any more.
    redis.stop().await;
    book_anywhere(&[first.handle()], &days, 0).await;
    body.shutdown_background();
    std::mem::forget(first);
    redis.resume().await;
    let second = node(directories[1].path(), &server.url(), &redis, &nats);
    let second = Engine::start(second, None).await.expect("it starts");
    let left = "what the first had not told, the second tells without having anything of its own";
    eventually(left, async || is_there(&in_redis(&redis).await, ROUNDS as usize)).await;
    book_anywhere(&[second.handle()], &days, 1_000_000).await;
    let bookings = 2 * ROUNDS as usize;
    eventually("everything is in Redis", async || is_there(&in_redis(&redis).await, bookings)).await;
    eventually("everything is in NATS", async || is_there(&in_nats(&nats).await, bookings)).await;
    second.stop().await;
    assert_whole(&in_redis(&redis).await, bookings);
    assert_whole(&in_nats(&nats).await, bookings);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_journal_on_redis_a_feed_goes_on_over_restarts() {
    let (journal, redis, nats) = (Redis::start().await, Redis::start().await, Nats::start().await);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let days: Vec<_> = (0..DAYS).map(day).collect();
    let mut config = config(directory.path(), Some(&redis), Some(&nats));
    let urls = vec![ServerUrl::new(journal.url())];
    config.stores = StoreSettings::Redis { redis: RedisSettings { urls, replicas: 0, accept_appendfsync_no: false } };
    for life in 0..2 {
        // Positions begin anew with each life, under a new epoch.
        let engine = Engine::start(config.clone(), None).await.expect("it starts");
        for day in &days {
            publish(&engine.handle(), *day, 1).await;
        }
        book(&engine.handle(), &days, life * 1_000_000, ROUNDS).await;
        engine.stop().await;
    }
    let bookings = 2 * ROUNDS as usize;
    assert_whole(&in_redis(&redis).await, bookings);
    assert_whole(&in_nats(&nats).await, bookings);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hints_reach_every_listener() {
    let (redis, nats) = (Redis::start().await, Nats::start().await);
    let redis = || Arc::new(RedisSink::new(&redis.url(), 100).expect("a sink")) as Arc<dyn HintChannel>;
    let nats = || Arc::new(NatsSink::new(&nats.url(), 100).expect("a sink")) as Arc<dyn HintChannel>;
    for (teller, listener) in [(redis(), redis()), (nats(), nats())] {
        let heard = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&heard);
        let listening = tokio::spawn(async move {
            listener
                .listen(&move || {
                    counter.fetch_add(1, Ordering::SeqCst);
                })
                .await;
        });
        eventually("a hint is heard", async || {
            teller.tell().await.expect("it is told");
            heard.load(Ordering::SeqCst) > 0
        })
        .await;
        listening.abort();
    }
}
