//! Whether latency counts from the intended time, every arrival is accounted for, and the decks are used once.
//! Must not know: any real server.

use std::sync::atomic::Ordering;

use uuid::Uuid;

use super::*;
use crate::fake_server::{DATE, FakeDay, FakeServer, Faults, KEY};
use crate::run::operation::Operation;
use crate::run::world::{WorldDay, slots_of};
use crate::tokens::Mint;

const COUNT: usize = 60;

fn offer(server: &FakeServer, connections: u32, timeout_ms: u64, deadline_micros: u64) -> Offer {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), KEY).unwrap();
    let date = DATE.parse().unwrap();
    let day = WorldDay { doctor: Uuid::from_u128(77), date, slots: slots_of(date, 1, 5).unwrap(), released: None };
    let arrival = |number: usize| Arrival {
        at_micros: number as u64 * 5_000,
        load: 0,
        operation: Operation::Book,
        patient: u32::try_from(number).unwrap(),
        day: 0,
        slot: None,
    };
    Offer {
        target: Target { address: server.address, host: server.address.to_string() },
        world: World::of(vec![day]),
        patients: Mint::from_key_file(file.path()).unwrap().patients(COUNT, 1).unwrap(),
        arrivals: (0..COUNT).map(arrival).collect(),
        settings: Generator { connections, threads: 2, timeout_ms, retries: 3, ..Generator::default() },
        share: Share::WHOLE,
        deadline_micros,
        seed: 1,
        live: Arc::default(),
    }
}

async fn server(faults: Faults) -> FakeServer {
    FakeServer::start(FakeDay { capacities: vec![5], release_after_millis: None, faults }).await
}

async fn run(offer: Offer) -> (Generated, Arc<Live>) {
    let live = Arc::clone(&offer.live);
    let ready = Ready::prepare(Arc::new(offer)).await.unwrap();
    (ready.run(clock::now()).await.unwrap(), live)
}

fn count(generated: &Generated, class: Class) -> usize {
    generated.done.iter().filter(|done| done.answer.class() == class).count()
}

#[tokio::test]
async fn every_arrival_is_sent_at_its_time_and_settled_once() {
    let server = server(Faults::default()).await;
    let (generated, live) = run(offer(&server, 8, 5_000, 30_000_000)).await;
    assert_eq!((count(&generated, Class::Served), count(&generated, Class::Refused)), (5, COUNT - 5));
    assert_eq!(live.dispatched.load(Ordering::Relaxed), COUNT as u64);
    let mut intended: Vec<_> = generated.done.iter().map(|done| done.intended_micros).collect();
    intended.sort_unstable();
    assert_eq!(intended, (0..COUNT as u64).map(|number| number * 5_000).collect::<Vec<_>>());
    for done in &generated.done {
        let sent = done.sent_micros.unwrap();
        assert!(done.intended_micros <= done.dispatched_micros && done.dispatched_micros <= sent, "{done:?}");
        assert!(sent <= done.ended_micros, "{done:?}");
    }
    assert_eq!(generated.reopened, 0);
    assert!(generated.done.iter().any(|done| done.found_connection));
}

#[tokio::test]
async fn who_waits_for_a_connection_has_its_waiting_counted() {
    // Nobody is ever answered: each of the two connections is taken for 100 ms by each request, without retries.
    let server = server(Faults { stall: true, ..Faults::default() }).await;
    let mut offer = offer(&server, 2, 100, 60_000_000);
    offer.settings.retries = 0;
    offer.arrivals.truncate(10);
    for arrival in &mut offer.arrivals {
        arrival.at_micros = 0;
    }
    let (generated, _) = run(offer).await;
    assert_eq!(count(&generated, Class::NoAnswer), 10);
    let mut latencies: Vec<_> = generated.done.iter().map(|done| done.ended_micros - done.intended_micros).collect();
    latencies.sort_unstable();
    // The n-th pair has waited for n - 1 before it: a client that counted from its own sending would say 100 ms always.
    for (pair, least) in latencies.chunks(2).zip([100_000, 200_000, 300_000, 400_000, 500_000]) {
        assert!(pair.iter().all(|latency| *latency >= least), "{latencies:?}");
    }
    let own_lag = generated.done.iter().map(Done::lag_micros).max().unwrap();
    assert!(own_lag < 400_000, "waiting for a connection is not the generator's lag: {own_lag}");
}

#[tokio::test]
async fn what_was_not_sent_by_the_deadline_is_said_to_be_so() {
    let server = server(Faults { stall: true, ..Faults::default() }).await;
    let mut offer = offer(&server, 2, 60_000, 300_000);
    offer.arrivals.truncate(10);
    let (generated, _) = run(offer).await;
    assert_eq!((count(&generated, Class::NoAnswer), count(&generated, Class::NotSent)), (2, 8));
}

#[tokio::test]
async fn an_open_outcome_is_settled_with_the_same_key() {
    let server = server(Faults { break_after_every: 2, unavailable_before_every: 3, ..Faults::default() }).await;
    let (generated, _) = run(offer(&server, 8, 5_000, 60_000_000)).await;
    assert_eq!((count(&generated, Class::Served), count(&generated, Class::Refused)), (5, COUNT - 5));
    assert!(generated.done.iter().map(|done| done.repeats).sum::<u32>() >= 2);
    let places: std::collections::HashSet<_> = generated
        .done
        .iter()
        .filter_map(|done| if let Answer::Served(Some(place)) = done.answer { Some(place.appointment) } else { None })
        .collect();
    assert_eq!(places.len(), 5);
}
