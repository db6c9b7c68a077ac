//! Many clients at once, and waiting for a condition.
//! Must not know: what the clients ask.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::clock::now;

/// How often a condition is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Runs `count` tasks that all begin when the last one is ready; answers their results in the order of their numbers.
pub async fn at_once<Task, Answer>(count: usize, mut task: impl FnMut(usize) -> Task) -> Vec<Answer>
where
    Task: Future<Output = Answer> + Send + 'static,
    Answer: Send + 'static,
{
    let gate = Arc::new(Barrier::new(count));
    let mut crowd = JoinSet::new();
    for number in 0..count {
        let gate = Arc::clone(&gate);
        let work = task(number);
        crowd.spawn(async move {
            gate.wait().await;
            (number, work.await)
        });
    }
    let mut answers = crowd.join_all().await;
    answers.sort_by_key(|(number, _)| *number);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Looks until `probe` answers something. For conditions that only time brings about (readiness, an expiry, a
/// release), never to let a race come out well. Fails the test after `within`.
pub async fn eventually<Answer>(
    what: &str,
    within: Duration,
    mut probe: impl AsyncFnMut() -> Option<Answer>,
) -> Answer {
    let mut looks = tokio::time::interval(LOOK_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let found = tokio::time::timeout(within, async {
        loop {
            looks.tick().await;
            if let Some(answer) = probe().await {
                return answer;
            }
        }
    });
    found.await.unwrap_or_else(|_| panic!("not within {within:?}: {what}"))
}

/// Waits until the wall clock shows `instant`, to enter a race at the moment that matters.
pub async fn wall_clock_reaches(instant: Timestamp) {
    let ahead = Duration::try_from(instant.duration_since(now())).unwrap_or_default();
    let never = std::future::pending::<()>();
    let waited = tokio::time::timeout(ahead, never).await;
    debug_assert!(waited.is_err(), "what never happens has not happened");
}
