//! Sends commands of shards to the servers that have them, and follows when a shard has moved.
//! Must not know: what the commands mean, what an owner does about an answer.
//!
//! What is certainly not done is sent again, to whoever has the shard by then, until the deadline: a server that has the slot no
//! more, is not ready, lacks the functions, or cannot be reached. What may have been done is never sent again here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use redis::{Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisError, RedisResult, Value};
use tokio::runtime::Handle;

use super::link::{Broken, Lane, Link, words};
use super::topology::{Address, Topology, command, field, number, text};
use crate::clock::Clock;

/// The functions, as every master has to have them.
const LIBRARY: &str = include_str!("library.lua");

/// Between two tries to reach a shard that is on the move.
const RETRY_PAUSE: Duration = Duration::from_millis(25);

/// Longest wait for an answer about the servers themselves.
pub(super) const LOOK_DEADLINE: Duration = Duration::from_millis(500);

/// Errors with which a server says that it has not begun: <https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors>
/// names no list; these are all that a call of a function is refused with before it runs.
const REFUSALS: [&str; 10] =
    ["MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "READONLY", "NOREPLICAS", "MISCONF", "OOM"];

/// A command for one shard.
pub(super) struct ShardCall {
    pub(super) shard: u16,
    pub(super) command: Cmd,
}

/// How a round of calls is made.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    pub(super) lane: Lane,
    /// Replicas that must have it; 0: none are asked.
    pub(super) replicas: usize,
    /// For one pipeline, the WAIT in it included.
    pub(super) limit: Duration,
    /// For all tries together.
    pub(super) patience: Duration,
}

/// What became of a [`ShardCall`].
#[derive(Debug)]
pub(super) enum Answer {
    /// The server's answer; enough replicas have it.
    Done(Value),
    /// Certainly nothing was done; or it may be done twice ([`Lane::Read`]).
    Refused(String),
    /// Nobody knows.
    Unknown(String),
}

/// The servers and where the shards are.
pub(super) struct Network {
    seeds: Vec<ConnectionInfo>,
    is_cluster: bool,
    runtime: Handle,
    clock: Arc<dyn Clock>,
    topology: ArcSwap<Topology>,
    links: parking_lot::Mutex<BTreeMap<Address, Arc<Link>>>,
    /// Servers of a cluster that did not answer: nobody waits for them until they have answered again.
    silent: parking_lot::Mutex<BTreeSet<Address>>,
}

impl Network {
    /// Looks the servers at `urls` up; in words, why that failed.
    pub(super) async fn open(urls: &[String], clock: Arc<dyn Clock>) -> Result<Self, String> {
        let mut seeds = Vec::new();
        for url in urls {
            seeds.push(url.as_str().into_connection_info().map_err(|error| words(&error))?);
        }
        let (runtime, topology) = (Handle::current(), ArcSwap::default());
        let (links, silent) = (parking_lot::Mutex::default(), parking_lot::Mutex::default());
        let mut this = Self { seeds, is_cluster: false, runtime, clock, topology, links, silent };
        let mut reason = "no server is named".to_owned();
        for address in this.seed_addresses() {
            match this.link(&address).ask(&command(&["INFO", "cluster"]), LOOK_DEADLINE).await {
                Ok(info) => {
                    this.is_cluster = text(&info).and_then(|info| field(info, "cluster_enabled")) == Some("1");
                    this.refresh().await?;
                    return Ok(this);
                }
                Err(error) => reason = format!("{}:{}: {error}", address.0, address.1),
            }
        }
        Err(reason)
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.is_cluster
    }

    /// The servers that take writes.
    pub(super) fn masters(&self) -> Vec<Address> {
        self.topology.load().masters.clone()
    }

    pub(super) fn link(&self, address: &Address) -> Arc<Link> {
        let mut links = self.links.lock();
        let link = links.entry(address.clone()).or_insert_with(|| {
            let info = self.seeds.iter().find(|seed| address_of(seed) == *address).or_else(|| self.seeds.first());
            let info = info.cloned().unwrap_or_else(|| unreachable_info(address));
            let info = match info.addr() {
                ConnectionAddr::Tcp(..) => info.set_addr(ConnectionAddr::Tcp(address.0.to_string(), address.1)),
                _ => info,
            };
            Arc::new(Link::new(info, self.runtime.clone()))
        });
        Arc::clone(link)
    }

    fn seed_addresses(&self) -> Vec<Address> {
        self.seeds.iter().map(address_of).collect()
    }

    /// Looks again where the shards are.
    pub(super) async fn refresh(&self) -> Result<(), String> {
        let before = self.topology.load_full();
        let mut asked = self.seed_addresses();
        asked.extend(before.known.iter().cloned());
        asked.sort_unstable();
        asked.dedup();
        let found = if self.is_cluster {
            self.look_at_cluster(&asked).await
        } else {
            self.look_for_primary(&asked, &before).await
        };
        let topology = found.ok_or("no server says who takes writes for all shards")?;
        if topology != *before {
            tracing::info!(masters = ?topology.masters, "the servers of the journal");
            self.topology.store(Arc::new(topology));
        }
        Ok(())
    }

