//! One line a request, for who looks closely; failures of ours for everyone. Never tokens, bodies, names or queries.
//! Must not know: what a call does.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;

use super::request_name::RequestName;
use crate::api::catalogue::Code;
use crate::api::problem::Problem;

/// Logs an answered request. Levels: what somebody should look at is an error or a warning, all else is debug, so that
/// a release does not drown in its own refusals.
pub(crate) fn answered(
    request: &HttpRequest,
    name: &RequestName,
    status: StatusCode,
    problem: Option<&Problem>,
    micros: u64,
) {
    let trace = name.trace_name();
    if let Some((problem, cause)) = problem.and_then(|problem| Some((problem, problem.cause()?))) {
        let (code, method, path) = (problem.code(), request.method().as_str(), request.match_pattern());
        let (code_name, path) = (code.entry().name, path.as_deref().unwrap_or("unknown"));
        if code == Code::Internal {
            tracing::error!(request.id = %name, trace.id = %trace, http.request.method = method, http.route = path, error.type = code_name, error.message = cause, "request failed");
        } else {
            tracing::warn!(request.id = %name, trace.id = %trace, http.request.method = method, http.route = path, error.type = code_name, error.message = cause, "request refused");
        }
    }
    if tracing::enabled!(tracing::Level::DEBUG) {
        tracing::debug!(
            request.id = %name,
            trace.id = %trace,
            http.request.method = request.method().as_str(),
            http.route = request.match_pattern().as_deref().unwrap_or("unknown"),
            http.response.status_code = status.as_u16(),
            error.type = problem.map(|problem| problem.code().entry().name),
            http.server.duration_micros = micros,
            "request answered"
        );
    }
}
