//! The black-box tests of everything that is kept, on a server whose journal is on Redis and whose ledger is on PostgreSQL: the same
//! modules as in
//! `all.rs`, and the name of this file is what the harness goes by (`blackbox::Profile`).
//! Must not know: anything but the published contract.
//!
//! Left to `all.rs`, because the place of the stores makes no difference to them: input, tokens, documents, settings, the load harness,
//! `deploy/`. And because they handle the files of the embedded stores: `disk` and `crash_points`.

mod amending;
mod cancel;
mod changes;
mod claims;
mod clinics;
mod crash;
mod day_rules;
mod days;
mod expiry;
mod holds;
mod idempotency;
mod key_days;
mod key_rules;
mod linearizability;
mod lists;
mod metrics;
mod move_keys;
mod move_races;
mod move_rules;
mod moves;
mod moves_crash;
mod patients;
mod profile;
mod refusals;
mod releases;
mod shutdown;
mod storm;
mod streams;
mod verify;