    /// What the node says that has seen the latest change.
    async fn look_at_cluster(&self, asked: &[Address]) -> Option<Topology> {
        let look = async |address: &Address| {
            let commands = [command(&["CLUSTER", "INFO"]), command(&["CLUSTER", "SLOTS"])];
            let answers = self.link(address).call(Lane::Read, &commands, LOOK_DEADLINE).await.ok()?;
            let [Ok(info), Ok(slots)] = &answers[..] else { return None };
            let epoch: u64 = field(text(info)?, "cluster_current_epoch")?.parse().ok()?;
            Some((epoch, Topology::of_slots(slots, address)?))
        };
        let views = join_all(asked.iter().map(look)).await;
        views.into_iter().flatten().max_by_key(|(epoch, _)| *epoch).map(|(_, topology)| topology)
    }

    /// The server that says it is the primary; the one from before, if several do.
    async fn look_for_primary(&self, asked: &[Address], before: &Topology) -> Option<Topology> {
        let look = async |address: &Address| {
            let info = self.link(address).ask(&command(&["INFO", "replication"]), LOOK_DEADLINE).await.ok()?;
            (field(text(&info)?, "role")? == "master").then(|| address.clone())
        };
        let primaries: Vec<_> = join_all(asked.iter().map(look)).await.into_iter().flatten().collect();
        let stays = primaries.iter().find(|address| before.masters.contains(address));
        stays.or(primaries.first()).cloned().map(Topology::single)
    }

    /// Makes `calls`, those of one server in one pipeline. Answers are in the order of the calls.
    pub(super) async fn call(&self, manner: Manner, calls: &[ShardCall]) -> Vec<Answer> {
        let mut answers: Vec<Answer> = calls.iter().map(|_| Answer::Refused("not tried".to_owned())).collect();
        let mut open: Vec<usize> = (0..calls.len()).collect();
        let until = self.clock.monotonic_micros().saturating_add(manner.patience.as_micros() as u64);
        loop {
            let topology = self.topology.load_full();
            let mut groups: BTreeMap<&Address, Vec<usize>> = BTreeMap::new();
            for index in open.drain(..) {
                match topology.master_of(calls[index].shard) {
                    Some(address) => groups.entry(address).or_default().push(index),
                    None => answers[index] = Answer::Refused("no server has the shard".to_owned()),
                }
            }
            let rounds = groups.iter().map(|(address, group)| self.round(address, manner, group, calls));
            for (index, answer) in join_all(rounds).await.into_iter().flatten() {
                if matches!(answer, Answer::Refused(_)) && !self.is_silent_for(calls[index].shard, manner.lane) {
                    open.push(index);
                }
                answers[index] = answer;
            }
            if open.is_empty() || self.clock.monotonic_micros() >= until {
                return answers;
            }
            self.clock.sleep(RETRY_PAUSE).await;
            if let Err(reason) = self.refresh().await {
                tracing::warn!(%reason, "the servers of the journal were not found; trying again");
            }
        }
    }

    async fn round(
        &self,
        address: &Address,
        manner: Manner,
        group: &[usize],
        calls: &[ShardCall],
    ) -> Vec<(usize, Answer)> {
        let link = self.link(address);
        if manner.lane != Lane::Control && self.silent.lock().contains(address) {
            return group
                .iter()
                .map(|index| (*index, Answer::Refused("its server does not answer".to_owned())))
                .collect();
        }
        let mut commands: Vec<Cmd> = group.iter().map(|index| calls[*index].command.clone()).collect();
        if manner.replicas > 0 {
            // Below the limit, so that a short count is told as one.
            let millis = (manner.limit.as_millis() * 2 / 3).max(1).to_string();
            commands.push(command(&["WAIT", &manner.replicas.to_string(), &millis]));
        }
        let all = |answer: &dyn Fn() -> Answer| group.iter().map(|index| (*index, answer())).collect();
        let mut replies = match link.call(manner.lane, &commands, manner.limit).await {
            Ok(replies) => replies,
            Err(Broken { sent, reason }) => {
                self.note_silent(address, manner.lane, &reason);
                let is_unknown = sent && manner.lane != Lane::Read;
                let answer = if is_unknown { Answer::Unknown } else { Answer::Refused };
                return all(&|| answer(reason.clone()));
            }
        };
        if replies.len() != commands.len() {
            return all(&|| Answer::Unknown("a server answered to something else".to_owned()));
        }
        let short = if manner.replicas > 0 { short(replies.pop(), manner.replicas) } else { None };
        let mut lacks_library = false;
        let answer = |(index, reply): (&usize, RedisResult<Value>)| {
            let answer = match (reply, &short) {
                (Ok(_), Some(short)) => Answer::Unknown(short.clone()),
                (Ok(value), None) => Answer::Done(value),
                (Err(error), _) => {
                    let lacks = words(&error).contains("Function not found");
                    lacks_library |= lacks;
                    refused(&error, lacks)
                }
            };
            (*index, answer)
        };
        let answers = group.iter().zip(replies).map(answer).collect();
        if lacks_library && let Err(reason) = load_library(&link).await {
            tracing::warn!(%reason, "the functions could not be loaded");
        }
        answers
    }

