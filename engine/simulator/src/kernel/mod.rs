//! Virtual time: one heap of happenings, one thread, one seed. Whatever the engine does is a happening of this heap, and the clock jumps
//! from one to the next; nothing waits in earnest.
//! Must not know: what the engine, the stores and the clients do.
//!
//! Two happenings of the same instant come in the order in which they were planned. Who is woken takes its turn a little later, by a
//! number of microseconds that the seed decides: so every order of turns that real threads can produce is tried by some seed.

mod actors;
mod clock;
mod tasks;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use engine::actors::day::DayActor;
use engine::spawn::Work;
use parking_lot::Mutex;

pub use self::actors::NodeActors;
pub use self::clock::{EPOCH, NodeClock, WallSteps};
pub use self::tasks::NodeSpawn;
use crate::random::Random;

/// A process, as far as the heap knows it: when it dies, everything that belongs to it is gone at once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Domain(pub u64);

/// What outlives every process: clients, the network, the observer.
pub const OUTSIDE: Domain = Domain(0);

type TaskNumber = u64;
type ActorNumber = u64;

/// One thing that happens.
enum Happening {
    /// A task is polled.
    Poll(TaskNumber),
    /// An actor takes a turn.
    Turn(ActorNumber),
    /// Something is called, unless its domain is dead.
    Call(Domain, Box<dyn FnOnce() + Send>),
}

struct Task {
    domain: Domain,
    /// `None` while it is polled.
    work: Option<Work>,
    waker: Arc<tasks::TaskWaker>,
}

struct Actor {
    domain: Domain,
    /// `None` while it takes a turn.
    actor: Option<Box<DayActor>>,
}

struct State {
    now_micros: u64,
    planned: u64,
    steps: u64,
    heap: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    tasks: BTreeMap<TaskNumber, Task>,
    actors: BTreeMap<ActorNumber, Actor>,
    living: Vec<Domain>,
    random: Random,
    /// How far apart a wake-up and its turn may be, in microseconds.
    jitter_micros: u64,
}

/// See the module. Clones share everything.
#[derive(Clone)]
pub struct Kernel {
    state: Arc<Mutex<State>>,
}

impl Kernel {
    /// Time 0, nothing planned.
    pub fn new(random: Random, jitter_micros: u64) -> Self {
        let state = State {
            now_micros: 0,
            planned: 0,
            steps: 0,
            heap: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            tasks: BTreeMap::new(),
            actors: BTreeMap::new(),
            living: vec![OUTSIDE],
            random,
            jitter_micros,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Microseconds since the beginning.
    pub fn now_micros(&self) -> u64 {
        self.state.lock().now_micros
    }

    /// How much has happened so far.
    pub fn steps(&self) -> u64 {
        self.state.lock().steps
    }

    /// Plans a call at `at_micros` in `domain`; if that is dead by then, nothing happens.
    pub fn call_at(&self, domain: Domain, at_micros: u64, call: impl FnOnce() + Send + 'static) {
        let mut state = self.state.lock();
        let at = at_micros.max(state.now_micros);
        state.plan(at, Happening::Call(domain, Box::new(call)));
    }

    /// A new process.
    pub fn open_domain(&self) -> Domain {
        let mut state = self.state.lock();
        state.planned += 1;
        let domain = Domain(state.planned);
        state.living.push(domain);
        domain
    }

    /// Ends a process at this instant, wherever its tasks stand. What they held is dropped without having another turn.
    pub fn kill(&self, domain: Domain) {
        let (tasks, actors) = {
            let mut state = self.state.lock();
            state.living.retain(|living| *living != domain);
            let tasks: Vec<Task> =
                state.tasks.extract_if(.., |_, task| task.domain == domain).map(|(_, it)| it).collect();
            let actors: Vec<Actor> =
                state.actors.extract_if(.., |_, actor| actor.domain == domain).map(|(_, it)| it).collect();
            (tasks, actors)
        };
        // Outside the lock: what is dropped here wakes others, which are dead too, or outside.
        drop(tasks);
        drop(actors);
    }

    /// Whether `domain` lives.
    pub fn is_alive(&self, domain: Domain) -> bool {
        self.state.lock().living.contains(&domain)
    }

    /// Lets the next thing happen, if it does so before `until_micros`; false if nothing does: then it is `until_micros`.
    pub fn step(&self, until_micros: u64) -> bool {
        let happening = {
            let mut state = self.state.lock();
            match state.heap.peek() {
                Some(Reverse((at, _))) if *at < until_micros => {}
                _ => {
                    state.now_micros = state.now_micros.max(until_micros);
                    return false;
                }
            }
            let Some(Reverse((at, number))) = state.heap.pop() else { return false };
            state.now_micros = at;
            state.steps += 1;
            state.happenings.remove(&number)
        };
        match happening {
            Some(Happening::Poll(task)) => self.poll(task),
            Some(Happening::Turn(actor)) => self.turn(actor),
            Some(Happening::Call(domain, call)) if self.is_alive(domain) => call(),
            // Of somebody who is dead.
            Some(Happening::Call(..)) | None => {}
        }
        true
    }

    /// Plans `happening` for somebody who was woken just now.
    fn plan_soon(&self, happening: Happening) {
        let mut state = self.state.lock();
        let (bound, now) = (state.jitter_micros, state.now_micros);
        // Mostly at once, as on an idle machine; sometimes as late as a busy one takes.
        let bound = if state.random.chance(100_000) { bound * 20 } else { bound };
        let at = now + state.random.below(bound + 1);
        state.plan(at, happening);
    }
}

impl State {
    fn plan(&mut self, at_micros: u64, happening: Happening) {
        self.planned += 1;
        self.heap.push(Reverse((at_micros, self.planned)));
        self.happenings.insert(self.planned, happening);
    }
}
