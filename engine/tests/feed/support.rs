//! Engines with a feed, what they are asked, and what consumers have read.
//! Must not know: what is tested.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use booking_core::{
    AppointmentId, Booking, Date, DayDefinition, DayKey, DoctorId, Envelope, PatientId, Release, RequestId, Role,
    SlotDefinition, SubjectId, UtcMillis,
};
use engine::clock::{Clock, SystemClock};
use engine::config::{FeedSettings, ServerUrl};
use engine::feed::{nats, redis_streams};
use engine::journal::Journal;
use engine::journal::sqlite::SqliteJournal;
use engine::view::{BookRequest, Caller, PublishRequest};
use engine::{EngineConfig, EngineHandle};
use futures_util::StreamExt;
use serde_json::Value;
use servers::{Nats, Redis};
use uuid::Uuid;

/// Far beyond every deadline of the feed.
const PATIENCE: Duration = Duration::from_secs(40);
/// Long after any run of these tests.
const DATE: i32 = 40_000;

/// An event as a consumer has read it: its id and its body.
pub(crate) type Read = (String, Value);

/// The settings of an embedded engine with a feed to these servers.
pub(crate) fn config(directory: &Path, redis: Option<&Redis>, nats: Option<&Nats>) -> EngineConfig {
    let mut config = EngineConfig::embedded(directory.to_owned());
    config.feed = FeedSettings {
        redis: redis.map(|redis| ServerUrl::new(redis.url())),
        nats: nats.map(|nats| ServerUrl::new(nats.url())),
        ..FeedSettings::default()
    };
    config
}

pub(crate) fn day(number: u128) -> DayKey {
    let doctor = DoctorId(Uuid::from_u128(0x5eed_0000 + number * 0x1_0001));
    DayKey { doctor, date: Date::from_days(DATE).expect("a date") }
}

fn caller(role: Role, subject: Uuid) -> Caller {
    let request = RequestId(Uuid::from_u128(9));
    Caller { envelope: Envelope { subject: SubjectId(subject), role, request }, key: None }
}

/// Publishes `day` with a slot for many, `releases` times released.
pub(crate) async fn publish(engine: &EngineHandle, day: DayKey, releases: usize) {
    let start = UtcMillis(i64::from(DATE) * 86_400_000 + 9 * 3_600_000);
    let slot = SlotDefinition { start, end: start.plus_millis(600_000), capacity: 10_000, utc_offset_seconds: 0 };
    let release = |_| Release { at: UtcMillis(0), places: None, audience: None };
    let releases = (0..releases).map(release).collect();
    let definition = DayDefinition::validate("UTC".into(), "".into(), vec![slot], releases).expect("a good definition");
    let (definition, caller) = (Arc::new(definition), caller(Role::Admin, Uuid::from_u128(1)));
    engine.publish_day(PublishRequest { day, definition, precondition: None, caller }).await.expect("it is published");
}

/// Books a place of `day` for patient number `patient`; whether that succeeded.
pub(crate) async fn try_book(engine: &EngineHandle, day: DayKey, patient: u128) -> bool {
    let patient = Uuid::from_u128(0xfee0_0000 + patient);
    let booking = Booking {
        appointment: AppointmentId(Uuid::nil()),
        patient: PatientId(patient),
        start: None,
        hold_millis: None,
        audiences: Arc::from([]),
        busy: Vec::new(),
    };
    engine.book(BookRequest { day, booking, caller: caller(Role::Patient, patient) }).await.is_ok()
}

/// Books `count` places of each of `days`, by turns, for patients from number `first` on.
pub(crate) async fn book(engine: &EngineHandle, days: &[DayKey], first: u128, count: u128) {
    for round in 0..count {
        for (number, day) in days.iter().enumerate() {
            let patient = first + round * days.len() as u128 + number as u128;
            assert!(try_book(engine, *day, patient).await, "{day} has room");
        }
    }
}