    /// Nobody waits for a server of a cluster that did not answer. Where there is one server alone, there is nothing else to wait for.
    fn note_silent(&self, address: &Address, lane: Lane, reason: &str) {
        if self.is_cluster && lane != Lane::Control && self.silent.lock().insert(address.clone()) {
            let node = format!("{}:{}", address.0, address.1);
            tracing::warn!(node, reason, "a server of the journal does not answer; what it has stands still");
        }
    }

    /// Whether `shard` is one of `others`, or on a server with one of them.
    pub(super) fn is_beside(&self, shard: u16, others: &[u16]) -> bool {
        let topology = self.topology.load();
        let master = topology.master_of(shard);
        others.iter().any(|other| *other == shard || topology.master_of(*other) == master)
    }

    /// Whether `shard` is on `master`.
    pub(super) fn has(&self, master: &Address, shard: u16) -> bool {
        self.topology.load().master_of(shard) == Some(master)
    }

    /// Whether a call for `shard` is not worth trying again now: its server is silent, and whoever looks after that is another.
    fn is_silent_for(&self, shard: u16, lane: Lane) -> bool {
        let silent = self.silent.lock();
        lane != Lane::Control
            && !silent.is_empty()
            && self.topology.load().master_of(shard).is_some_and(|master| silent.contains(master))
    }

    /// Whether a server did not answer and has not been heard since.
    pub(super) fn has_silent(&self) -> bool {
        !self.silent.lock().is_empty()
    }

    /// Asks each silent server whether it is there, and the others where the shards are now.
    pub(super) async fn ask_silent(&self) {
        let silent: Vec<Address> = self.silent.lock().iter().cloned().collect();
        if silent.is_empty() {
            return;
        }
        let ping = [command(&["PING"])];
        let heard = join_all(silent.iter().map(async |address| {
            let answers = self.link(address).call(Lane::Control, &ping, LOOK_DEADLINE).await;
            matches!(answers.as_deref(), Ok([Ok(_)]))
        }));
        for (address, is_heard) in silent.iter().zip(heard.await) {
            if is_heard {
                let node = format!("{}:{}", address.0, address.1);
                tracing::info!(node, "a server of the journal answers again");
                self.silent.lock().remove(address);
            }
        }
        if let Err(reason) = self.refresh().await {
            tracing::warn!(%reason, "the servers of the journal were not found; trying again");
        }
    }

    /// Has every master have the functions.
    pub(super) async fn load_libraries(&self) -> Result<(), String> {
        for address in self.masters() {
            load_library(&self.link(&address))
                .await
                .map_err(|reason| format!("{}:{}: {reason}", address.0, address.1))?;
        }
        Ok(())
    }

    pub(super) async fn close(&self) {
        let links: Vec<_> = self.links.lock().values().cloned().collect();
        for link in links {
            link.close().await;
        }
    }
}

async fn load_library(link: &Link) -> Result<(), String> {
    link.ask(&command(&["FUNCTION", "LOAD", "REPLACE", LIBRARY]), LOOK_DEADLINE).await.map(|_| ())
}

fn refused(error: &RedisError, lacks_library: bool) -> Answer {
    if lacks_library || error.code().is_some_and(|code| REFUSALS.contains(&code)) {
        Answer::Refused(words(error))
    } else {
        Answer::Unknown(words(error))
    }
}

/// Why a WAIT for `wanted` replicas proves nothing, if so.
fn short(reply: Option<RedisResult<Value>>, wanted: usize) -> Option<String> {
    match reply {
        Some(Ok(reply)) => {
            let count = number(&reply).unwrap_or(0);
            (count < wanted as i64).then(|| format!("{count} of {wanted} replicas have it"))
        }
        Some(Err(error)) => Some(words(&error)),
        None => Some("no answer to WAIT".to_owned()),
    }
}

fn address_of(info: &ConnectionInfo) -> Address {
    match info.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => (host.as_str().into(), *port),
        other => (other.to_string().into(), 0),
    }
}

/// There is always a seed: [`Network::open`] fails without one.
fn unreachable_info(address: &Address) -> ConnectionInfo {
    unreachable!("no seed for {}:{}", address.0, address.1)
}
