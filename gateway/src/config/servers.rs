//! The settings of what is beyond this process: stores on other servers, other nodes, the feed. Which go together, and which do not.
//! Must not know: how servers are talked to, how nodes are.

use std::net::SocketAddr;
use std::path::PathBuf;

use engine::config::{
    DatabaseSettings, FEED_EVENTS_MAX_DEFAULT, FeedSettings, LEASE_MILLIS_DEFAULT, NodeSettings, RedisSettings,
    StoreSettings,
};

use super::KeySource;
use super::values::Reader;

const REDIS_SCHEMES: [&str; 2] = ["redis", "rediss"];
const DATABASE_SCHEMES: [&str; 2] = ["postgres", "postgresql"];
const NATS_SCHEMES: [&str; 2] = ["nats", "tls"];
/// Most Redis servers that are named: a cluster tells the rest of its nodes by itself.
const REDIS_URLS_MAX: usize = 64;

/// How nodes reach each other.
#[derive(Clone, Debug)]
pub(crate) struct NodesSettings {
    /// Where this one listens for the others; port 0 takes any free one.
    pub(crate) listen: SocketAddr,
    /// Files of mutual TLS; `None`: plain HTTP.
    pub(crate) tls: Option<NodeTlsFiles>,
}

/// PEM files of mutual TLS between nodes.
#[derive(Clone, Debug)]
pub(crate) struct NodeTlsFiles {
    /// This node's certificate, with those between it and the authority.
    pub(crate) certificate: PathBuf,
    /// The certificate's key.
    pub(crate) key: PathBuf,
    /// The operator's own authority: every node's certificate is of it.
    pub(crate) authority: PathBuf,
}

/// Where the journal and the ledger are.
pub(super) fn stores(reader: &mut Reader<'_>) -> StoreSettings {
    let redis = redis(reader);
    let database = database(reader);
    match (redis, database) {
        (None, None) => StoreSettings::Embedded,
        (Some(redis), None) => StoreSettings::Redis { redis },
        (Some(redis), Some(database)) => StoreSettings::RedisPostgres { redis, database },
        (None, Some(database)) => StoreSettings::Postgres { database },
    }
}

fn redis(reader: &mut Reader<'_>) -> Option<RedisSettings> {
    let is_given = reader.is_given("redis_url");
    let replicas = reader.number("redis_replicas", 0, 0..=16) as u32;
    let accept_appendfsync_no = reader.switch("redis_accept_appendfsync_no");
    for name in ["redis_replicas", "redis_accept_appendfsync_no"] {
        if !is_given && (replicas > 0 || accept_appendfsync_no) && reader.is_given(name) {
            reader.mistake(name, "means nothing without redis_url");
        }
    }
    let urls = reader.server_urls("redis_url", &REDIS_SCHEMES, REDIS_URLS_MAX)?;
    Some(RedisSettings { urls, replicas, accept_appendfsync_no })
}

fn database(reader: &mut Reader<'_>) -> Option<DatabaseSettings> {
    let is_given = reader.is_given("database_url");
    let accept_asynchronous_standby = reader.switch("database_accept_asynchronous_standby");
    if accept_asynchronous_standby && !is_given {
        reader.mistake("database_accept_asynchronous_standby", "means nothing without database_url");
    }
    let url = reader.server_url("database_url", &DATABASE_SCHEMES)?;
    Some(DatabaseSettings { url, accept_asynchronous_standby })
}

/// This process as one of several, as the engine is to know it.
pub(super) fn node(reader: &mut Reader<'_>) -> NodeSettings {
    let lease_millis = reader.number("lease_millis", LEASE_MILLIS_DEFAULT, 300..=60_000);
    let address = reader.host_and_port("node_address");
    let is_listening = reader.is_given("node_listen");
    if address.is_some() && !is_listening {
        reader.mistake("node_address", "means nothing without node_listen");
    }
    NodeSettings { address, lease_millis }
}

/// How nodes reach each other; `None`: this is the only one.
pub(super) fn nodes(reader: &mut Reader<'_>, engine: &engine::EngineConfig, key: &KeySource) -> Option<NodesSettings> {
    let tls = node_tls(reader);
    let is_given = reader.is_given("node_listen");
    if tls.is_some() && !is_given {
        reader.mistake("node_tls_cert", "means nothing without node_listen");
    }
    let listen = reader.address("node_listen")?;
    if !reader.is_given("database_url") {
        reader.mistake("node_listen", "several nodes need database_url: who owns what is kept there");
    }
    if matches!(key, KeySource::DataDirectory) {
        reader.mistake(
            "node_listen",
            "several nodes need one key of tokens: give jwt_key_file or jwt_key, the same everywhere",
        );
    }
    if listen.ip().is_unspecified() && engine.node.address.is_none() {
        reader.mistake(
            "node_listen",
            "is every address of this machine; say by node_address where the other nodes reach it",
        );
    }
    Some(NodesSettings { listen, tls })
}

fn node_tls(reader: &mut Reader<'_>) -> Option<NodeTlsFiles> {
    let names = ["node_tls_cert", "node_tls_key", "node_tls_ca"];
    let [certificate, key, authority] = names.map(|name| reader.optional_text(name).map(PathBuf::from));
    if let (Some(certificate), Some(key), Some(authority)) = (&certificate, &key, &authority) {
        let (certificate, key, authority) = (certificate.clone(), key.clone(), authority.clone());
        return Some(NodeTlsFiles { certificate, key, authority });
    }
    let missing = names.into_iter().filter(|name| !reader.is_given(name)).collect::<Vec<_>>();
    if missing.len() < names.len() {
        for name in missing {
            reader.mistake(name, "is missing: node_tls_cert, node_tls_key and node_tls_ca go together");
        }
    }
    None
}

/// Where changes are announced beyond the nodes.
pub(super) fn feed(reader: &mut Reader<'_>) -> FeedSettings {
    FeedSettings {
        redis: reader.server_url("feed_redis_url", &REDIS_SCHEMES),
        nats: reader.server_url("feed_nats_url", &NATS_SCHEMES),
        events_max: reader.number("feed_events_max", FEED_EVENTS_MAX_DEFAULT, 1_000..=1_000_000_000),
    }
}
