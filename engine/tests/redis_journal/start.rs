//! Which servers the journal refuses to start on, and what it says of those that it takes.
//! Must not know: records.

use std::sync::Arc;

use engine::clock::SystemClock;
use engine::journal::Journal;
use engine::journal::redis::{RedisJournal, RedisSettings};
use engine::ownership::Tenures;
use servers::{AppendFsync, Redis, RedisOptions};
use uuid::Uuid;

use crate::support::{alone, open, settings};

async fn refusal(settings: RedisSettings) -> String {
    let opened = RedisJournal::open(settings, Arc::new(Tenures::none()), Arc::new(SystemClock::start())).await;
    opened.err().expect("it is refused").to_string()
}

fn accepting(mut settings: RedisSettings) -> RedisSettings {
    settings.accept_appendfsync_no = true;
    settings
}

#[tokio::test]
async fn a_server_that_forgets_on_purpose_is_refused() {
    let evicting = RedisOptions { maxmemory_policy: "allkeys-lru".to_owned(), ..RedisOptions::default() };
    let evicting = Redis::start_with(evicting).await;
    let words = refusal(accepting(settings(vec![evicting.url()], 0))).await;
    assert!(words.contains("maxmemory-policy") && words.contains("noeviction"), "{words}");
    for options in [
        RedisOptions { append_only: false, ..RedisOptions::default() },
        RedisOptions { append_fsync: AppendFsync::No, ..RedisOptions::default() },
    ] {
        let redis = Redis::start_with(options).await;
        let words = refusal(settings(vec![redis.url()], 0)).await;
        assert!(words.contains("append"), "{words}");
        let promise = open(accepting(settings(vec![redis.url()], 0))).await.journal.promise();
        assert!(promise.contains("appendonly no") || promise.contains("appendfsync no"), "{promise}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_tell_needs_to_be_accepted() {
    let redis = Redis::start().await;
    let () = redis.call(&["ACL", "SETUSER", "default", "-config"]).await;
    let words = refusal(settings(vec![redis.url()], 0)).await;
    assert!(words.contains("CONFIG is forbidden"), "{words}");
    alone(accepting(settings(vec![redis.url()], 0))).await;
}

#[tokio::test]
async fn a_sound_server_is_taken_and_says_what_can_be_lost() {
    let redis = Redis::start().await;
    let promise = alone(settings(vec![redis.url()], 0)).await.journal.promise();
    assert!(promise.contains("appendfsync always") && promise.contains("whose owner is gone"), "{promise}");
    let words = refusal(settings(vec![redis.url()], 1)).await;
    assert!(words.contains("0 replicas are in touch"), "{words}");
    let nobody = refusal(settings(vec!["redis://127.0.0.1:1/".to_owned()], 0)).await;
    assert!(nobody.contains("127.0.0.1:1"), "{nobody}");
}

#[tokio::test]
async fn data_of_another_installation_is_refused() {
    let redis = Redis::start().await;
    alone(settings(vec![redis.url()], 0)).await;
    let other = RedisSettings::new(vec![redis.url()], Uuid::from_u128(2));
    let error = open(other).await.journal.claim_alone().await.expect_err("it is not ours");
    assert!(error.to_string().contains("another installation"), "{error}");
}
