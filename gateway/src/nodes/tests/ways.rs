//! A request at the wrong node: answered as at the right one, once, and never with what is for nodes only.
//! Must not know: streams, lists.

use booking_core::Role;
use engine::clock::Clock as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::pair::{Ask, TestNode, book, day, day_path, key, publish};
use crate::auth::pass::Passes;

const DATE: &str = "2100-05-03";

/// One that speaks for nothing of the doctor's, and one that does; the first knows it.
async fn pair() -> (TestNode, TestNode) {
    let (wrong, right) = (TestNode::start(1, None).await, TestNode::start(2, None).await);
    wrong.give_up(&[day(DATE)]);
    wrong.believes_in(Some(&right.internal));
    (wrong, right)
}

fn without_time(mut body: Value) -> Value {
    body.as_object_mut().expect("an object").remove("server_time");
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_node_is_asked_the_answer_is_the_same() {
    let (wrong, right) = pair().await;
    let published = wrong.ask(&publish(DATE, 2).header("x-request-id", "mine")).await;
    assert_eq!((published.status, published.header("x-request-id")), (201, Some("mine")), "{published:?}");
    let read = Ask::new("GET", day_path(DATE));
    let (there, here) = (wrong.ask(&read).await, right.ask(&read).await);
    assert_eq!((there.status, here.status), (200, 200));
    assert_eq!(there.header("etag"), here.header("etag"));
    assert!(there.header("etag").is_some() && there.headers.get_all("x-request-id").iter().count() == 1);
    assert_eq!(without_time(there.json), without_time(here.json));
    let unchanged =
        wrong.ask(&read.clone().header("if-none-match", there.headers["etag"].to_str().expect("text"))).await;
    assert_eq!(unchanged.status, 304);

    let won = wrong.ask(&book(DATE, 11)).await;
    assert_eq!(won.status, 201, "{won:?}");
    assert!(won.header("location").is_some() && won.header("idempotency-replayed").is_none());
    for node in [&wrong, &right] {
        let again = node.ask(&book(DATE, 11)).await;
        assert_eq!((again.status, &again.json), (201, &won.json), "booked once, whichever node is asked");
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
    }
    assert_eq!(wrong.ask(&book(DATE, 12)).await.status, 201);
    let late = wrong.ask(&book(DATE, 13)).await;
    assert_eq!((late.status, late.json["code"].as_str()), (409, Some("sold_out")), "refusals are passed back too");
    wrong.stop().await;
    right.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_checked_again_and_refusals_before_the_day_stay_where_they_are() {
    let (wrong, right) = pair().await;
    assert_eq!(wrong.ask(&publish(DATE, 1)).await.status, 201);
    let unknown =
        Ask::new("POST", "/v1/appointments").json(json!({"doctor_id": super::pair::doctor().0, "date": DATE}));
    assert_eq!(wrong.ask(&unknown).await.status, 401);
    let passed_on = right.ask_inside(&unknown.header("hotslot-hop", "1")).await.expect("an answer");
    assert_eq!(passed_on.status, 401, "another node's word is not taken for who calls");
    let patients = Ask::new("GET", format!("{}/appointments", day_path(DATE))).by(Role::Patient, 3);
    assert_eq!(wrong.ask(&patients).await.status, 403);
    wrong.stop().await;
    right.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nodes_door_takes_only_what_a_node_has_passed_on() {
    let (wrong, right) = pair().await;
    assert_eq!(right.ask(&publish(DATE, 1)).await.status, 201);
    let read = Ask::new("GET", day_path(DATE));
    assert_eq!(right.ask_inside(&read).await.expect("an answer").status, 404, "not passed on");
    let hop = |ask: Ask| ask.header("hotslot-hop", "1");
    assert_eq!(right.ask_inside(&hop(read.clone())).await.expect("an answer").status, 200);
    let elsewhere = wrong.ask_inside(&hop(read.clone())).await.expect("an answer");
    let shard = day(DATE).shard().to_string();
    assert_eq!((elsewhere.status, elsewhere.header("hotslot-moved")), (421, Some(&*shard)), "no third node is asked");
    assert_eq!(right.ask_inside(&hop(Ask::new("GET", "/healthz/live"))).await.expect("an answer").status, 404);

    let question = hop(Ask::new("POST", "/internal/v1/ask")).json(json!({}));
    assert_eq!(right.ask(&question).await.status, 404, "never at the public door");
    let pass = Passes::new(&key()).make(engine::clock::SystemClock::start().now()).expect("a pass");
    let with_pass = question.clone().header("authorization", format!("Bearer {pass}"));
    // Not even an admin.
    for (ask, status) in [(question.clone(), 401), (question.by(Role::Admin, 1), 401), (with_pass, 200)] {
        assert_eq!(right.ask_inside(&ask).await.expect("an answer").status, status);
    }
    wrong.stop().await;
    right.stop().await;
}

/// Takes one connection and drops it when something has been asked; then the test goes on.
async fn one_that_dies(listener: &TcpListener) {
    let (stream, _) = listener.accept().await.expect("a connection");
    stream.readable().await.expect("a question");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_in_time_is_not_noticed() {
    let (wrong, right) = pair().await;
    assert_eq!(right.ask(&publish(DATE, 3)).await.status, 201);
    let dying = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = dying.local_addr().expect("an address").to_string();
    for ask in [Ask::new("GET", day_path(DATE)), book(DATE, 21)] {
        wrong.believes_in(Some(&address));
        let takeover = async {
            one_that_dies(&dying).await;
            wrong.believes_in(Some(&right.internal));
        };
        let (told, ()) = tokio::join!(wrong.ask(&ask), takeover);
        assert!(matches!(told.status, 200 | 201), "{told:?}");
    }
    // Without a key it may have been done, and is not asked again: the map is right, but only after that.
    let confirm = publish(DATE, 2);
    wrong.believes_in(Some(&address));
    let takeover = async {
        one_that_dies(&dying).await;
        wrong.believes_in(Some(&right.internal));
    };
    let (told, ()) = tokio::join!(wrong.ask(&confirm), takeover);
    assert_eq!(
        (told.status, told.json["code"].as_str(), told.header("retry-after")),
        (503, Some("unavailable"), Some("1"))
    );
    let slots = right.ask(&Ask::new("GET", day_path(DATE))).await.json;
    assert_eq!(slots["slots"][0]["capacity"], 3, "it was not done");
    wrong.stop().await;
    right.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_speaks_for_is_unavailable_and_what_came_back_is_answered_here() {
    let (wrong, right) = pair().await;
    let days = [day(DATE)];
    let epoch = right.epoch(days[0]);
    assert_eq!(right.ask(&publish(DATE, 3)).await.status, 201);
    wrong.believes_in(None);
    let told = wrong.ask(&Ask::new("GET", day_path(DATE))).await;
    assert_eq!((told.status, told.header("retry-after")), (503, Some("1")), "421 is never public: {told:?}");
    // The map says that it is there, and it is not: both wait, and then it is.
    right.give_up(&days);
    wrong.believes_in(Some(&right.internal));
    let takeover = async {
        while right.ask_inside(&Ask::new("GET", day_path(DATE)).header("hotslot-hop", "1")).await.expect("asked").status
            != 421
        {}
        right.take_back(&days, epoch);
    };
    let booking = book(DATE, 31);
    let (told, ()) = tokio::join!(wrong.ask(&booking), takeover);
    assert_eq!(told.status, 201, "{told:?}");
    // It has come here while another node was being asked, which says so: an unpublished day, since the stores differ.
    right.give_up(&days);
    wrong.believes_in(Some(&right.internal));
    wrong.take_back(&days, wrong.epoch(day("2100-06-01")));
    assert_eq!(wrong.ask(&Ask::new("GET", day_path(DATE))).await.status, 404);
    wrong.stop().await;
    right.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_lease_has_ended_tells_old_news_as_such() {
    let node = TestNode::start(1, None).await;
    assert_eq!(node.ask(&publish(DATE, 3)).await.status, 201);
    let now_micros = node.shared.engine.clock().monotonic_micros();
    node.shared.engine.territory().tenures().end_lease(now_micros);
    let told = node.ask(&Ask::new("GET", day_path(DATE))).await;
    assert_eq!((told.status, told.json["slots"][0]["remaining"].as_u64()), (200, Some(3)), "{told:?}");
    let age: u64 = told.header("age").expect("its age").parse().expect("seconds");
    assert!((1..=30).contains(&age), "{age}");
    let unknown = node.ask(&Ask::new("GET", day_path("2100-06-01"))).await;
    assert_eq!((unknown.status, unknown.header("age")), (503, None), "nothing is made up");
    assert_eq!(node.ask(&book(DATE, 41)).await.status, 503, "nobody is refused or given anything because of it");
    let ready = node.ask(&Ask::new("GET", "/healthz/ready")).await;
    assert_eq!((ready.status, ready.json["part"].as_str()), (503, Some("ownership")));
    node.stop().await;
}
