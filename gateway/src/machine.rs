//! What this process tells of itself and its machine when somebody scrapes: queues, lags, the runtime, the disk.
//! Must not know: names of metrics beyond its own, who scrapes, what a queue holds.

use std::path::PathBuf;

use engine::handle::figures::Figures;
use engine::telemetry::catalogue::{
    DATA_DIR_FREE, DATA_DIR_SIZE, READY, RUNTIME_QUEUE, RUNTIME_TASKS, RUNTIME_WORKERS,
};
use engine::telemetry::queues::{Queue, QueueFigure};
use tokio::runtime::Handle;

use crate::state::Shared;

/// What is asked beside the engine.
pub(crate) struct Machine {
    /// Whose file system is looked at.
    data_dir: PathBuf,
    /// Behind the HTTP workers.
    runtime: Handle,
}

impl Machine {
    /// Must be called on the main runtime.
    pub(crate) fn new(data_dir: PathBuf) -> Self {
        Self { data_dir, runtime: Handle::current() }
    }

    fn report(&self) {
        let runtime = self.runtime.metrics();
        metrics::gauge!(RUNTIME_WORKERS).set(runtime.num_workers() as f64);
        metrics::gauge!(RUNTIME_TASKS).set(runtime.num_alive_tasks() as f64);
        metrics::gauge!(RUNTIME_QUEUE).set(runtime.global_queue_depth() as f64);
        // A file system that does not answer keeps its last figures; the stores say what is wrong with it.
        if let Ok(disk) = rustix::fs::statvfs(&self.data_dir) {
            metrics::gauge!(DATA_DIR_FREE).set(disk.f_bavail as f64 * disk.f_frsize as f64);
            metrics::gauge!(DATA_DIR_SIZE).set(disk.f_blocks as f64 * disk.f_frsize as f64);
        }
    }
}

impl Shared {
    /// The engine's figures, with the queues of HTTP.
    pub(crate) fn figures(&self) -> Figures {
        let mut figures = self.engine.figures();
        let (clients, clients_max) = self.streams.clients();
        figures.queues.push(QueueFigure { queue: Queue::Streams, depth: clients, bound: clients_max });
        if let Some(nodes) = &self.nodes {
            let (depth, bound) = nodes.forwards();
            figures.queues.push(QueueFigure { queue: Queue::Forwards, depth, bound });
        }
        figures
    }

    /// Sets every gauge that is only looked at when somebody asks.
    pub(crate) fn report(&self) {
        self.engine.report(&self.figures());
        if self.is_stopping() {
            metrics::gauge!(READY).set(0.0);
        }
        self.machine.report();
    }
}
