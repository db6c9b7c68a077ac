//! The engine: actors, journal, ledger. One doctor-day is decided in one place, in memory, one command after another,
//! and nothing leaves that place before it is durable.
//!
//! Must not know: HTTP, the JSON of the API, tokens.

pub mod clock;
pub mod committer;
pub mod config;
pub mod error;
pub mod handle;
pub mod ids;
pub mod journal;
pub mod ledger;
pub mod telemetry;
pub mod view;

pub use config::{EngineConfig, StartError};
pub use error::EngineError;
pub use handle::EngineHandle;

/// The running engine: the door, and the way to stop it.
pub struct Engine {
    handle: EngineHandle,
}

impl Engine {
    /// Opens the stores below `config.data_dir`, applies what the ledger lacks, and starts. When this returns, requests
    /// can be answered. Must be called on a tokio runtime that outlives the engine.
    pub async fn start(config: EngineConfig) -> Result<Self, StartError> {
        let _ = config;
        todo!()
    }

    /// The door.
    pub fn handle(&self) -> EngineHandle {
        self.handle.clone()
    }

    /// Becomes ready when the journal is poisoned: the process must end with a failure, saying the returned reason.
    pub async fn poisoned(&self) -> String {
        todo!()
    }

    /// Takes no new requests, settles what is in flight, brings the ledger up to the journal, closes the stores.
    pub async fn stop(self) {
        todo!()
    }

    /// Brings the schema of the stores below `config.data_dir` up to date; says in words what was done.
    pub async fn migrate(config: &EngineConfig) -> Result<String, StartError> {
        let _ = config;
        todo!()
    }
}
