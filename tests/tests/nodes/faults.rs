//! What happens to the nodes, their servers and the networks between them while patients press.
//! Must not know: what patients ask, what must be true afterwards.

use std::time::Duration;

use blackbox::cluster::{Cluster, LEASE};
use servers::Direction;

use super::storm::pause;

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: what a day's figures are compared with.
    Nothing,
    /// A node is killed, and started again after its lease has ended.
    Killed,
    /// A node is killed, and started again at once.
    KilledBriefly,
    /// A node is paused beyond its lease, and goes on as if nothing had been.
    Paused,
    /// What a node sends to PostgreSQL does not arrive, or what PostgreSQL answers.
    PostgresUnheard(Direction),
    /// The same with Redis.
    RedisUnheard(Direction),
    /// The primary of Redis dies with what it has not copied yet, and a replica takes its place.
    RedisForgets,
    /// Redis is killed and started again on its files.
    RedisRestarts,
    /// Each node in turn is ended and started again.
    Rolling,
    /// A fourth node joins; then one leaves.
    JoinAndLeave,
}

/// How long Redis writes what no replica gets.
const FORGOTTEN: Duration = Duration::from_secs(1);
/// Between parts of a fault, so that patients meet each of them.
const A_WHILE: Duration = Duration::from_millis(700);

impl Fault {
    /// As the table names it.
    pub fn name(self) -> String {
        match self {
            Self::Nothing => "none".to_owned(),
            Self::Killed => "owner killed, back after its lease".to_owned(),
            Self::KilledBriefly => "owner killed, back at once".to_owned(),
            Self::Paused => "owner paused for two leases".to_owned(),
            Self::PostgresUnheard(way) => format!("PostgreSQL cut for two leases, {}", way_of(way)),
            Self::RedisUnheard(way) => format!("Redis cut for two leases, {}", way_of(way)),
            Self::RedisForgets => "Redis failed over, last second lost".to_owned(),
            Self::RedisRestarts => "Redis killed and restarted".to_owned(),
            Self::Rolling => "rolling restart".to_owned(),
            Self::JoinAndLeave => "a node joins, one leaves".to_owned(),
        }
    }

    /// What some node says if this has happened to it, rather than nothing at all.
    pub fn trace(self) -> Option<&'static str> {
        match self {
            Self::Nothing | Self::KilledBriefly | Self::RedisUnheard(_) | Self::RedisRestarts | Self::JoinAndLeave => {
                None
            }
            Self::Killed => Some("shards are claimed"),
            Self::Paused | Self::PostgresUnheard(_) => Some("the lease of this node has ended"),
            Self::RedisForgets => Some("Redis had forgotten records of a day; they are put back"),
            Self::Rolling => Some("every shard is handed on"),
        }
    }

    /// Lets it happen, and waits until everything is well again.
    pub async fn strike(self, cluster: &mut Cluster, run: usize) {
        pause(A_WHILE).await;
        let node = run % cluster.size();
        match self {
            Self::Nothing => pause(A_WHILE).await,
            Self::Killed => {
                cluster.kill(node).await;
                pause(LEASE * 2).await;
                cluster.start_again(node).await;
            }
            Self::KilledBriefly => {
                cluster.kill(node).await;
                cluster.start_again(node).await;
            }
            Self::Paused => {
                cluster.stop(node);
                pause(LEASE * 2).await;
                cluster.resume(node);
            }
            Self::PostgresUnheard(way) => {
                cluster.to_postgres(node).stall(way);
                pause(LEASE * 2).await;
                cluster.to_postgres(node).heal();
            }
            Self::RedisUnheard(way) => {
                cluster.to_redis(node).stall(way);
                pause(LEASE * 2).await;
                cluster.to_redis(node).heal();
            }
            Self::RedisForgets => {
                cluster.redis_mut().hold_replication();
                pause(FORGOTTEN).await;
                cluster.fail_redis_over().await;
            }
            Self::RedisRestarts => cluster.redis_mut().primary_mut().restart().await,
            Self::Rolling => roll(cluster).await,
            Self::JoinAndLeave => {
                cluster.join().await;
                cluster.settled().await;
                cluster.leave(node).await;
            }
        }
        cluster.settled().await;
        pause(A_WHILE).await;
    }
}

async fn roll(cluster: &mut Cluster) {
    for node in 0..cluster.size() {
        cluster.end(node).await;
        cluster.start_again(node).await;
        cluster.settled().await;
    }
}

fn way_of(direction: Direction) -> &'static str {
    match direction {
        Direction::Requests => "requests",
        Direction::Answers => "answers",
        Direction::Both => "both ways",
    }
}
