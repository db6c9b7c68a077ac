//! The feed to Redis Streams: sixteen streams, a shard always in the same one, so that the order of each day holds.
//! Must not know: what is in an event, how far the relay is.
//!
//! An event is an entry with the fields `id` and `event`. Each stream keeps about a sixteenth of the events that are kept in all; who reads
//! too late has missed some. One call a stream adds events in their order and stops at the first that is not taken.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, Pipeline, RedisError, Value};
use tokio::sync::Mutex;

use super::hints::{HINT, HintChannel};
use super::{Outgoing, Published, Sink};

/// Streams; an event of shard `s` is in number `s` modulo this.
pub const STREAMS: u16 = 16;
/// A stream is this and its number.
pub const STREAM_PREFIX: &str = "hotslot:events:";
/// What cannot be published: `id`, `reason`, `event`.
pub const DEAD_STREAM: &str = "hotslot:events:dead";
/// Most dead letters that are kept, about.
const DEAD_MAX: u64 = 10_000;
/// Where nodes hear of each other.
const HINTS: &str = "hotslot:hints";

/// For a connection.
const CONNECT_DEADLINE: Duration = Duration::from_secs(1);
/// For a batch.
const CALL_DEADLINE: Duration = Duration::from_secs(2);

/// Adds events to one stream: how many it took, and what the server said of the next. A script cannot be stopped half-way by another
/// client.
const ADD: &str = "local done = 0 \
    for at = 2, #ARGV, 2 do \
      local said = redis.pcall('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'id', ARGV[at], 'event', ARGV[at + 1]) \
      if type(said) == 'table' and said.err then return {done, said.err} end \
      done = done + 1 \
    end \
    return {done, ''}";

/// A [`Sink`] in Redis.
pub struct RedisSink {
    client: Client,
    /// Tokio's mutex: held while the one connection is made.
    connection: Mutex<Option<MultiplexedConnection>>,
    stream_max: u64,
}

impl RedisSink {
    /// The server at `url`, which is not connected to yet; it keeps about `events_max` events.
    pub fn new(url: &str, events_max: u64) -> Result<Self, String> {
        // The crate's words may repeat a part of the URL.
        let client = Client::open(url).map_err(|_| "the URL of the feed's Redis is malformed".to_owned())?;
        let stream_max = (events_max / u64::from(STREAMS)).max(1);
        Ok(Self { client, connection: Mutex::default(), stream_max })
    }

    async fn connection(&self) -> Result<MultiplexedConnection, RedisError> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = &*slot {
            return Ok(connection.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_DEADLINE))
            .set_response_timeout(Some(CALL_DEADLINE));
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        *slot = Some(connection.clone());
        Ok(connection)
    }

    /// The answers to `commands`, all sent at once; errors of single ones are among them.
    async fn call(&self, commands: Vec<Cmd>) -> Result<Vec<redis::RedisResult<Value>>, String> {
        let mut pipeline = Pipeline::with_capacity(commands.len());
        commands.into_iter().for_each(|command| {
            pipeline.add_command(command);
        });
        pipeline.ignore_errors();
        let asked = async { pipeline.query_async(&mut self.connection().await?).await };
        let answer: Result<_, RedisError> = asked.await;
        if answer.is_err() {
            *self.connection.lock().await = None;
        }
        answer.map_err(|error| words(&error))
    }
}

/// Without values: an answer may repeat an argument.
fn words(error: &RedisError) -> String {
    error.code().map_or_else(|| format!("{:?}", error.kind()), str::to_owned)
}

/// `[done, what the server said of the next]`
fn added(answer: redis::RedisResult<Value>) -> (usize, String) {
    match answer {
        Ok(Value::Array(parts)) => match &parts[..] {
            [Value::Int(done), Value::BulkString(said)] => {
                (usize::try_from(*done).unwrap_or(0), String::from_utf8_lossy(said).into_owned())
            }
            _ => (0, "an answer that cannot be".to_owned()),
        },
        Ok(_) => (0, "an answer that cannot be".to_owned()),
        Err(error) => (0, words(&error)),
    }
}

#[async_trait]
impl Sink for RedisSink {
    fn name(&self) -> &'static str {
        "redis"
    }

    async fn publish(&self, events: &[Outgoing]) -> Vec<Published> {
        let mut streams: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
        for (index, event) in events.iter().enumerate() {
            streams.entry(event.shard % STREAMS).or_default().push(index);
        }
        let command = |(stream, indexes): (&u16, &Vec<usize>)| {
            let mut command = redis::cmd("EVAL");
            command.arg(ADD).arg(1).arg(format!("{STREAM_PREFIX}{stream}")).arg(self.stream_max);
            for event in indexes.iter().map(|index| &events[*index]) {
                command.arg(&event.id).arg(event.body.as_deref().unwrap_or_default());
            }
            command
        };
        let answers = match self.call(streams.iter().map(command).collect()).await {
            Ok(answers) => answers,
            Err(reason) => return vec![Published::Away(reason); events.len()],
        };
        let mut outcomes = vec![Published::Away("no answer".to_owned()); events.len()];
        for (indexes, answer) in streams.values().zip(answers) {
            let (done, said) = added(answer);
            for (place, index) in indexes.iter().enumerate() {
                outcomes[*index] = if place < done { Published::Done } else { Published::Away(said.clone()) };
            }
        }
        outcomes
    }

    async fn bury(&self, event: &Outgoing, reason: &str) -> Result<(), String> {
        let mut command = redis::cmd("XADD");
        command.arg(DEAD_STREAM).arg("MAXLEN").arg("~").arg(DEAD_MAX).arg("*");
        command.arg("id").arg(&event.id).arg("reason").arg(reason).arg("event").arg(super::body_of_dead(event));
        let answer = self.call(vec![command]).await?.pop();
        answer.unwrap_or(Ok(Value::Nil)).map(drop).map_err(|error| words(&error))
    }
}

#[async_trait]
impl HintChannel for RedisSink {
    async fn tell(&self) -> Result<(), String> {
        let mut command = redis::cmd("PUBLISH");
        command.arg(HINTS).arg(HINT);
        self.call(vec![command]).await.map(drop)
    }

    async fn listen(&self, heard: &(dyn Fn() + Send + Sync)) -> String {
        let listening = async {
            let mut channel = self.client.get_async_pubsub().await?;
            channel.subscribe(HINTS).await?;
            let mut messages = channel.into_on_message();
            while messages.next().await.is_some() {
                heard();
            }
            Ok::<(), RedisError>(())
        };
        listening.await.map_or_else(|error| words(&error), |()| "the connection ended".to_owned())
    }
}
