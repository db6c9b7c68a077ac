//! Real servers for tests, from the distribution's packages: Redis (alone, replicated, as a cluster), PostgreSQL (alone,
//! with a synchronous standby), NATS, Prometheus, and a proxy that plays the network between them and their clients.
//! Must not know: anything of the program that is tested with them.
//!
//! Every server listens on a free port of the loopback, keeps its data in a temporary directory, and ends with the value
//! that stands for it, or with the test process, however that ends. Nothing here touches a server that runs already. A
//! server that does not come up panics, and shows the last lines of its log; a missing program names its package.
//!
//! Two signals stand for two kinds of trouble: `kill` (SIGKILL: the process is gone, its files stay) and `stop` (SIGSTOP:
//! a pause, as of a machine that swaps or a virtual machine that is moved; connections stay open and nothing answers).
//! A network that loses touch is [`Proxy`].
//!
//! ```no_run
//! # async fn example() {
//! use servers::{Direction, Postgres, Proxy};
//!
//! let mut postgres = Postgres::start().await;
//! let url = postgres.create_database().await;
//! let proxy = Proxy::in_front_of(postgres.address());
//! let url_through_proxy = proxy.through(&url);
//! // ... connect to `url_through_proxy`, then: requests arrive, answers do not.
//! proxy.stall(Direction::Answers);
//! proxy.heal();
//! postgres.kill().await;
//! postgres.restart().await;
//! # }
//! ```

mod guard;
mod launch;
mod nats;
mod port;
mod postgres;
mod process;
mod prometheus;
mod proxy;
mod redis;
mod wait;

pub use nats::Nats;
pub use postgres::{Postgres, PostgresOptions, SynchronousPair};
pub use process::OldPrimary;
pub use prometheus::{Prometheus, promtool};
pub use proxy::{Direction, Proxy};
pub use redis::{AppendFsync, Redis, RedisCluster, RedisClusterOptions, RedisOptions, ReplicaPair};
