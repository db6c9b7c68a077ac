//! What all handlers share, and what each HTTP worker has for itself.
//! Must not know: routes, settings.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::EngineHandle;

use crate::auth::token::Verifier;
use crate::machine::Machine;
use crate::metrics::Exporter;
use crate::middleware::measures::HttpMeasures;
use crate::middleware::rate_limit::RateLimits;
use crate::middleware::request_name::RequestIds;
use crate::nodes::Nodes;
use crate::nodes::forward::Forwarder;
use crate::streams::crowd::Crowds;
use crate::streams::{StreamSettings, Streams};
use crate::traces::sampling::Sampling;

/// Of the whole process.
pub(crate) struct Shared {
    /// The door to the engine.
    pub(crate) engine: EngineHandle,
    /// Checks tokens.
    pub(crate) verifier: Verifier,
    /// How much one caller may ask.
    pub(crate) limits: RateLimits,
    /// Writes the metrics page.
    pub(crate) exporter: Exporter,
    /// What the page says of the process.
    pub(crate) machine: Machine,
    /// Taken while a doctor's profile is read, changed and written back, so that no change of another is lost. Waiters
    /// are admins' requests, bounded by the connections.
    pub(crate) profile_lock: tokio::sync::Mutex<()>,
    /// Live days.
    pub(crate) streams: Arc<Streams>,
    /// What it takes to be one of several nodes; `None` where nothing is shared.
    pub(crate) nodes: Option<Arc<Nodes>>,
    /// Which requests are recorded.
    pub(crate) sampling: Sampling,
    stopping: AtomicBool,
}

impl Shared {
    /// For a running engine.
    pub(crate) fn new(
        engine: EngineHandle,
        verifier: Verifier,
        limits: RateLimits,
        exporter: Exporter,
        machine: Machine,
        streams: StreamSettings,
        nodes: Option<Nodes>,
    ) -> Self {
        let nodes = nodes.map(Arc::new);
        let streams = Arc::new(Streams::new(engine.clone(), streams, nodes.clone()));
        Self {
            engine,
            streams,
            nodes,
            verifier,
            limits,
            exporter,
            machine,
            profile_lock: tokio::sync::Mutex::new(()),
            sampling: Sampling::of_ratio(0.0),
            stopping: AtomicBool::new(false),
        }
    }

    /// Records the traces of so many requests whose callers do not say.
    pub(crate) fn with_sampling(self, sampling: Sampling) -> Self {
        Self { sampling, ..self }
    }

    /// From now on the process is not ready.
    pub(crate) fn begin_stopping(&self) {
        self.stopping.store(true, Ordering::Release);
        self.streams.stop();
    }

    /// Whether the process is on its way out.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// Who asks at a listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    /// Callers.
    Public,
    /// Other nodes, on behalf of callers.
    Nodes,
}

/// Of one HTTP worker thread.
pub(crate) struct Worker {
    /// Of the whole process.
    pub(crate) shared: Arc<Shared>,
    /// This worker's handles.
    pub(crate) measures: HttpMeasures,
    /// This worker's new request ids.
    pub(crate) request_ids: RequestIds,
    /// This worker's readers of live days.
    pub(crate) crowds: Rc<Crowds>,
    /// Who asks.
    pub(crate) side: Side,
    /// How other nodes are asked; `None` if there can be none, and for what another node has passed on: it is not passed on twice.
    pub(crate) forwarder: Option<Forwarder>,
}

impl Worker {
    /// For a worker of this process, which answers `side`.
    pub(crate) fn new(shared: Arc<Shared>, side: Side) -> Self {
        let nodes = shared.nodes.as_ref().filter(|_| side == Side::Public);
        let forwarder = nodes.map(|nodes| Forwarder::new(Arc::clone(nodes), Arc::clone(shared.engine.clock())));
        Self {
            shared,
            measures: HttpMeasures::new(),
            request_ids: RequestIds::default(),
            crowds: Rc::default(),
            side,
            forwarder,
        }
    }
}
