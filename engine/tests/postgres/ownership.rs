//! Two processes and the store of ownership: claims, leases by the database's clock, and the fence between them.
//! Must not know: SQL of the store.

use std::sync::Arc;

use engine::config::{DatabaseSettings, ServerUrl, StoreSettings};
use engine::journal::contract::{append_of, day};
use engine::journal::{DayOutcome, Head, Journal};
use engine::ownership::{Node, Ownership, OwnershipError};
use engine::{Engine, EngineConfig};
use servers::Postgres;
use uuid::Uuid;

use crate::support::{APPENDS_WAITING, LONG_MILLIS, Process, connect, database, execute, number, sole, until};

async fn end_lease(url: &str, process: &Process) {
    let mut connection = connect(url).await;
    let end = "UPDATE node SET lease_until = clock_timestamp() - interval '1 second' WHERE incarnation = ";
    execute(&mut connection, &format!("{end}'{}'", process.incarnation)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_has_one_owner() {
    let postgres = Postgres::start().await;
    let url = database(&postgres).await;
    let (first, second) = (Process::join(&url, 1, LONG_MILLIS).await, Process::join(&url, 2, LONG_MILLIS).await);
    // Both see epoch 0 of both shards.
    let wanted = [(3, 0), (900, 0)];
    let (a, b) = tokio::join!(
        first.ownership.claim(first.incarnation, &wanted),
        second.ownership.claim(second.incarnation, &wanted)
    );
    let (a, b) = (a.expect("an answer"), b.expect("an answer"));
    assert_eq!(a.len() + b.len(), 2, "one of them has it: {a:?}, {b:?}");
    assert!(a.iter().chain(&b).all(|(_, epoch)| *epoch == 1));
    assert_eq!(second.claim(&[3, 900]).await, [], "the lease of its owner runs, or it is its own");

    let (owner, other) = if a.is_empty() { (&second, &first) } else { (&first, &second) };
    let map = owner.ownership.map().await.expect("a map");
    assert_eq!((map.nodes.len(), map.shards.len()), (2, 1_024));
    assert!(map.nodes.iter().all(|node| node.is_live));
    assert_eq!((map.shards[900].owner, map.shards[900].epoch), (Some(owner.incarnation), 1));
    assert_eq!((map.shards[4].owner, map.shards[4].epoch), (None, 0));

    // A claim of another epoch than the store's gets nothing, though the shard is free.
    other.ownership.release(other.incarnation, &[(3, 1)]).await.expect("not its own: left alone");
    owner.ownership.release(owner.incarnation, &[(3, 7)]).await.expect("another epoch: left alone");
    assert_eq!(other.claim(&[3]).await, []);
    owner.ownership.release(owner.incarnation, &[(3, 1)]).await.expect("it is given back");
    assert_eq!(other.ownership.claim(other.incarnation, &[(3, 0)]).await.expect("an answer"), []);
    assert_eq!(other.claim(&[3]).await, [(3, 2)]);
    owner.ownership.leave(owner.incarnation).await.expect("it leaves");
    let map = other.ownership.map().await.expect("a map");
    assert_eq!(map.nodes.iter().map(|node| node.incarnation).collect::<Vec<_>>(), [other.incarnation]);
    assert_eq!((map.shards[900].owner, map.shards[900].epoch), (None, 1));
    assert_eq!(other.claim(&[900]).await, [(900, 2)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_ends_by_the_clock_of_the_database_and_is_never_resumed() {
    let postgres = Postgres::start().await;
    let url = database(&postgres).await;
    let (first, second) = (Process::join(&url, 1, LONG_MILLIS).await, Process::join(&url, 2, LONG_MILLIS).await);
    assert_eq!(first.claim(&[5]).await, [(5, 1)]);
    assert_eq!(second.claim(&[5]).await, []);
    // The lease is what the store says: nothing of this process's clock is in it.
    end_lease(&url, &first).await;
    assert!(matches!(first.ownership.renew(first.incarnation, LONG_MILLIS).await, Err(OwnershipError::LeaseEnded)));
    let again = Node { incarnation: first.incarnation, address: "elsewhere:1".to_owned(), is_live: true };
    assert!(matches!(first.ownership.join(&again, LONG_MILLIS).await, Err(OwnershipError::LeaseEnded)));
    assert_eq!(first.claim(&[6]).await, [], "who has no lease claims nothing");
    let map = second.ownership.map().await.expect("a map");
    let live: Vec<_> = map.nodes.iter().map(|node| (node.incarnation, node.is_live)).collect();
    assert_eq!(live, [(first.incarnation, false), (second.incarnation, true)]);
    assert_eq!(second.claim(&[5]).await, [(5, 2)]);
    assert_eq!(second.claim(&[5]).await, [], "not from itself, while its lease runs");

    // A short lease runs out by itself; renewals in time keep it.
    let third = Process::join(&url, 3, 600).await;
    third.ownership.renew(third.incarnation, LONG_MILLIS).await.expect("in time");
    third.ownership.renew(third.incarnation, 300).await.expect("in time");
    assert_eq!(third.claim(&[9]).await, [(9, 1)]);
    until(&url, "SELECT count(*) FROM node WHERE lease_until < clock_timestamp() AND address = 'node-3:1'").await;
    assert!(matches!(third.ownership.renew(third.incarnation, LONG_MILLIS).await, Err(OwnershipError::LeaseEnded)));
    assert_eq!(second.claim(&[9]).await, [(9, 2)]);
    assert!(matches!(second.ownership.renew(Uuid::from_u128(77), 1_000).await, Err(OwnershipError::LeaseEnded)));
}

/// The safety argument: a claim waits for the append that holds the shard, sees its records, and no later one gets through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_waits_for_the_append_under_way_and_refuses_the_next() {
    let postgres = Postgres::start().await;
    let url = database(&postgres).await;
    let first = sole(&url, 1).await;
    let older = Arc::new(first.journal().await);
    // All that takes time comes before the locks, for which the server waits three seconds only.
    let second = Arc::new(Process::join(&url, 2, LONG_MILLIS).await);
    second.ownership.renew(second.incarnation, LONG_MILLIS).await.expect("in time");
    end_lease(&url, &first).await;
    let mut holder = connect(&url).await;
    execute(&mut holder, "BEGIN; LOCK TABLE journal_head IN EXCLUSIVE MODE").await;
    let (append, head) = append_of(day(1), 1, Head::default(), &[b"one"]);
    let under_way = tokio::spawn({
        let older = Arc::clone(&older);
        async move { older.append(&[append]).await }
    });
    until(&url, APPENDS_WAITING).await;

    let shard = day(1).shard();
    let claiming = tokio::spawn({
        let second = Arc::clone(&second);
        async move { second.claim(&[shard]).await }
    });
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hotslot ownership' \
         AND datname = current_database() AND wait_event_type = 'Lock'";
    until(&url, waiting).await;
    assert!(!claiming.is_finished());
    second.ownership.renew(second.incarnation, LONG_MILLIS).await.expect("a renewal does not wait behind a claim");
    execute(&mut holder, "ROLLBACK").await;

    let outcome = under_way.await.expect("it ends").expect("the append came first");
    assert_eq!(outcome, [DayOutcome::Appended { position: 1 }]);
    assert_eq!(claiming.await.expect("it ends"), [(shard, 2)]);
    let newer = second.journal().await;
    let loaded = newer.load(day(1)).await.expect("a load").expect("it sees the last append");
    assert_eq!(loaded.head, head);
    let (late, _) = append_of(day(1), 1, head, &[b"late"]);
    let outcome = older.append(&[late]).await.expect("an answer");
    assert_eq!(outcome, [DayOutcome::StaleEpoch { current: 2 }]);
    let (next, _) = append_of(day(1), 2, head, &[b"two"]);
    assert!(matches!(newer.append(&[next]).await.expect("an answer")[..], [DayOutcome::Appended { position: 1 }]));
}

/// Paused before its statement reaches the tables, a former owner comes too late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_append_of_a_paused_owner_is_refused() {
    let postgres = Postgres::start().await;
    let proxy = servers::Proxy::in_front_of(postgres.address());
    let url = database(&postgres).await;
    let first = sole(&url, 1).await;
    let older = Arc::new(first.journal_through(&proxy.through(&url)).await);
    let (append, head) = append_of(day(1), 1, Head::default(), &[b"one"]);
    older.append(&[append]).await.expect("the journal writes");
    // The request of the second stays on its way.
    proxy.stall(servers::Direction::Requests);
    let (append, _) = append_of(day(1), 1, head, &[b"late"]);
    let under_way = tokio::spawn({
        let older = Arc::clone(&older);
        async move { older.append(&[append]).await }
    });
    end_lease(&url, &first).await;
    let second = Process::join(&url, 2, LONG_MILLIS).await;
    assert_eq!(second.claim(&[day(1).shard()]).await, [(day(1).shard(), 2)]);
    let newer = second.journal().await;
    assert_eq!(newer.load(day(1)).await.expect("a load").expect("a written day").head, head);
    proxy.heal();
    let outcome = under_way.await.expect("it ends").expect("an answer");
    assert_eq!(outcome, [DayOutcome::StaleEpoch { current: 2 }]);
    assert_eq!(newer.load(day(1)).await.expect("a load").expect("a written day").head, head);
}

/// A claim waits for whoever holds the rows, an append on its way to a standby for one, and that may be longer than a lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_renewed_while_a_claim_waits() {
    let postgres = Postgres::start().await;
    let url = database(&postgres).await;
    let mut holder = connect(&url).await;
    execute(&mut holder, "BEGIN; SELECT shard FROM shard_owner FOR SHARE").await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut config = EngineConfig::embedded(directory.path().to_path_buf());
    let database = DatabaseSettings { url: ServerUrl::new(&url), accept_asynchronous_standby: true };
    config.stores = StoreSettings::Postgres { database };
    config.node.lease_millis = 2_000;
    let starting = tokio::spawn(Engine::start(config, None));
    // The server itself gives a lock up after three seconds.
    let waiting = "SELECT count(*) FROM node, pg_stat_activity WHERE lease_until > clock_timestamp() AND datname = current_database() \
                   AND application_name = 'hotslot ownership' AND wait_event_type = 'Lock' \
                   AND clock_timestamp() - query_start > interval '2500 milliseconds'";
    until(&url, waiting).await;
    assert_eq!(number(&mut holder, "SELECT count(*) FROM node").await, 1, "it has never come back as another");
    execute(&mut holder, "COMMIT").await;
    let engine = starting.await.expect("it runs").expect("it starts");
    engine.stop().await;
}
