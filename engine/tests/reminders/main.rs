//! Do messages about visits go out once, late rather than never, and never for a visit that has changed, whatever becomes of processes,
//! clocks and providers? The reminders as in the product, over a ledger in a file, in virtual time.
//! Must not know: what a message says, how a provider is talked to.

mod clocks;
mod deaths;
mod outage;
mod post;
mod races;
mod restart;
mod town;
