//! Does a stream of NATS outlive its server?
//! Must not know: the protocol.

use std::time::Duration;

use servers::Nats;

const CREATE: &str = r#"{"name":"events","subjects":["events.>"],"storage":"file"}"#;
const SILENCE: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_stream_survives_a_kill_and_a_stop() {
    let mut nats = Nats::start().await;
    let url = nats.url();
    let created = nats.request("$JS.API.STREAM.CREATE.events", CREATE).await;
    assert!(created.contains("\"created\"") && !created.contains("\"error\""), "{created}");
    let first = nats.request("events.one", "hello").await;
    assert!(first.contains("\"seq\":1"), "{first}");
    nats.stop().await;
    assert!(
        tokio::time::timeout(SILENCE, nats.request("events.two", "hello")).await.is_err(),
        "a stopped server answered"
    );
    nats.resume().await;
    let later = nats.request("events.three", "hello").await;
    assert!(later.contains("\"stream\":\"events\""), "{later}");
    nats.kill().await;
    assert!(tokio::net::TcpStream::connect(nats.address()).await.is_err(), "a killed server listens");
    nats.restart().await;
    assert_eq!(nats.url(), url);
    let last = nats.request("$JS.API.STREAM.INFO.events", "").await;
    assert!(last.contains("\"messages\":2") || last.contains("\"messages\":3"), "{last}");
}
