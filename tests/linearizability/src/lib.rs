//! Could the recorded calls have happened one after another, each at some instant between its call and its answer?
//! Must not know: HTTP, the engine, how histories are recorded.
//!
//! [`search`] decides it for any sequential model, [`day`] is the model of a doctor-day and what turns a log of calls into
//! one history for each day.

pub mod day;
pub mod search;
