//! Tasks on the heap: each poll is one happening.
//! Must not know: what the tasks do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

use engine::spawn::{Spawn, Work};
use parking_lot::Mutex;

use super::{Domain, Happening, Kernel, State, Task, TaskNumber};

/// Runs background work as tasks of one process.
pub struct NodeSpawn {
    kernel: Kernel,
    domain: Domain,
}

impl NodeSpawn {
    /// Tasks of `domain`.
    pub fn new(kernel: &Kernel, domain: Domain) -> Self {
        Self { kernel: kernel.clone(), domain }
    }
}

impl Spawn for NodeSpawn {
    fn spawn(&self, work: Work) {
        self.kernel.spawn(self.domain, work);
    }
}

/// Plans a poll of its task, once until that has begun.
pub(super) struct TaskWaker {
    state: Weak<Mutex<State>>,
    task: TaskNumber,
    /// Whether a poll is planned already.
    woken: AtomicBool,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let Some(state) = self.state.upgrade() else { return };
        if !self.woken.swap(true, Ordering::Relaxed) {
            Kernel { state }.plan_soon(Happening::Poll(self.task));
        }
    }
}

impl Kernel {
    /// Begins `work` as a task of `domain`. In a dead one nothing begins.
    pub fn spawn(&self, domain: Domain, work: Work) {
        let task = {
            let mut state = self.state.lock();
            if !state.living.contains(&domain) {
                drop(state);
                // Outside the lock: it may wake somebody.
                drop(work);
                return;
            }
            state.planned += 1;
            let task = state.planned;
            let waker = TaskWaker { state: Arc::downgrade(&self.state), task, woken: AtomicBool::new(true) };
            state.tasks.insert(task, Task { domain, work: Some(work), waker: Arc::new(waker) });
            task
        };
        self.plan_soon(Happening::Poll(task));
    }

    pub(super) fn poll(&self, number: TaskNumber) {
        let Some((mut work, waker)) = self.state.lock().tasks.get_mut(&number).and_then(|task| {
            task.waker.woken.store(false, Ordering::Relaxed);
            Some((task.work.take()?, Arc::clone(&task.waker)))
        }) else {
            return;
        };
        let waker = Waker::from(waker);
        // As tokio does: a task that panics ends alone.
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(&mut Context::from_waker(&waker))));
        let is_over = !matches!(polled, Ok(Poll::Pending));
        let mut state = self.state.lock();
        let left = match state.tasks.get_mut(&number) {
            Some(task) if !is_over => {
                task.work = Some(work);
                None
            }
            // Over, or killed by itself meanwhile.
            _ => {
                let removed = state.tasks.remove(&number);
                Some((work, removed))
            }
        };
        drop(state);
        drop(left);
    }
}
