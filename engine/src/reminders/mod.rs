//! Reminders: who is told of a visit, when, over which channel.
//! Must not know: HTTP, SQL.

pub mod plan;
pub mod policy;
pub mod quiet;
