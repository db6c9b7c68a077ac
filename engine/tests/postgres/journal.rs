//! The contract of every journal, on PostgreSQL; and what is refused at the start.
//! Must not know: SQL of the journal.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use engine::journal::contract::{self, JournalFactory, Stall, append_of, day};
use engine::journal::postgres::PostgresJournal;
use engine::journal::{DayOutcome, Head, Journal};
use engine::ownership::{Ownership, Tenures};
use parking_lot::Mutex;
use servers::{Postgres, PostgresOptions};
use sqlx::PgConnection;

use crate::support::{APPENDS_WAITING, LONG_MILLIS, Process, connect, database, execute, migrate, sole, until};

/// One database for each empty store.
struct Databases {
    postgres: Postgres,
    number: AtomicU64,
    /// Of the newest store: its address, and who has each journal.
    newest: Mutex<String>,
    owners: Mutex<HashMap<usize, Arc<Process>>>,
}

impl Databases {
    fn next(&self) -> u128 {
        self.number.fetch_add(1, Ordering::Relaxed).into()
    }

    async fn open(&self, process: Process) -> Arc<dyn Journal> {
        let journal: Arc<dyn Journal> = Arc::new(process.journal().await);
        self.owners.lock().insert(key(&journal), Arc::new(process));
        journal
    }

    fn owner(&self, journal: &Arc<dyn Journal>) -> Arc<Process> {
        Arc::clone(&self.owners.lock()[&key(journal)])
    }
}

fn key(journal: &Arc<dyn Journal>) -> usize {
    Arc::as_ptr(journal).cast::<()>().addr()
}

#[async_trait]
impl JournalFactory for Databases {
    async fn empty(&self) -> Arc<dyn Journal> {
        let url = database(&self.postgres).await;
        self.newest.lock().clone_from(&url);
        self.open(sole(&url, self.next()).await).await
    }

    async fn reopen(&self, journal: Arc<dyn Journal>) -> Arc<dyn Journal> {
        journal.close().await;
        let before = self.owner(&journal);
        before.ownership.leave(before.incarnation).await.expect("it leaves");
        self.open(sole(&before.url, self.next()).await).await
    }

    async fn damage(&self, journal: Arc<dyn Journal>, position: u64) -> Arc<dyn Journal> {
        let mut connection = connect(&self.owner(&journal).url).await;
        let flip = "UPDATE journal_record SET body = set_bit(body, 0, 1 - get_bit(body, 0)) WHERE position = ";
        execute(&mut connection, &format!("{flip}{position}")).await;
        journal
    }

    async fn take_over(&self, journal: &Arc<dyn Journal>, shards: &[u16]) -> Option<Arc<dyn Journal>> {
        let older = self.owner(journal);
        let given: Vec<_> = shards.iter().map(|shard| (*shard, older.tenures.epoch(*shard))).collect();
        // As if its lease had ended: the journal does not hear of it.
        older.ownership.release(older.incarnation, &given).await.expect("it is given back");
        let newer = Process::join(&older.url, self.next(), LONG_MILLIS).await;
        let claimed = newer.claim(shards).await;
        assert_eq!(claimed.len(), shards.len());
        let journal = self.open(newer).await;
        assert_eq!(journal.install(&claimed).await.expect("it installs"), claimed);
        Some(journal)
    }

    async fn stall(&self, journal: &Arc<dyn Journal>) -> Option<Box<dyn Stall>> {
        let url = self.owner(journal).url.clone();
        let mut connection = connect(&url).await;
        // Reads go on; an append stops when it has its fence already.
        execute(&mut connection, "BEGIN; LOCK TABLE journal_head IN EXCLUSIVE MODE").await;
        Some(Box::new(HeldTable { connection, url }))
    }
}

struct HeldTable {
    connection: PgConnection,
    url: String,
}

#[async_trait]
impl Stall for HeldTable {
    async fn reached(&self) {
        until(&self.url, APPENDS_WAITING).await;
    }

    async fn end(mut self: Box<Self>) {
        execute(&mut self.connection, "ROLLBACK").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_contract() {
    let postgres = Postgres::start().await;
    let (number, newest) = (AtomicU64::new(1), Mutex::default());
    contract::run(&Databases { postgres, number, newest, owners: Mutex::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_memory_has_dropped_is_read_from_the_table() {
    let postgres = Postgres::start().await;
    let journal = sole(&database(&postgres).await, 1).await.journal().await;
    // More than it holds in memory, over several days and in large records of one append.
    let (mut heads, body) = ([Head::default(); 3], [7; 24]);
    let (rounds, count) = (23, 1_000);
    let bodies: Vec<&[u8]> = vec![&body; count];
    for _ in 0..rounds {
        let appends: Vec<_> = heads
            .iter_mut()
            .enumerate()
            .map(|(number, head)| {
                let (append, after) = append_of(day(number as i32), journal.epoch(), *head, &bodies);
                *head = after;
                append
            })
            .collect();
        let outcomes = journal.append(&appends).await.expect("the journal writes");
        assert!(outcomes.iter().all(|outcome| matches!(outcome, DayOutcome::Appended { .. })), "{outcomes:?}");
    }
    let last = journal.last_position().await.expect("a read");
    assert_eq!(last, rounds * count as u64 * 3);
    let mut position = 0;
    while position < last {
        let page = journal.read_after(position, 5_000).await.expect("a read");
        assert!(!page.is_empty(), "nothing after {position}");
        for record in page {
            assert_eq!(record.position, position + 1);
            position = record.position;
        }
    }
    journal.applied(last);
    assert!(journal.read_after(last, 10).await.expect("a read").is_empty());
    journal.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_lose_bookings_are_refused_at_the_start() {
    let durable = || PostgresOptions { fsync: true, ..PostgresOptions::default() };
    let cases = [
        (durable(), None),
        (PostgresOptions::default(), Some("fsync is off")),
        (durable().with("synchronous_commit", "off"), Some("synchronous_commit is off")),
        (
            durable().with("synchronous_commit", "local").with("synchronous_standby_names", "s"),
            Some("synchronous_commit is local"),
        ),
    ];
    for (options, refusal) in cases {
        let postgres = Postgres::start_with(options).await;
        let url = postgres.create_database().await;
        migrate(&url).await;
        let opened = PostgresJournal::open(&url, Arc::new(Tenures::none()), false).await;
        match (opened, refusal) {
            (Ok(journal), None) => {
                assert!(journal.promise().contains("one honest disk"), "{}", journal.promise());
                journal.close().await;
            }
            (Err(error), Some(words)) => assert!(error.to_string().contains(words), "{error}"),
            (opened, _) => panic!("{refusal:?}: {:?}", opened.map(|journal| journal.promise())),
        }
        let accepted = PostgresJournal::open(&url, Arc::new(Tenures::none()), true).await.expect("it was accepted");
        assert_eq!(accepted.promise().contains("can be lost"), refusal.is_some(), "{}", accepted.promise());
        accepted.close().await;
    }
}
