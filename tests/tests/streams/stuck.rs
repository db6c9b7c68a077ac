//! Are readers that stop reading got rid of, so that they cost neither memory nor a slow stop?
//! Must not know: how the program notices.

use std::net::SocketAddr;
use std::time::Duration;

use blackbox::{Day, Plan, Server, Stopwatch, Wish, days_ahead, eventually, instant};
use jiff::SignedDuration;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::{Stream, metric, metric_becomes, path_of};

/// What a reader has to take an event, and some reserve for a busy machine.
const DROPPED_WITHIN: Duration = Duration::from_secs(25);
/// A stop with readers that do not read, well below the grace that requests get.
const STOPPED_WITHIN: Duration = Duration::from_secs(4);
/// The least that the kernel allows is about this.
const TINY_BUFFER_BYTES: u32 = 2_304;

/// Opens a stream on a socket of its own, with this receive buffer, and reads nothing.
pub(super) async fn open_raw(server: &Server, day: &Day, receive_bytes: Option<u32>) -> TcpStream {
    let address: SocketAddr = server.address().trim_start_matches("http://").parse().expect("an address");
    let socket = TcpSocket::new_v4().expect("a socket");
    if let Some(bytes) = receive_bytes {
        socket.set_recv_buffer_size(bytes).expect("a receive buffer");
    }
    let mut stream = socket.connect(address).await.expect("a connection");
    let head = format!("GET {} HTTP/1.1\r\nhost: {address}\r\n\r\n", path_of(day));
    stream.write_all(head.as_bytes()).await.expect("a request");
    stream
}

/// Streams that are never read.
pub(super) async fn open_stuck(server: &Server, day: &Day, count: usize) -> Vec<TcpStream> {
    let mut stuck = Vec::with_capacity(count);
    for _ in 0..count {
        stuck.push(open_raw(server, day, Some(TINY_BUFFER_BYTES)).await);
    }
    stuck
}

/// Waits until that many were dropped.
pub(super) async fn all_dropped(server: &Server, count: u64) {
    eventually("the stuck readers are dropped", DROPPED_WITHIN, async || {
        (metric(server, "hotslot_streams_dropped_total").await == count).then_some(())
    })
    .await;
}

/// A day whose one event is larger than what the kernel keeps for a reader.
fn large() -> Plan {
    Plan::grid(instant(days_ahead(3), "08:00"), 400, SignedDuration::from_mins(5), 1)
}

#[tokio::test]
async fn who_does_not_take_an_event_is_dropped_and_who_reads_stays() {
    let server = Server::start().await;
    let day = server.publish(&large()).await;
    let mut live = Stream::open(&server, &day, None).await;
    live.next().await.expect("an event");
    let watch = Stopwatch::start();
    let stuck = open_stuck(&server, &day, 20).await;
    metric_becomes(&server, "hotslot_stream_clients", 21).await;
    all_dropped(&server, 20).await;
    eprintln!("stuck readers were dropped after {:?}", watch.elapsed());
    metric_becomes(&server, "hotslot_stream_clients", 1).await;
    for mut stream in stuck {
        let mut rest = Vec::new();
        let end = stream.read_to_end(&mut rest).await;
        assert!(end.is_err(), "a reset, after {} bytes", rest.len());
    }
    server.patient().book(&Wish::slot(&day, 0)).await.expect(201);
    live.until_remaining(0).await;
}

#[tokio::test]
async fn a_reader_that_takes_a_trickle_is_dropped_as_well() {
    let server = Server::start().await;
    let day = server.publish(&large()).await;
    let mut stream = open_raw(&server, &day, Some(TINY_BUFFER_BYTES)).await;
    // A kilobyte a second: an event would be under way for most of a minute.
    let mut sips = tokio::time::interval(Duration::from_millis(100));
    let mut sip = [0; 100];
    let watch = Stopwatch::start();
    while watch.elapsed() < DROPPED_WITHIN {
        sips.tick().await;
        match stream.read(&mut sip).await {
            Ok(length) => assert!(length > 0, "a reset, not an end in order"),
            Err(_) => break,
        }
    }
    assert!(watch.elapsed() < DROPPED_WITHIN, "still there");
    all_dropped(&server, 1).await;
    metric_becomes(&server, "hotslot_stream_clients", 0).await;
}

