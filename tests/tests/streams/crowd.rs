//! A thousand readers of one day, of whom some do not read: does everybody else see the last state in time, in bounded memory?
//! Must not know: how changes travel inside.

use std::time::Duration;

use blackbox::{Day, Plan, Server, Stopwatch, Wish, at_once, eventually};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::stuck::{all_dropped, open_raw, open_stuck};
use super::{PATIENCE, metric};

const READERS: usize = 1_000;
const STUCK: usize = 50;
const BOOKERS: usize = 30;
const BOOKINGS: usize = 300;
/// The interval of events is 200 ms; the rest is for a busy machine with two cores and a build for debugging.
const LAG_MAX: Duration = Duration::from_secs(2);
/// What a reader may cost: both buffers of a connection, its task and timers, what the burst leaves in the process, and its share of the
/// pieces of some MiB in which the allocator takes memory: a thousand readers share few, eight thousand have 18 KiB each.
const BYTES_OF_A_READER_MAX: u64 = 32 * 1024;

/// Resident memory of the server, in bytes.
fn resident_bytes(server: &Server) -> u64 {
    let path = format!("/proc/{}/status", server.process());
    let status = std::fs::read_to_string(path).expect("the status of the server");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line on memory");
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kibibytes * 1024
}

/// Reads until the event that shows the day sold out; answers the open socket, when that was, and how many events came.
async fn until_sold_out(mut stream: TcpStream, watch: Stopwatch) -> (TcpStream, Duration, usize) {
    let (mut text, mut events) = (String::new(), 0);
    let mut chunk = vec![0; 16 * 1024];
    loop {
        let length = stream.read(&mut chunk).await.expect("bytes");
        assert!(length > 0, "the stream ended");
        text.push_str(std::str::from_utf8(&chunk[..length]).expect("ASCII"));
        while let Some((event, rest)) = text.split_once("\n\n") {
            events += usize::from(event.contains("event: day"));
            if event.contains("\"state\":\"sold_out\"") {
                return (stream, watch.elapsed(), events);
            }
            text = rest.to_owned();
        }
    }
}

/// Sells the whole day; answers when the last booking was answered.
async fn sell_out(server: &Server, day: &Day, watch: Stopwatch) -> Duration {
    let answers = at_once(BOOKERS, |_| {
        let patients: Vec<_> = (0..BOOKINGS / BOOKERS).map(|_| server.patient()).collect();
        let day = day.clone();
        async move {
            for patient in patients {
                patient.book(&Wish::any(&day)).await.expect(201);
            }
            watch.elapsed()
        }
    });
    answers.await.into_iter().max().expect("bookers")
}

async fn clients_become(server: &Server, count: usize) {
    eventually(&format!("{count} readers"), PATIENCE, async || {
        (metric(server, "hotslot_stream_clients").await == count as u64).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_readers_see_the_last_state_although_some_do_not_read() {
    let server = Server::start().await;
    // What as many bookings leave in the process without any reader is not the readers'.
    sell_out(&server, &server.publish(&Plan::quarters_of(30, (BOOKINGS / 30) as u32)).await, Stopwatch::start()).await;
    let day = server.publish(&Plan::quarters_of(30, (BOOKINGS / 30) as u32)).await;
    let before = resident_bytes(&server);
    let watch = Stopwatch::start();
    let stuck = open_stuck(&server, &day, STUCK).await;
    let mut live = JoinSet::new();
    for _ in STUCK..READERS {
        live.spawn(until_sold_out(open_raw(&server, &day, None).await, watch));
    }
    clients_become(&server, READERS).await;
    let opened = resident_bytes(&server);
    let sold_out = sell_out(&server, &day, watch).await;
    let seen = live.join_all().await;
    let after = resident_bytes(&server);

    let mut lags: Vec<Duration> = seen.iter().map(|(_, at, _)| at.saturating_sub(sold_out)).collect();
    lags.sort();
    let events = seen.iter().map(|(_, _, events)| *events).max().unwrap_or_default();
    eprintln!(
        "lag of the last event: p50 {:?}, p99 {:?}, max {:?}",
        lags[lags.len() / 2],
        lags[lags.len() * 99 / 100],
        lags[lags.len() - 1]
    );
    eprintln!(
        "resident: {before} before, {opened} with {READERS} readers, {after} after the burst; {events} events at most"
    );
    assert!(lags.iter().all(|lag| *lag <= LAG_MAX), "{:?}", lags.last());
    let events_max = sold_out.as_millis() as usize / 200 + 3;
    assert!(events <= events_max, "{events} events in {sold_out:?}");
    let grown = after.saturating_sub(before);
    assert!(grown <= READERS as u64 * BYTES_OF_A_READER_MAX, "{grown} bytes");

    all_dropped(&server, STUCK as u64).await;
    eprintln!("the stuck readers were dropped {:?} after the last booking", watch.elapsed() - sold_out);
    clients_become(&server, READERS - STUCK).await;
    drop((seen, stuck));
    clients_become(&server, 0).await;
    assert_eq!(metric(&server, "hotslot_streams_dropped_total").await, STUCK as u64, "nobody who reads is dropped");
}
