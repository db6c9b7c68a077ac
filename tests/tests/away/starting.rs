//! A start while a part is away says so and ends; so does a signal during a start that waits.
//! Must not know: in which order parts are looked for.

use std::time::Duration;

use blackbox::{Death, Launch, Server, Stopwatch, Stores};
use servers::{Direction, Postgres, Proxy, Redis};

use crate::away::house::durable;

/// A start gives up by then.
const BOUND: Duration = Duration::from_secs(15);

async fn fails(redis_url: Option<&str>, database_url: &str, named: &str) -> Death {
    let watch = Stopwatch::start();
    let stores = Stores::elsewhere(redis_url, database_url);
    let started = Server::try_launch(Launch { stores: Some(stores), ..Launch::default() }).await;
    let took = watch.elapsed();
    let Err(death) = started else { panic!("it started without {named}") };
    println!("a start without {named} ended after {took:.1?}: {:?}", death.log.last());
    assert!(took < BOUND, "{took:?}: {death}");
    assert_eq!(death.status.and_then(|status| status.code()), Some(1), "{death}");
    assert!(death.log.last().is_some_and(|line| line.contains(named)), "it names what is away: {death}");
    death
}

#[tokio::test]
async fn without_postgres() {
    let mut postgres = Postgres::start_with(durable()).await;
    postgres.stop().await;
    fails(None, &postgres.url(), "database").await;
    postgres.kill().await;
    fails(None, &postgres.url(), "database").await;
}

#[tokio::test]
async fn without_redis() {
    let (postgres, mut redis) = (Postgres::start_with(durable()).await, Redis::start().await);
    redis.stop().await;
    fails(Some(&redis.url()), &postgres.url(), "Redis").await;
    redis.kill().await;
    fails(Some(&redis.url()), &postgres.url(), "Redis").await;
}

#[tokio::test]
async fn with_a_network_that_loses_what_postgres_says() {
    let postgres = Postgres::start_with(durable()).await;
    let network = Proxy::in_front_of(postgres.address());
    network.stall(Direction::Answers);
    fails(None, &network.through(&postgres.url()), "database").await;
}
