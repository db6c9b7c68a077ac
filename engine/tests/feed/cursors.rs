//! Do cursors go forward only, each sink's by itself, and only for an owner?
//! Must not know: how a relay is made.

use std::sync::Arc;

use engine::feed::FeedCursors;
use engine::journal::ShardCursor;
use engine::ledger::ApplyError;
use engine::ledger::postgres::PostgresLedger;
use engine::ledger::sqlite::SqliteLedger;
use engine::ownership::Tenures;
use servers::Postgres;

fn at(epoch: u32, position: u64) -> ShardCursor {
    ShardCursor { epoch, position }
}

async fn go_forward_only(cursors: &dyn FeedCursors) {
    assert_eq!(cursors.load("one").await.expect("cursors"), []);
    cursors.save("one", &[(9, at(3, 5)), (4, at(3, 50))]).await.expect("saved");
    cursors.save("other", &[(4, at(3, 1))]).await.expect("saved");
    cursors.save("one", &[(4, at(3, 49)), (9, at(3, 6))]).await.expect("saved");
    cursors.save("one", &[(9, at(2, 700))]).await.expect("saved");
    let sorted = async |sink| {
        let mut cursors = cursors.load(sink).await.expect("cursors");
        cursors.sort_unstable();
        cursors
    };
    assert_eq!(sorted("one").await, [(4, at(3, 50)), (9, at(3, 6))]);
    assert_eq!(sorted("other").await, [(4, at(3, 1))]);
    cursors.save("one", &[(9, at(4, 1))]).await.expect("saved");
    assert_eq!(sorted("one").await, [(4, at(3, 50)), (9, at(4, 1))], "a newer owner counts anew");
}

#[tokio::test]
async fn in_sqlite_they_go_forward_only() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    go_forward_only(&SqliteLedger::open(directory.path()).await.expect("the ledger opens")).await;
}

#[tokio::test]
async fn in_postgres_they_go_forward_only_and_only_for_an_owner() {
    let server = Postgres::start().await;
    let open = async |tenures| PostgresLedger::open(&server.url(), tenures, false).await.expect("the ledger opens");
    let ours = Arc::new(Tenures::sole(3));
    let ledger = open(Arc::clone(&ours)).await;
    server.execute("UPDATE shard_owner SET epoch = 3").await;
    go_forward_only(&ledger).await;
    server.execute("UPDATE shard_owner SET epoch = 4 WHERE shard = 9").await;
    let stale = ledger.save("one", &[(4, at(3, 60)), (9, at(4, 2))]).await;
    assert!(matches!(stale, Err(ApplyError::Unavailable(_))), "{stale:?}");
    let cursors = ledger.load("one").await.expect("cursors");
    assert!(cursors.contains(&(4, at(3, 50))) && cursors.contains(&(9, at(4, 1))), "all or none: {cursors:?}");
    ours.revoke(4);
    assert!(ledger.save("one", &[(4, at(3, 60))]).await.is_err(), "not ours");
    // The next owner goes on from there.
    let next = open(Arc::new(Tenures::sole(4))).await;
    next.save("one", &[(9, at(4, 2))]).await.expect("saved");
}
