//! The doctor-days at work: who owns what.
//! Must not know: stores, SQL, HTTP. Only `runtime` knows actix.
//!
//! ```text
//!  gateway ── EngineHandle ──► Directory ── DayKey ──► DayEntry (shared)          DayActor (one thread at a time)
//!                                 │                     ├ intake   ── commands ──►  tip: every decided event
//!                                 │                     ├ keys in flight, won       durable: what the journal has
//!                                 │                     └ published ◄── snapshot ── gate: answers not yet durable
//!                                 └ asleep: packed bytes                                │            ▲
//!                                                                                    submit      committed
//!                                                                                       ▼            │
//!                                                                                     Committer ── Journal
//! ```
//! Nothing that depends on an event leaves a `DayActor` before that event is durable: its answers wait in the gate, and the
//! entry's published view is made from the durable state alone.

pub mod activity;
pub mod admission;
mod afterwards;
pub mod day;
pub mod deadlines;
pub mod directory;
mod due;
pub mod entry;
pub mod gate;
pub mod in_flight;
pub mod intake;
mod listener;
pub mod notices;
pub mod parked;
pub mod pending_moves;
pub mod ports;
pub mod publication;
pub mod publications;
pub mod questions;
pub mod recovery;
pub mod request;
pub mod runtime;
mod settlement;
pub mod snapshots;
pub mod survey;
mod turn;
