//! Databases and processes for these tests.
//! Must not know: what is tested.

use std::sync::Arc;
use std::time::Duration;

use booking_core::SHARD_COUNT;
use engine::journal::postgres::PostgresJournal;
use engine::ownership::{Node, Ownership, PostgresOwnership, Tenures};
use servers::Postgres;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use uuid::Uuid;

/// Leases of tests that are not about their end.
pub const LONG_MILLIS: u64 = 3_600_000;
/// Whatever is waited for has come by then, also on a machine that is busy.
const DEADLINE: Duration = Duration::from_secs(30);
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// A process that takes part: what it is called, what it may, what it holds.
pub struct Process {
    pub incarnation: Uuid,
    pub ownership: PostgresOwnership,
    pub tenures: Arc<Tenures>,
    pub url: String,
}

impl Process {
    /// Process `number` over the database of `url`, with a lease and without shards.
    pub async fn join(url: &str, number: u128, lease_millis: u64) -> Self {
        let ownership = PostgresOwnership::open(url).await.expect("the store of ownership opens");
        let incarnation = Uuid::from_u128(number);
        let node = Node { incarnation, address: format!("node-{number}:1"), is_live: true };
        ownership.join(&node, lease_millis).await.expect("it joins");
        Self { incarnation, ownership, tenures: Arc::new(Tenures::none()), url: url.to_owned() }
    }

    /// Claims `shards` as they are; what it got.
    pub async fn claim(&self, shards: &[u16]) -> Vec<(u16, u32)> {
        let map = self.ownership.map().await.expect("a map");
        let wanted: Vec<_> = shards.iter().map(|shard| (*shard, map.shards[usize::from(*shard)].epoch)).collect();
        let claimed = self.ownership.claim(self.incarnation, &wanted).await.expect("an answer");
        claimed.iter().for_each(|(shard, epoch)| self.tenures.grant(*shard, *epoch));
        claimed
    }

    /// The journal under what it holds.
    pub async fn journal(&self) -> PostgresJournal {
        // The servers of these tests do without fsync, which is faster.
        PostgresJournal::open(&self.url, Arc::clone(&self.tenures), true).await.expect("the journal opens")
    }

    /// The journal through another address of the same database.
    pub async fn journal_through(&self, url: &str) -> PostgresJournal {
        PostgresJournal::open(url, Arc::clone(&self.tenures), true).await.expect("the journal opens")
    }
}

/// A new database with the whole schema.
pub async fn database(postgres: &Postgres) -> String {
    let url = postgres.create_database().await;
    migrate(&url).await;
    url
}

pub async fn migrate(url: &str) {
    let options = engine::postgres::options(url).expect("a good address");
    engine::postgres::migrate(&options).await.expect("the schema comes up to date");
}

/// A process with every shard.
pub async fn sole(url: &str, number: u128) -> Process {
    let process = Process::join(url, number, LONG_MILLIS).await;
    let all: Vec<u16> = (0..SHARD_COUNT).collect();
    assert_eq!(process.claim(&all).await.len(), usize::from(SHARD_COUNT));
    process
}

pub async fn connect(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().expect("a good address");
    options.disable_statement_logging().connect().await.expect("a connection")
}

/// Runs statements without parameters.
pub async fn execute(connection: &mut PgConnection, statements: &str) {
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(connection).await.expect("the statements run");
}

/// The one number that a query answers.
pub async fn number(connection: &mut PgConnection, query: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(connection).await.expect("a number")
}

/// Waits until a query of the database of `url` answers something else than zero.
pub async fn until(url: &str, query: &str) {
    let mut connection = connect(url).await;
    let wait = async {
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        while number(&mut connection, query).await == 0 {
            looks.tick().await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("never: {query}"));
    connection.close().await.expect("it closes");
}

/// How many appends wait for a lock.
pub const APPENDS_WAITING: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hotslot journal append' \
     AND datname = current_database() AND wait_event_type = 'Lock'";

/// How many backends of the journal wait for a standby.
pub const COMMITS_WAITING: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'hotslot %' AND wait_event = 'SyncRep'";
