//! `GET /v1/doctors/{id}/days/{date}/stream`: a day as server-sent events.
//! Must not know: how changes are found and shared (see `streams`).

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::http::header::{ACCEPT, CACHE_CONTROL};
use actix_web::web::Bytes;
use booking_core::DayKey;
use engine::view::DayView;

use super::call::Call;
use super::catalogue::Code;
use super::problem::Problem;
use super::refusal::of_engine;
use crate::middleware::edge::Answer;
use crate::nodes::forward::Found;
use crate::nodes::question;
use crate::state::Side;
use crate::streams::connection::Connection;

/// What a reader that is one too many is told to wait.
const RETRY_AFTER_SECONDS: u64 = 5;

/// Opens a stream. A `Last-Event-ID` that is no id of ours is ignored.
pub(crate) async fn read(call: Call) -> Answer {
    call.no_query()?;
    let day = call.path_day()?;
    let view = match find(&call, day).await? {
        Seen::Here(view) => Some(view),
        Seen::Elsewhere => None,
        Seen::Refused(answer) => return Ok(answer),
    };
    let mut response = HttpResponse::Ok();
    response.content_type("text/event-stream").insert_header((CACHE_CONTROL, "no-store"));
    response.insert_header(("X-Accel-Buffering", "no"));
    if *call.request().method() == Method::HEAD {
        return Ok(response.finish());
    }
    let seen = call.headers().get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let worker = call.worker();
    let too_many = || Problem::of(Code::Overloaded).retry_after_seconds(RETRY_AFTER_SECONDS);
    if let Some(view) = view.as_ref().filter(|_| worker.side == Side::Nodes) {
        return Ok(response.streaming(worker.shared.streams.relay(view, seen).ok_or_else(too_many)?));
    }
    let connection = call.request().conn_data::<Rc<Connection>>().map(Rc::clone);
    let connection = connection.ok_or_else(|| Problem::internal("a connection without its socket".to_owned()))?;
    let reader = worker.shared.streams.join(&worker.crowds, day, view.as_ref(), seen, connection);
    Ok(response.streaming(reader.ok_or_else(too_many)?))
}

/// Where a day is that is to be streamed.
enum Seen {
    Here(DayView),
    /// Another node speaks for it, and has it.
    Elsewhere,
    /// What another node said instead.
    Refused(HttpResponse),
}

/// The stream of a day that is elsewhere is not passed through: this node reads it once for all its readers (see
/// `streams`). Whether there is such a day the other node is asked before, by a plain `GET` of it.
async fn find(call: &Call, day: DayKey) -> Result<Seen, Problem> {
    let here = || async { call.engine().day(day).await.map_err(|error| of_engine(error, call.now())) };
    let problem = match here().await {
        Ok(view) => return Ok(Seen::Here(view)),
        Err(problem) => problem,
    };
    let (Some(shard), Some(forwarder)) = (problem.shard(), call.forwarder()) else { return Err(problem) };
    let target = format!("/v1/doctors/{}/days/{}", day.doctor, day.date);
    let mut question = question::of_request(call.request(), call.name(), Some(target), Bytes::new());
    // What the caller takes is a stream, not what is asked here.
    question.headers.remove(ACCEPT.as_str());
    match forwarder.find(&question, shard, here).await? {
        Found::Here(view) => view.map(Seen::Here),
        Found::There(reply) if reply.status == hyper::StatusCode::OK => Ok(Seen::Elsewhere),
        Found::There(reply) => Ok(Seen::Refused(question::pass_back(reply))),
    }
}
