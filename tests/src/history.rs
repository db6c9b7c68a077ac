//! Recording what callers do and are told, with the instants, over kept-alive connections of their own.
//! Must not know: whether what they are told is right.

mod answer;
mod connection;
mod recorder;
mod request;
mod verdict;

pub use recorder::{Caller, Life, Recorder};
pub use verdict::{CONFIGURATIONS_MAX, assert_linearizable};
