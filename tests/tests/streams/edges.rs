//! What a stream does at its edges: silence, time alone, ids of all kinds, one reader too many, a day that sleeps.
//! Must not know: how changes travel inside.

use blackbox::{Plan, Server, Wish, eventually, next_whole_second};
use jiff::SignedDuration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{PATIENCE, Stream, metric, metric_becomes, path_of};

#[tokio::test]
async fn silence_is_filled_with_comments() {
    let server = Server::start_with(&["--stream-heartbeat-seconds", "1"]).await;
    let day = server.publish(&Plan::quarters(1)).await;
    let mut stream = Stream::open(&server, &day, None).await;
    let (first, _) = stream.next().await.expect("an event");
    for _ in 0..2 {
        let chunk = tokio::time::timeout(PATIENCE, stream.response.chunk()).await.expect("in time").expect("whole");
        assert_eq!(chunk.as_deref(), Some(b": heartbeat\n\n".as_slice()));
    }
    server.patient().book(&Wish::any(&day)).await.expect(201);
    let (booked, _) = stream.until_remaining(0).await;
    assert!(booked > first);
}

#[tokio::test]
async fn a_slot_that_begins_is_told_at_its_start() {
    let server = Server::start().await;
    let start = next_whole_second(SignedDuration::from_secs(1));
    let day = server.publish(&Plan::grid(start, 2, SignedDuration::from_mins(5), 1)).await;
    let mut stream = Stream::open(&server, &day, None).await;
    let (before, shown) = stream.next().await.expect("an event");
    assert_eq!(shown["slots"][0]["remaining"], 1, "{shown}");
    let (after, shown) = stream.next().await.expect("an event");
    assert!(after > before);
    assert_eq!((&shown["slots"][0]["remaining"], &shown["slots"][1]["remaining"]), (&0.into(), &1.into()), "{shown}");
    assert!(blackbox::instant_of(&shown["server_time"]) >= start, "{shown}");
}

#[tokio::test]
async fn a_hold_that_expires_is_told_without_anybody_asking() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(1)).await;
    let mut stream = Stream::open(&server, &day, None).await;
    stream.until_remaining(1).await;
    server.patient().hold(&Wish::any(&day).ttl(1)).await.expect(201);
    let (held, _) = stream.until_remaining(0).await;
    let (expired, data) = stream.next().await.expect("an event");
    assert!(expired > held);
    assert_eq!(data["slots"][0]["remaining"], 1, "{data}");
}

#[tokio::test]
async fn the_latest_id_brings_no_event_twice_and_a_malformed_one_is_ignored() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(1)).await;
    let (latest, _) = Stream::open(&server, &day, None).await.next().await.expect("an event");
    let mut resumed = Stream::open(&server, &day, Some(latest)).await;
    for malformed in ["", "latest", "-1", "1.5", "0x10", "\u{e4}", "999999999999999999999999999999999999999999"] {
        let mut stream = Stream::open_after(&server, &day, Some(malformed)).await;
        let (id, _) = stream.next().await.expect("an event");
        assert_eq!(id, latest, "Last-Event-ID: {malformed:?}");
    }
    server.patient().book(&Wish::any(&day)).await.expect(201);
    let (id, data) = resumed.next().await.expect("an event");
    assert!(id > latest);
    assert_eq!(data["slots"][0]["remaining"], 0, "the first event is the booking: {data}");
}

#[tokio::test]
async fn a_stream_may_follow_other_requests_on_its_connection() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(1)).await;
    let host = server.address().trim_start_matches("http://");
    let mut socket = TcpStream::connect(host).await.expect("a connection");
    let stream = path_of(&day);
    let read = stream.trim_end_matches("/stream");
    let heads = format!("GET {read} HTTP/1.1\r\nhost: {host}\r\n\r\nGET {stream} HTTP/1.1\r\nhost: {host}\r\n\r\n");
    socket.write_all(heads.as_bytes()).await.expect("two requests");
    let mut text = read_until(&mut socket, "event: day").await;
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2, "{text}");
    server.patient().book(&Wish::any(&day)).await.expect(201);
    text = read_until(&mut socket, "\"sold_out\"").await;
    assert_eq!(text.matches("HTTP/1.1").count(), 0, "{text}");
    drop(socket);
    metric_becomes(&server, "hotslot_stream_clients", 0).await;
}

