//! The verdict on a recorded history, as an assertion that keeps what it fails on.
//! Must not know: how the history came about.

use linearizability::day::{Answer, Checked, Log, check_days};

use crate::clock::{Stopwatch, fresh_id};

/// Configurations that the search may visit for one day: a hundred times as many as a day of the largest storm needs. A
/// history that needs more is not shown to be right, and fails.
pub const CONFIGURATIONS_MAX: usize = 2_000_000;
const THREADS: usize = 2;

/// Fails, with the history kept in a file, unless every day of `log` is linearizable. Prints what was checked.
pub fn assert_linearizable(log: &Log) -> Checked {
    let watch = Stopwatch::start();
    let checked = check_days(log, CONFIGURATIONS_MAX, THREADS).expect("the log can be split into days");
    let unknown = log.records.iter().filter(|record| record.answer == Answer::Unknown).count();
    eprintln!(
        "{} calls ({unknown} without an outcome) on {} days: {} operations ({} optional), {} configurations, at most {} a day, \
         checked in {:?}",
        log.records.len(),
        checked.days,
        checked.operations,
        checked.optional,
        checked.configurations,
        checked.configurations_worst,
        watch.elapsed()
    );
    if !checked.findings.is_empty() {
        let path = std::env::temp_dir().join(format!("hotslot-history-{}.json", fresh_id()));
        std::fs::write(&path, serde_json::to_vec(log).expect("a log is JSON")).expect("the history can be kept");
        let texts: Vec<&str> = checked.findings.iter().map(|finding| finding.text.as_str()).collect();
        panic!("not linearizable; the history is in {}\n{}", path.display(), texts.join("\n"));
    }
    checked
}
