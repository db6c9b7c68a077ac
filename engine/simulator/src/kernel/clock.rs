//! The clocks of a simulated machine: monotonic time is the heap's, the wall clock can be stepped. The engine's own clock runs over
//! them as it does in the product.
//! Must not know: who steps the wall clock, what the time is used for.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use booking_core::UtcMillis;
use engine::clock::{Clock, MachineTime, Sleep, SlewedClock};
use parking_lot::Mutex;

use super::{Domain, Kernel};

/// By how much the machine's wall clock differs from virtual time, in milliseconds. Outlives the processes, as a machine's clock does.
#[derive(Clone, Default)]
pub struct WallSteps(Arc<AtomicI64>);

impl WallSteps {
    /// Sets the wall clock forward, or back.
    pub fn step(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::Relaxed);
    }
}

/// The wall clock at the beginning: an ordinary Monday, 2027-03-01T08:00:00Z.
pub const EPOCH: UtcMillis = UtcMillis(1_803_888_000_000);

struct NodeTime {
    kernel: Kernel,
    steps: WallSteps,
}

impl MachineTime for NodeTime {
    fn monotonic_micros(&self) -> u64 {
        self.kernel.now_micros()
    }

    fn wall_millis(&self) -> i64 {
        let elapsed = i64::try_from(self.kernel.now_micros() / 1_000).unwrap_or(i64::MAX);
        EPOCH.0 + elapsed + self.steps.0.load(Ordering::Relaxed)
    }
}

/// The engine's clock in one process.
pub struct NodeClock {
    clock: SlewedClock<NodeTime>,
    kernel: Kernel,
    domain: Domain,
}

impl NodeClock {
    /// As it is after the start of the process `domain`.
    pub fn start(kernel: &Kernel, domain: Domain, steps: &WallSteps) -> Self {
        let time = NodeTime { kernel: kernel.clone(), steps: steps.clone() };
        Self { clock: SlewedClock::over(time), kernel: kernel.clone(), domain }
    }
}

impl Clock for NodeClock {
    fn now(&self) -> UtcMillis {
        self.clock.now()
    }

    fn monotonic_micros(&self) -> u64 {
        self.clock.monotonic_micros()
    }

    fn is_steady(&self) -> bool {
        self.clock.is_steady()
    }

    fn discipline(&self) {
        self.clock.discipline();
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(self.kernel.sleep(self.domain, u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }
}

/// A wait in virtual time.
struct Waiting(Arc<Mutex<WaitState>>);

#[derive(Default)]
struct WaitState {
    is_over: bool,
    waker: Option<Waker>,
}

impl Future for Waiting {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if state.is_over {
            return Poll::Ready(());
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Kernel {
    /// Becomes ready after `micros`, unless `domain` dies before.
    pub fn sleep(&self, domain: Domain, micros: u64) -> impl Future<Output = ()> + Send + use<> {
        let state = Arc::new(Mutex::new(WaitState::default()));
        let waiting = Waiting(Arc::clone(&state));
        self.call_at(domain, self.now_micros().saturating_add(micros), move || {
            let waker = {
                let mut state = state.lock();
                state.is_over = true;
                state.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        });
        waiting
    }
}
