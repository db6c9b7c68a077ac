//! Does the server under test keep what it keeps where this test binary says?
//! Must not know: what is kept.

use blackbox::{Plan, Profile, Server, Wish};

#[tokio::test]
async fn the_server_says_which_journal_it_has() {
    let server = Server::start().await;
    let promises: Vec<String> =
        server.log().into_iter().filter(|line| line.contains("what the journal promises")).collect();
    assert_eq!(promises.len(), 1, "{promises:?}");
    let expected = match server.stores().profile() {
        Profile::Embedded => "SQLite",
        Profile::RedisPostgres => "Redis",
        Profile::Postgres => "PostgreSQL",
    };
    let named: Vec<&str> =
        ["SQLite", "Redis", "PostgreSQL"].into_iter().filter(|name| promises[0].contains(name)).collect();
    assert_eq!(named, [expected], "{promises:?}");
}

#[tokio::test]
async fn what_is_booked_is_in_the_data_directory_of_embedded_stores_only() {
    let mut server = Server::start().await;
    let day = server.publish(&Plan::quarters(1)).await;
    server.patient().book(&Wish::any(&day)).await.expect(201);
    server.kill().await;
    let names = ["journal.db", "ledger.db"].map(|name| server.directory().join(name).exists());
    assert_eq!(names, [server.stores().profile() == Profile::Embedded; 2]);
}
