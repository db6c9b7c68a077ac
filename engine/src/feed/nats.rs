//! The feed to NATS JetStream: one stream, a subject a shard, the event's id as the id of the message.
//! Must not know: what is in an event, how far the relay is.
//!
//! Within a subject an event is sent when the one before it is acknowledged: if one fails, none after it is there, and the order of
//! each day holds. Subjects do not wait for each other. The server drops an id that it has seen within the window of the stream.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::time::Duration;

use async_nats::jetstream::context::{Context, PublishError, PublishErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{Client, ConnectOptions, HeaderMap, ServerAddr};
use async_trait::async_trait;
use futures_util::StreamExt;
use tokio::sync::Mutex;

use super::hints::{HINT, HintChannel};
use super::{Outgoing, Published, Sink};

/// The stream of events.
pub const STREAM: &str = "HOTSLOT_EVENTS";
/// A subject is this and the number of the shard.
pub const SUBJECT_PREFIX: &str = "hotslot.events.";
/// The stream of what cannot be published.
pub const DEAD_STREAM: &str = "HOTSLOT_EVENTS_DEAD";
/// Its one subject. Headers `Nats-Msg-Id` and `Hotslot-Reason`, the event as the body.
pub const DEAD_SUBJECT: &str = "hotslot.events_dead";
/// Most dead letters that are kept.
const DEAD_MAX: i64 = 10_000;
/// Where nodes hear of each other; in no stream.
const HINTS: &str = "hotslot.hints";

/// For a connection, and for one acknowledgement.
const DEADLINE: Duration = Duration::from_secs(2);
/// How long the server knows an id again: longer than a takeover.
const WINDOW: Duration = Duration::from_secs(120);
/// Subjects that wait for acknowledgements at the same time.
const AT_ONCE: usize = 64;
/// Commands on their way to the connection: two for each of [`AT_ONCE`], and hints.
const COMMANDS_MAX: usize = 256;

/// A [`Sink`] in JetStream.
pub struct NatsSink {
    address: ServerAddr,
    events_max: i64,
    /// Tokio's mutex: held while the one connection is made.
    connection: Mutex<Option<(Client, Context)>>,
}

impl NatsSink {
    /// The server at `url`, which is not connected to yet. If it has no stream yet, one is made that keeps `events_max` events.
    pub fn new(url: &str, events_max: u64) -> Result<Self, String> {
        // The crate's words may repeat a part of the URL.
        let address = url.parse().map_err(|_| "the URL of the feed's NATS is malformed".to_owned())?;
        let events_max = i64::try_from(events_max).unwrap_or(i64::MAX);
        Ok(Self { address, events_max, connection: Mutex::default() })
    }

    /// The connection, with both streams there.
    async fn connection(&self) -> Result<(Client, Context), String> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = &*slot {
            return Ok(connection.clone());
        }
        let options = ConnectOptions::new()
            .name("hotslot feed")
            .connection_timeout(DEADLINE)
            .request_timeout(Some(DEADLINE))
            .client_capacity(COMMANDS_MAX);
        let client = options.connect(self.address.clone()).await.map_err(|error| error.kind().to_string())?;
        let mut context = jetstream::new(client.clone());
        context.set_timeout(DEADLINE);
        let streams =
            [(STREAM, format!("{SUBJECT_PREFIX}*"), self.events_max), (DEAD_STREAM, DEAD_SUBJECT.to_owned(), DEAD_MAX)];
        for (name, subject, max_messages) in streams {
            let config = Config {
                name: name.to_owned(),
                subjects: vec![subject],
                max_messages,
                discard: DiscardPolicy::Old,
                storage: StorageType::File,
                duplicate_window: WINDOW,
                ..Config::default()
            };
            context.get_or_create_stream(config).await.map_err(|error| format!("stream {name}: {error}"))?;
        }
        *slot = Some((client.clone(), context.clone()));
        Ok((client, context))
    }

    /// Sends one message and waits until the stream has it.
    async fn send(&self, context: &Context, subject: String, headers: HeaderMap, body: String) -> Published {
        let sending = async { context.publish_with_headers(subject, headers, body.into()).await?.await };
        match sending.await {
            Ok(_) => Published::Done,
            Err(error) => {
                if matches!(error.kind(), PublishErrorKind::StreamNotFound | PublishErrorKind::BrokenPipe) {
                    // The next one makes the stream, or the connection, again.
                    *self.connection.lock().await = None;
                }
                outcome(&error)
            }
        }
    }

    async fn send_in_order(&self, context: &Context, events: Vec<(usize, &Outgoing)>) -> Vec<(usize, Published)> {
        let mut outcomes = Vec::with_capacity(events.len());
        let mut stopped: Option<String> = None;
        for (index, event) in events {
            let outcome = match &stopped {
                Some(reason) => Published::Away(reason.clone()),
                None => {
                    let body = event.body.clone().unwrap_or_default();
                    self.send(context, format!("{SUBJECT_PREFIX}{}", event.shard), message_id(event), body).await
                }
            };
            if let Published::Away(reason) | Published::Refused(reason) = &outcome {
                stopped.get_or_insert_with(|| format!("after one that failed: {reason}"));
            }
            outcomes.push((index, outcome));
        }
        outcomes
    }
}

