//! What a day's actor may use of the outside: everything it does not own, as ports.
//! Must not know: what a day does with them.

use std::sync::Arc;

use booking_core::DayKey;

use super::deadlines::Deadlines;
use super::directory::Retire;
use super::publications::Publications;
use super::snapshots::SnapshotQueue;
use crate::claims::Claims;
use crate::clock::Clock;
use crate::committer::Committer;
use crate::journal::Journal;
use crate::ledger::overlay::Overlay;
use crate::ownership::Territory;
use crate::spawn::Spawn;
use crate::telemetry::meters::EngineMeters;

/// Everything a day's actor may use of the outside.
pub struct DayPorts {
    /// The engine's time.
    pub clock: Arc<dyn Clock>,
    /// For loads and snapshots; appends go through the committer.
    pub journal: Arc<dyn Journal>,
    /// The way to durability.
    pub committer: Committer,
    /// Own writes.
    pub overlay: Arc<Overlay>,
    /// What this process speaks for.
    pub territory: Arc<Territory>,
    /// Patients' time and keys across days.
    pub claims: Arc<Claims>,
    /// Told of days with moves on their way in, to be settled. Never blocks; what it drops is found by the sweep.
    pub on_open_moves: Box<dyn Fn(DayKey) + Send + Sync>,
    /// How far everything durable is published: so far may the ledger follow.
    pub publications: Arc<Publications>,
    /// Background work.
    pub spawn: Arc<dyn Spawn>,
    /// Timers of holds.
    pub deadlines: Arc<Deadlines>,
    /// Watchers of days.
    pub notices: Arc<super::notices::DayNotices>,
    /// Snapshots on their way to the journal.
    pub snapshots: Arc<SnapshotQueue>,
    /// Numbers.
    pub metrics: Arc<EngineMeters>,
    /// Where a day is handed back when it sleeps or is parked.
    pub retire: Arc<dyn Retire>,
    /// Test-only faults.
    #[cfg(feature = "testing")]
    pub faults: Arc<crate::testing::Faults>,
}
