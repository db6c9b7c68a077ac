//! Virtual time over real stores: it jumps from wait to wait as soon as whoever was started here waits for nothing else.
//! Must not know: what is done in it.
//!
//! A store in a file answers from a thread of its own, so a runtime that is idle says nothing. Here each task tells whether
//! it was woken and has not had its turn, and each call to a store that it is under way: when neither is so, only time can
//! wake anybody.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use booking_core::UtcMillis;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::clock::{Clock, MachineTime, Sleep, SlewedClock};
use crate::spawn::{Spawn, Work};

/// See the module. Clones share everything. To be used on one runtime.
#[derive(Clone)]
pub struct VirtualTime(Arc<Shared>);

struct Shared {
    began: UtcMillis,
    /// Since it began.
    micros: AtomicU64,
    /// So much ahead is the machine's wall clock.
    wall_ahead_millis: AtomicI64,
    waits: Mutex<Waits>,
    under_way: AtomicUsize,
    idle: Notify,
}

/// By instant, and by number for those of one instant.
#[derive(Default)]
struct Waits {
    begun: u64,
    wakers: BTreeMap<(u64, u64), Waker>,
}

impl VirtualTime {
    /// Stands at `began`.
    pub fn at(began: UtcMillis) -> Self {
        Self(Arc::new(Shared {
            began,
            micros: AtomicU64::new(0),
            wall_ahead_millis: AtomicI64::new(0),
            waits: Mutex::default(),
            under_way: AtomicUsize::new(0),
            idle: Notify::new(),
        }))
    }

    /// The engine's clock as a process has it that starts now, by the wall clock of the machine.
    pub fn clock(&self) -> Arc<VirtualClock> {
        Arc::new(VirtualClock { clock: SlewedClock::over(Machine(Arc::clone(&self.0))), shared: Arc::clone(&self.0) })
    }

    /// A process without tasks.
    pub fn process(&self) -> Process {
        Process { shared: Arc::clone(&self.0), tasks: Mutex::default() }
    }

    /// Sets the machine's wall clock forward, or back.
    pub fn step_wall(&self, millis: i64) {
        self.0.wall_ahead_millis.fetch_add(millis, Ordering::AcqRel);
    }

    /// What the machine's wall clock says.
    pub fn wall(&self) -> UtcMillis {
        UtcMillis(Machine(Arc::clone(&self.0)).wall_millis())
    }

    /// Something is under way that is no wait: time stands until it is dropped.
    pub fn busy(&self) -> Busy {
        self.0.enter();
        Busy(Arc::clone(&self.0))
    }

    /// Goes on until only time can wake anybody.
    pub async fn settle(&self) {
        loop {
            let mut idle = pin!(self.0.idle.notified());
            // Among those who wait before the look, so that it cannot become idle unseen in between.
            idle.as_mut().enable();
            if self.0.under_way.load(Ordering::Acquire) == 0 {
                return;
            }
            idle.await;
        }
    }

    /// Lets so much time pass, from wait to wait.
    pub async fn pass(&self, millis: i64) {
        let until = self.0.after(millis);
        loop {
            self.settle().await;
            let next = self.0.waits.lock().wakers.first_key_value().map(|((at, _), _)| *at);
            match next.filter(|at| *at <= until) {
                Some(at) => self.0.go_on_to(at),
                None => break,
            }
        }
        self.0.go_on_to(until);
        self.settle().await;
    }

    /// Lets so much time pass at once, as for a machine that was asleep.
    pub async fn jump(&self, millis: i64) {
        self.settle().await;
        self.0.go_on_to(self.0.after(millis));
        self.settle().await;
    }
}

impl Shared {
    fn now(&self) -> u64 {
        self.micros.load(Ordering::Acquire)
    }

    fn after(&self, millis: i64) -> u64 {
        self.now() + u64::try_from(millis).expect("time only goes on") * 1_000
    }

