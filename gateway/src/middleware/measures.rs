//! The numbers of HTTP, with handles made once a worker.
//! Must not know: who measures what elsewhere, who scrapes.

use actix_web::http::{Method, StatusCode};
use engine::clock::Clock;
use engine::telemetry::catalogue::{HTTP_DURATION, HTTP_IN_FLIGHT, HTTP_REQUESTS};
use engine::telemetry::stages::{Stage, Stages};
use metrics::{Counter, Gauge, Histogram};

/// The label values of methods, the rest last.
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "other"];
const STATUS_CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

struct MethodMeasures {
    requests: [Counter; STATUS_CLASSES.len()],
    duration: Histogram,
}

/// Handles of one worker.
pub(crate) struct HttpMeasures {
    methods: [MethodMeasures; METHODS.len()],
    in_flight: Gauge,
    stages: Stages,
}

impl HttpMeasures {
    /// Handles of the installed recorder.
    pub(crate) fn new() -> Self {
        Self {
            methods: METHODS.map(|method| MethodMeasures {
                requests: STATUS_CLASSES
                    .map(|class| metrics::counter!(HTTP_REQUESTS, "method" => method, "status_class" => class)),
                duration: metrics::histogram!(HTTP_DURATION, "method" => method),
            }),
            in_flight: metrics::gauge!(HTTP_IN_FLIGHT),
            stages: Stages::new(),
        }
    }

    /// A request begins; it has ended when the returned value is dropped, answered or not.
    pub(crate) fn begin(&self) -> InFlight {
        self.in_flight.increment(1.0);
        InFlight(self.in_flight.clone())
    }

    /// A booking that began at `started_micros` is at the engine's door; of a few it is noted how long that took.
    pub(crate) fn admitted(&self, started_micros: u64, clock: &dyn Clock) {
        if self.stages.is_timed(started_micros) {
            self.stages.record(Stage::Admit, clock.monotonic_micros().saturating_sub(started_micros));
        }
    }

    /// A request was answered.
    pub(crate) fn answered(&self, method: &Method, status: StatusCode, micros: u64) {
        let position = METHODS.iter().position(|name| *name == method.as_str()).unwrap_or(METHODS.len() - 1);
        let measures = &self.methods[position];
        let class = usize::from(status.as_u16() / 100).saturating_sub(2).min(STATUS_CLASSES.len() - 1);
        measures.requests[class].increment(1);
        measures.duration.record(micros as f64 / 1_000_000.0);
    }
}

/// A request that is being answered.
pub(crate) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
