//! What time it is here, and waiting: the one place of this program that reads a clock.
//! Must not know: what happens when.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The monotonic instant of this process.
#[expect(clippy::disallowed_methods, reason = "journeys take real time; this is the program's one clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Whole seconds since 1970-01-01T00:00:00Z by this machine's wall clock, for the claims of tokens and the dates of days.
#[expect(clippy::disallowed_methods, reason = "tokens and dates are wall time; this is the one place that reads it")]
pub(crate) fn wall_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Waits, as a person does.
pub(crate) async fn wait(duration: Duration) {
    tokio::time::sleep(duration).await;
}
