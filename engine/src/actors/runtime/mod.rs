//! actix, kept thin: runs a plain [`DayActor`] on one of a fixed number of threads. The only folder that names actix.
//! Must not know: what a turn does.
//!
//! actix's own mailbox bound does not hold when addresses are cloned, its supervisor catches no panic and rebuilds no state. So the
//! bound is the intake's, a message is only a nudge (at most one is under way per actor), and a panic is caught here.

mod threads;

use std::panic::{AssertUnwindSafe, catch_unwind};

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message};

use super::day::{DayActor, TurnEnd};
use super::intake::Wake;

pub use threads::ActorThreads;

/// Take a turn.
#[derive(Message)]
#[rtype(result = "()")]
struct Turn;

/// A doctor-day as an actix actor.
struct DayRunner {
    actor: DayActor,
}

impl Actor for DayRunner {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        // One nudge from the intake and one from the actor itself.
        context.set_mailbox_capacity(2);
    }
}

impl Handler<Turn> for DayRunner {
    type Result = ();

    fn handle(&mut self, _: Turn, context: &mut Self::Context) {
        let end = catch_unwind(AssertUnwindSafe(|| self.actor.turn())).unwrap_or_else(|_| {
            self.actor.panicked();
            TurnEnd::Again
        });
        match end {
            TurnEnd::Rest => {}
            TurnEnd::Again => nudge_later(context.address()),
            TurnEnd::Stop => context.stop(),
        }
    }
}

/// Another turn after whatever else is ready on this thread: an actor that nudged itself at once would be polled again before its
/// neighbours.
fn nudge_later(address: Addr<DayRunner>) {
    actix::spawn(async move {
        tokio::task::yield_now().await;
        nudge(&address);
    });
}

fn nudge(address: &Addr<DayRunner>) {
    if let Err(error) = address.try_send(Turn) {
        tracing::error!(%error, "a day's actor cannot be reached");
    }
}

struct Nudge(Addr<DayRunner>);

impl Wake for Nudge {
    fn wake(&self) {
        nudge(&self.0);
    }
}
