//! The search for a planted bug: which check finds it, under which seed. A simulator that finds none of them proves nothing.
//! Must not know: what the bugs do, how a run works.

use booking_core::planted::{Bug, plant};

use crate::oracle::Violation;
use crate::world::{Settings, run};

/// How a planted bug was found.
#[derive(Clone, Debug)]
pub struct Catch {
    /// The first seed that shows it.
    pub seed: u64,
    /// What it broke there.
    pub violation: Violation,
}

/// Runs seeds from 1 to `seeds_max` as everybody runs them but with `bug` planted, until one shows it.
pub fn search(bug: Bug, seeds_max: u64) -> Option<Catch> {
    let _planted = plant(bug);
    (1..=seeds_max).find_map(|seed| {
        let violation = run(&Settings::of(seed)).outcome.violation?;
        Some(Catch { seed, violation })
    })
}
