//! What the program is told at its start: flags, environment and file made into one checked value.
//! Must not know: how settings are used.

mod alerts;
mod messages;
mod servers;
pub(crate) mod settings;
mod sources;
mod traces;
mod values;

use std::fmt;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use engine::EngineConfig;

use crate::alarms::AlertTarget;
use crate::auth::key::SigningKey;
use crate::streams::StreamSettings;
pub(crate) use servers::{NodeTlsFiles, NodesSettings};
pub(crate) use sources::Sources;
#[cfg(feature = "otel")]
pub(crate) use traces::Collector;
pub(crate) use traces::TraceSettings;
use values::Reader;
pub(crate) use values::parse_duration_seconds;

/// How the HTTP servers run.
#[derive(Clone, Debug)]
pub(crate) struct HttpSettings {
    /// Where the interface is served; port 0 takes any free one.
    pub(crate) listen: SocketAddr,
    /// Where the metrics are served, if not beside the interface.
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// How this node and others reach each other, if it is one of several.
    pub(crate) nodes: Option<NodesSettings>,
    /// HTTP worker threads.
    pub(crate) workers: usize,
    /// Most open connections of one worker.
    pub(crate) connections_max: usize,
    /// The streams of days.
    pub(crate) streams: StreamSettings,
    /// How long an idle connection is kept.
    pub(crate) keep_alive_seconds: u64,
    /// How long requests in flight may take after SIGTERM.
    pub(crate) shutdown_grace_seconds: u64,
}

/// How much one caller may ask.
#[derive(Clone, Debug)]
pub(crate) struct RateSettings {
    /// Of one subject, in the long run.
    pub(crate) subject_requests_per_second: NonZeroU32,
    /// Of one subject, at once.
    pub(crate) subject_burst: NonZeroU32,
    /// Of one address, in the long run.
    pub(crate) address_requests_per_second: NonZeroU32,
    /// Of one address, at once.
    pub(crate) address_burst: NonZeroU32,
    /// Whether loopback is limited, too.
    pub(crate) limit_loopback: bool,
}

/// The form of log lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub(crate) struct LogSettings {
    /// Form of a line.
    pub(crate) format: LogFormat,
    /// Which lines, in the language of tracing-subscriber.
    pub(crate) filter: String,
}

/// Where the signing key comes from.
#[derive(Clone)]
pub(crate) enum KeySource {
    /// `jwt.key` below the data directory, made if absent.
    DataDirectory,
    /// A file of 32 raw bytes.
    File(PathBuf),
    /// The settings themselves.
    Inline(SigningKey),
}

impl fmt::Debug for KeySource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DataDirectory => formatter.write_str("DataDirectory"),
            Self::File(path) => formatter.debug_tuple("File").field(path).finish(),
            Self::Inline(_) => formatter.write_str("Inline(secret)"),
        }
    }
}

/// Everything.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The servers.
    pub(crate) http: HttpSettings,
    /// The engine.
    pub(crate) engine: EngineConfig,
    /// How messages leave.
    pub(crate) channels: ::messages::Settings,
    /// Which operators are told of messages that no channel takes, in the order in which it is tried.
    pub(crate) alerts: Vec<AlertTarget>,
    /// The key of tokens.
    pub(crate) key: KeySource,
    /// The limits.
    pub(crate) rates: RateSettings,
    /// The log.
    pub(crate) log: LogSettings,
    /// The recording of requests.
    pub(crate) traces: TraceSettings,
    /// Load a small clinic if there is none.
    pub(crate) demo: bool,
}

/// Everything that is wrong with the settings, one line each, naming the setting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Mistakes(pub(crate) Vec<String>);

