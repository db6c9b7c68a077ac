//! Does PostgreSQL keep what it committed, whatever happens to it?
//! Must not know: how its directory came about.

use std::str::FromStr as _;
use std::time::Duration;

use servers::{OldPrimary, Postgres, PostgresOptions, SynchronousPair};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};

const SILENCE: Duration = Duration::from_millis(300);
const COUNT: &str = "SELECT count(*) FROM kept";

async fn connect(url: &str) -> sqlx::Result<PgConnection> {
    PgConnectOptions::from_str(url)?.connect().await
}

#[tokio::test]
async fn what_was_committed_survives_kills() {
    let mut postgres = Postgres::start_with(PostgresOptions { fsync: true, ..PostgresOptions::default() }).await;
    assert_eq!(postgres.ask("SELECT current_setting('fsync')").await.as_deref(), Some("on"));
    let url = postgres.url();
    postgres.execute("CREATE TABLE kept (id int); INSERT INTO kept VALUES (1)").await;
    // A client that is connected does not keep it alive.
    let mut client = connect(&url).await.expect("a connection");
    postgres.kill().await;
    assert!(client.ping().await.is_err(), "a killed server answers");
    assert!(connect(&url).await.is_err(), "a killed server listens");
    postgres.restart().await;
    assert_eq!(postgres.url(), url);
    postgres.execute("INSERT INTO kept VALUES (2)").await;
    postgres.restart().await;
    assert_eq!(postgres.ask(COUNT).await.as_deref(), Some("2"));
}

#[tokio::test]
async fn a_stopped_server_answers_after_it_is_resumed() {
    let mut postgres = Postgres::start().await;
    let mut client = connect(&postgres.url()).await.expect("a connection");
    postgres.stop().await;
    // The process that serves this very connection is stopped too.
    assert!(tokio::time::timeout(SILENCE, client.ping()).await.is_err(), "a stopped server answered");
    postgres.resume().await;
    assert_eq!(postgres.ask("SELECT 1").await.as_deref(), Some("1"));
    // One that is stopped can be killed.
    postgres.stop().await;
    postgres.restart().await;
    assert_eq!(postgres.ask("SELECT 1").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn tests_that_share_a_server_have_databases_of_their_own() {
    let postgres = Postgres::start().await;
    let (first, second) = tokio::join!(postgres.create_database(), postgres.create_database());
    assert_ne!(first, second);
    let mut client = connect(&first).await.expect("a connection");
    sqlx::query("CREATE TABLE mine (id int)").execute(&mut client).await.expect("a table");
    let mut other = connect(&second).await.expect("a connection");
    let missing = sqlx::query("SELECT * FROM mine").execute(&mut other).await;
    assert!(missing.is_err(), "one database sees the other's table");
    assert_eq!(postgres.terminate_backends().await, 2);
    assert!(client.ping().await.is_err(), "a terminated backend answers");
    assert_eq!(postgres.terminate_backends().await, 0);
}

async fn pair() -> SynchronousPair {
    let pair = Postgres::with_synchronous_standby(PostgresOptions::default()).await;
    pair.primary().execute("CREATE TABLE kept (id int)").await;
    pair
}

#[tokio::test]
async fn a_promoted_standby_has_every_answered_commit() {
    let mut pair = pair().await;
    for id in 0..20 {
        pair.primary().execute(&format!("INSERT INTO kept VALUES ({id})")).await;
    }
    pair.promote_standby(OldPrimary::Killed).await;
    assert_eq!(pair.primary().ask(COUNT).await.as_deref(), Some("20"));
    pair.primary().execute("INSERT INTO kept VALUES (20)").await;
    pair.primary_mut().restart().await;
    assert_eq!(pair.primary().ask(COUNT).await.as_deref(), Some("21"));
}

#[tokio::test]
async fn a_commit_waits_for_the_standby_and_is_lost_only_unanswered() {
    let mut pair = pair().await;
    pair.link().stall(servers::Direction::Both);
    let insert = "INSERT INTO kept VALUES (1)";
    let waiting = tokio::time::timeout(SILENCE, pair.primary().execute(insert)).await;
    assert!(waiting.is_err(), "a commit was answered without its copy");
    pair.link().heal();
    pair.wait_until_synchronous().await;
    // That which waited is there by now: a commit that was not answered is not undone.
    pair.primary().execute(insert).await;
    assert_eq!(pair.primary().ask(COUNT).await.as_deref(), Some("2"));
    pair.link().stall(servers::Direction::Both);
    let waiting = tokio::time::timeout(SILENCE, pair.primary().execute(insert)).await;
    assert!(waiting.is_err(), "a commit was answered without its copy");
    pair.promote_standby(OldPrimary::Isolated).await;
    assert_eq!(pair.primary().ask(COUNT).await.as_deref(), Some("2"));
    // The old primary runs, and can confirm nothing.
    let old = pair.former_mut().expect("the old primary");
    assert!(tokio::time::timeout(SILENCE, old.execute(insert)).await.is_err(), "two primaries confirm");
}
