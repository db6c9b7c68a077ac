//! Doctor-days on the heap: the real actors, of which each turn is one happening.
//! Must not know: what a turn does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use engine::actors::day::{DayActor, TurnEnd};
use engine::actors::directory::StartActor;
use engine::actors::intake::Wake;
use parking_lot::Mutex;

use super::{Actor, ActorNumber, Domain, Happening, Kernel, State};

/// Runs the actors of one process.
pub struct NodeActors {
    kernel: Kernel,
    domain: Domain,
}

impl NodeActors {
    /// Actors of `domain`.
    pub fn new(kernel: &Kernel, domain: Domain) -> Self {
        Self { kernel: kernel.clone(), domain }
    }
}

struct Nudge {
    state: Weak<Mutex<State>>,
    actor: ActorNumber,
}

impl Wake for Nudge {
    fn wake(&self) {
        if let Some(state) = self.state.upgrade() {
            Kernel { state }.plan_soon(Happening::Turn(self.actor));
        }
    }
}

impl StartActor for NodeActors {
    fn start(&self, actor: DayActor) -> Box<dyn Wake> {
        let mut state = self.kernel.state.lock();
        state.planned += 1;
        let number = state.planned;
        if state.living.contains(&self.domain) {
            state.actors.insert(number, Actor { domain: self.domain, actor: Some(Box::new(actor)) });
        }
        Box::new(Nudge { state: Arc::downgrade(&self.kernel.state), actor: number })
    }
}

impl Kernel {
    pub(super) fn turn(&self, number: ActorNumber) {
        let Some(mut actor) = self.state.lock().actors.get_mut(&number).and_then(|actor| actor.actor.take()) else {
            return;
        };
        // As the product's runner does.
        let end = catch_unwind(AssertUnwindSafe(|| actor.turn())).unwrap_or_else(|_| {
            actor.panicked();
            TurnEnd::Again
        });
        let mut state = self.state.lock();
        let left = match state.actors.get_mut(&number) {
            Some(found) if end != TurnEnd::Stop => {
                found.actor = Some(actor);
                None
            }
            _ => {
                state.actors.remove(&number);
                Some(actor)
            }
        };
        drop(state);
        drop(left);
        if end == TurnEnd::Again {
            self.plan_soon(Happening::Turn(number));
        }
    }
}