fn message_id(event: &Outgoing) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(async_nats::header::NATS_MESSAGE_ID, event.id.as_str());
    headers
}

/// Too large for the server or the stream: for good. Everything else may pass.
fn outcome(error: &PublishError) -> Published {
    let said = error.source().and_then(|source| source.downcast_ref::<jetstream::Error>());
    let is_too_large = error.kind() == PublishErrorKind::MaxPayloadExceeded
        || said.is_some_and(|said| said.error_code() == ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM);
    if is_too_large {
        Published::Refused("too large for the stream".to_owned())
    } else {
        Published::Away(error.to_string())
    }
}

#[async_trait]
impl Sink for NatsSink {
    fn name(&self) -> &'static str {
        "nats"
    }

    async fn publish(&self, events: &[Outgoing]) -> Vec<Published> {
        let (_, context) = match self.connection().await {
            Ok(connection) => connection,
            Err(reason) => return vec![Published::Away(reason); events.len()],
        };
        let mut subjects: BTreeMap<u16, Vec<(usize, &Outgoing)>> = BTreeMap::new();
        for (index, event) in events.iter().enumerate() {
            subjects.entry(event.shard).or_default().push((index, event));
        }
        let sent: Vec<_> = subjects.into_values().map(|events| self.send_in_order(&context, events)).collect();
        let sent: Vec<Vec<(usize, Published)>> =
            futures_util::stream::iter(sent).buffer_unordered(AT_ONCE).collect().await;
        let mut outcomes = vec![Published::Away("not sent".to_owned()); events.len()];
        for (index, outcome) in sent.into_iter().flatten() {
            outcomes[index] = outcome;
        }
        outcomes
    }

    async fn bury(&self, event: &Outgoing, reason: &str) -> Result<(), String> {
        let (_, context) = self.connection().await?;
        let mut headers = message_id(event);
        // A header is one line.
        let line: String = reason.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        headers.insert("Hotslot-Reason", line);
        match self.send(&context, DEAD_SUBJECT.to_owned(), headers, super::body_of_dead(event).to_owned()).await {
            Published::Done => Ok(()),
            Published::Refused(reason) | Published::Away(reason) => Err(format!("the dead letters: {reason}")),
        }
    }
}

#[async_trait]
impl HintChannel for NatsSink {
    async fn tell(&self) -> Result<(), String> {
        let (client, _) = self.connection().await?;
        client.publish(HINTS, HINT.into()).await.map_err(|error| error.to_string())
    }

    async fn listen(&self, heard: &(dyn Fn() + Send + Sync)) -> String {
        let client = match self.connection().await {
            Ok((client, _)) => client,
            Err(reason) => return reason,
        };
        let mut messages = match client.subscribe(HINTS).await {
            Ok(messages) => messages,
            Err(error) => return error.to_string(),
        };
        while messages.next().await.is_some() {
            heard();
        }
        "the connection ended".to_owned()
    }
}
