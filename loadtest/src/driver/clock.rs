//! What time it is here, and at which local instant the server's clock has surely reached a given one.
//! Must not know: what happens at that instant.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The monotonic instant of this process; the only place of this program that reads it.
#[expect(clippy::disallowed_methods, reason = "a load driver measures real time; this is its one clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Whole seconds since 1970-01-01T00:00:00Z by this machine's wall clock, for the claims of tokens.
#[expect(clippy::disallowed_methods, reason = "tokens carry wall time; this is the one place that reads it")]
pub(crate) fn wall_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Microseconds since 1970-01-01T00:00:00Z by this machine's wall clock: the one clock that processes share.
#[expect(clippy::disallowed_methods, reason = "processes agree on an instant; this is the one place that reads it")]
pub(crate) fn wall_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// What is known of the server's clock, from answers that carry its time.
///
/// A time stamped into an answer was reached before the answer arrived here, so every sample is a lower bound of
/// "server minus local"; the greatest of them is the tightest, and a press timed by it is never early as long as the
/// server cuts its time to milliseconds rather than rounding it up. The lateness is at most the fastest half of a
/// round trip plus what is left of the cut milliseconds, which many samples at different phases shrink.
#[derive(Debug)]
pub(crate) struct ServerClock {
    origin: Instant,
    lead_micros: Option<i64>,
}

impl ServerClock {
    /// Knows nothing yet; local instants are counted from `origin`.
    pub(crate) const fn new(origin: Instant) -> Self {
        Self { origin, lead_micros: None }
    }

    /// Takes in an answer that arrived at `received` and says the server's time was `server_millis` (UTC).
    pub(crate) fn observe(&mut self, received: Instant, server_millis: i64) {
        let lead = server_millis.saturating_mul(1000).saturating_sub(self.micros_of(received));
        self.lead_micros = Some(self.lead_micros.map_or(lead, |known| known.max(lead)));
    }

    /// The earliest local instant at which the server has surely reached `server_millis`; `None` before the first
    /// sample. An instant that lies before the origin is given as the origin.
    pub(crate) fn local_instant_of(&self, server_millis: i64) -> Option<Instant> {
        let micros = server_millis.saturating_mul(1000).saturating_sub(self.lead_micros?);
        Some(self.origin + Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
    }

    /// The server's time in microseconds (UTC) that it has surely reached at this local instant; `None` before the first
    /// sample.
    pub(crate) fn server_micros_at(&self, instant: Instant) -> Option<i64> {
        Some(self.lead_micros?.saturating_add(self.micros_of(instant)))
    }

    fn micros_of(&self, instant: Instant) -> i64 {
        i64::try_from(instant.saturating_duration_since(self.origin).as_micros()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_sample_decides_and_is_never_early() {
        let origin = now();
        let mut clock = ServerClock::new(origin);
        assert_eq!(clock.local_instant_of(5_000), None);
        // The server is truly 1,000,000 µs ahead; answers take 900 µs and 100 µs, and milliseconds are cut.
        clock.observe(origin + Duration::from_micros(10_900), 1_010);
        clock.observe(origin + Duration::from_micros(20_100), 1_020);
        let press = clock.local_instant_of(1_500).unwrap();
        assert_eq!(press, origin + Duration::from_micros(500_100));
        assert_eq!(clock.server_micros_at(press), Some(1_500_000));
    }

    #[test]
    fn an_instant_long_past_is_the_origin() {
        let origin = now();
        let mut clock = ServerClock::new(origin);
        clock.observe(origin, 1_000_000);
        assert_eq!(clock.local_instant_of(5), Some(origin));
    }
}
