//! A Redis cluster of six nodes: three primaries with a replica each.
//! Must not know: what is stored in which slot.

use std::process::Command;
use std::time::Duration;

use super::{AppendFsync, Redis, RedisOptions, line_of};
use crate::launch::find;
use crate::wait::until;

const NODES: usize = 6;
const SLOTS: &str = "16384";
const JOIN_DEADLINE: Duration = Duration::from_secs(40);
/// A failover takes the node timeout and one or two seconds; a busy machine more.
const FAILOVER_DEADLINE: Duration = Duration::from_secs(30);
/// No user has that name: a replica that uses it is turned away, each time anew.
const TURNED_AWAY: &str = "nobody";

/// How a cluster is configured.
#[derive(Clone, Debug)]
pub struct RedisClusterOptions {
    /// How long a node must be silent before the others take it for dead, and how long a primary serves on without a
    /// majority. By default two seconds: less, and a machine that is busy fails over for nothing.
    pub node_timeout_ms: u64,
    /// Options of each node.
    pub node: RedisOptions,
}

impl Default for RedisClusterOptions {
    fn default() -> Self {
        let node = RedisOptions { append_fsync: AppendFsync::EverySecond, ..RedisOptions::default() };
        Self { node_timeout_ms: 2_000, node }
    }
}

/// A cluster.
///
/// ```no_run
/// # async fn example() {
/// let mut cluster = servers::RedisCluster::start().await;
/// let slot = cluster.slot_of("{day}:journal").await;
/// let killed = cluster.kill_primary_of(slot).await;
/// let primary = cluster.wait_for_failover(slot, killed).await;
/// assert_ne!(primary, killed);
/// # }
/// ```
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

/// One line of `CLUSTER NODES`.
#[derive(Debug)]
struct Seen {
    id: String,
    port: u16,
    is_primary: bool,
    is_well: bool,
    primary_id: String,
    slots: Vec<(u16, u16)>,
}

impl RedisCluster {
    /// Starts with the default options.
    pub async fn start() -> Self {
        Self::start_with(RedisClusterOptions::default()).await
    }

    /// Starts six nodes, joins them, and waits until all of them agree and every replica is in step.
    pub async fn start_with(options: RedisClusterOptions) -> Self {
        let node_timeout_ms = options.node_timeout_ms.to_string();
        // A replica that has been without its primary for long may take its place nevertheless (validity factor 0).
        let node = options
            .node
            .with("cluster-enabled", "yes")
            .with("cluster-node-timeout", &node_timeout_ms)
            .with("cluster-replica-validity-factor", "0");
        let mut nodes: Vec<Redis> = (0..NODES).map(|_| Redis::launch(&node)).collect();
        for node in &mut nodes {
            node.wait_until_ready().await;
        }
        let addresses: Vec<String> = nodes.iter().map(|node| node.address().to_string()).collect();
        let mut command = Command::new(find("redis-cli", "redis-tools"));
        command.args(["--cluster", "create"]).args(addresses).args(["--cluster-replicas", "1", "--cluster-yes"]);
        let output =
            tokio::time::timeout(JOIN_DEADLINE, tokio::process::Command::from(command).kill_on_drop(true).output());
        let output = output.await.expect("redis-cli creates a cluster in time").expect("redis-cli can be started");
        assert!(output.status.success(), "redis-cli: {}", String::from_utf8_lossy(&output.stdout));
        let mut cluster = Self { nodes };
        cluster.wait_until_whole().await;
        cluster
    }

