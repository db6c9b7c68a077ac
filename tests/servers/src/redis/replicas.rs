//! A Redis primary with replicas behind a network that can lose what was not yet copied.
//! Must not know: clusters, which choose their primaries themselves.

use std::time::Duration;

use super::{Redis, RedisOptions, line_of};
use crate::process::OldPrimary;
use crate::proxy::{Direction, Proxy};
use crate::wait::until;

const SYNC_DEADLINE: Duration = Duration::from_secs(20);

/// A primary and its replicas. Each replica follows through a [`Proxy`], so that replication can be held or cut.
///
/// ```no_run
/// # async fn example() {
/// use servers::{OldPrimary, RedisOptions, ReplicaPair};
///
/// let mut pair = ReplicaPair::start(RedisOptions::default(), 1).await;
/// pair.hold_replication();
/// let () = pair.primary().call(&["SET", "confirmed", "yes"]).await;
/// // The replica has never heard of it.
/// pair.promote(0, OldPrimary::Killed).await;
/// let forgotten: Option<String> = pair.primary().call(&["GET", "confirmed"]).await;
/// assert_eq!(forgotten, None);
/// # }
/// ```
#[derive(Debug)]
pub struct ReplicaPair {
    primary: Redis,
    replicas: Vec<Replica>,
    former: Vec<Redis>,
}

#[derive(Debug)]
struct Replica {
    server: Redis,
    link: Proxy,
}

impl ReplicaPair {
    /// Starts a primary and as many replicas, all configured alike, and waits until the replicas are in step.
    pub async fn start(options: RedisOptions, replicas: usize) -> Self {
        let primary = Redis::start_with(options.clone()).await;
        let mut started = Vec::new();
        for _ in 0..replicas {
            let (server, link) = (Redis::start_with(options.clone()).await, Proxy::in_front_of(primary.address()));
            let (host, port) = (link.address().ip().to_string(), link.address().port().to_string());
            let () = server.call(&["REPLICAOF", &host, &port]).await;
            started.push(Replica { server, link });
        }
        let pair = Self { primary, replicas: started, former: Vec::new() };
        pair.wait_until_in_step().await;
        pair
    }

    /// The primary of now.
    pub fn primary(&self) -> &Redis {
        &self.primary
    }

    /// The primary of now, to kill or to stop it.
    pub fn primary_mut(&mut self) -> &mut Redis {
        &mut self.primary
    }

    /// A replica.
    pub fn replica(&self, index: usize) -> &Redis {
        &self.replicas[index].server
    }

    /// A replica, to kill or to stop it.
    pub fn replica_mut(&mut self, index: usize) -> &mut Redis {
        &mut self.replicas[index].server
    }

    /// The primaries of before, oldest first; killed, stopped or isolated, as `promote` was told.
    pub fn former_mut(&mut self) -> &mut [Redis] {
        &mut self.former
    }

    /// The network between the primary and that replica: the replica's requests, the primary's answers.
    pub fn link(&self, index: usize) -> &Proxy {
        &self.replicas[index].link
    }

    /// The address of the primary of now.
    pub fn url(&self) -> String {
        self.primary.url()
    }

    /// The addresses of the primary, then of the replicas.
    pub fn urls(&self) -> Vec<String> {
        let replicas = self.replicas.iter().map(|replica| replica.server.url());
        std::iter::once(self.url()).chain(replicas).collect()
    }

    /// From now on no write reaches a replica. The primary does not know, and goes on answering.
    pub fn hold_replication(&self) {
        for replica in &self.replicas {
            replica.link.stall(Direction::Both);
        }
    }

    /// What was held arrives.
    pub fn release_replication(&self) {
        for replica in &self.replicas {
            replica.link.heal();
        }
    }

    /// Waits until every replica has all that the primary has now.
    pub async fn wait_until_in_step(&self) {
        for replica in &self.replicas {
            let look = async || {
                let (ours, theirs) = (offset_of(&self.primary).await?, offset_of(&replica.server).await?);
                (ours == theirs).then_some(())
            };
            let in_step = until(SYNC_DEADLINE, look).await;
            assert!(in_step.is_some(), "a replica is not in step; its log:\n{}", replica.server.process.last_lines());
        }
    }

    /// Makes that replica the primary, with what it has: writes that replication held are lost. The others follow it.
    pub async fn promote(&mut self, index: usize, old_primary: OldPrimary) {
        for replica in &self.replicas {
            replica.link.cut();
        }
        match old_primary {
            OldPrimary::Killed => self.primary.kill().await,
            OldPrimary::Stopped => self.primary.stop().await,
            OldPrimary::Isolated => {}
        }
        let Replica { server, .. } = self.replicas.remove(index);
        let () = server.call(&["REPLICAOF", "NO", "ONE"]).await;
        self.former.push(std::mem::replace(&mut self.primary, server));
        for replica in &self.replicas {
            replica.link.lead_to(self.primary.address());
            replica.link.heal();
        }
        self.wait_until_in_step().await;
    }
}

/// How far a server's history goes; `None` for a replica without a primary.
async fn offset_of(server: &Redis) -> Option<(String, u64)> {
    let information: String = server.try_call(&["INFO", "replication"]).await.ok()?;
    if line_of(&information, "role")? == "slave" && line_of(&information, "master_link_status")? != "up" {
        return None;
    }
    let history = line_of(&information, "master_replid")?.to_owned();
    Some((history, line_of(&information, "master_repl_offset")?.parse().ok()?))
}
