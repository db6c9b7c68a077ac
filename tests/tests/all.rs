//! All black-box tests, one module a concern, in one binary.
//! Must not know: anything but the published contract.

mod amending;
mod cancel;
mod changes;
mod claims;
mod clinics;
mod crash;
mod day_rules;
mod days;
mod disk;
mod documents;
mod expiry;
mod holds;
mod idempotency;
mod input;
mod key_days;
mod key_rules;
mod lists;
mod load_harness;
mod load_rehearsal;
mod metrics;
mod move_keys;
mod move_races;
mod move_rules;
mod moves;
mod moves_crash;
mod patients;
mod program;
mod refusals;
mod releases;
mod shutdown;
mod storm;
mod streams;
mod tidy;
mod tokens;
mod verify;
