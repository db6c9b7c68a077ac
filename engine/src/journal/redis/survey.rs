//! Looks at how the servers are set before anything is trusted to them, and says in words what they promise.
//! Must not know: records, shards.

use std::time::Duration;

use redis::Value;

use super::RedisSettings;
use super::link::Link;
use super::network::{LOOK_DEADLINE, Network};
use super::topology::{Address, command, field, list, text};

/// The first version with functions.
const MAJOR_VERSION_MIN: u32 = 7;

/// What was found.
#[derive(Debug)]
pub(super) struct Survey {
    /// For an operator.
    pub(super) promise: String,
    /// `None` without a cluster, or if it is not told.
    pub(super) cluster_node_timeout: Option<Duration>,
}

/// How one server is set. `None`: it does not tell.
#[derive(Debug, Default)]
struct Server {
    major_version: u32,
    is_appending: bool,
    appendfsync: Option<String>,
    save: Option<String>,
    eviction: String,
    replicas: usize,
    min_replicas: Option<usize>,
    node_timeout_millis: Option<u64>,
}

/// Looks at every server that takes writes; in words, why one cannot be used.
pub(super) async fn survey(network: &Network, settings: &RedisSettings) -> Result<Survey, String> {
    let mut servers = Vec::new();
    for address in network.masters() {
        let server = look(&network.link(&address)).await.map_err(|reason| format!("{}: {reason}", name(&address)))?;
        require(&server, settings).map_err(|reason| format!("{}: {reason}", name(&address)))?;
        servers.push(server);
    }
    let timeouts = servers.iter().filter_map(|server| server.node_timeout_millis);
    let cluster_node_timeout = timeouts.max().filter(|_| network.is_cluster()).map(Duration::from_millis);
    Ok(Survey { promise: promise(&servers, settings, network.is_cluster()), cluster_node_timeout })
}

fn name(address: &Address) -> String {
    format!("{}:{}", address.0, address.1)
}

async fn look(link: &Link) -> Result<Server, String> {
    let mut info = String::new();
    for section in ["server", "persistence", "memory", "replication"] {
        let answer = link.ask(&command(&["INFO", section]), LOOK_DEADLINE).await?;
        info.push_str(text(&answer).unwrap_or_default());
    }
    let told = |name: &str| field(&info, name).unwrap_or_default();
    let version = told("redis_version").split('.').next().and_then(|major| major.parse().ok());
    Ok(Server {
        major_version: version.ok_or("its version is not told")?,
        is_appending: told("aof_enabled") == "1",
        appendfsync: setting(link, "appendfsync").await,
        save: setting(link, "save").await,
        eviction: told("maxmemory_policy").to_owned(),
        replicas: told("connected_slaves").parse().unwrap_or(0),
        min_replicas: setting(link, "min-replicas-to-write").await.and_then(|value| value.parse().ok()),
        node_timeout_millis: setting(link, "cluster-node-timeout").await.and_then(|value| value.parse().ok()),
    })
}

/// A setting, unless the server does not tell: where others run it, CONFIG is often forbidden.
async fn setting(link: &Link, name: &str) -> Option<String> {
    let answer = link.ask(&command(&["CONFIG", "GET", name]), LOOK_DEADLINE).await.ok()?;
    let value = match &answer {
        Value::Map(pairs) => text(&pairs.first()?.1),
        other => text(list(other)?.get(1)?),
    };
    value.map(str::to_owned)
}

