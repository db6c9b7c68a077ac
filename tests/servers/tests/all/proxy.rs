//! Does the proxy break the network as it says, and only so?
//! Must not know: real servers, but for one.

use std::io::ErrorKind;
use std::time::Duration;

use servers::{Direction, Proxy, Redis};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const SILENCE: Duration = Duration::from_millis(200);
const SOON: Duration = Duration::from_secs(5);

/// A client, the proxy, and the server's end of the connection.
async fn connection() -> (TcpStream, Proxy, TcpStream, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let proxy = Proxy::in_front_of(listener.local_addr().expect("an address"));
    let (client, server) = tokio::join!(TcpStream::connect(proxy.address()), listener.accept());
    (client.expect("a connection"), proxy, server.expect("a connection").0, listener)
}

async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.expect("the text can be sent");
}

async fn receive(stream: &mut TcpStream, length: usize) -> String {
    let mut text = vec![0; length];
    timeout(SOON, stream.read_exact(&mut text)).await.expect("the text arrives").expect("the connection is whole");
    String::from_utf8(text).expect("text")
}

async fn assert_silent(stream: &mut TcpStream) {
    let read = timeout(SILENCE, stream.read(&mut [0; 1])).await;
    assert!(read.is_err(), "something arrived: {read:?}");
}

async fn assert_reset(stream: &mut TcpStream) {
    let read = timeout(SOON, stream.read(&mut [0; 64])).await.expect("the end arrives");
    assert_eq!(read.expect_err("a reset").kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_network_that_is_well_passes_bytes_and_ends() {
    let (mut client, proxy, mut server, _listener) = connection().await;
    send(&mut client, "question").await;
    assert_eq!(receive(&mut server, 8).await, "question");
    send(&mut server, "answer").await;
    assert_eq!(receive(&mut client, 6).await, "answer");
    assert_eq!((proxy.passed_bytes(Direction::Requests), proxy.passed_bytes(Direction::Answers)), (8, 6));
    client.shutdown().await.expect("an end");
    assert_eq!(timeout(SOON, server.read(&mut [0; 1])).await.expect("the end arrives").expect("no reset"), 0);
    // The other way is still open.
    send(&mut server, "more").await;
    assert_eq!(receive(&mut client, 4).await, "more");
}

#[tokio::test]
async fn requests_arrive_while_answers_are_stalled() {
    let (mut client, proxy, mut server, _listener) = connection().await;
    proxy.stall(Direction::Answers);
    send(&mut client, "question").await;
    assert_eq!(receive(&mut server, 8).await, "question");
    send(&mut server, "answer").await;
    // Nor does the client hear that the server is gone.
    server.shutdown().await.expect("an end");
    assert_silent(&mut client).await;
    proxy.heal();
    assert_eq!(receive(&mut client, 6).await, "answer");
}

#[tokio::test]
async fn answers_arrive_while_requests_are_stalled() {
    let (mut client, proxy, mut server, listener) = connection().await;
    proxy.stall(Direction::Requests);
    send(&mut client, "question").await;
    send(&mut server, "answer").await;
    assert_eq!(receive(&mut client, 6).await, "answer");
    assert_silent(&mut server).await;
    // A new connection opens, and goes no further.
    let mut late = TcpStream::connect(proxy.address()).await.expect("a connection");
    send(&mut late, "late").await;
    assert!(timeout(SILENCE, listener.accept()).await.is_err(), "a connection passed");
    proxy.heal();
    assert_eq!(receive(&mut server, 8).await, "question");
    let (mut accepted, _) = timeout(SOON, listener.accept()).await.expect("it arrives").expect("a connection");
    assert_eq!(receive(&mut accepted, 4).await, "late");
}

#[tokio::test]
async fn a_cut_resets_both_ends_and_drops_what_was_held() {
    let (mut client, proxy, mut server, listener) = connection().await;
    proxy.stall(Direction::Both);
    send(&mut client, "lost").await;
    assert_silent(&mut server).await;
    proxy.cut();
    assert_reset(&mut client).await;
    assert_reset(&mut server).await;
    // The reset comes during the connect, or right after it.
    match TcpStream::connect(proxy.address()).await {
        Ok(mut refused) => assert_reset(&mut refused).await,
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    proxy.heal();
    let (client, server) = tokio::join!(TcpStream::connect(proxy.address()), listener.accept());
    let (mut client, mut server) = (client.expect("a connection"), server.expect("a connection").0);
    send(&mut client, "new").await;
    assert_eq!(receive(&mut server, 3).await, "new");
    // A cut that is over before anybody looks resets all the same.
    proxy.cut_once();
    assert_reset(&mut client).await;
}

#[tokio::test]
async fn a_delay_delays_a_stream_without_slowing_it() {
    const BYTES: usize = 800_000;
    let (mut client, proxy, mut server, _listener) = connection().await;
    proxy.delay_ms(300);
    send(&mut client, "a").await;
    assert_silent(&mut server).await;
    assert_eq!(receive(&mut server, 1).await, "a");
    // Some fifty pieces, each 300 ms late: together, not one after another.
    let sent = "x".repeat(BYTES);
    let (received, ()) =
        tokio::join!(timeout(Duration::from_secs(3), receive(&mut server, BYTES)), send(&mut client, &sent));
    assert_eq!(received.expect("in far less than fifteen seconds").len(), BYTES);
}

#[tokio::test]
async fn a_write_may_be_done_although_its_answer_never_came() {
    let redis = Redis::start().await;
    let proxy = Proxy::in_front_of(redis.address());
    let client = redis::Client::open(proxy.through(&redis.url())).expect("an address");
    let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
    let () = redis::cmd("SET").arg("key").arg("1").query_async(&mut connection).await.expect("an answer");
    proxy.stall(Direction::Answers);
    let mut set = redis::cmd("SET");
    let unanswered = timeout(SILENCE, set.arg("key").arg("2").query_async::<()>(&mut connection)).await;
    assert!(unanswered.is_err(), "the answer came: {unanswered:?}");
    assert_eq!(redis.call::<String>(&["GET", "key"]).await, "2");
    proxy.heal();
    proxy.stall(Direction::Requests);
    let mut set = redis::cmd("SET");
    let unanswered = timeout(SILENCE, set.arg("key").arg("3").query_async::<()>(&mut connection)).await;
    assert!(unanswered.is_err(), "the answer came: {unanswered:?}");
    assert_eq!(redis.call::<String>(&["GET", "key"]).await, "2");
}
