//! The event feed against real servers: order, stable ids, at least once, dead letters, owners that change.
//! Must not know: how a relay is made.

mod away;
mod cursors;
mod dead;
mod nodes;
mod restart;
mod support;
