//! Several engines in one process over one journal and one ledger, each with its own shards: what spans days works as with one.
//! Must not know: HTTP, how shards are claimed.

mod crashes;
mod lists;
mod moves;
mod publishing;
mod reminders;
mod sending;
mod store;
mod storms;
mod wire;
mod world;
