//! What time it is, and how to wait: the engine's one clock, as a port.
//! Must not know: what the time is used for.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use booking_core::UtcMillis;
use futures_util::future::{Either, select};

/// A wall clock that differs from the engine's by more than this is a step, not drift: the node is not ready until
/// they agree again (`protocols.md` rule 4).
pub const STEP_MILLIS: i64 = 1_000;

/// A wait that has begun when it is asked for.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The engine's time. Guarantee: never goes backwards within one process.
pub trait Clock: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> UtcMillis;

    /// Microseconds on a monotonic scale of unknown origin, for measuring how long something took.
    fn monotonic_micros(&self) -> u64;

    /// Whether the wall clock agrees with the engine's time; while not, the node is not ready.
    fn is_steady(&self) -> bool;

    /// Compares with the wall clock and slews; called once a second by the engine.
    fn discipline(&self);

    /// Becomes ready after `duration` on the monotonic scale. Everything in the engine that waits for time waits here, so that a
    /// simulation decides when it is over; the product's timers are those of the tokio runtime that it runs on.
    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// What `work` came to, or `None` if it takes longer than `limit`. Work that is ready in the same instant as its limit counts as
/// done, so that the same run always ends in the same way.
pub async fn timeout<F: Future>(clock: &dyn Clock, limit: Duration, work: F) -> Option<F::Output> {
    match select(pin!(work), clock.sleep(limit)).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

/// The monotonic clock of the machine plus an offset that follows the wall clock slowly.
pub struct SystemClock {
    origin: Instant,
    /// Wall milliseconds at `origin`, as slewed since.
    offset_millis: AtomicI64,
    steady: AtomicBool,
}

impl SystemClock {
    /// Starts at the present wall time.
    pub fn start() -> Self {
        Self { origin: monotonic_now(), offset_millis: AtomicI64::new(wall_millis()), steady: AtomicBool::new(true) }
    }

    fn elapsed_millis(&self) -> i64 {
        i64::try_from(self.origin.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> UtcMillis {
        UtcMillis(self.offset_millis.load(Ordering::Acquire).saturating_add(self.elapsed_millis()))
    }

    fn monotonic_micros(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn is_steady(&self) -> bool {
        self.steady.load(Ordering::Acquire)
    }

    /// Forward: small drift is taken at once (time only moves on), and a step too, after one unready second. Backward:
    /// never followed by stepping back; the engine's clock loses half a millisecond a second at most until they agree.
    fn discipline(&self) {
        let drift = wall_millis() - self.now().0;
        self.steady.store(drift.abs() <= STEP_MILLIS, Ordering::Release);
        if drift > 0 {
            self.offset_millis.fetch_add(drift, Ordering::AcqRel);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the engine's clock port is the one place that reads the clock")]
fn monotonic_now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the engine's clock port is the one place that reads the clock")]
fn wall_millis() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
