//! Which dashboards there are.
//! Must not know: how they are written down.

mod engine;
mod nodes_and_shards;
mod release_minute;
mod reminders;
mod slo;
mod storage;

use crate::board::Board;

/// All of them, in the order in which one looks.
pub(crate) fn all() -> Vec<Board> {
    vec![
        release_minute::board(),
        engine::board(),
        storage::board(),
        reminders::board(),
        nodes_and_shards::board(),
        slo::board(),
    ]
}
