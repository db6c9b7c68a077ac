//! Test-only parts of the engine, compiled in with the one feature `testing`.
//! Must not know: production code paths; they do not depend on anything here.

mod faults;
mod manual_clock;
mod task_actors;

pub use faults::Faults;
pub use manual_clock::ManualClock;
pub use task_actors::TaskActors;
