//! Where a server under test keeps what it must not lose: in its own directory, or on real servers that are started for it.
//! Must not know: what is kept there.

use std::sync::Arc;

use servers::{Postgres, PostgresOptions, Redis, RedisOptions};

/// Where the journal and the ledger are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// Both in files below the data directory.
    Embedded,
    /// The journal on Redis, the ledger on PostgreSQL.
    RedisPostgres,
    /// Both on PostgreSQL.
    Postgres,
}

impl Profile {
    /// The one that this test binary is named after (`tests/redis_postgres.rs`, `tests/postgres.rs`); every other one is of embedded
    /// stores.
    pub fn of_this_binary() -> Self {
        let file = std::env::current_exe().expect("a test knows its own file");
        let stem = file.file_stem().and_then(|stem| stem.to_str()).expect("a name in UTF-8");
        // Cargo appends a hash to the name.
        match stem.rsplit_once('-').map_or(stem, |(name, _)| name) {
            "redis_postgres" => Self::RedisPostgres,
            "postgres" => Self::Postgres,
            _ => Self::Embedded,
        }
    }
}

/// The servers of one profile, empty at first. They end with this value.
#[derive(Debug)]
pub struct Stores {
    profile: Profile,
    redis: Option<Redis>,
    postgres: Option<Postgres>,
    /// Of servers that somebody else has started.
    elsewhere: Vec<String>,
}

impl Stores {
    /// Starts what the profile needs: everything that is answered is synced to the disk before. Panics if a server does not come up.
    pub async fn start(profile: Profile) -> Arc<Self> {
        let wants_postgres = profile != Profile::Embedded;
        let redis = match profile {
            Profile::RedisPostgres => Some(Redis::start_with(RedisOptions::default()).await),
            Profile::Embedded | Profile::Postgres => None,
        };
        let postgres = match wants_postgres {
            true => Some(Postgres::start_with(PostgresOptions { fsync: true, ..PostgresOptions::default() }).await),
            false => None,
        };
        Arc::new(Self { profile, redis, postgres, elsewhere: Vec::new() })
    }

    /// Servers that the test has started itself, because it will do them harm.
    pub fn elsewhere(redis_url: Option<&str>, database_url: &str) -> Arc<Self> {
        let profile = if redis_url.is_some() { Profile::RedisPostgres } else { Profile::Postgres };
        let redis = redis_url.into_iter().flat_map(|url| ["--redis-url".to_owned(), url.to_owned()]);
        let elsewhere = redis.chain(["--database-url".to_owned(), database_url.to_owned()]).collect();
        Arc::new(Self { profile, redis: None, postgres: None, elsewhere })
    }

    /// The profile.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// The flags by which the program finds them.
    pub fn arguments(&self) -> Vec<String> {
        let redis = self.redis.iter().flat_map(|redis| ["--redis-url".to_owned(), redis.url()]);
        let postgres = self.postgres.iter().flat_map(|postgres| ["--database-url".to_owned(), postgres.url()]);
        redis.chain(postgres).chain(self.elsewhere.iter().cloned()).collect()
    }
}
