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

/// Plants each kind at several places of `log`, which is right, one at a time, and fails unless the check finds every kind at most of
/// its places. One place may be no violation: a call without an answer may free, or take, just the place that would give it away (a
/// place kept by a killed move, say, may be given back at any later time), and which calls those are differs from run to run.
pub(super) fn assert_every_kind_is_found(log: &Log) {
    let story = Story::of(log);
    let (mut missed, mut explained, mut found) = (Vec::new(), Vec::new(), 0);
    for (name, plant) in KINDS {
        let watch = Stopwatch::start();
        let places = plant(&story);
        let mut found_here = 0;
        for planted in &places {
            match check(planted) {
                Some(Finding { verdict: Verdict::Violated(_), .. }) => found_here += 1,
                Some(finding) => missed.push(format!("{name}: {}", finding.text)),
                None => explained.push(format!("{name}, on day {}", planted.day)),
            }
        }
        if found_here == 0 || 2 * found_here < places.len() {
            missed.push(format!("{name}: found at {found_here} of {} places", places.len()));
        }
        found += found_here;
        eprintln!("{name}: found at {found_here} of {} places, {:?}", places.len(), watch.elapsed());
    }
    eprintln!("{found} violations of {} kinds found; explained by what nobody knows: {explained:?}", KINDS.len());
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    assert!(explained.len() * 20 <= found, "too much is explained: {explained:?}");
}
