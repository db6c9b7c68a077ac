//! One Redis server, with its append-only file in a directory of its own.
//! Must not know: replication (`replicas`), nor clusters (`cluster`).

mod cluster;
mod replicas;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, RedisResult, cmd};
use tempfile::TempDir;

use crate::launch::{Launch, find};
use crate::port::Port;
use crate::process::Process;

pub use cluster::{RedisCluster, RedisClusterOptions};
pub use replicas::ReplicaPair;

const READY_DEADLINE: Duration = Duration::from_secs(20);
/// Answers of a server that is well. Longer than a stalled disk may take.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// When the append-only file is flushed to the disk (`appendfsync`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendFsync {
    /// Before each answer.
    Always,
    /// Each second: up to a second of answered writes is lost with the machine, none with the process.
    EverySecond,
    /// When the system wishes.
    No,
}

impl AppendFsync {
    fn word(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::EverySecond => "everysec",
            Self::No => "no",
        }
    }
}

/// How a Redis server is configured.
///
/// ```
/// use servers::{AppendFsync, RedisOptions};
/// let options = RedisOptions { append_fsync: AppendFsync::EverySecond, ..RedisOptions::default() };
/// let options = options.with("maxmemory", "16mb").with("maxmemory-policy", "allkeys-lru");
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// By default before each answer.
    pub append_fsync: AppendFsync,
    /// Whether there is an append-only file. By default there is.
    pub append_only: bool,
    /// By default `noeviction`.
    pub maxmemory_policy: String,
    /// By default any free port; a given one must be free.
    pub port: Option<u16>,
    /// Where the append-only file is, for a server that is to find data of another. By default a new temporary directory,
    /// deleted with the server.
    pub directory: Option<PathBuf>,
    /// Any other directives, which win over those above.
    pub settings: Vec<(String, String)>,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            append_fsync: AppendFsync::Always,
            append_only: true,
            maxmemory_policy: "noeviction".to_owned(),
            port: None,
            directory: None,
            settings: Vec::new(),
        }
    }
}

impl RedisOptions {
    /// With one more directive of `redis.conf`.
    #[must_use]
    pub fn with(mut self, directive: &str, value: &str) -> Self {
        self.settings.push((directive.to_owned(), value.to_owned()));
        self
    }

    fn arguments(&self, port: u16) -> Vec<String> {
        let append_only = if self.append_only { "yes" } else { "no" };
        let fixed = [
            ("port", port.to_string()),
            ("bind", "127.0.0.1".to_owned()),
            ("save", String::new()),
            ("appendonly", append_only.to_owned()),
            ("appendfsync", self.append_fsync.word().to_owned()),
            ("maxmemory-policy", self.maxmemory_policy.clone()),
            ("repl-diskless-sync-delay", "0".to_owned()),
            ("enable-debug-command", "local".to_owned()),
        ];
        let fixed = fixed.map(|(directive, value)| (directive.to_owned(), value));
        let all = fixed.into_iter().chain(self.settings.iter().cloned());
        all.flat_map(|(directive, value)| [format!("--{directive}"), value]).collect()
    }
}

/// A Redis server.
///
/// ```no_run
/// # async fn example() {
/// let mut redis = servers::Redis::start().await;
/// let () = redis.call(&["SET", "key", "value"]).await;
/// redis.restart().await;
/// let value: String = redis.call(&["GET", "key"]).await;
/// assert_eq!(value, "value");
/// # }
/// ```
#[derive(Debug)]
pub struct Redis {
    // Before the directory: the process ends before its files are deleted.
    process: Process,
    port: Port,
    _directory: TempDir,
}

impl Redis {
    /// Starts with the default options.
    pub async fn start() -> Self {
        Self::start_with(RedisOptions::default()).await
    }

    /// Starts as told, and waits until it answers.
    pub async fn start_with(options: RedisOptions) -> Self {
        let mut redis = Self::launch(&options);
        redis.wait_until_ready().await;
        redis
    }

    /// Starts, and does not wait.
    fn launch(options: &RedisOptions) -> Self {
        let port = options.port.map_or_else(Port::claim, |number| {
            Port::try_claim(number).unwrap_or_else(|| panic!("port {number} is taken"))
        });
        let directory = TempDir::with_prefix("hotslot-redis-").expect("a temporary directory");
        // The log stays out of a directory that is not ours.
        let mut launch = Launch::new(find("redis-server", "redis-server"), directory.path());
        launch.directory = options.directory.clone().unwrap_or(launch.directory);
        launch.arguments.extend(options.arguments(port.number()).into_iter().map(Into::into));
        let process = Process::start(format!("redis-server on port {}", port.number()), launch, true);
        Self { process, port, _directory: directory }
    }

    async fn wait_until_ready(&mut self) {
        let url = self.url();
        // Redis refuses PING while it loads its data.
        let ping = async || {
            let mut connection = connect(&url).await.ok()?;
            cmd("PING").query_async::<String>(&mut connection).await.ok()
        };
        self.process.ready(READY_DEADLINE, ping).await;
    }

    /// `redis://127.0.0.1:PORT/`.
    pub fn url(&self) -> String {
        format!("redis://{}/", self.port.address())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Sends one command on a connection of its own. Panics if it is refused, or not answered within ten seconds.
    pub async fn call<Answer: FromRedisValue>(&self, words: &[&str]) -> Answer {
        self.try_call(words).await.unwrap_or_else(|error| panic!("{}: {words:?}: {error}", self.process.name()))
    }

    /// Sends one command on a connection of its own, and answers what the server or the connection says.
    pub async fn try_call<Answer: FromRedisValue>(&self, words: &[&str]) -> RedisResult<Answer> {
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(*word);
        }
        command.query_async(&mut connect(&self.url()).await?).await
    }

    /// Whether its process runs (or is stopped).
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// SIGKILL: the process is gone when this returns. Its files stay.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// SIGSTOP: connections stay open, nothing answers. What was sent before and not read is read after `resume`.
    pub async fn stop(&mut self) {
        self.process.stop().await;
    }

    /// SIGCONT.
    pub async fn resume(&mut self) {
        self.process.resume();
    }

    /// Starts it again on the same port with the same data; kills it first if it still runs. Returns when it answers.
    pub async fn restart(&mut self) {
        self.process.kill().await;
        self.process.start_again();
        self.wait_until_ready().await;
    }
}

/// A new connection.
async fn connect(url: &str) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(ANSWER_DEADLINE))
        .set_response_timeout(Some(ANSWER_DEADLINE));
    Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await
}

/// The value of one line `name:value` of INFO or CLUSTER INFO.
fn line_of<'text>(information: &'text str, name: &str) -> Option<&'text str> {
    information.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}