/// Why the server cannot be used, in words, if so.
fn require(server: &Server, settings: &RedisSettings) -> Result<(), String> {
    if server.major_version < MAJOR_VERSION_MIN {
        return Err(format!(
            "Redis {} has no functions: version {MAJOR_VERSION_MIN} or later is needed",
            server.major_version
        ));
    }
    if server.eviction != "noeviction" {
        return Err(format!(
            "maxmemory-policy is `{}`: Redis would throw bookings away when its memory is full. Set it to `noeviction`",
            server.eviction
        ));
    }
    if server.replicas < settings.replicas_min {
        let (has, wanted) = (server.replicas, settings.replicas_min);
        return Err(format!(
            "{has} replicas are in touch and {wanted} must have every record before it is acknowledged"
        ));
    }
    let weakness = match (server.is_appending, server.appendfsync.as_deref()) {
        (false, _) => "`appendonly no`: what was acknowledged is gone when Redis ends",
        (true, Some("no")) => {
            "`appendfsync no`: what was acknowledged may be gone when its machine fails, up to half a minute of it"
        }
        (true, None) => {
            "it does not tell its `appendfsync` (CONFIG is forbidden): nobody knows what a failure of its machine leaves"
        }
        (true, Some(_)) => return Ok(()),
    };
    if settings.accept_appendfsync_no {
        Ok(())
    } else {
        Err(format!("{weakness}. Change it, or accept it in the configuration"))
    }
}

/// What an acknowledged record survives with the weakest of `servers`.
fn promise(servers: &[Server], settings: &RedisSettings, is_cluster: bool) -> String {
    let all = |condition: &dyn Fn(&Server) -> bool| servers.iter().all(condition);
    let disk = if !all(&|server| server.is_appending) {
        let saves = servers.iter().any(|server| server.save.as_deref().is_some_and(|save| !save.is_empty()));
        if saves {
            "only its snapshots survive the end of a Redis process (appendonly no)"
        } else {
            "nothing survives the end of a Redis process (appendonly no)"
        }
    } else if all(&|server| server.appendfsync.as_deref() == Some("always")) {
        "an acknowledged booking survives the loss of power of a primary whose disk is honest (appendfsync always)"
    } else if all(&|server| matches!(server.appendfsync.as_deref(), Some("always" | "everysec"))) {
        "an acknowledged booking survives the end of a Redis process; a loss of power takes up to a second of them (appendfsync everysec)"
    } else {
        "what a loss of power leaves is not known (appendfsync no, or not told)"
    };
    let replicas = match settings.replicas_min {
        0 => "no replica is waited for: a failover loses what had not reached it".to_owned(),
        count => {
            let isolated = if all(&|server| server.min_replicas.is_some_and(|min| min >= count)) {
                ""
            } else {
                " Set min-replicas-to-write to the same number, so that an isolated primary stops."
            };
            format!("{count} replica(s) have it in memory before it is acknowledged (WAIT).{isolated}")
        }
    };
    let shape = if is_cluster { "Redis Cluster" } else { "Redis" };
    format!(
        "{shape}: {disk}. {replicas} After a failover or restart that forgot the end, it is put back from the memory of the owner and from \
         the ledger's copy. Lost is, and is then told as lost, what was acknowledged and is not on the server that took over, not yet in \
         the ledger, and whose owner is gone: the window is the ledger's lag. Whoever needs none takes the journal on PostgreSQL."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Server {
        let appendfsync = Some("always".to_owned());
        Server {
            major_version: 7,
            is_appending: true,
            appendfsync,
            eviction: "noeviction".to_owned(),
            ..Server::default()
        }
    }

    #[test]
    fn what_forgets_on_purpose_is_refused_unless_it_is_accepted() {
        let settings = RedisSettings::new(Vec::new(), uuid::Uuid::nil());
        assert_eq!(require(&sound(), &settings), Ok(()));
        let weak = [
            Server { is_appending: false, ..sound() },
            Server { appendfsync: Some("no".to_owned()), ..sound() },
            Server { appendfsync: None, ..sound() },
        ];
        let accepting = RedisSettings { accept_appendfsync_no: true, ..settings.clone() };
        for server in weak {
            assert!(require(&server, &settings).is_err() && require(&server, &accepting).is_ok(), "{server:?}");
        }
        let never = [Server { eviction: "allkeys-lru".to_owned(), ..sound() }, Server { major_version: 6, ..sound() }];
        never.iter().for_each(|server| assert!(require(server, &accepting).is_err(), "{server:?}"));
        assert!(require(&sound(), &RedisSettings { replicas_min: 1, ..settings }).is_err());
    }
}