    fn go_on_to(&self, micros: u64) {
        let now = self.micros.fetch_max(micros, Ordering::AcqRel).max(micros);
        let due = {
            let mut waits = self.waits.lock();
            let later = waits.wakers.split_off(&(now + 1, 0));
            std::mem::replace(&mut waits.wakers, later)
        };
        due.into_values().for_each(Waker::wake);
    }

    fn wait(self: &Arc<Self>, duration: Duration) -> Wait {
        let mut waits = self.waits.lock();
        waits.begun += 1;
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let key = (self.now().saturating_add(micros), waits.begun);
        waits.wakers.insert(key, Waker::noop().clone());
        Wait { shared: Arc::clone(self), key }
    }

    fn enter(&self) {
        self.under_way.fetch_add(1, Ordering::AcqRel);
    }

    fn leave(&self) {
        if self.under_way.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.idle.notify_waiters();
        }
    }
}

/// Something is under way, until this is dropped.
pub struct Busy(Arc<Shared>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// A wait that has begun.
struct Wait {
    shared: Arc<Shared>,
    key: (u64, u64),
}

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut waits = self.shared.waits.lock();
        if self.shared.now() >= self.key.0 {
            return Poll::Ready(());
        }
        waits.wakers.insert(self.key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.shared.waits.lock().wakers.remove(&self.key);
    }
}

struct Machine(Arc<Shared>);

impl MachineTime for Machine {
    fn monotonic_micros(&self) -> u64 {
        self.0.now()
    }

    fn wall_millis(&self) -> i64 {
        let elapsed = i64::try_from(self.0.now() / 1_000).unwrap_or(i64::MAX);
        self.0.began.0 + elapsed + self.0.wall_ahead_millis.load(Ordering::Acquire)
    }
}

/// The product's clock over virtual time.
pub struct VirtualClock {
    clock: SlewedClock<Machine>,
    shared: Arc<Shared>,
}

impl Clock for VirtualClock {
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

    fn skew_millis(&self) -> i64 {
        self.clock.skew_millis()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(self.shared.wait(duration))
    }
}

/// The tasks of one process, which can be killed.
pub struct Process {
    shared: Arc<Shared>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Process {
    /// Ends every task where it stands, as a kill does.
    pub async fn kill(&self) {
        loop {
            let tasks = std::mem::take(&mut *self.tasks.lock());
            if tasks.is_empty() {
                return;
            }
            tasks.iter().for_each(JoinHandle::abort);
            for task in tasks {
                // Killed, or over already.
                let _ = task.await;
            }
        }
    }
}

impl Spawn for Process {
    fn spawn(&self, work: Work) {
        self.shared.enter();
        let turn = Arc::new(Turn {
            shared: Arc::clone(&self.shared),
            state: Mutex::new(TurnState { is_due: true, is_over: false, waker: Waker::noop().clone() }),
        });
        self.tasks.lock().push(tokio::spawn(Told { work, turn }));
    }
}

/// Whether a task was woken and has not had its turn.
struct Turn {
    shared: Arc<Shared>,
    state: Mutex<TurnState>,
}

struct TurnState {
    is_due: bool,
    is_over: bool,
    waker: Waker,
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        let waker = {
            let mut state = self.state.lock();
            if state.is_over {
                return;
            }
            if !std::mem::replace(&mut state.is_due, true) {
                self.shared.enter();
            }
            state.waker.clone()
        };
        waker.wake();
    }
}

/// A task that tells.
struct Told {
    work: Work,
    turn: Arc<Turn>,
}

impl Future for Told {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let turn = Arc::clone(&self.turn);
        let was_due = {
            let mut state = turn.state.lock();
            state.waker.clone_from(context.waker());
            std::mem::replace(&mut state.is_due, false)
        };
        if !was_due {
            turn.shared.enter();
        }
        // From here on it is under way by this, not by having been woken.
        let _turn = Busy(Arc::clone(&turn.shared));
        let waker = Waker::from(turn);
        self.work.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let mut state = self.turn.state.lock();
        state.is_over = true;
        if std::mem::replace(&mut state.is_due, false) {
            self.turn.shared.leave();
        }
    }
}