impl Config {
    /// The settings of `sources`, or all their mistakes.
    pub(crate) fn load(sources: &Sources) -> Result<Self, Mistakes> {
        let mut reader = Reader::new(sources);
        let data_dir: PathBuf = reader.text("data_dir", "./data").into();
        let mut http = http(&mut reader);
        let channels = messages::channels(&mut reader, &data_dir);
        let mut engine = engine(&mut reader, data_dir);
        engine.reminders = messages::reminders(&mut reader, &channels);
        let alerts = alerts::targets(&mut reader, &engine.reminders.configured);
        let key = key(&mut reader);
        http.nodes = servers::nodes(&mut reader, &engine, &key);
        let (rates, log, traces) = (rates(&mut reader), log(&mut reader), traces::traces(&mut reader));
        let config = Self { http, engine, channels, alerts, key, rates, log, traces, demo: reader.switch("demo") };
        reader.finish().map(|()| config)
    }
}

fn http(reader: &mut Reader<'_>) -> HttpSettings {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let listen = reader.address("listen").unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080)));
    let metrics_listen = reader.address("metrics_listen");
    if metrics_listen.is_some_and(|metrics| metrics == listen && metrics.port() != 0) {
        reader.mistake("metrics_listen", "is the same as listen");
    }
    HttpSettings {
        listen,
        metrics_listen,
        nodes: None,
        workers: match reader.number("workers", 0, 0..=256) {
            0 => cores,
            workers => workers as usize,
        },
        connections_max: reader.number("connections_max", 25_000, 1..=1_000_000) as usize,
        streams: StreamSettings {
            clients_max: reader.number("streams_max", 20_000, 1..=1_000_000) as usize,
            heartbeat_seconds: reader.number("stream_heartbeat_seconds", 15, 1..=60),
        },
        keep_alive_seconds: reader.number("keep_alive_seconds", 75, 1..=3_600),
        // The engine needs the rest of the ten seconds in which the program must end.
        shutdown_grace_seconds: reader.number("shutdown_grace_seconds", 5, 1..=8),
    }
}

fn engine(reader: &mut Reader<'_>, data_dir: PathBuf) -> EngineConfig {
    let mut config = EngineConfig::embedded(data_dir);
    config.actor_threads = reader.number("actor_threads", config.actor_threads as u64, 1..=64) as usize;
    config.idle_millis = reader.number("idle_seconds", config.idle_millis as u64 / 1000, 1..=86_400) as i64 * 1000;
    config.awake_days_max = reader.number("awake_days_max", config.awake_days_max as u64, 16..=10_000_000) as usize;
    let mebibytes = config.sleeping_bytes_max as u64 >> 20;
    config.sleeping_bytes_max = (reader.number("sleeping_mebibytes_max", mebibytes, 1..=1_000_000) as usize) << 20;
    config.ledger_lag_max = reader.number("ledger_lag_max", config.ledger_lag_max, 1_000..=100_000_000);
    config.stores = servers::stores(reader);
    config.node = servers::node(reader);
    config.feed = servers::feed(reader);
    config
}

fn key(reader: &mut Reader<'_>) -> KeySource {
    let file = reader.optional_text("jwt_key_file");
    let inline = reader.key("jwt_key");
    match (file, inline) {
        (Some(_), Some(_)) => {
            reader.mistake("jwt_key", "is given beside jwt_key_file; give one of them");
            KeySource::DataDirectory
        }
        (Some(file), None) => KeySource::File(file.into()),
        (None, Some(key)) => KeySource::Inline(key),
        (None, None) => KeySource::DataDirectory,
    }
}

fn rates(reader: &mut Reader<'_>) -> RateSettings {
    RateSettings {
        subject_requests_per_second: reader.positive("rate_subject_per_second", 100),
        subject_burst: reader.positive("rate_subject_burst", 1_000),
        address_requests_per_second: reader.positive("rate_address_per_second", 2_000),
        address_burst: reader.positive("rate_address_burst", 10_000),
        limit_loopback: reader.switch("rate_limit_loopback"),
    }
}

fn log(reader: &mut Reader<'_>) -> LogSettings {
    LogSettings {
        format: reader.choice("log_format", &[("text", LogFormat::Text), ("json", LogFormat::Json)]),
        filter: reader.filter("log_filter", "info,actix_server=warn,actix_http=off"),
    }
}

#[cfg(test)]
mod tests;
