//! Is every kind of wrong that is planted into the history of a real run found, on the day on which it was planted?
//! Must not know: how the history came about, how each kind is planted.

use blackbox::Stopwatch;
use blackbox::history::CONFIGURATIONS_MAX;
use linearizability::day::{Finding, Log, check_day, histories};
use linearizability::search::Verdict;

use super::plant::{KINDS, Planted, Story};

fn check(planted: &Planted) -> Option<Finding> {
    let histories = histories(&planted.log).expect("the log can be split into days");
    check_day(&planted.log, &histories[planted.day as usize], CONFIGURATIONS_MAX)
}

/// Plants each kind at several places of `log`, which is right, one at a time, and fails unless the check says of each that no
/// order explains it.
pub(super) fn assert_every_kind_is_found(log: &Log) {
    let story = Story::of(log);
    let mut missed = Vec::new();
    let mut found = 0;
    for (name, plant) in KINDS {
        let watch = Stopwatch::start();
        let places = plant(&story);
        if places.is_empty() {
            missed.push(format!("{name}: there is no place to plant it"));
        }
        for planted in &places {
            match check(planted) {
                Some(Finding { verdict: Verdict::Violated(_), .. }) => found += 1,
                Some(finding) => missed.push(format!("{name}: {}", finding.text)),
                None => missed.push(format!("{name}, on day {}: not found", planted.day)),
            }
        }
        eprintln!("{name}: {} places, {:?}", places.len(), watch.elapsed());
    }
    eprintln!("{found} violations of {} kinds found", KINDS.len());
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
