//! A doctor-day from the engine's door, over a journal whose faults the tests plan.
//! Must not know: HTTP.

mod behaviour;
mod claims;
mod faulty_storms;
mod guard;
mod moves;
mod moving_storms;
mod owners;
mod support;