/// Becomes ready when `condition` holds; fails after a long time.
pub(crate) async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let clock = SystemClock::start();
    let holds = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    assert!(engine::clock::timeout(&clock as &dyn Clock, PATIENCE, holds).await.is_some(), "never: {what}");
}

fn read(id: &str, body: &str) -> Read {
    let body: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(body["id"], id, "the id is in the event too");
    (id.to_owned(), body)
}

/// Everything in the streams of `redis`, in the order of each.
pub(crate) async fn in_redis(redis: &Redis) -> Vec<Read> {
    let mut all = Vec::new();
    for stream in 0..redis_streams::STREAMS {
        let key = format!("{}{stream}", redis_streams::STREAM_PREFIX);
        let entries: Vec<(String, Vec<String>)> = redis.call(&["XRANGE", &key, "-", "+"]).await;
        all.extend(entries.iter().map(|(_, fields)| match &fields[..] {
            [id_name, id, event_name, body] if id_name == "id" && event_name == "event" => read(id, body),
            other => panic!("{other:?}"),
        }));
    }
    all
}

/// Everything in the stream `name` of `nats`: subject, id, reason, body.
pub(crate) async fn in_stream(nats: &Nats, name: &str) -> Vec<(String, String, String, String)> {
    let client = async_nats::connect(nats.url()).await.expect("a connection");
    let Ok(stream) = jetstream::new(client).get_stream(name).await else { return Vec::new() };
    let count = stream.cached_info().state.messages;
    let config = jetstream::consumer::pull::OrderedConfig::default();
    let consumer = stream.create_consumer(config).await.expect("a consumer");
    let mut messages = consumer.messages().await.expect("messages");
    let mut all = Vec::new();
    while (all.len() as u64) < count {
        let message = messages.next().await.expect("a message").expect("a message");
        let headers = message.headers.clone().expect("headers");
        let header = |name: &str| headers.get(name).map(ToString::to_string).unwrap_or_default();
        let body = String::from_utf8(message.payload.to_vec()).expect("text");
        all.push((message.subject.to_string(), header("Nats-Msg-Id"), header("Hotslot-Reason"), body));
    }
    all
}

/// Everything in the stream of events of `nats`, in its order.
pub(crate) async fn in_nats(nats: &Nats) -> Vec<Read> {
    in_stream(nats, nats::STREAM).await.iter().map(|(_, id, _, body)| read(id, body)).collect()
}

/// The ids that the records of a journal make, by day and in order: what consumers are to read.
pub(crate) async fn expected(directory: &Path) -> BTreeMap<String, Vec<String>> {
    let journal = SqliteJournal::open(directory).await.expect("the journal opens");
    let records = journal.read_after(0, 1_000_000).await.expect("it can be read");
    journal.close().await;
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in records.iter().flat_map(engine::feed::event::outgoing) {
        expected.entry(day_of(&event.id)).or_default().push(event.id);
    }
    expected
}

/// The day's part of an id.
fn day_of(id: &str) -> String {
    id.splitn(3, '/').take(2).collect::<Vec<_>>().join("/")
}

/// What a consumer keeps who drops ids that it has read before, by day and in its order.
pub(crate) fn deduplicated(read: &[Read]) -> BTreeMap<String, Vec<String>> {
    let (mut seen, mut kept): (BTreeSet<&str>, BTreeMap<String, Vec<String>>) = Default::default();
    for (id, _) in read {
        if seen.insert(id) {
            kept.entry(day_of(id)).or_default().push(id.clone());
        }
    }
    kept
}

/// Whether each event was told again in the same words, if it was.
pub(crate) fn assert_same_words(read: &[Read]) {
    let mut words: BTreeMap<&str, &Value> = BTreeMap::new();
    for (id, body) in read {
        assert_eq!(*words.entry(id).or_insert(body), body, "{id}");
    }
}
