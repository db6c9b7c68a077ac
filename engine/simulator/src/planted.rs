//! The search for a planted bug: which check finds it, under which seed. A simulator that finds none of them proves nothing.
//! Must not know: what the bugs do, how a run works.

use booking_core::planted::{Bug, plant};

use crate::oracle::Violation;
use crate::weather::{Fault, Weather};
use crate::world::{Settings, run};

/// How a planted bug was found.
#[derive(Clone, Debug)]
pub struct Catch {
    /// The first seed that shows it.
    pub seed: u64,
    /// What it broke there.
    pub violation: Violation,
}

/// The run of `seed` that is to show `bug`: as everybody runs it, but of bugs that show in a narrow gap only, in a world where that gap is
/// met all the time and nothing else is wrong.
pub fn settings(bug: Bug, seed: u64) -> Settings {
    let mut weather = Weather::calm();
    match bug {
        // Somebody asks between two steps of a move: on a machine where everybody's turn comes late.
        Bug::PendingCalledGivenUp => weather.jitter_micros = 30_000,
        // The process dies between two steps of a move, which take long.
        Bug::OpenMoveNotAsked => weather = weather.with(Fault::Crash, 30_000).with(Fault::JournalSlow, 200_000),
        // An append fails while records behind it are on their way, just after a snapshot.
        Bug::SnapshotOfTip => weather = weather.with(Fault::AppendFailed, 60_000).with(Fault::JournalSlow, 60_000),
        // A day is sent to sleep while an append of it takes long.
        Bug::SleepInFlight => weather = weather.with(Fault::JournalSlow, 400_000),
        _ => return Settings::of(seed),
    }
    Settings { weather: Some(weather), ..Settings::of(seed) }
}

/// Runs seeds from 1 to `seeds_max` with `bug` planted, until one shows it.
pub fn search(bug: Bug, seeds_max: u64) -> Option<Catch> {
    let _planted = plant(bug);
    (1..=seeds_max).find_map(|seed| {
        let violation = run(&settings(bug, seed)).outcome.violation?;
        Some(Catch { seed, violation })
    })
}
