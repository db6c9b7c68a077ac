//! The settings of what is beyond this process: stores on other servers, other nodes, the feed.
//! Must not know: flags, how servers are talked to.

use std::fmt;
use std::time::Duration;

/// Lease of a node if nothing else is said. Longer than a pause of a healthy process, short enough to wait for a takeover.
pub const LEASE_MILLIS_DEFAULT: u64 = 6_000;

/// Events that a sink keeps if nothing else is said: some hundred megabytes.
pub const FEED_EVENTS_MAX_DEFAULT: u64 = 1_000_000;

/// Where the journal and the ledger are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum StoreSettings {
    /// Both in SQLite files below the data directory.
    #[default]
    Embedded,
    /// The journal on Redis, the ledger in a SQLite file below the data directory. One node only.
    Redis {
        /// The journal's.
        redis: RedisSettings,
    },
    /// The journal on Redis, the ledger and the ownership on PostgreSQL.
    RedisPostgres {
        /// The journal's.
        redis: RedisSettings,
        /// The ledger's.
        database: DatabaseSettings,
    },
    /// Everything on PostgreSQL.
    Postgres {
        /// Of both.
        database: DatabaseSettings,
    },
}

impl StoreSettings {
    /// Whether several nodes can share the stores: ownership is kept on PostgreSQL.
    pub fn are_shared(&self) -> bool {
        self.database().is_some()
    }

    /// The database, if one is used.
    pub fn database(&self) -> Option<&DatabaseSettings> {
        match self {
            Self::Embedded | Self::Redis { .. } => None,
            Self::RedisPostgres { database, .. } | Self::Postgres { database } => Some(database),
        }
    }

    /// The Redis of the journal, if one is used.
    pub fn redis(&self) -> Option<&RedisSettings> {
        match self {
            Self::Embedded | Self::Postgres { .. } => None,
            Self::Redis { redis } | Self::RedisPostgres { redis, .. } => Some(redis),
        }
    }
}

/// A journal on Redis.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RedisSettings {
    /// One server, or some nodes of one cluster. Never empty.
    pub urls: Vec<ServerUrl>,
    /// Replicas that must have acknowledged an append before it is answered; 0: none.
    pub replicas: u32,
    /// Whether a server that leaves fsync to the operating system is accepted.
    pub accept_appendfsync_no: bool,
}

/// A database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DatabaseSettings {
    /// A PostgreSQL server and database.
    pub url: ServerUrl,
    /// Whether a standby that is not waited for is accepted: a failover then may lose what was answered.
    pub accept_asynchronous_standby: bool,
}

/// This process as one of several.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeSettings {
    /// Where the other nodes reach it (`host:port`); `None`: it is the only one.
    pub address: Option<String>,
    /// How long it speaks for its shards after its last sign of life.
    pub lease_millis: u64,
}

impl NodeSettings {
    /// The only node, with the usual lease.
    pub fn alone() -> Self {
        Self { address: None, lease_millis: LEASE_MILLIS_DEFAULT }
    }

    /// The lease as a duration.
    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_millis)
    }
}

/// Where changes are announced beyond the nodes; nothing by default.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FeedSettings {
    /// A Redis.
    pub redis: Option<ServerUrl>,
    /// A NATS server.
    pub nats: Option<ServerUrl>,
    /// About how many events a sink keeps for those who read them later.
    pub events_max: u64,
}

impl Default for FeedSettings {
    fn default() -> Self {
        Self { redis: None, nats: None, events_max: FEED_EVENTS_MAX_DEFAULT }
    }
}

/// The URL of a server, which may carry a password: shown without it.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl(String);

impl ServerUrl {
    /// A URL; whoever talks to the server judges it further.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The whole URL, for the client of the server. Never for a log.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Scheme, host and port: neither user nor password, nor a path or parameters, which may hold them too.
impl fmt::Display for ServerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else { return formatter.write_str("(a URL)") };
        let (authority, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        // A password with one of these characters in it, unescaped: it is not certain which part is the host.
        if behind.contains('@') {
            return write!(formatter, "{scheme}://");
        }
        write!(formatter, "{scheme}://{}", authority.rsplit('@').next().unwrap_or(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("postgres://hotslot:pass@db.example:5432/hotslot", "postgres://db.example:5432"),
            ("postgres://hotslot:pass@w@db/hotslot", "postgres://db"),
            ("postgres://hotslot:pass/w@rd@db/hotslot", "postgres://"),
            ("postgres://db/hotslot?password=a@pass", "postgres://"),
            ("postgres://db/hotslot?user=x&password=pass", "postgres://db"),
            ("redis://:pass@127.0.0.1:6379/0", "redis://127.0.0.1:6379"),
            ("hotslot:pass", "(a URL)"),
        ] {
            let hidden = ServerUrl::new(url);
            assert_eq!(hidden.to_string(), shown);
            assert!(!format!("{hidden:?}").contains("pass") && hidden.reveal() == url, "{hidden:?}");
        }
    }

    #[test]
    fn only_a_database_is_shared() {
        let redis =
            RedisSettings { urls: vec![ServerUrl::new("redis://x")], replicas: 0, accept_appendfsync_no: false };
        let database = DatabaseSettings { url: ServerUrl::new("postgres://x"), accept_asynchronous_standby: false };
        let both = StoreSettings::RedisPostgres { redis: redis.clone(), database: database.clone() };
        for (stores, shared) in [
            (StoreSettings::Embedded, false),
            (StoreSettings::Redis { redis }, false),
            (both, true),
            (StoreSettings::Postgres { database }, true),
        ] {
            assert_eq!(stores.are_shared(), shared, "{stores:?}");
        }
    }
}
