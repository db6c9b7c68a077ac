//! Doctor-day actors as plain tokio tasks: the same actors without actix, for tests of the engine on one thread.
//! Must not know: what a turn does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::Notify;

use crate::actors::day::{DayActor, TurnEnd};
use crate::actors::directory::StartActor;
use crate::actors::intake::Wake;

/// See the module.
pub struct TaskActors;

struct Nudge(Arc<Notify>);

impl Wake for Nudge {
    fn wake(&self) {
        self.0.notify_one();
    }
}

impl StartActor for TaskActors {
    fn start(&self, actor: DayActor) -> Box<dyn Wake> {
        let nudged = Arc::new(Notify::new());
        drop(tokio::spawn(run(actor, Arc::clone(&nudged))));
        Box::new(Nudge(nudged))
    }
}

async fn run(mut actor: DayActor, nudged: Arc<Notify>) {
    loop {
        nudged.notified().await;
        let end = catch_unwind(AssertUnwindSafe(|| actor.turn())).unwrap_or_else(|_| {
            actor.panicked();
            TurnEnd::Again
        });
        match end {
            TurnEnd::Rest => {}
            TurnEnd::Again => nudged.notify_one(),
            TurnEnd::Stop => return,
        }
    }
}
