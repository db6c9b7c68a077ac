//! The HTTP side of a peer: the calls of the contract that a comparison needs, and no others.
//! Must not know: how a peer decides.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::header::HeaderMap;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde::Deserialize;
use uuid::Uuid;

use crate::answer::{decided, refused};
use crate::peer::{Peer, PeerError, Setup, Shared};
use crate::wish::{DoctorDay, Unreadable, Wish, fresh_id};

/// As hotslot's default.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// A day has at most so many places, as in hotslot (500 slots of 100,000).
const PLACES_MAX: i64 = 50_000_000;

/// The part of a day's publication that a peer heeds.
#[derive(Deserialize)]
struct DayBody {
    slots: Vec<SlotBody>,
}

#[derive(Deserialize)]
struct SlotBody {
    #[serde(default = "one")]
    capacity: i64,
}

const fn one() -> i64 {
    1
}

/// Binds and starts; answers the address, which has the port that was taken if port 0 was asked for.
pub(crate) fn start(setup: &Setup, shared: Shared) -> Result<(SocketAddr, Server), PeerError> {
    let setup_of_worker = setup.clone();
    let server = HttpServer::new(move || {
        // One peer a worker: its pool of connections is then driven by the worker's own thread.
        let peer = web::Data::new(Peer::of_worker(&setup_of_worker, &shared));
        App::new()
            .app_data(peer)
            .route("/v1/appointments", web::post().to(book))
            .route("/v1/doctors", web::post().to(create_doctor))
            .route("/v1/doctors/{id}/days/{date}", web::put().to(publish))
            .route("/healthz/live", web::get().to(live))
    })
    .workers(setup.workers.into())
    .keep_alive(KEEP_ALIVE)
    .shutdown_timeout(1)
    .bind(setup.listen)?;
    let address = server.addrs().first().copied().ok_or(PeerError::NoAddress)?;
    Ok((address, server.run()))
}

async fn live() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(r#"{"status":"live"}"#)
}

/// Every doctor is welcome; the id is all there is.
async fn create_doctor(_body: web::Bytes) -> HttpResponse {
    HttpResponse::Created().content_type("application/json").body(format!(r#"{{"id":"{}"}}"#, fresh_id()))
}

async fn publish(peer: web::Data<Peer>, path: web::Path<(Uuid, String)>, body: web::Bytes) -> HttpResponse {
    let (doctor, date) = path.into_inner();
    let Some(doctor_day) = DoctorDay::new(doctor, &date) else { return refused(400, "invalid_request") };
    let Ok(body) = serde_json::from_slice::<DayBody>(&body) else { return refused(422, "invalid_field") };
    let places: i64 = body.slots.iter().map(|slot| slot.capacity.clamp(0, PLACES_MAX)).sum();
    let places = i32::try_from(places.min(PLACES_MAX)).unwrap_or(i32::MAX);
    match peer.publish(doctor_day, places).await {
        Ok(()) => HttpResponse::Created().content_type("application/json").body("{}"),
        Err(error) => failed(&error),
    }
}

async fn book(peer: web::Data<Peer>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    answer(&peer, request.headers(), &body).await
}

async fn answer(peer: &Peer, headers: &HeaderMap, body: &[u8]) -> HttpResponse {
    match Wish::read(headers, body) {
        Ok((wish, body)) => match peer.book(&wish).await {
            Ok(decision) => decided(decision, &wish, &body),
            Err(error) => failed(&error),
        },
        Err(Unreadable(status, code)) => refused(status, code),
    }
}

/// 503: whether the booking is there is not known. The reason goes to standard error, for whoever compares.
fn failed(error: &PeerError) -> HttpResponse {
    use std::io::Write as _;
    // A failure to tell of a failure is no reason to fail.
    drop(writeln!(std::io::stderr(), "peers: {error}"));
    refused(503, "unavailable")
}

#[cfg(test)]
mod tests;
