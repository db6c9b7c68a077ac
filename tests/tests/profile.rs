//! Does the server under test keep what it keeps where this test binary says?
//! Must not know: what is kept.

use std::time::Duration;

use blackbox::{Plan, Profile, Server, Wish};

#[tokio::test]
async fn the_server_says_which_journal_it_has() {
    let server = Server::start().await;
    let promises: Vec<String> =
        server.log().into_iter().filter(|line| line.contains("what the journal promises")).collect();
    assert_eq!(promises.len(), 1, "{promises:?}");
    let words = match server.stores().profile() {
        Profile::Embedded => "SQLite, WAL, synchronous=FULL",
        Profile::RedisPostgres => "appendfsync always",
        Profile::Postgres => "PostgreSQL without a standby",
    };
    assert!(promises[0].contains(words), "{words:?} is not in {promises:?}");
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

/// The ledger must not wait for what it has: positions of an earlier life say nothing in this one.
#[tokio::test]
async fn a_later_life_brings_the_ledger_up_to_its_own_end() {
    let mut server = Server::start().await;
    let day = server.publish(&Plan::quarters(9)).await;
    for _ in 0..3 {
        // More is written in the first life than in the second, and the day is read from the journal.
        for _ in 0..2 {
            server.patient().book(&Wish::any(&day)).await.expect(201);
        }
        server.restart().await;
        server.patient().book(&Wish::any(&day)).await.expect(201);
        let exit = server.terminate(Duration::from_secs(10)).await;
        assert!(exit.status.success(), "{:?}", exit.status);
        server.start_again().await;
    }
    let behind: Vec<String> = server.log().into_iter().filter(|line| line.contains("the ledger waits")).collect();
    assert!(behind.is_empty(), "{behind:#?}");
}
