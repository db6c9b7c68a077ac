//! A day's stream through a node that does not speak for it.
//! Must not know: how readers are paced.

use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use super::pair::{Ask, PATIENCE, TestNode, book, day, day_path, publish};

const DATE: &str = "2100-05-03";

/// A reader.
struct Reader {
    body: Incoming,
    text: String,
}

impl Reader {
    async fn open(node: &TestNode, ask: &Ask) -> (u16, Self) {
        let answer = node.open(ask).await;
        (answer.status().as_u16(), Self { body: answer.into_body(), text: String::new() })
    }

    /// The next event's id, and its picture; `None` at the end.
    async fn next(&mut self) -> Option<(u128, Value)> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                if let (Some(id), Some(data)) = (field("id: "), field("data: ")) {
                    return Some((id.parse().expect("a number"), serde_json::from_str(data).expect("JSON")));
                }
                continue;
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await.expect("in time")?.ok()?;
            self.text.push_str(std::str::from_utf8(frame.data_ref()?).expect("UTF-8"));
        }
    }

    /// Events until one shows so many places; they only rise.
    async fn until(&mut self, remaining: u64) -> u128 {
        let mut last = 0;
        loop {
            let (id, picture) = self.next().await.expect("it goes on");
            assert!(id > last, "{id} after {last}");
            last = id;
            if picture["slots"][0]["remaining"] == remaining {
                return last;
            }
        }
    }
}

fn stream() -> Ask {
    Ask::new("GET", format!("{}/stream", day_path(DATE)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_through_another_node_shows_every_change_and_outlives_a_change_of_hands() {
    let (wrong, right) = (TestNode::start(1, None).await, TestNode::start(2, None).await);
    let days = [day(DATE)];
    let epoch = right.epoch(days[0]);
    wrong.give_up(&days);
    wrong.believes_in(Some(&right.internal));
    let (status, mut nobody) = Reader::open(&wrong, &stream()).await;
    assert_eq!((status, nobody.next().await), (404, None), "there is no such day, says the other node");

    assert_eq!(right.ask(&publish(DATE, 5)).await.status, 201);
    let (status, mut reader) = Reader::open(&wrong, &stream()).await;
    assert_eq!(status, 200);
    reader.until(5).await;
    assert_eq!(right.ask(&book(DATE, 11)).await.status, 201);
    let seen = reader.until(4).await;

    // A second reader shares what the node has, and one that has seen it all is told what is new only.
    let (_, mut second) = Reader::open(&wrong, &stream()).await;
    assert_eq!(second.until(4).await, seen);
    let (_, mut back) = Reader::open(&wrong, &stream().header("last-event-id", seen.to_string())).await;

    // Nobody speaks for it, then the same again: readers notice nothing but the next change.
    right.give_up(&days);
    assert_eq!(wrong.ask(&Ask::new("GET", day_path(DATE))).await.status, 503);
    right.take_back(&days, epoch);
    assert_eq!(wrong.ask(&book(DATE, 12)).await.status, 201);
    for reader in [&mut reader, &mut second, &mut back] {
        assert!(reader.until(3).await > seen);
    }
    // The node that speaks for it goes for good.
    right.stop().await;
    wrong.shared.begin_stopping();
    assert!(reader.next().await.is_none() && second.next().await.is_none(), "streams end with their own node");
    wrong.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_stay_when_their_day_goes_to_another_node_and_comes_back() {
    let (one, two) = (TestNode::start(1, None).await, TestNode::start(2, None).await);
    let days = [day(DATE)];
    let epoch = one.epoch(days[0]);
    for node in [&one, &two] {
        assert_eq!(node.ask(&publish(DATE, 5)).await.status, 201);
    }
    // The stores differ: what is there is made newer than what is here, as a common journal would have it.
    assert_eq!(two.ask(&book(DATE, 11)).await.status, 201);
    let (_, mut reader) = Reader::open(&one, &stream()).await;
    reader.until(5).await;
    one.give_up(&days);
    one.believes_in(Some(&two.internal));
    one.shared.engine.shard_left(days[0].shard());
    let seen = reader.until(4).await;
    two.give_up(&days);
    one.take_back(&days, epoch);
    for patient in 11..14 {
        assert_eq!(one.ask(&book(DATE, patient)).await.status, 201);
    }
    assert!(reader.until(2).await > seen, "from its own node again");
    one.shared.begin_stopping();
    one.stop().await;
    two.stop().await;
}
