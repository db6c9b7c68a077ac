//! Does a sink that is away cost lag alone: no booking waits, nothing is lost, the other sink goes on?
//! Must not know: how a relay is made.

use engine::Engine;
use servers::{Nats, Redis};

use crate::support::{book, config, day, deduplicated, eventually, expected, in_nats, in_redis, publish};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_is_killed_or_paused_gets_everything_when_it_is_back() {
    let (mut redis, mut nats) = (Redis::start().await, Nats::start().await);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let engine = Engine::start(config(directory.path(), Some(&redis), Some(&nats)), None).await.expect("it starts");
    let days: Vec<_> = (0..3).map(day).collect();
    for day in &days {
        publish(&engine.handle(), *day, 1).await;
    }
    book(&engine.handle(), &days, 0, 20).await;
    redis.kill().await;
    book(&engine.handle(), &days, 1_000, 20).await;
    eventually("the other sink goes on", async || in_nats(&nats).await.len() == 3 * 41).await;
    redis.restart().await;
    nats.stop().await;
    book(&engine.handle(), &days, 2_000, 20).await;
    eventually("the one that was killed has everything", async || {
        deduplicated(&in_redis(&redis).await).values().map(Vec::len).sum::<usize>() == 3 * 61
    })
    .await;
    nats.resume().await;
    eventually("the one that was paused has everything", async || {
        deduplicated(&in_nats(&nats).await).values().map(Vec::len).sum::<usize>() == 3 * 61
    })
    .await;
    engine.stop().await;
    let expected = expected(directory.path()).await;
    assert_eq!(deduplicated(&in_redis(&redis).await), expected);
    assert_eq!(deduplicated(&in_nats(&nats).await), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_starts_books_and_stops_while_its_sinks_are_away() {
    let (mut redis, mut nats) = (Redis::start().await, Nats::start().await);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = config(directory.path(), Some(&redis), Some(&nats));
    redis.kill().await;
    nats.kill().await;
    let engine = Engine::start(config.clone(), None).await.expect("it starts");
    publish(&engine.handle(), day(1), 1).await;
    book(&engine.handle(), &[day(1)], 0, 10).await;
    engine.stop().await;
    redis.restart().await;
    nats.restart().await;
    let engine = Engine::start(config, None).await.expect("it starts");
    eventually("both have everything", async || in_redis(&redis).await.len() == 11 && in_nats(&nats).await.len() == 11)
        .await;
    engine.stop().await;
    let expected = expected(directory.path()).await;
    assert_eq!(deduplicated(&in_redis(&redis).await), expected);
    assert_eq!(deduplicated(&in_nats(&nats).await), expected);
}
