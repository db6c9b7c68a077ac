//! The one way in and out of every handler: name, measure, limit, authenticate, answer.
//! Must not know: what a call does.
//!
//! This is a function around the handler and not an actix middleware: every route is made by `routes`, which knows no
//! other way, and a booking storm so pays for no second boxed future and no map of request extensions.

use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::FutureExt;

use super::accept::takes_json;
use super::request_name::{REQUEST_ID, RequestName};
use super::{access_log, elsewhere};
use crate::api::call::{Attempt, Call};
use crate::api::catalogue::Code;
use crate::api::problem::Problem;
use crate::auth::Principal;
use crate::nodes::question::{self, HOP};
use crate::state::{Side, Worker};
use crate::traces::span;

/// What every handler returns.
pub(crate) type Answer = Result<HttpResponse, Problem>;

/// Most bytes of names and values in a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Nobody waits longer for an answer: a store that is away answers nobody, and what it then does is told under the same key.
const ANSWER_DEADLINE: Duration = Duration::from_secs(8);

/// Answers one request: `handle` is asked if nothing before it refuses.
pub(crate) async fn answer<H, F>(worker: Rc<Worker>, request: HttpRequest, payload: Payload, handle: H) -> HttpResponse
where
    H: Fn(Call) -> F,
    F: Future<Output = Answer>,
{
    let engine = &worker.shared.engine;
    let started_micros = engine.clock().monotonic_micros();
    let in_flight = worker.measures.begin();
    let mut name =
        RequestName::of(request.headers(), || worker.request_ids.next(engine.clock().now(), engine.ids().as_ref()));
    let trace = span::begin(&request, &mut name, worker.shared.sampling);
    let outcome = match check_head(&worker, &request) {
        Err(problem) => Err(problem),
        Ok(()) => {
            let call = Call::new(Rc::clone(&worker), request.clone(), payload, name.clone(), started_micros);
            let work = async {
                match &worker.forwarder {
                    None => attempt(&handle, call).await,
                    Some(forwarder) => elsewhere::answer(forwarder, &handle, call).await,
                }
            };
            // Pinned here: its poll is wrapped, and what is polled must not be copied for that.
            let mut work = std::pin::pin!(work);
            let traced = poll_fn(|context| trace.poll_in(work.as_mut(), context));
            // As if the caller had gone.
            let late = "There is no answer yet; ask again, with the same key, to learn what became of the request.";
            tokio::time::timeout(ANSWER_DEADLINE, traced)
                .await
                .unwrap_or_else(|_| Err(Problem::new(Code::Unavailable, late).retry_after_seconds(1)))
        }
    };
    let (mut response, problem) = match outcome {
        Ok(response) => (response, None),
        Err(problem) => (refusal(&worker, &name, &problem), Some(problem)),
    };
    let headers = response.headers_mut();
    if let Some(value) = name.header() {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if *request.method() == Method::GET && !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    let micros = engine.clock().monotonic_micros().saturating_sub(started_micros);
    worker.measures.answered(request.method(), response.status(), micros);
    access_log::answered(&request, &name, response.status(), problem.as_ref(), micros);
    span::answered(&trace, response.status(), problem.as_ref());
    engine::crash_point!(HttpBeforeAnswer);
    drop(in_flight);
    response
}

/// One attempt at a request. A panic is a defect; it costs its request an answer of 500, and nobody else anything.
pub(super) async fn attempt<H, F>(handle: &H, call: Call) -> Answer
where
    H: Fn(Call) -> F,
    F: Future<Output = Answer>,
{
    AssertUnwindSafe(handle(call)).catch_unwind().await.unwrap_or_else(|panic| Err(of_panic(panic.as_ref())))
}

/// To a node that has passed the request on it is said where it must go; to callers never.
fn refusal(worker: &Worker, name: &RequestName, problem: &Problem) -> HttpResponse {
    match problem.shard().filter(|_| worker.side == Side::Nodes) {
        Some(shard) => question::moved(shard),
        None => name.with_text(|text| problem.response(text)),
    }
}

fn check_head(worker: &Worker, request: &HttpRequest) -> Result<(), Problem> {
    let line_bytes = request.uri().path().len() + request.uri().query().map_or(0, str::len);
    let head_bytes: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>() + line_bytes;
    if head_bytes > HEAD_BYTES_MAX {
        return Err(Problem::of(Code::HeadersTooLarge));
    }
    if worker.side == Side::Nodes {
        // Limits were applied where the caller came in. What no node has passed on has no business here.
        return if request.headers().contains_key(HOP) { Ok(()) } else { Err(Problem::of(Code::NotFound)) };
    }
    let limits = &worker.shared.limits;
    match request.peer_addr().map(|peer| peer.ip()) {
        Some(peer) if limits.applies_to(Some(peer)) => limits.check_address(peer).map_err(limited),
        _ => Ok(()),
    }
}

/// Who calls: `unauthenticated` without a valid token, `rate_limited` over the subject's limit.
pub(crate) fn authenticate(call: &Call) -> Result<Arc<Principal>, Problem> {
    let token = bearer_token(call.request()).ok_or_else(|| Problem::of(Code::Unauthenticated))?;
    let shared = &call.worker().shared;
    let principal = shared
        .verifier
        .verify(token, shared.engine.clock().now())
        .map_err(|error| Problem::new(Code::Unauthenticated, error.to_string()))?;
    if call.worker().side == Side::Nodes || call.attempt() != Attempt::First {
        return Ok(principal);
    }
    let peer = call.request().peer_addr().map(|peer| peer.ip());
    if shared.limits.applies_to(peer) {
        shared.limits.check_subject(principal.subject).map_err(limited)?;
    }
    Ok(principal)
}

/// `not_acceptable` if the caller cannot read JSON.
pub(crate) fn check_accept(call: &Call) -> Result<(), Problem> {
    if takes_json(call.request().headers()) { Ok(()) } else { Err(Problem::of(Code::NotAcceptable)) }
}

/// The token of a caller, or the pass of a node.
pub(crate) fn bearer_token(request: &HttpRequest) -> Option<&str> {
    let mut values = request.headers().get_all(AUTHORIZATION);
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}

fn limited(retry_after_seconds: u64) -> Problem {
    Problem::of(Code::RateLimited).retry_after_seconds(retry_after_seconds)
}

fn of_panic(panic: &(dyn std::any::Any + Send)) -> Problem {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without words".to_owned());
    Problem::internal(format!("panic: {message}"))
}
