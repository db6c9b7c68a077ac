//! A doctor-day from the engine's door, over a journal whose faults the tests plan.
//! Must not know: HTTP.

mod behaviour;
mod faulty_storms;
mod support;