/// Reads until this was in it; answers all that was read.
async fn read_until(socket: &mut TcpStream, mark: &str) -> String {
    let mut text = String::new();
    let mut chunk = vec![0; 4_096];
    while !text.contains(mark) {
        let length = tokio::time::timeout(PATIENCE, socket.read(&mut chunk)).await.expect("in time").expect("bytes");
        assert!(length > 0, "the end, after {text:?}");
        text.push_str(std::str::from_utf8(&chunk[..length]).expect("ASCII"));
    }
    text
}

#[tokio::test]
async fn an_id_from_before_brings_the_state_of_now_once() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(3)).await;
    let (old, _) = Stream::open(&server, &day, None).await.next().await.expect("an event");
    for _ in 0..3 {
        server.patient().book(&Wish::any(&day)).await.expect(201);
    }
    let mut stream = Stream::open(&server, &day, Some(old)).await;
    let (id, data) = stream.next().await.expect("an event");
    assert!(id > old);
    assert_eq!(data["state"], "sold_out", "{data}");
}

#[tokio::test]
async fn one_reader_too_many_is_refused_until_another_leaves() {
    let server = Server::start_with(&["--streams-max", "2"]).await;
    let day = server.publish(&Plan::quarters(1)).await;
    let mut stays = Stream::open(&server, &day, None).await;
    let leaves = Stream::open(&server, &day, None).await;
    let refused = server.anyone().get(&path_of(&day)).await;
    assert_eq!(refused.header("retry-after"), Some("5"));
    refused.problem(503, "overloaded");
    assert_eq!(metric(&server, "hotslot_streams_refused_total").await, 1);
    assert_eq!(metric(&server, "hotslot_stream_clients").await, 2);
    drop(leaves);
    metric_becomes(&server, "hotslot_stream_clients", 1).await;
    let mut comes = Stream::open(&server, &day, None).await;
    comes.next().await.expect("an event");
    stays.next().await.expect("an event");
    drop((comes, stays));
    metric_becomes(&server, "hotslot_stream_clients", 0).await;
    assert_eq!(metric(&server, "hotslot_streams_dropped_total").await, 0, "who leaves is not dropped");
}

#[tokio::test]
async fn head_answers_the_head_and_opens_nothing() {
    let server = Server::start_with(&["--streams-max", "1"]).await;
    let day = server.publish(&Plan::quarters(1)).await;
    for _ in 0..3 {
        let reply = server.anyone().call("HEAD", &path_of(&day)).await.expect(200);
        assert_eq!(reply.header("content-type"), Some("text/event-stream"));
        assert!(reply.body.is_empty());
    }
    assert_eq!(metric(&server, "hotslot_stream_clients").await, 0);
    Stream::open(&server, &day, None).await.next().await.expect("an event");
}

#[tokio::test]
async fn a_watched_day_may_sleep_and_is_heard_when_it_wakes() {
    let server = Server::start_with(&["--idle-seconds", "1"]).await;
    let day = server.publish(&Plan::quarters(1)).await;
    let mut stream = Stream::open(&server, &day, None).await;
    let (before, _) = stream.next().await.expect("an event");
    let asleep = async || (metric(&server, "hotslot_days_asleep").await == 1).then_some(());
    eventually("the watched day sleeps", PATIENCE, asleep).await;
    server.patient().book(&Wish::any(&day)).await.expect(201);
    let (after, data) = stream.next().await.expect("an event");
    assert!(after > before);
    assert_eq!(data["slots"][0]["remaining"], 0, "{data}");
}
