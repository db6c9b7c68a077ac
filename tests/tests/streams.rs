//! Does a stream show a day as it is, at once and at every change?
//! Must not know: how changes travel inside.

mod crowd;
mod edges;
mod harness;
mod stuck;

use std::time::Duration;

use blackbox::{Day, Plan, Server, Wish, eventually, next_whole_second};
use jiff::SignedDuration;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(10);

/// The address of a day's stream, without the host.
fn path_of(day: &Day) -> String {
    format!("/v1/doctors/{}/days/{}/stream", day.doctor, day.date)
}

/// What a metric without labels shows.
async fn metric(server: &Server, name: &str) -> u64 {
    let text = server.anyone().get("/metrics").await.expect(200).text();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no metric {name}"))
}

/// Waits until the metric shows this.
async fn metric_becomes(server: &Server, name: &str, value: u64) {
    eventually(&format!("{name} = {value}"), PATIENCE, async || (metric(server, name).await == value).then_some(()))
        .await;
}

/// A stream that is being read.
struct Stream {
    response: reqwest::Response,
    text: String,
}

impl Stream {
    async fn open(server: &Server, day: &Day, last: Option<u128>) -> Self {
        Self::open_after(server, day, last.map(|last| last.to_string()).as_deref()).await
    }

    async fn open_after(server: &Server, day: &Day, last: Option<&str>) -> Self {
        let mut request = reqwest::Client::new().get(format!("{}{}", server.address(), path_of(day)));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self { response, text: String::new() }
    }

    /// The next event: its id and data; `None` at the end.
    async fn next(&mut self) -> Option<(u128, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let Some(data) = field("data: ") else { continue };
                assert_eq!(field("event: ").as_deref(), Some("day"));
                let id = field("id: ").expect("an id").parse().expect("a number");
                return Some((id, serde_json::from_str(&data).expect("JSON")));
            }
            let chunk =
                tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("in time").expect("whole")?;
            self.text.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        }
    }

    /// Reads on until slot 0 has this remaining; answers the id and how many events came.
    async fn until_remaining(&mut self, remaining: u64) -> (u128, usize) {
        let (mut last, mut count) = (0, 0);
        loop {
            let (id, data) = self.next().await.expect("an event");
            assert!(id > last, "ids rise: {id} after {last}");
            last = id;
            count += 1;
            if data["slots"][0]["remaining"] == remaining {
                return (id, count);
            }
        }
    }
}

#[tokio::test]
async fn a_stream_shows_the_day_at_once_and_after_each_change_also_over_a_restart() {
    let mut server = Server::start().await;
    let day = server.publish(&Plan::quarters(1)).await;
    let mut stream = Stream::open(&server, &day, None).await;
    let (first, mut shown) = stream.next().await.expect("an event");
    let mut read = server.anyone().day(&day.doctor, &day.date).await.expect(200).json();
    for body in [&mut shown, &mut read] {
        body["server_time"] = Value::Null;
    }
    assert_eq!(shown, read);
    let patient = server.patient();
    let id = patient.book(&Wish::any(&day)).await.expect(201).text_of("id");
    let (booked, _) = stream.until_remaining(0).await;
    patient.cancel(&id).await.expect(200);
    let (cancelled, _) = stream.until_remaining(1).await;
    assert!(first < booked && booked < cancelled);
    server.restart().await;
    let mut again = Stream::open(&server, &day, Some(cancelled)).await;
    server.patient().hold(&Wish::any(&day).ttl(1)).await.expect(201);
    let (held, data) = again.next().await.expect("an event");
    assert_eq!(data["slots"][0]["remaining"], 0, "nothing old is sent: {data}");
    assert!(held > cancelled);
    again.until_remaining(1).await;
}

#[tokio::test]
async fn a_release_is_told_at_its_instant() {
    let server = Server::start().await;
    let at = next_whole_second(SignedDuration::from_secs(1));
    let day = server.publish(&Plan::quarters(1).released_at(at)).await;
    let mut stream = Stream::open(&server, &day, None).await;
    stream.until_remaining(1).await;
}

#[tokio::test]
async fn a_storm_is_told_in_few_events_of_which_the_last_is_the_final_state() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters_of(1, 300)).await;
    let mut stream = Stream::open(&server, &day, None).await;
    for _ in 0..300 {
        server.patient().book(&Wish::any(&day)).await.expect(201);
    }
    let (_, events) = stream.until_remaining(0).await;
    assert!(events < 100, "{events} events");
}

#[tokio::test]
async fn a_stop_ends_streams_and_is_quick() {
    let mut server = Server::start().await;
    let day = server.publish(&Plan::quarters(1)).await;
    let mut stream = Stream::open(&server, &day, None).await;
    stream.next().await.expect("an event");
    let exit = server.terminate(Duration::from_secs(4)).await;
    assert_eq!(exit.status.code(), Some(0));
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn an_unknown_day_and_an_unknown_parameter_are_refused() {
    let server = Server::start().await;
    let doctor = server.new_doctor().await;
    let path = format!("/v1/doctors/{doctor}/days/2030-01-01/stream");
    server.anyone().get(&path).await.problem(404, "not_found");
    server.anyone().get(&format!("{path}?since=1")).await.problem(400, "invalid_request");
}
