//! A server, the stores that it depends on behind a network that can be broken, and a few days to book.
//! Must not know: what goes wrong, who books.

use std::sync::Arc;
use std::time::Duration;

use blackbox::{Day, Launch, Plan, Server, Stopwatch, Stores, Wish, eventually};
use servers::{Postgres, PostgresOptions, Proxy, Redis, RedisOptions};

use crate::away::books;
use crate::away::traffic::{Callers, Log, Traffic};

/// Days with more places than anybody asks for; each of a doctor of its own, and so in different shards.
const ROOMY_DAYS: usize = 3;
/// Places of the day that everybody wants.
const SCARCE_PLACES: usize = 24;
/// A lease, in milliseconds. Shorter than the program's own, so that what outlasts one takes seconds.
const LEASE_MILLIS: &str = "3000";
/// Longer than a lease, and than the node needs to notice.
pub const PAST_THE_LEASE: Duration = Duration::from_secs(5);
/// After the part is back, everything works by then.
const RECOVERY_DEADLINE: Duration = Duration::from_secs(20);

/// A server of one profile. The stores belong to the test.
pub struct House {
    pub server: Server,
    /// The scarce one is the last.
    pub days: Vec<Day>,
    profile: &'static str,
}

/// What a fault is expected to do.
#[derive(Clone, Copy, Default)]
pub struct Expected {
    /// Some requests are refused with 503.
    pub refuses: bool,
    /// What `healthz/ready` names.
    pub part: Option<&'static str>,
    /// Days are read with the `Age` of what is shown.
    pub ages: bool,
    /// A request may take this much longer than the bound, because the node itself stands still.
    pub pause: Duration,
}

impl House {
    /// On these servers.
    pub async fn on(redis_url: Option<&str>, database_url: &str, arguments: &[&str]) -> Self {
        let stores = Stores::elsewhere(redis_url, database_url);
        let lease = ["--lease-millis", LEASE_MILLIS];
        let arguments = arguments.iter().chain(&lease).map(|&argument| argument.to_owned()).collect();
        let launch = Launch { stores: Some(stores), arguments, ..Launch::default() };
        let server = Server::launch(launch).await;
        let mut days = Vec::new();
        for _ in 0..ROOMY_DAYS {
            days.push(server.publish(&Plan::quarters_of(4, 5_000)).await);
        }
        days.push(server.publish(&Plan::quarters(SCARCE_PLACES)).await);
        let profile = if redis_url.is_some() { "redis_postgres" } else { "postgres" };
        Self { server, days, profile }
    }

    /// People who book, cancel and read from now on; all is well when this returns.
    pub async fn traffic(&self) -> Traffic {
        let days: Arc<[Day]> = self.days.clone().into();
        let traffic = Traffic::start(Callers::of(&self.server), days);
        traffic.has_succeeded().await;
        traffic
    }

    /// The part is back: waits until the server works again without a restart, then holds everything against what was answered.
    pub async fn recovers(mut self, traffic: Traffic, fault: &str, expected: Expected) -> Log {
        let healed = Stopwatch::start();
        traffic.healed();
        self.works().await;
        let recovered = healed.elapsed();
        let log = traffic.stop().await;
        eprintln!(
            "recovery | {:<14} | {fault:<44} | {} | recovered after {recovered:.1?}",
            self.profile,
            log.summary()
        );
        log.assert_as(expected);
        books::balance(&mut self, log.deeds.clone()).await;
        log
    }

    /// Waits until it is ready and every day can be booked.
    pub async fn works(&self) {
        eventually("the server is ready", RECOVERY_DEADLINE, async || {
            let reply = self.server.anyone().get("/healthz/ready").attempt().await.ok()?;
            (reply.status == 200).then_some(())
        })
        .await;
        for day in &self.days[..ROOMY_DAYS] {
            eventually("bookings work again", RECOVERY_DEADLINE, async || {
                let reply = self.server.patient().book(&Wish::any(day)).attempt().await.ok()?;
                (reply.status == 201).then_some(())
            })
            .await;
        }
    }
}

/// The program refuses a PostgreSQL that syncs nothing.
pub fn durable() -> PostgresOptions {
    PostgresOptions { fsync: true, ..PostgresOptions::default() }
}

/// Redis and PostgreSQL, each behind a network.
pub struct Both {
    pub redis: Redis,
    pub redis_network: Proxy,
    pub postgres: Postgres,
    pub postgres_network: Proxy,
}

impl Both {
    pub async fn start() -> Self {
        Self::start_with(RedisOptions::default(), durable()).await
    }

    pub async fn start_with(redis: RedisOptions, postgres: PostgresOptions) -> Self {
        let (redis, postgres) = (Redis::start_with(redis).await, Postgres::start_with(postgres).await);
        let redis_network = Proxy::in_front_of(redis.address());
        let postgres_network = Proxy::in_front_of(postgres.address());
        Self { redis, redis_network, postgres, postgres_network }
    }

    pub fn redis_url(&self) -> String {
        self.redis_network.through(&self.redis.url())
    }

    pub fn database_url(&self) -> String {
        self.postgres_network.through(&self.postgres.url())
    }

    pub async fn house(&self) -> House {
        House::on(Some(&self.redis_url()), &self.database_url(), &[]).await
    }
}

/// PostgreSQL alone, behind a network.
pub struct Alone {
    pub postgres: Postgres,
    pub network: Proxy,
}

impl Alone {
    pub async fn start() -> Self {
        Self::start_with(durable()).await
    }

    pub async fn start_with(options: PostgresOptions) -> Self {
        let postgres = Postgres::start_with(options).await;
        let network = Proxy::in_front_of(postgres.address());
        Self { postgres, network }
    }

    pub fn url(&self) -> String {
        self.network.through(&self.postgres.url())
    }

    pub async fn house(&self) -> House {
        House::on(None, &self.url(), &[]).await
    }
}
