//! Test-only parts of the engine, compiled in with the one feature `testing`.
//! Must not know: production code paths; they do not depend on anything here.

mod crash;
mod diary;
mod faults;
mod manual_clock;
pub mod points;
mod seams;
mod sending_house;
mod task_actors;
mod virtual_time;

pub use crash::pass;
pub use diary::{Books, Diary};
pub use faults::{Faults, checkpoint_pages};
pub use manual_clock::ManualClock;
pub use points::Point;
pub use seams::{Seam, Seams, WithSeams};
pub use sending_house::{Applying, SendingHouse};
pub use task_actors::TaskActors;
pub use virtual_time::{Busy, Process, VirtualClock, VirtualTime};
