//! Connections to one server: one for each purpose, opened when first used and again after a failure.
//! Must not know: shards, what the commands mean.
//!
//! A WAIT holds up its connection, and proves something only on the connection of the write before it (`protocols.md` rule 34). So
//! appends have a connection of their own, and whatever else writes with a WAIT has another. A connection is shared by many callers and
//! answers in order: no pool is needed.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, ConnectionInfo, Pipeline, RedisError, RedisResult, Value};
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use crate::clock::Stopwatch;
use crate::telemetry::catalogue;

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lane {
    /// Appends, each with its WAIT.
    Append,
    /// Barriers and everything that belongs to a change of owners: rare, and mostly when something has just broken. Each call has
    /// a new connection, so that none fails because its connection had died long ago.
    Control,
    /// Reads, and writes that may be done twice.
    Read,
}

impl Lane {
    /// One of [`catalogue::REDIS_LANES`].
    const fn label(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Control => "control",
            Self::Read => "read",
        }
    }
}

/// A call under way, counted until it is dropped.
struct InFlight(metrics::Gauge);

impl InFlight {
    fn on(lane: Lane) -> Self {
        let gauge = metrics::gauge!(catalogue::REDIS_CALLS, "lane" => lane.label());
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// Longest wait for a connection.
const CONNECT_DEADLINE: Duration = Duration::from_millis(500);

/// Why a pipeline has no answers.
#[derive(Debug)]
pub(super) struct Broken {
    /// Whether the server may have done something of it.
    pub(super) sent: bool,
    /// In words, without addresses' credentials.
    pub(super) reason: String,
}

/// The connections to one server.
pub(super) struct Link {
    info: ConnectionInfo,
    /// Where the connections' tasks live: whoever asks first may end sooner.
    runtime: Handle,
    /// Of appends and of reads.
    lanes: [Mutex<Option<MultiplexedConnection>>; 2],
}

impl Link {
    pub(super) fn new(info: ConnectionInfo, runtime: Handle) -> Self {
        Self { info, runtime, lanes: Default::default() }
    }

    /// The answers to `commands`, in their order, all sent at once on one connection.
    pub(super) async fn call(
        &self,
        lane: Lane,
        commands: &[Cmd],
        limit: Duration,
    ) -> Result<Vec<RedisResult<Value>>, Broken> {
        let _counted = InFlight::on(lane);
        let mut connection = self.connection(lane).await.map_err(|reason| Broken { sent: false, reason })?;
        connection.set_response_timeout(limit);
        let mut pipeline = Pipeline::with_capacity(commands.len());
        commands.iter().for_each(|command| {
            pipeline.add_command(command.clone());
        });
        pipeline.ignore_errors();
        let watch = Stopwatch::start();
        match pipeline.query_async(&mut connection).await {
            Ok(answers) => {
                if lane == Lane::Append {
                    metrics::histogram!(catalogue::SYNC_DURATION).record(watch.seconds());
                }
                Ok(answers)
            }
            Err(error) => {
                if let Some(slot) = self.slot(lane) {
                    *slot.lock().await = None;
                }
                Err(Broken { sent: true, reason: words(&error) })
            }
        }
    }

    /// One command; an error of the server is an error.
    pub(super) async fn ask(&self, command: &Cmd, limit: Duration) -> Result<Value, String> {
        let answers =
            self.call(Lane::Read, std::slice::from_ref(command), limit).await.map_err(|broken| broken.reason)?;
        match answers.into_iter().next() {
            Some(answer) => answer.map_err(|error| words(&error)),
            None => Err("no answer".to_owned()),
        }
    }

    async fn connection(&self, lane: Lane) -> Result<MultiplexedConnection, String> {
        let Some(slot) = self.slot(lane) else { return self.connect().await };
        // Tokio's mutex: held while the one connection of the lane is made.
        let mut slot = slot.lock().await;
        if let Some(connection) = &*slot {
            return Ok(connection.clone());
        }
        Ok(slot.insert(self.connect().await?).clone())
    }

    fn slot(&self, lane: Lane) -> Option<&Mutex<Option<MultiplexedConnection>>> {
        match lane {
            Lane::Append => Some(&self.lanes[0]),
            Lane::Read => Some(&self.lanes[1]),
            Lane::Control => None,
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, String> {
        let client = Client::open(self.info.clone()).map_err(|error| words(&error))?;
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT_DEADLINE));
        let connecting =
            self.runtime.spawn(async move { client.get_multiplexed_async_connection_with_config(&config).await });
        match connecting.await {
            Ok(connected) => connected.map_err(|error| words(&error)),
            Err(_) => Err("the runtime is being shut down".to_owned()),
        }
    }

    /// Gives the connections up.
    pub(super) async fn close(&self) {
        for lane in &self.lanes {
            lane.lock().await.take();
        }
    }
}

/// An error in words. The crate's words name no password.
pub(super) fn words(error: &RedisError) -> String {
    error.to_string()
}
