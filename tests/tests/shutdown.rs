//! Does SIGTERM end the program in time, with exit code 0, after answering what is in flight and losing nothing?
//! Must not know: what is flushed where.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use blackbox::{Client, Day, Plan, Server, Wish, limits};
use tokio::sync::Notify;
use tokio::task::JoinSet;

const DEADLINE: Duration = Duration::from_secs(10);
/// Clients that book without a pause.
const CLIENTS: usize = 100;
/// SIGTERM comes after this many bookings.
const BOOKINGS_BEFORE: usize = 500;

/// Counts bookings and wakes whoever waits for enough of them.
#[derive(Default)]
struct Tally {
    bookings: AtomicUsize,
    enough: Notify,
}

impl Tally {
    fn count(&self) {
        if self.bookings.fetch_add(1, Ordering::Relaxed) + 1 == BOOKINGS_BEFORE {
            self.enough.notify_one();
        }
    }
}

/// Books for one new patient after another until the server goes; answers the ids of all bookings answered with 201.
async fn book_until_the_end(admin: Client, day: Day, tally: Arc<Tally>) -> Vec<String> {
    let mut booked = Vec::new();
    for _ in 0..10_000 {
        // An admin has at most 64 remembered keys on a day; whoever has used them up stops.
        let wish = Wish::any(&day).patient(&blackbox::fresh_id());
        let Ok(reply) = admin.book(&wish).attempt().await else { break };
        match reply.status {
            201 => {
                booked.push(reply.text_of("id"));
                tally.count();
            }
            429 => {
                reply.problem(429, "rate_limited");
                break;
            }
            _ => {
                assert_eq!(reply.status, 503, "{}", reply.text());
                break;
            }
        }
    }
    booked
}

#[tokio::test]
async fn a_stop_under_load_ends_in_time_and_keeps_every_booking() {
    let mut server = Server::start().await;
    let day = server.publish(&Plan::quarters_of(50, 2_000)).await;
    let tally = Arc::new(Tally::default());
    let mut load = JoinSet::new();
    for _ in 0..CLIENTS {
        load.spawn(book_until_the_end(server.admin(), day.clone(), Arc::clone(&tally)));
    }
    tally.enough.notified().await;
    let exit = server.terminate(DEADLINE).await;
    assert_eq!(exit.status.code(), Some(0), "{:?}", exit.status);
    assert!(exit.took < DEADLINE, "{:?}", exit.took);
    let booked: BTreeSet<String> = load.join_all().await.into_iter().flatten().collect();
    assert!(booked.len() >= BOOKINGS_BEFORE);

    server.start_again().await;
    let path = format!("/v1/doctors/{}/days/{}/appointments?limit=200", day.doctor, day.date);
    let items = server.doctor(&day.doctor).all_items(&path).await;
    let listed: BTreeSet<String> = items.iter().map(|item| item["id"].as_str().expect("id").to_owned()).collect();
    assert_eq!(items.len(), listed.len(), "each once");
    let lost: Vec<&String> = booked.difference(&listed).collect();
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), booked.len());
}

#[tokio::test]
async fn an_idle_server_stops_at_once_and_again_after_a_new_start() {
    let mut server = Server::start().await;
    let day = server.publish(&Plan::quarters(2)).await;
    for _ in 0..2 {
        server.patient().book(&Wish::any(&day)).await.expect(201);
        let exit = server.terminate(DEADLINE).await;
        assert_eq!(exit.status.code(), Some(0), "{:?}", server.log());
        server.start_again().await;
    }
    server.patient().book(&Wish::any(&day)).await.problem(409, "sold_out");
}

#[tokio::test]
async fn an_open_connection_does_not_keep_the_server_from_stopping() {
    let mut server = Server::start().await;
    let address = server.address().trim_start_matches("http://").to_owned();
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(tokio::net::TcpStream::connect(&address).await.expect("a connection"));
    }
    server.anyone().get("/healthz/live").await.expect(200);
    let exit = server.terminate(DEADLINE).await;
    assert_eq!(exit.status.code(), Some(0), "{:?}", exit.status);
}

#[tokio::test]
async fn a_second_signal_does_no_harm() {
    let mut server = Server::start().await;
    let day = server.publish(&Plan::quarters(1)).await;
    server.patient().book(&Wish::any(&day)).await.expect(201);
    let process = server.process();
    limits::signal(process, "TERM");
    let exit = server.terminate(DEADLINE).await;
    assert_eq!(exit.status.code(), Some(0), "{:?}", exit.status);
    server.start_again().await;
    server.patient().book(&Wish::any(&day)).await.problem(409, "sold_out");
}
