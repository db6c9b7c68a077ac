//! The span of a request: begun at the edge, if the request is recorded, and given to the engine as its trace.
//! Must not know: how spans leave the process, what the engine's stages are.
//!
//! A span says which call, how it ended and how long it took: never who, nor what was in it.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use engine::telemetry::trace::{self, TARGET, Trace};
use tracing::field::Empty;

use super::sampling::Sampling;
use crate::api::catalogue::Code;
use crate::api::problem::Problem;
use crate::middleware::request_name::RequestName;

/// Begins the trace of `request`, if it is recorded; from then on `name` says so to whoever is asked on its behalf.
pub(crate) fn begin(request: &HttpRequest, name: &mut RequestName, sampling: Sampling) -> Trace {
    if !trace::is_wanted() || !is_worth_it(request) || !sampling.takes(&name.trace) {
        return Trace::default();
    }
    let (method, pattern) = (request.method().as_str(), request.match_pattern());
    let route = pattern.as_deref().unwrap_or("unknown");
    let span = tracing::debug_span!(
        target: TARGET,
        parent: None,
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        request.id = %name,
        trace.id = %name.trace_name(),
        error.type = Empty,
    );
    name.trace.is_sampled = true;
    #[cfg(feature = "otel")]
    super::export::adopt(&span, &mut name.trace);
    Trace::new(span, name.trace.onward())
}

/// Probes and pages come every few seconds, and nobody asks why they were slow.
fn is_worth_it(request: &HttpRequest) -> bool {
    let path = request.path();
    path.starts_with("/v1/") || path.starts_with("/internal/")
}

/// Says how the request ended.
pub(crate) fn answered(trace: &Trace, status: StatusCode, problem: Option<&Problem>) {
    let Some(span) = trace.span() else { return };
    span.record("http.response.status_code", status.as_u16());
    if let Some(problem) = problem {
        span.record("error.type", problem.code().entry().name);
        if matches!(problem.code(), Code::Internal | Code::Unavailable) {
            span.record("otel.status_code", "ERROR");
        }
    }
    trace.end();
}
