//! Is a Redis server alive when it says so, and dead when it was killed? What does a promotion lose?
//! Must not know: clusters.

use std::time::Duration;

use servers::{AppendFsync, OldPrimary, Redis, RedisOptions, ReplicaPair};

/// Longer than any answer of a server that is well, shorter than anybody waits.
const SILENCE: Duration = Duration::from_millis(300);

async fn value_of(redis: &Redis, key: &str) -> Option<String> {
    redis.call(&["GET", key]).await
}

#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let options = RedisOptions { append_fsync: AppendFsync::EverySecond, ..RedisOptions::default() };
    let mut redis = Redis::start_with(options.with("maxmemory", "64mb")).await;
    let (url, settings) =
        (redis.url(), redis.call::<Vec<String>>(&["CONFIG", "GET", "maxmemory*", "appendfsync"]).await);
    for expected in ["67108864", "noeviction", "everysec"] {
        assert!(settings.iter().any(|value| value == expected), "{expected} is not among {settings:?}");
    }
    let () = redis.call(&["SET", "key", "value"]).await;
    redis.kill().await;
    assert!(!redis.is_running());
    let refused = redis.try_call::<String>(&["PING"]).await.expect_err("nobody answers");
    assert!(refused.is_connection_refusal(), "{refused:?}");
    redis.restart().await;
    assert_eq!(redis.url(), url);
    assert_eq!(value_of(&redis, "key").await.as_deref(), Some("value"));
    // One that runs is killed first.
    redis.restart().await;
    assert_eq!(value_of(&redis, "key").await.as_deref(), Some("value"));
}

#[tokio::test]
async fn a_stopped_server_answers_after_it_is_resumed() {
    let mut redis = Redis::start().await;
    redis.stop().await;
    assert!(redis.is_running());
    let sent = redis.try_call::<String>(&["SET", "key", "late"]);
    let silent = tokio::time::timeout(SILENCE, sent).await;
    assert!(silent.is_err(), "a stopped server answered: {silent:?}");
    redis.resume().await;
    let () = redis.call(&["SET", "key", "later"]).await;
    assert_eq!(value_of(&redis, "key").await.as_deref(), Some("later"));
}

#[tokio::test]
async fn a_promotion_loses_what_replication_held() {
    let mut pair = ReplicaPair::start(RedisOptions::default(), 2).await;
    let () = pair.primary().call(&["SET", "early", "1"]).await;
    pair.wait_until_in_step().await;
    pair.hold_replication();
    let () = pair.primary().call(&["SET", "late", "1"]).await;
    let copies: i64 = pair.primary().call(&["WAIT", "1", "200"]).await;
    assert_eq!(copies, 0, "a replica has what was held");
    let before = pair.url();
    pair.promote(0, OldPrimary::Isolated).await;
    assert_ne!(pair.url(), before);
    assert_eq!(value_of(pair.primary(), "early").await.as_deref(), Some("1"));
    assert_eq!(value_of(pair.primary(), "late").await, None);
    // Two primaries at once: the old one believes what it believed.
    assert_eq!(value_of(&pair.former_mut()[0], "late").await.as_deref(), Some("1"));
    let () = pair.primary().call(&["SET", "next", "1"]).await;
    let copies: i64 = pair.primary().call(&["WAIT", "1", "5000"]).await;
    assert_eq!(copies, 1, "the other replica follows the new primary");
    assert_eq!(value_of(pair.replica(0), "next").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_promotion_keeps_what_was_copied() {
    let mut pair = ReplicaPair::start(RedisOptions::default(), 1).await;
    pair.hold_replication();
    let () = pair.primary().call(&["SET", "key", "1"]).await;
    pair.release_replication();
    let copies: i64 = pair.primary().call(&["WAIT", "1", "5000"]).await;
    assert_eq!(copies, 1);
    pair.promote(0, OldPrimary::Killed).await;
    assert!(!pair.former_mut()[0].is_running());
    assert_eq!(value_of(pair.primary(), "key").await.as_deref(), Some("1"));
}
