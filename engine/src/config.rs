//! What the engine is told at its start.
//! Must not know: flags, environment variables, files of settings.

mod reminders;
mod servers;

use std::path::PathBuf;

pub use reminders::{
    ALERT_INTERVAL_SECONDS_DEFAULT, REMINDER_OFFSETS_DEFAULT, RETRY_WAITS_MILLIS_DEFAULT, ReminderSettings,
};
pub use servers::{
    DatabaseSettings, FEED_EVENTS_MAX_DEFAULT, FeedSettings, LEASE_MILLIS_DEFAULT, NodeSettings, RedisSettings,
    ServerUrl, StoreSettings,
};

/// Settings of the engine. Defaults are in [`EngineConfig::embedded`].
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Where the embedded stores live. Created if absent, mode 0700.
    pub data_dir: PathBuf,
    /// Number of threads that run doctor-day actors.
    pub actor_threads: usize,
    /// A day without requests for this long goes to sleep.
    pub idle_millis: i64,
    /// Most days that are awake at once; beyond it the longest idle ones go to sleep.
    pub awake_days_max: usize,
    /// Most bytes of sleeping days kept in memory; beyond it they are read from the journal again.
    pub sleeping_bytes_max: usize,
    /// Past this many durable records that the ledger does not have, new bookings are shed.
    pub ledger_lag_max: u64,
    /// Where the journal and the ledger are.
    pub stores: StoreSettings,
    /// This process as one of several.
    pub node: NodeSettings,
    /// Where changes are announced beyond the nodes.
    pub feed: FeedSettings,
    /// What patients are told of their visits.
    pub reminders: ReminderSettings,
}

impl EngineConfig {
    /// Everything below `data_dir`, defaults for the rest.
    pub fn embedded(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            actor_threads: 1,
            idle_millis: 60_000,
            awake_days_max: 20_000,
            sleeping_bytes_max: 2 << 30,
            ledger_lag_max: 1_000_000,
            stores: StoreSettings::Embedded,
            node: NodeSettings::alone(),
            feed: FeedSettings::default(),
            reminders: ReminderSettings::default(),
        }
    }
}

/// Why the engine does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process uses the data directory.
    #[error("the data directory {} is in use by another process{}", .directory.display(), .holder.as_ref().map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    InUse {
        /// The directory.
        directory: PathBuf,
        /// Process id of the holder, if it is known.
        holder: Option<u32>,
    },
    /// A store cannot be opened or is damaged: where, and what to do.
    #[error("{0}")]
    Store(String),
}