    /// The addresses of all nodes, also of those that are gone.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Redis::url).collect()
    }

    /// A node.
    pub fn node(&self, index: usize) -> &Redis {
        &self.nodes[index]
    }

    /// A node, to kill, stop or restart it.
    pub fn node_mut(&mut self, index: usize) -> &mut Redis {
        &mut self.nodes[index]
    }

    /// The slot of a key.
    pub async fn slot_of(&mut self, key: &str) -> u16 {
        let witness = (0..NODES).find(|&index| self.nodes[index].process.is_awake()).expect("a node runs");
        self.nodes[witness].call(&["CLUSTER", "KEYSLOT", key]).await
    }

    /// The index of the slot's primary, as most of the running nodes see it; `None` while they know none.
    pub async fn primary_of(&mut self, slot: u16) -> Option<usize> {
        let running: Vec<usize> = (0..NODES).filter(|&index| self.nodes[index].process.is_awake()).collect();
        let mut votes = [0_usize; NODES];
        for &index in &running {
            let seen = self.seen_by(index).await?;
            let holds =
                |node: &&Seen| node.is_primary && node.slots.iter().any(|&(from, to)| (from..=to).contains(&slot));
            if let Some(primary) = seen.iter().find(holds).and_then(|node| self.index_of(node.port)) {
                votes[primary] += 1;
            }
        }
        (0..NODES).find(|&index| votes[index] * 2 > running.len())
    }

    /// The index of a replica of the slot's primary.
    pub async fn replica_of(&mut self, slot: u16) -> Option<usize> {
        let primary = self.primary_of(slot).await?;
        let seen = self.seen_by(primary).await?;
        let primary_port = self.nodes[primary].port.number();
        let id = &seen.iter().find(|node| node.port == primary_port)?.id;
        let replica = seen.iter().find(|node| node.primary_id == *id && node.is_well)?;
        self.index_of(replica.port)
    }

    /// Writes to this slot reach no replica from now on: the next failover loses them. The primary goes on answering.
    pub async fn hold_replication_of(&mut self, slot: u16) {
        let index = self.replica_of(slot).await.expect("the slot's primary has a replica");
        let replica = &self.nodes[index];
        let () = replica.call(&["CONFIG", "SET", "masteruser", TURNED_AWAY, "masterauth", TURNED_AWAY]).await;
        let _: i64 = replica.call(&["CLIENT", "KILL", "TYPE", "master"]).await;
        let look = async || {
            let information: String = replica.try_call(&["INFO", "replication"]).await.ok()?;
            (line_of(&information, "master_link_status")? == "down").then_some(())
        };
        assert!(until(FAILOVER_DEADLINE, look).await.is_some(), "{} still follows", replica.process.name());
    }

    /// Replication to the replica of the slot's primary goes on: what was held arrives.
    pub async fn release_replication_of(&mut self, slot: u16) {
        let index = self.replica_of(slot).await.expect("the slot's primary has a replica");
        self.let_follow(index).await;
    }

    async fn let_follow(&self, index: usize) {
        let () = self.nodes[index].call(&["CONFIG", "SET", "masteruser", "", "masterauth", ""]).await;
    }

    /// SIGKILL to the primary of the slot; answers its index.
    pub async fn kill_primary_of(&mut self, slot: u16) -> usize {
        let primary = self.primary_of(slot).await.expect("the slot has a primary");
        self.nodes[primary].kill().await;
        primary
    }

    /// SIGSTOP to the primary of the slot; answers its index.
    pub async fn stop_primary_of(&mut self, slot: u16) -> usize {
        let primary = self.primary_of(slot).await.expect("the slot has a primary");
        self.nodes[primary].stop().await;
        primary
    }

    /// Waits until the running nodes agree on another primary than `before` for the slot, and all serve; answers its index.
    pub async fn wait_for_failover(&mut self, slot: u16, before: usize) -> usize {
        let found = until(FAILOVER_DEADLINE, async || {
            let witnesses: Vec<usize> =
                (0..NODES).filter(|&index| index != before && self.nodes[index].process.is_awake()).collect();
            let mut primaries = Vec::new();
            for index in witnesses {
                let information: String = self.nodes[index].try_call(&["CLUSTER", "INFO"]).await.ok()?;
                let seen = self.seen_by(index).await?;
                let holds = |node: &&Seen| {
                    node.is_primary && node.is_well && node.slots.iter().any(|&(from, to)| (from..=to).contains(&slot))
                };
                let primary = self.index_of(seen.iter().find(holds)?.port)?;
                if line_of(&information, "cluster_state")? != "ok" || primary == before {
                    return None;
                }
                primaries.push(primary);
            }
            let primary = *primaries.first()?;
            primaries.iter().all(|&other| other == primary).then_some(primary)
        });
        let found = found.await;
        let primary =
            found.unwrap_or_else(|| panic!("no failover of slot {slot} within {FAILOVER_DEADLINE:?}: {}", self.logs()));
        // It may have to follow another one day.
        self.let_follow(primary).await;
        primary
    }

    /// Waits until every node runs, all agree on every slot, and every replica is in step.
    pub async fn wait_until_whole(&mut self) {
        let whole = until(JOIN_DEADLINE, async || {
            for (index, node) in self.nodes.iter().enumerate() {
                let information: String = node.try_call(&["CLUSTER", "INFO"]).await.ok()?;
                let serves = line_of(&information, "cluster_state")? == "ok"
                    && line_of(&information, "cluster_slots_ok")? == SLOTS
                    && is_whole(&self.seen_by(index).await?);
                let replication: String = node.try_call(&["INFO", "replication"]).await.ok()?;
                let in_step = line_of(&replication, "master_link_status").is_none_or(|status| status == "up")
                    && (line_of(&replication, "role")? == "slave" || line_of(&replication, "connected_slaves")? == "1");
                if !serves || !in_step {
                    return None;
                }
            }
            Some(())
        });
        let whole = whole.await;
        assert!(whole.is_some(), "the cluster is not whole within {JOIN_DEADLINE:?}: {}", self.logs());
    }

    fn index_of(&self, port: u16) -> Option<usize> {
        self.nodes.iter().position(|node| node.port.number() == port)
    }

    async fn seen_by(&self, index: usize) -> Option<Vec<Seen>> {
        let text: String = self.nodes[index].try_call(&["CLUSTER", "NODES"]).await.ok()?;
        text.lines().map(Seen::parse).collect()
    }

    fn logs(&self) -> String {
        let logs = self.nodes.iter().map(|node| format!("{}\n{}", node.process.name(), node.process.last_lines()));
        logs.collect::<Vec<_>>().join("\n")
    }
}

