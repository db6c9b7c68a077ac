//! What time it is, and how to wait: the engine's one clock, as a port.
//! Must not know: what the time is used for.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use booking_core::{UtcMillis, planted};
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

    /// By how many milliseconds the wall clock was ahead when the two were last compared; negative: behind.
    fn skew_millis(&self) -> i64 {
        0
    }

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

/// The machine's own clocks.
pub trait MachineTime: Send + Sync + 'static {
    /// Microseconds since some instant of this process; never goes backwards, whatever becomes of the wall clock.
    fn monotonic_micros(&self) -> u64;

    /// Milliseconds since 1970 as the machine believes; may be stepped by whoever sets it.
    fn wall_millis(&self) -> i64;
}

/// So much of its pace does the engine's clock lose while it is ahead of the wall clock: half a millisecond a second.
const SLEW_PARTS_PER_MILLION: i64 = 500;

/// A change of pace is decided so long before it begins: whoever asks for the time meanwhile is told the same by the old course and by
/// the new one.
const SLEW_NOTICE_MICROS: u64 = 1_000_000;

/// How monotonic time is turned into the engine's: in two straight pieces, which meet at `turns_at_micros`.
#[derive(Clone, Copy)]
struct Course {
    turns_at_micros: u64,
    /// The engine's time then, in microseconds.
    engine_micros: i64,
    slewing_before: bool,
    slewing_after: bool,
}

impl Course {
    fn at(&self, monotonic_micros: u64) -> i64 {
        let elapsed = monotonic_micros as i64 - self.turns_at_micros as i64;
        let slewing = if elapsed < 0 { self.slewing_before } else { self.slewing_after };
        let lost = if slewing { elapsed * SLEW_PARTS_PER_MILLION / 1_000_000 } else { 0 };
        self.engine_micros + elapsed - lost
    }
}

/// The monotonic clock of a machine plus an offset that follows its wall clock without ever going back.
pub struct SlewedClock<M> {
    machine: M,
    course: ArcSwap<Course>,
    steady: AtomicBool,
    skew_millis: AtomicI64,
}

/// The clock of the product.
pub type SystemClock = SlewedClock<RealTime>;

impl SystemClock {
    /// Starts at the present wall time.
    pub fn start() -> Self {
        Self::over(RealTime { origin: monotonic_now() })
    }
}

impl<M: MachineTime> SlewedClock<M> {
    /// Starts at the present wall time of `machine`.
    pub fn over(machine: M) -> Self {
        let (turns_at_micros, engine_micros) = (machine.monotonic_micros(), machine.wall_millis() * 1_000);
        let course = Course { turns_at_micros, engine_micros, slewing_before: false, slewing_after: false };
        Self {
            machine,
            course: ArcSwap::from_pointee(course),
            steady: AtomicBool::new(true),
            skew_millis: AtomicI64::new(0),
        }
    }
}

impl<M: MachineTime> Clock for SlewedClock<M> {
    fn now(&self) -> UtcMillis {
        UtcMillis(self.course.load().at(self.machine.monotonic_micros()).div_euclid(1_000))
    }

    fn monotonic_micros(&self) -> u64 {
        self.machine.monotonic_micros()
    }

    fn is_steady(&self) -> bool {
        self.steady.load(Ordering::Acquire)
    }

    fn skew_millis(&self) -> i64 {
        self.skew_millis.load(Ordering::Relaxed)
    }

    /// Forward: drift is taken at once (time only moves on), and a step too, after one unready second. Backward: never followed by
    /// stepping back; the engine's clock loses half a millisecond a second until they agree.
    fn discipline(&self) {
        let course = **self.course.load();
        let monotonic = self.machine.monotonic_micros();
        let engine_micros = course.at(monotonic);
        let drift = self.machine.wall_millis() - engine_micros.div_euclid(1_000);
        self.steady.store(drift.abs() <= STEP_MILLIS, Ordering::Release);
        self.skew_millis.store(drift, Ordering::Relaxed);
        // One millisecond is what rounding may come to.
        let ahead = drift < -1;
        let next = if drift > 0 || planted!(ClockSteppedBack) {
            let engine_micros = engine_micros + drift * 1_000;
            Course { turns_at_micros: monotonic, engine_micros, slewing_before: false, slewing_after: false }
        } else if monotonic < course.turns_at_micros || course.slewing_after == ahead {
            return;
        } else {
            let turns_at_micros = monotonic + SLEW_NOTICE_MICROS;
            let engine_micros = course.at(turns_at_micros);
            let slewing_before = course.slewing_after;
            Course { turns_at_micros, engine_micros, slewing_before, slewing_after: ahead }
        };
        self.course.store(Arc::new(next));
    }
}

