//! `GET /v1/doctors/{id}/days/{date}/stream`: a day as server-sent events.
//! Must not know: how changes are found and shared (see `streams`).

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::http::header::CACHE_CONTROL;

use super::call::Call;
use super::catalogue::Code;
use super::problem::Problem;
use super::refusal::of_engine;
use crate::middleware::edge::Answer;
use crate::streams::connection::Connection;

/// What a reader that is one too many is told to wait.
const RETRY_AFTER_SECONDS: u64 = 5;

/// Opens a stream. A `Last-Event-ID` that is no id of ours is ignored.
pub(crate) async fn read(call: Call) -> Answer {
    call.no_query()?;
    let day = call.path_day()?;
    let view = call.engine().day(day).await.map_err(|error| of_engine(error, call.now()))?;
    let mut response = HttpResponse::Ok();
    response.content_type("text/event-stream").insert_header((CACHE_CONTROL, "no-store"));
    response.insert_header(("X-Accel-Buffering", "no"));
    if *call.request().method() == Method::HEAD {
        return Ok(response.finish());
    }
    let connection = call.request().conn_data::<Rc<Connection>>().map(Rc::clone);
    let connection = connection.ok_or_else(|| Problem::internal("a connection without its socket".to_owned()))?;
    let seen = call.headers().get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let worker = call.worker();
    let reader = worker.shared.streams.join(&worker.crowds, &view, seen, connection);
    let reader = reader.ok_or_else(|| Problem::of(Code::Overloaded).retry_after_seconds(RETRY_AFTER_SECONDS))?;
    Ok(response.streaming(reader))
}
