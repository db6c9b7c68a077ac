//! Is a Redis server alive when it says so, and dead when it was killed? What does a promotion lose?
//! Must not know: clusters.

use std::time::Duration;

use servers::{AppendFsync, OldPrimary, Redis, RedisOptions, ReplicaPair};

/// Longer than any answer of a server that is well, shorter than anybody waits.
const SILENCE: Duration = Duration::from_millis(300);

async fn value_of(redis: &Redis, key: &str) -> Option<String> {
    redis.call(&["GET", key]).await
}

/// Sets a key; answers how many replicas have it after at most `wait_ms`. WAIT knows only the writes of its connection.
pub(crate) async fn copies_of(redis: &Redis, key: &str, wait_ms: u32) -> i64 {
    let client = redis::Client::open(redis.url()).expect("an address");
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(10)));
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await.expect("a connection");
    let mut commands = redis::pipe();
    commands.cmd("SET").arg(key).arg("1").ignore().cmd("WAIT").arg(1).arg(wait_ms);
    let (copies,) = commands.query_async(&mut connection).await.expect("an answer");
    copies
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
async fn a_server_finds_the_data_of_another() {
    let directory = tempfile::TempDir::with_prefix("hotslot-test-").expect("a temporary directory");
    let options = RedisOptions { directory: Some(directory.path().to_owned()), ..RedisOptions::default() };
    let first = Redis::start_with(options.clone()).await;
    let () = first.call(&["SET", "key", "value"]).await;
    drop(first);
    assert_eq!(value_of(&Redis::start_with(options).await, "key").await.as_deref(), Some("value"));
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
    assert_eq!(copies_of(pair.primary(), "late", 200).await, 0, "a replica has what was held");
    let before = pair.url();
    pair.promote(0, OldPrimary::Isolated).await;
    assert_ne!(pair.url(), before);
    assert_eq!(value_of(pair.primary(), "early").await.as_deref(), Some("1"));
    assert_eq!(value_of(pair.primary(), "late").await, None);
    // Two primaries at once: the old one believes what it believed.
    assert_eq!(value_of(&pair.former_mut()[0], "late").await.as_deref(), Some("1"));
    assert_eq!(copies_of(pair.primary(), "next", 5_000).await, 1, "the other replica follows the new primary");
    assert_eq!(value_of(pair.replica(0), "next").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_promotion_keeps_what_was_copied() {
    let mut pair = ReplicaPair::start(RedisOptions::default(), 1).await;
    pair.hold_replication();
    let () = pair.primary().call(&["SET", "key", "1"]).await;
    pair.release_replication();
    pair.wait_until_in_step().await;
    pair.promote(0, OldPrimary::Killed).await;
    assert!(!pair.former_mut()[0].is_running());
    assert_eq!(value_of(pair.primary(), "key").await.as_deref(), Some("1"));
}