/// The clocks of the machine that this process runs on.
pub struct RealTime {
    origin: Instant,
}

impl MachineTime for RealTime {
    fn monotonic_micros(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn wall_millis(&self) -> i64 {
        wall_millis()
    }
}

/// How long a call of a store took. For measuring only: nothing is decided by it, so it needs no port.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// From now on.
    pub(crate) fn start() -> Self {
        Self(monotonic_now())
    }

    /// Since then.
    pub(crate) fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    /// A machine whose clocks are set by hand.
    #[derive(Default)]
    struct Bench {
        monotonic_micros: AtomicU64,
        wall_millis: AtomicI64,
    }

    impl MachineTime for Arc<Bench> {
        fn monotonic_micros(&self) -> u64 {
            self.monotonic_micros.load(Ordering::Relaxed)
        }

        fn wall_millis(&self) -> i64 {
            self.wall_millis.load(Ordering::Relaxed)
        }
    }

    impl Bench {
        fn clock() -> (Arc<Self>, SlewedClock<Arc<Self>>) {
            let bench = Arc::new(Self { wall_millis: AtomicI64::new(1_000_000), ..Self::default() });
            (Arc::clone(&bench), SlewedClock::over(bench))
        }

        fn step(&self, millis: i64) {
            self.wall_millis.fetch_add(millis, Ordering::Relaxed);
        }

        /// Lets `millis` pass in pieces of a tenth of a second, with the clock disciplined once a second as in the engine.
        fn pass(&self, clock: &SlewedClock<Arc<Self>>, millis: i64) {
            for piece in 0..millis / 100 {
                let before = clock.now();
                self.monotonic_micros.fetch_add(100_000, Ordering::Relaxed);
                self.step(100);
                if piece % 10 == 9 {
                    clock.discipline();
                }
                assert!(clock.now() >= before, "time went back");
            }
        }
    }

    #[test]
    fn drift_forward_is_taken_at_once_and_a_step_makes_unready_for_one_look() {
        let (bench, clock) = Bench::clock();
        bench.step(400);
        bench.pass(&clock, 1_000);
        assert_eq!(clock.now(), UtcMillis(1_001_400));
        assert!(clock.is_steady());
        bench.step(60_000);
        bench.pass(&clock, 1_000);
        assert_eq!((clock.now(), clock.is_steady()), (UtcMillis(1_062_400), false));
        assert_eq!(clock.skew_millis(), 60_000);
        bench.pass(&clock, 1_000);
        assert!(clock.is_steady());
    }

    #[test]
    fn a_step_back_is_never_followed_by_a_step_and_slewed_away_until_the_clocks_agree() {
        let (bench, clock) = Bench::clock();
        bench.step(-1_500);
        bench.pass(&clock, 2_000);
        assert!(!clock.is_steady());
        assert_eq!(clock.now(), UtcMillis(1_002_000), "notice is given first");
        bench.pass(&clock, 1_000_000);
        assert_eq!(clock.now(), UtcMillis(2_001_500), "half a millisecond a second");
        assert!(clock.is_steady(), "only a second off");
        bench.pass(&clock, 3_000_000);
        let (engine, wall) = (clock.now().0, bench.wall_millis());
        assert!((engine - wall).abs() <= 1, "they agree again: {engine} and {wall}");
    }

    #[tokio::test]
    async fn work_that_is_ready_at_its_limit_is_done() {
        let clock = SystemClock::start();
        assert_eq!(timeout(&clock, Duration::ZERO, std::future::ready(7)).await, Some(7));
        assert_eq!(timeout(&clock, Duration::from_millis(1), std::future::pending::<()>()).await, None);
    }
}
