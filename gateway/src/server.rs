//! The HTTP servers: sockets, workers, timeouts.
//! Must not know: routes, settings' names, what the engine does.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App, HttpServer};

use crate::config::HttpSettings;
use crate::routes::{self, Entry};
use crate::state::{Shared, Worker};

/// Connections that wait to be accepted: the first second of a release opens thousands at once. The kernel cuts it to
/// `somaxconn`.
const BACKLOG: u32 = 16_384;
/// A request's head must arrive within this, so that slow senders do not keep connections for nothing.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// A connection that is closed has this long to take the last answer.
const DISCONNECT_DEADLINE: Duration = Duration::from_secs(2);

/// What handlers share; set after the sockets are bound and before the first request is read.
pub(crate) type SharedLater = Arc<OnceLock<Arc<Shared>>>;

/// A server with its address, not yet accepting.
pub(crate) struct Bound {
    /// Where it listens: the real port, if 0 was asked for.
    pub(crate) address: SocketAddr,
    start: Box<dyn FnOnce() -> Server>,
}

impl Bound {
    /// Starts to accept. The shared state must have been set.
    pub(crate) fn start(self) -> Server {
        (self.start)()
    }
}

/// Binds `address` for the routes of `table`, on `workers` threads.
pub(crate) fn bind(
    settings: &HttpSettings,
    address: SocketAddr,
    workers: usize,
    shared: &SharedLater,
    table: fn() -> Vec<Entry>,
) -> io::Result<Bound> {
    let shared = Arc::clone(shared);
    let server = HttpServer::new(move || {
        // A worker without the shared state has no routes; the program sets it before it starts the servers.
        let worker = shared.get().map(|shared| Rc::new(Worker::new(Arc::clone(shared))));
        App::new().configure(move |app| {
            if let Some(worker) = &worker {
                routes::configure(app, worker, table());
            }
        })
    });
    let server = server
        .workers(workers)
        .backlog(BACKLOG)
        .max_connections(settings.connections_max)
        .keep_alive(Duration::from_secs(settings.keep_alive_seconds))
        .client_request_timeout(HEAD_DEADLINE)
        .client_disconnect_timeout(DISCONNECT_DEADLINE)
        .tcp_nodelay(true)
        .shutdown_timeout(settings.shutdown_grace_seconds)
        .disable_signals()
        .bind(address)?;
    let address = server.addrs().first().copied().unwrap_or(address);
    Ok(Bound { address, start: Box::new(move || server.run()) })
}
