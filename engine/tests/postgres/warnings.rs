//! Commits whose wait for the synchronous standby was cut off: they look like success and are none.
//! Must not know: how a warning is seen.

use std::sync::Arc;

use engine::journal::contract::{append_of, day};
use engine::journal::postgres::PostgresJournal;
use engine::journal::{AppendError, DayOutcome, Head, Journal};
use engine::ownership::{Ownership, OwnershipError};
use engine::postgres::notices::Notices;
use servers::{Postgres, PostgresOptions, SynchronousPair};

use crate::support::{COMMITS_WAITING, Process, connect, migrate, sole, until};

/// Database, process and journal over a pair whose standby is in step.
async fn journal_of(pair: &SynchronousPair) -> (String, Process, Arc<PostgresJournal>) {
    let url = pair.primary().create_database().await;
    migrate(&url).await;
    let process = sole(&url, 1).await;
    let journal = Arc::new(process.journal().await);
    (url, process, journal)
}

/// Has whoever waits for the standby stop waiting.
async fn end_waiting(pair: &SynchronousPair, function: &str) {
    let waiting = "FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name LIKE 'hotslot %'";
    pair.primary().ask(&format!("SELECT count({function}(pid)) {waiting}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_did_not_wait_for_its_standby_is_unknown() {
    let pair = Postgres::with_synchronous_standby(PostgresOptions::default()).await;
    let (url, process, journal) = journal_of(&pair).await;
    let mut head = Head::default();
    for (round, function) in ["pg_cancel_backend", "pg_terminate_backend"].into_iter().enumerate() {
        pair.link().stall(servers::Direction::Answers);
        let (append, after) = append_of(day(1), 1, head, &[b"one"]);
        let under_way = tokio::spawn({
            let journal = Arc::clone(&journal);
            async move { journal.append(&[append]).await }
        });
        until(&url, COMMITS_WAITING).await;
        end_waiting(&pair, function).await;
        let outcome = under_way.await.expect("it ends");
        assert!(matches!(outcome, Err(AppendError::Unknown(_))), "{function}: {outcome:?}");
        assert_eq!(journal.last_position().await.expect("a read"), round as u64 * 2, "nobody hears of it");

        // A barrier is a commit too, and is judged as one.
        let raising = tokio::spawn({
            let journal = Arc::clone(&journal);
            async move { journal.barrier().await }
        });
        until(&url, COMMITS_WAITING).await;
        end_waiting(&pair, function).await;
        let raised = raising.await.expect("it ends");
        assert!(matches!(raised, Err(AppendError::Unknown(_))), "{function}: {raised:?}");

        pair.link().heal();
        pair.wait_until_synchronous().await;
        journal.barrier().await.expect("a barrier");
        let loaded = journal.load(day(1)).await.expect("a load").expect("a written day");
        assert_eq!(loaded.head, after, "it was committed; now the standby has it");
        let (append, later) = append_of(day(1), 1, after, &[b"two"]);
        let position = round as u64 * 2 + 2;
        assert_eq!(journal.append(&[append]).await.expect("it writes"), [DayOutcome::Appended { position }]);
        head = later;
    }
    assert!(process.ownership.map().await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_did_not_wait_for_its_standby_is_none() {
    let pair = Postgres::with_synchronous_standby(PostgresOptions::default()).await;
    let (url, first, journal) = journal_of(&pair).await;
    first.ownership.release(first.incarnation, &[(3, 1)]).await.expect("it is given back");
    pair.link().stall(servers::Direction::Answers);
    let first = Arc::new(first);
    let claiming = tokio::spawn({
        let first = Arc::clone(&first);
        async move { first.ownership.claim(first.incarnation, &[(3, 1)]).await }
    });
    until(&url, COMMITS_WAITING).await;
    end_waiting(&pair, "pg_cancel_backend").await;
    let claimed = claiming.await.expect("it ends");
    assert!(matches!(claimed, Err(OwnershipError::Unavailable(_))), "{claimed:?}");
    pair.link().heal();
    pair.wait_until_synchronous().await;
    assert_eq!(first.ownership.map().await.expect("a map").shards[3].epoch, 2, "the map says what became of it");
    journal.close().await;
}

/// The client library tells warnings to the log alone, so they must be seen though nothing is logged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn warnings_are_seen_though_nothing_is_logged() {
    // Another test of this process may have set one, which is as good: without a subscriber nothing is logged either.
    let _ = tracing::subscriber::set_global_default(tracing::subscriber::NoSubscriber::default());
    let postgres = Postgres::start().await;
    let mut connection = connect(&postgres.url()).await;
    let notices = Notices::default();
    notices.require_sight(&mut connection).await.expect("it is seen");
    let warn = "DO $$ BEGIN RAISE NOTICE 'not this'; RAISE WARNING 'this'; RAISE WARNING 'nor this'; END $$";
    let (outcome, warning) = notices.watch(sqlx::raw_sql(warn).execute(&mut connection)).await;
    assert!(outcome.is_ok());
    assert_eq!(warning.as_deref(), Some("this"));
    let (_, warning) = notices.watch(sqlx::raw_sql("SELECT 1").execute(&mut connection)).await;
    assert_eq!(warning, None);
}

/// With the standby away nothing is acknowledged and nothing is lost; who waits hears of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_standby_nothing_is_acknowledged() {
    let durable = PostgresOptions { fsync: true, ..PostgresOptions::default() };
    let mut pair = Postgres::with_synchronous_standby(durable).await;
    let url = pair.primary().create_database().await;
    migrate(&url).await;
    let process = sole(&url, 1).await;
    let journal = PostgresJournal::open(&url, Arc::clone(&process.tenures), false).await.expect("it opens");
    assert!(journal.promise().contains("1 in step at the start"), "{}", journal.promise());
    pair.standby_mut().kill().await;
    let (append, head) = append_of(day(1), 1, Head::default(), &[b"one"]);
    let outcome = journal.append(&[append]).await;
    assert!(matches!(outcome, Err(AppendError::Unknown(_))), "{outcome:?}");
    for _ in 0..2 {
        let raised = journal.barrier().await;
        assert!(matches!(raised, Err(AppendError::Unknown(_))), "{raised:?}");
    }
    let left = pair.primary().ask("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'").await;
    assert_eq!(left.as_deref(), Some("1"), "what was given up is ended, and does not pile up");
    pair.standby_mut().restart().await;
    pair.wait_until_synchronous().await;
    journal.barrier().await.expect("a barrier");
    assert_eq!(journal.load(day(1)).await.expect("a load").expect("a written day").head, head);
}