#[tokio::test]
async fn a_slow_reader_skips_to_the_newest_event() {
    let server = Server::start().await;
    let day = server.publish(&large()).await;
    let mut stream = open_raw(&server, &day, Some(TINY_BUFFER_BYTES)).await;
    let mut shown = String::new();
    let mut chunk = vec![0; 8_192];
    metric_becomes(&server, "hotslot_stream_events_total", 1).await;
    for slot in 0..30 {
        server.patient().book(&Wish::slot(&day, slot)).await.expect(201);
    }
    // Nothing was taken meanwhile, so nothing more was given.
    assert_eq!(metric(&server, "hotslot_stream_events_total").await, 1);
    let version = server.anyone().day(&day.doctor, &day.date).await.expect(200).field("version");
    let last = format!("\"version\":{version},");
    while !shown.contains(&last) {
        let length =
            tokio::time::timeout(DROPPED_WITHIN, stream.read(&mut chunk)).await.expect("in time").expect("bytes");
        assert!(length > 0, "the stream ended");
        shown.push_str(std::str::from_utf8(&chunk[..length]).expect("ASCII"));
    }
    assert!(shown.matches("event: day").count() <= 3, "what was missed is not sent later");
    assert_eq!(metric(&server, "hotslot_streams_dropped_total").await, 0);
}

/// The body of an answer in the chunked coding, as far as it goes.
fn body_of(answer: &str) -> String {
    let (_, mut rest) = answer.split_once("\r\n\r\n").expect("a head");
    let mut body = String::new();
    while let Some((length, chunk)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).expect("the length of a chunk");
        let Some(part) = chunk.get(..length) else { break };
        body.push_str(part);
        rest = chunk.get(length + 2..).unwrap_or_default();
    }
    body
}

#[tokio::test]
async fn an_event_that_is_taken_in_parts_is_whole_and_the_next_one_follows_it() {
    let server = Server::start().await;
    let day = server.publish(&large()).await;
    let mut stream = open_raw(&server, &day, Some(TINY_BUFFER_BYTES)).await;
    metric_becomes(&server, "hotslot_stream_events_total", 1).await;
    server.patient().book(&Wish::slot(&day, 399)).await.expect(201);
    let mut answer = String::new();
    let mut chunk = vec![0; 1_000];
    let days: Vec<Value> = loop {
        let length =
            tokio::time::timeout(DROPPED_WITHIN, stream.read(&mut chunk)).await.expect("in time").expect("bytes");
        assert!(length > 0, "the stream ended");
        answer.push_str(std::str::from_utf8(&chunk[..length]).expect("ASCII"));
        // Looked at only where it may be the end: it is long.
        if answer.ends_with("\n\n\r\n") && body_of(&answer).matches("\n\n").count() == 2 {
            let body = body_of(&answer);
            let data = body.lines().filter_map(|line| line.strip_prefix("data: "));
            break data.map(|data| serde_json::from_str(data).expect("JSON")).collect();
        }
    };
    let remaining = |day: &Value| day["slots"][399]["remaining"].as_u64().expect("a number");
    assert_eq!(days.iter().map(remaining).collect::<Vec<_>>(), [1, 0]);
    assert_eq!(days[0]["slots"].as_array().map(Vec::len), Some(400));
}

#[tokio::test]
async fn stuck_readers_do_not_use_up_the_grace_of_a_stop() {
    let mut server = Server::start_with(&["--shutdown-grace-seconds", "8"]).await;
    let day = server.publish(&large()).await;
    let stuck = open_stuck(&server, &day, 20).await;
    let mut live = Stream::open(&server, &day, None).await;
    live.next().await.expect("an event");
    metric_becomes(&server, "hotslot_stream_events_total", 21).await;
    let exit = server.terminate(STOPPED_WITHIN).await;
    assert_eq!(exit.status.code(), Some(0), "{:?}", server.log());
    eprintln!("stopped within {:?}", exit.took);
    assert!(live.next().await.is_none(), "a live stream ends in order");
    drop(stuck);
}
