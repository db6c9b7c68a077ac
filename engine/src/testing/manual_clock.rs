//! A clock that stands still until a test moves it.
//! Must not know: real time.

use std::sync::atomic::{AtomicI64, Ordering};

use booking_core::UtcMillis;

use crate::clock::Clock;

/// See the module.
pub struct ManualClock {
    millis: AtomicI64,
}

impl ManualClock {
    /// Stands at `now`.
    pub fn at(now: UtcMillis) -> Self {
        Self { millis: AtomicI64::new(now.0) }
    }

    /// Moves on.
    pub fn advance(&self, millis: i64) {
        self.millis.fetch_add(millis, Ordering::AcqRel);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UtcMillis {
        UtcMillis(self.millis.load(Ordering::Acquire))
    }

    fn monotonic_micros(&self) -> u64 {
        u64::try_from(self.now().0).unwrap_or(0) * 1_000
    }

    fn is_steady(&self) -> bool {
        true
    }

    fn discipline(&self) {}
}
