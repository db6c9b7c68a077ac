//! Does the simulator find bugs that are there? Each planted bug is caught by a check that is named here, within so many seeds. A
//! simulator that catches none of them proves nothing.
//! Must not know: what a bug does, how a check is made. That the same seeds pass without a bug is the test of the seeds.

use booking_core::planted::Bug;
use simulator::oracle::Kind;
use simulator::planted::search;

/// Searches for `bug`, and fails unless one of `kinds` finds it.
fn is_caught(bug: Bug, seeds_max: u64, kinds: &[Kind]) {
    simulator::quiet_planted_panics();
    let found = search(bug, seeds_max);
    let Some(found) = found else { panic!("{} is not found in {seeds_max} seeds", bug.name()) };
    let violation = &found.violation;
    assert!(kinds.contains(&violation.kind), "{}: seed {}, another check: {violation}", bug.name(), found.seed);
    println!("{}: seed {}, {violation}", bug.name(), found.seed);
}

macro_rules! caught {
    ($($name:ident: $bug:ident within $seeds:literal by $($kind:ident)|+;)*) => {
        $(#[test]
        fn $name() {
            is_caught(Bug::$bug, $seeds, &[$(Kind::$kind),+]);
        })*

        /// The bugs that are searched for, and within how many seeds.
        const SEARCHED: &[(Bug, u64)] = &[$((Bug::$bug, $seeds)),*];
    };
}

caught! {
TABLE
}

#[test]
fn every_bug_is_searched_for_once() {
    let mut searched: Vec<Bug> = SEARCHED.iter().map(|(bug, _)| *bug).collect();
    searched.sort_unstable();
    assert_eq!(searched, Bug::ALL);
    assert!(SEARCHED.iter().all(|(_, seeds)| *seeds <= 150), "a bug that takes so long to find is not found");
}
