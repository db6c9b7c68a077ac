//! What the edge does with a request that this node does not speak for: the node that does answers it.
//! Must not know: what a call does, whom to ask when.

use std::future::Future;
use std::rc::Rc;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::Method;

use engine::telemetry::trace::{Stage, Trace};

use super::edge::{Answer, attempt};
use crate::api::call::{Attempt, Call, Kept};
use crate::api::problem::Problem;
use crate::middleware::request_name::RequestName;
use crate::nodes::forward::{Forwarder, Found};
use crate::nodes::question;
use crate::state::Worker;

/// What is needed to attempt a request again.
struct Request {
    worker: Rc<Worker>,
    request: HttpRequest,
    name: RequestName,
    started_micros: u64,
    kept: Kept,
}

impl Request {
    fn call(&self, attempt: Attempt) -> Call {
        let (worker, request, name) = (Rc::clone(&self.worker), self.request.clone(), self.name.clone());
        let call = Call::new(worker, request, Payload::None, name, self.started_micros);
        call.repeated(Rc::clone(&self.kept), attempt)
    }
}

/// Answers here, or where the answer is to be had. A read that nobody can answer in time is answered from memory, if its handler knows how.
pub(super) async fn answer<H, F>(forwarder: &Forwarder, handle: &H, call: Call) -> Answer
where
    H: Fn(Call) -> F,
    F: Future<Output = Answer>,
{
    let again = Request {
        worker: call.shared_worker(),
        request: call.request().clone(),
        name: call.name().clone(),
        started_micros: call.started_micros(),
        kept: Kept::default(),
    };
    let first = attempt(handle, call.keeping(Rc::clone(&again.kept))).await;
    let Some(shard) = first.as_ref().err().and_then(Problem::shard) else { return first };
    // Every handler reads its body before it asks the engine: an empty one here is none.
    let body = again.kept.get().cloned().unwrap_or_default();
    Trace::present().begin(Stage::Forward);
    let question = question::of_request(&again.request, &again.name, None, body);
    match forwarder.find(&question, shard, || attempt(handle, again.call(Attempt::Again))).await {
        Ok(Found::Here(outcome)) => outcome,
        Ok(Found::There(reply)) => Ok(question::pass_back(reply)),
        Err(problem) if *again.request.method() == Method::GET => {
            let old = attempt(handle, again.call(Attempt::LastResort)).await;
            old.map_err(|refusal| if refusal.shard().is_some() { problem } else { refusal })
        }
        Err(problem) => Err(problem),
    }
}