/// Whether a node sees six nodes that are well: three primaries with slots, each with one replica.
fn is_whole(seen: &[Seen]) -> bool {
    let primaries: Vec<&Seen> = seen.iter().filter(|node| node.is_primary && !node.slots.is_empty()).collect();
    let replicas_of = |primary: &Seen| seen.iter().filter(|node| node.primary_id == primary.id).count();
    seen.len() == NODES
        && seen.iter().all(|node| node.is_well)
        && primaries.len() == NODES / 2
        && primaries.iter().all(|primary| replicas_of(primary) == 1)
}

impl Seen {
    /// `id ip:port@bus flags primary ping pong epoch link slot slot …`
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        let (address, flags) = (words.get(1)?.split('@').next()?, words.get(2)?);
        let slots = words.iter().skip(8).filter(|word| !word.starts_with('['));
        let slots = slots.filter_map(|word| {
            let (from, to) = word.split_once('-').unwrap_or((word, word));
            Some((from.parse().ok()?, to.parse().ok()?))
        });
        Some(Self {
            id: (*words.first()?).to_owned(),
            port: address.rsplit_once(':')?.1.parse().ok()?,
            is_primary: flags.split(',').any(|flag| flag == "master"),
            is_well: !flags.split(',').any(|flag| matches!(flag, "fail" | "fail?" | "handshake" | "noaddr")),
            primary_id: (*words.get(3)?).to_owned(),
            slots: slots.collect(),
        })
    }
}
