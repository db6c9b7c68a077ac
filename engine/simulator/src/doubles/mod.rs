//! The stores of a simulated machine: the engine's own stores in memory, which take time and fail as the weather has it.
//! Must not know: what the records mean, who asks.

mod journal;
mod ledger;
mod post;

pub use journal::{DiskJournal, Told};
pub use ledger::DiskLedger;
pub use post::{Mood, Post, Rung, Taken};

use engine::journal::memory::MemoryJournal;
use engine::ledger::memory::MemoryLedger;

/// What outlives a process: the two stores as they are on disk.
#[derive(Clone, Default)]
pub struct Disk {
    /// As the last process left it; reopened by the next.
    pub journal: MemoryJournal,
    /// As the last process left it; reopened by the next.
    pub ledger: MemoryLedger,
}
