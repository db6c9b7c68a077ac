//! The engine: actors, journal, ledger. One doctor-day is decided in one place, in memory, one command after another,
//! and nothing leaves that place before it is durable.
//!
//! Must not know: HTTP, the JSON of the API, tokens.

#[macro_use]
mod crash_point;

pub mod actors;
pub mod assembly;
pub mod claims;
pub mod clock;
pub mod committer;
pub mod config;
mod engine;
pub mod error;
pub mod feed;
pub mod handle;
pub mod ids;
pub mod journal;
pub mod ledger;
pub mod limits;
mod lost;
pub mod ownership;
pub mod postgres;
pub mod reminders;
pub mod running;
pub mod signal;
pub mod spawn;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
mod upkeep;
pub mod verify;
pub mod view;
pub mod waiting;

pub use config::{EngineConfig, StartError};
pub use engine::Engine;
pub use error::EngineError;
pub use handle::EngineHandle;
