//! The journal and the store of ownership on a real PostgreSQL: the contract of every journal, and what only a server can do.
//! Must not know: actors.

mod barrier;
mod journal;
mod ownership;
mod support;
mod warnings;
