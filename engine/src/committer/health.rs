//! Whether a store that the committer writes to answers: noted by the committer, asked by whoever judges if this process can serve.
//! Must not know: which store, what is written.

use std::sync::atomic::{AtomicU64, Ordering};

/// A call under way for longer than this is stuck: a commit takes milliseconds.
const STUCK_MICROS: u64 = 1_000_000;

/// How long a failure counts. Not for ever: a process that is not ready gets no requests, and would never find out that it could serve.
const FAILED_MICROS: u64 = 2_000_000;

/// See the module. Instants on the engine's monotonic scale; 0: none.
#[derive(Debug, Default)]
pub(super) struct Health {
    began_micros: AtomicU64,
    failed_micros: AtomicU64,
}

impl Health {
    /// A call is on its way.
    pub(super) fn began(&self, now_micros: u64) {
        self.began_micros.store(now_micros.max(1), Ordering::Relaxed);
    }

    /// It was answered.
    pub(super) fn answered(&self) {
        self.failed_micros.store(0, Ordering::Relaxed);
        self.began_micros.store(0, Ordering::Relaxed);
    }

    /// It failed, or nobody knows what became of it.
    pub(super) fn failed(&self, now_micros: u64) {
        self.failed_micros.store(now_micros.max(1), Ordering::Relaxed);
        self.began_micros.store(0, Ordering::Relaxed);
    }

    /// How long the call under way has taken already; 0 if there is none.
    pub(super) fn busy_micros(&self, now_micros: u64) -> u64 {
        match self.began_micros.load(Ordering::Relaxed) {
            0 => 0,
            then => now_micros.saturating_sub(then),
        }
    }

    /// What is wrong, if so.
    pub(super) fn trouble(&self, now_micros: u64) -> Option<&'static str> {
        let since = |then: &AtomicU64| match then.load(Ordering::Relaxed) {
            0 => None,
            then => Some(now_micros.saturating_sub(then)),
        };
        if since(&self.began_micros).is_some_and(|micros| micros > STUCK_MICROS) {
            return Some("it does not answer");
        }
        since(&self.failed_micros).filter(|micros| *micros < FAILED_MICROS).map(|_| "it failed a moment ago")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_a_call_that_is_stuck_or_a_failure_of_late() {
        let health = Health::default();
        assert_eq!(health.trouble(0), None);
        health.began(0);
        assert_eq!((health.trouble(STUCK_MICROS), health.trouble(STUCK_MICROS + 2).is_some()), (None, true));
        health.failed(5_000_000);
        assert!(health.trouble(5_000_001).is_some() && health.trouble(5_000_000 + FAILED_MICROS).is_none());
        health.began(5_000_001);
        assert_eq!(health.busy_micros(5_000_011), 10);
        health.answered();
        assert_eq!((health.trouble(5_000_002), health.busy_micros(6_000_000)), (None, 0));
    }
}
