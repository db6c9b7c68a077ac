//! Whether the rules hold: scenarios in words, a table of statuses, random sequences, an independent model, and bytes
//! that nobody vouches for. Must not know: the inside of the crate.

mod decoder;
mod driver;
mod fuzz;
mod language;
mod model;
mod moves;
mod properties;
mod random;
mod scale;
mod scenarios;
mod statuses;
mod travels;
mod world;
