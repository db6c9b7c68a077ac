//! Waiting for a condition that only time brings about, with a bound.
//! Must not know: what is waited for.

use std::time::Duration;

use tokio::time::MissedTickBehavior;

/// Time between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Looks until `probe` answers something, at most `within`; a probe that hangs is given up with it.
pub(crate) async fn until<Answer>(within: Duration, mut probe: impl AsyncFnMut() -> Option<Answer>) -> Option<Answer> {
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
    found.await.ok()
}
