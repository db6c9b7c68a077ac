//! Does every record come to both sinks in the order of its day, over restarts and kills, under the same id?
//! Must not know: how a relay is made.

use std::sync::Arc;

use async_trait::async_trait;
use engine::Engine;
use engine::clock::SystemClock;
use engine::feed::redis_streams::RedisSink;
use engine::feed::relay::{Relay, Source};
use engine::feed::{FeedCursors, Sink, WHOLE_LOG};
use engine::journal::sqlite::SqliteJournal;
use engine::journal::{Journal, ReadError, ShardCursor};
use engine::ledger::ApplyError;
use engine::ledger::sqlite::SqliteLedger;
use engine::ownership::Tenures;
use engine::signal::Signal;
use servers::{Nats, Redis};

use crate::support::{
    assert_same_words, book, config, day, deduplicated, eventually, expected, in_nats, in_redis, publish,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sinks_have_every_event_in_the_order_of_its_day_over_a_restart() {
    let (redis, nats) = (Redis::start().await, Nats::start().await);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = config(directory.path(), Some(&redis), Some(&nats));
    let days: Vec<_> = (0..5).map(day).collect();
    for life in 0..2_u8 {
        let engine = Engine::start(config.clone(), None).await.expect("it starts");
        for day in &days {
            // The second is another one, and so an amendment.
            publish(&engine.handle(), *day, 1 + usize::from(life)).await;
        }
        book(&engine.handle(), &days, u128::from(life) * 10_000, 60).await;
        engine.stop().await;
    }
    let expected = expected(directory.path()).await;
    assert_eq!(expected.values().map(Vec::len).sum::<usize>(), 5 * 2 * 61);
    for read in [in_redis(&redis).await, in_nats(&nats).await] {
        assert_eq!(deduplicated(&read), expected);
        assert_same_words(&read);
        assert_eq!(read.len(), 5 * 2 * 61, "an orderly stop saves its cursors: nothing is told twice");
    }
}

/// Cursors that are lost whenever they are saved: a process that is always killed before.
struct Lost(Arc<SqliteLedger>);

#[async_trait]
impl FeedCursors for Lost {
    async fn load(&self, sink: &str) -> Result<Vec<(u16, ShardCursor)>, ReadError> {
        self.0.load(sink).await
    }

    async fn save(&self, _: &str, _: &[(u16, ShardCursor)]) -> Result<(), ApplyError> {
        std::future::pending().await
    }
}

/// A relay over the journal of a process that is dead.
async fn relay(
    journal: &Arc<SqliteJournal>,
    cursors: Arc<dyn FeedCursors>,
    redis: &Redis,
    stop: &Arc<Signal>,
) -> Relay {
    let head = journal.last_position().await.expect("a position");
    let source = Source {
        journal: Arc::clone(journal) as _,
        head: Box::new(move || head),
        changes_of: Box::new(|_| 0),
        tenures: Arc::new(Tenures::none()),
        clock: Arc::new(SystemClock::start()),
    };
    let sink: Arc<dyn Sink> = Arc::new(RedisSink::new(&redis.url(), 1_000_000).expect("a sink"));
    Relay::new(sink, cursors, Arc::new(source), Arc::clone(stop))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_told_and_not_saved_is_told_again_under_the_same_ids() {
    let redis = Redis::start().await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let engine = Engine::start(config(directory.path(), None, None), None).await.expect("it starts");
    let days = [day(1), day(2)];
    for day in days {
        publish(&engine.handle(), day, 1).await;
    }
    book(&engine.handle(), &days, 0, 200).await;
    engine.stop().await;
    let expected = expected(directory.path()).await;

    let journal = Arc::new(SqliteJournal::open(directory.path()).await.expect("the journal opens"));
    let ledger = Arc::new(SqliteLedger::open(directory.path()).await.expect("the ledger opens"));
    let stop = Arc::new(Signal::default());
    let doomed = relay(&journal, Arc::new(Lost(Arc::clone(&ledger))), &redis, &stop).await;
    let doomed = tokio::spawn(doomed.run());
    eventually("everything is told", async || deduplicated(&in_redis(&redis).await) == expected).await;
    // Killed between telling and saving.
    doomed.abort();
    assert!(doomed.await.is_err());
    assert_eq!(ledger.load("redis").await.expect("cursors"), []);
    let before = in_redis(&redis).await;

    let next = tokio::spawn(relay(&journal, Arc::clone(&ledger) as _, &redis, &stop).await.run());
    let head = journal.last_position().await.expect("a position");
    eventually("the cursor is saved", async || {
        let cursors = ledger.load("redis").await.expect("cursors");
        cursors.iter().any(|(shard, cursor)| *shard == WHOLE_LOG && cursor.position == head)
    })
    .await;
    stop.give();
    next.await.expect("it ends by itself");
    let after = in_redis(&redis).await;
    assert!(after.len() > before.len(), "told again: at least once");
    assert_same_words(&after);
    assert_eq!(deduplicated(&after), expected, "and a consumer that drops known ids sees the same order");
}
