//! Can everything that a hundred callers were told, over several SIGKILLs, have happened one call after another, on every day?
//! Must not know: how the program orders them.

mod plant;
mod planted;
mod storm;
mod visitor;

use blackbox::Stopwatch;
use blackbox::history::assert_linearizable;
use storm::Scale;

/// What the recording has to hold at least.
const CALLS_MIN: usize = 100_000;

/// Records a storm and fails unless it is linearizable.
async fn recorded(scale: Scale) -> linearizability::day::Log {
    let watch = Stopwatch::start();
    let recorded = storm::record(scale).await;
    eprintln!("recorded in {:?}, with {} kills", watch.elapsed(), recorded.kills);
    assert_linearizable(&recorded.log);
    recorded.log
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_calls_over_nine_kills_could_have_happened_one_after_another() {
    let scale = Scale { visitors: 64, phases: 10, calls_a_phase: 10_500, days_new_a_phase: 5, days_at_once: 10 };
    let log = recorded(scale).await;
    assert!(log.records.len() >= CALLS_MIN, "{} calls", log.records.len());
}

/// Few callers, so that a search can try every order there is: it must say that there is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_planted_into_a_recorded_history_is_found() {
    let scale = Scale { visitors: 6, phases: 12, calls_a_phase: 600, days_new_a_phase: 1, days_at_once: 3 };
    let log = recorded(scale).await;
    planted::assert_every_kind_is_found(&log);
}
