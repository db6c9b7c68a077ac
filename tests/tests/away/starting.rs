//! A start while a part is away says so and ends; so does a signal during a start that waits.
//! Must not know: in which order parts are looked for.

use std::process::Stdio;
use std::time::Duration;

use blackbox::{Death, Launch, Server, Stopwatch, Stores, limits, program};
use servers::{Direction, Postgres, Proxy, Redis};
use tempfile::TempDir;

use crate::away::house::durable;

/// A start gives up by then.
const BOUND: Duration = Duration::from_secs(15);

async fn fails(redis_url: Option<&str>, database_url: &str, named: &str) -> Death {
    let watch = Stopwatch::start();
    let stores = Stores::elsewhere(redis_url, database_url);
    let started = Server::try_launch(Launch { stores: Some(stores), ..Launch::default() }).await;
    let took = watch.elapsed();
    let Err(death) = started else { panic!("it started without {named}") };
    eprintln!("a start without {named} ended after {took:.1?}: {:?}", death.log.last());
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
async fn a_start_that_waits_ends_when_it_is_told() {
    let postgres = Postgres::start_with(durable()).await;
    let (directory, url) = (TempDir::with_prefix("hotslot-test-").expect("a temporary directory"), postgres.url());
    let path = directory.path().to_str().expect("a path in UTF-8");
    let migrated = program::run(&["migrate", "--data-dir", path, "--database-url", &url]).await;
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    let lock = "DO $$ BEGIN LOCK TABLE node IN ACCESS EXCLUSIVE MODE; PERFORM pg_sleep(8); END $$";
    let start = async {
        let mut command = program::bare_command(&program::binary());
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir", path, "--database-url", &url]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program can be started");
        let looked = tokio::time::timeout(Duration::from_secs(4), child.wait()).await;
        assert!(looked.is_err(), "it waits for the lock: {looked:?}");
        limits::signal(child.id().expect("it runs"), "TERM");
        let ended = tokio::time::timeout(Duration::from_secs(2), child.wait()).await.expect("it ends at once");
        assert_eq!(ended.expect("a status").code(), Some(0));
    };
    tokio::join!(postgres.execute(lock), start);
}

#[tokio::test]
async fn with_a_network_that_loses_what_postgres_says() {
    let postgres = Postgres::start_with(durable()).await;
    let network = Proxy::in_front_of(postgres.address());
    network.stall(Direction::Answers);
    fails(None, &network.through(&postgres.url()), "database").await;
}
