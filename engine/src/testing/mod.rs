//! Test-only parts of the engine, compiled in with the one feature `testing`.
//! Must not know: production code paths; they do not depend on anything here.

mod crash;
mod faults;
mod manual_clock;
pub mod points;
mod task_actors;

pub use crash::pass;
pub use faults::{Faults, checkpoint_pages};
pub use manual_clock::ManualClock;
pub use points::Point;
pub use task_actors::TaskActors;
