//! Does an event that can never be told become a dead letter, and do the others of its day go on?
//! Must not know: how a relay is made.

use engine::Engine;
use engine::feed::{nats, redis_streams};
use engine::journal::Head;
use engine::journal::Journal;
use engine::journal::contract::append_of;
use engine::journal::sqlite::SqliteJournal;
use servers::{Nats, Redis};

use crate::support::{book, config, day, eventually, in_nats, in_redis, in_stream, publish};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stream_refuses_for_its_size_is_a_dead_letter() {
    let nats = Nats::start().await;
    // An operator's stream that takes bookings, and no day with a hundred releases.
    let stream = r#"{"name":"HOTSLOT_EVENTS","subjects":["hotslot.events.*"],"storage":"file","max_msg_size":2048}"#;
    let created = nats.request("$JS.API.STREAM.CREATE.HOTSLOT_EVENTS", stream).await;
    assert!(created.contains("\"created\""), "{created}");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let engine = Engine::start(config(directory.path(), None, Some(&nats)), None).await.expect("it starts");
    let days = [day(1), day(2)];
    publish(&engine.handle(), days[0], 100).await;
    publish(&engine.handle(), days[1], 1).await;
    book(&engine.handle(), &days, 0, 10).await;
    eventually("the others go on", async || in_nats(&nats).await.len() == 21).await;
    engine.stop().await;
    let dead = in_stream(&nats, nats::DEAD_STREAM).await;
    let [(subject, id, reason, body)] = &dead[..] else { panic!("{dead:?}") };
    assert_eq!((subject.as_str(), reason.as_str()), (nats::DEAD_SUBJECT, "too large for the stream"));
    assert_eq!(*id, format!("{}/{}/1/0", days[0].doctor.0, days[0].date));
    assert!(body.contains("day_published"), "{body}");
    let sequences =
        in_nats(&nats).await.into_iter().filter(|(_, body)| body["doctor_id"] == days[0].doctor.0.to_string());
    let sequences: Vec<_> = sequences.map(|(_, body)| body["sequence"].as_u64().expect("a number")).collect();
    assert_eq!(sequences, (2..=11).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_cannot_be_read_is_a_dead_letter() {
    let redis = Redis::start().await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let broken = day(7);
    let journal = SqliteJournal::open(directory.path()).await.expect("the journal opens");
    let (append, _) = append_of(broken, journal.epoch(), Head::default(), &[b"not an event"]);
    journal.append(&[append]).await.expect("it writes");
    journal.close().await;
    let engine = Engine::start(config(directory.path(), Some(&redis), None), None).await.expect("it starts");
    publish(&engine.handle(), day(1), 1).await;
    book(&engine.handle(), &[day(1)], 0, 10).await;
    eventually("the others go on", async || in_redis(&redis).await.len() == 11).await;
    engine.stop().await;
    let dead: Vec<(String, Vec<String>)> = redis.call(&["XRANGE", redis_streams::DEAD_STREAM, "-", "+"]).await;
    let [(_, fields)] = &dead[..] else { panic!("{dead:?}") };
    assert_eq!(fields[1], format!("{}/{}/1/0", broken.doctor.0, broken.date));
    assert!(fields[3].contains("cannot be decoded"), "{fields:?}");
}
