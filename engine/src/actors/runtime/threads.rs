//! The fixed set of threads on which doctor-day actors run.
//! Must not know: what actors do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use actix::{Actor, Arbiter, ArbiterHandle, System};
use parking_lot::Mutex;

use super::{DayRunner, Nudge};
use crate::actors::day::DayActor;
use crate::actors::directory::StartActor;
use crate::actors::intake::Wake;

/// Threads that run actors, one arbiter each; an actor stays on its thread.
pub struct ActorThreads {
    arbiters: Vec<ArbiterHandle>,
    next: AtomicUsize,
    system: System,
    main: Mutex<Option<JoinHandle<()>>>,
}

impl ActorThreads {
    /// Starts `count` threads (at least one).
    pub fn start(count: usize) -> std::io::Result<Self> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let main = std::thread::Builder::new().name("hotslot-days".to_owned()).spawn(move || {
            let runner = System::new();
            let arbiters = runner.block_on(async move {
                let mut arbiters = vec![Arbiter::current()];
                arbiters.extend((1..count).map(|_| Arbiter::new().handle()));
                arbiters
            });
            // The receiver waits below; it cannot be gone.
            let _ = sender.send((System::current(), arbiters));
            if let Err(error) = runner.run() {
                tracing::error!(%error, "the actors' system ended with an error");
            }
        })?;
        let (system, arbiters) =
            receiver.recv().map_err(|_| std::io::Error::other("the actors' thread ended at its start"))?;
        Ok(Self { arbiters, next: AtomicUsize::new(0), system, main: Mutex::new(Some(main)) })
    }

    /// Ends the threads and waits for the first one. Days have been drained before.
    pub fn stop(&self) {
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
        self.system.stop();
        let main = self.main.lock().take();
        if let Some(main) = main
            && main.join().is_err()
        {
            tracing::error!("the actors' thread ended with a panic");
        }
    }
}

impl StartActor for ActorThreads {
    fn start(&self, actor: DayActor) -> Box<dyn Wake> {
        let number = self.next.fetch_add(1, Ordering::Relaxed) % self.arbiters.len();
        let address = DayRunner::start_in_arbiter(&self.arbiters[number], move |_| DayRunner { actor });
        Box::new(Nudge(address))
    }
}
