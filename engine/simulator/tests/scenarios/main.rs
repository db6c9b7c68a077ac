//! Do the interleavings that break weaker designs end well here, each told by name?
//! Must not know: how the engine prevents them.

mod alerts;
mod exhaustive;
mod expiry;
mod gate;
mod keys;
mod ledger;
mod life;
mod list;
mod moves;
mod patients;
mod post;
mod reminders;
mod reminders_in_trouble;
mod retried;
mod town;
