//! The HTTP servers: sockets, workers, timeouts.
//! Must not know: routes, settings' names, what the engine does.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Request};
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, Server, ServiceResponse};
use actix_web::{App, HttpResponse};
use socket2::{Domain, Protocol, Type};
use tokio::net::TcpStream;

use crate::config::HttpSettings;
use crate::routes::{self, Entry};
use crate::state::{Shared, Side, Worker};
use crate::streams::connection::Socket;

/// Connections that wait to be accepted: the first second of a release opens thousands at once. The kernel cuts it to
/// `somaxconn`.
const BACKLOG: i32 = 16_384;
/// A request's head must arrive within this, so that slow senders do not keep connections for nothing.
pub(crate) const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// A connection that is closed has this long to take the last answer.
pub(crate) const DISCONNECT_DEADLINE: Duration = Duration::from_secs(2);

/// What handlers share; set after the sockets are bound and before the first request is read.
pub(crate) type SharedLater = Arc<OnceLock<Arc<Shared>>>;

/// A server with its address, not yet accepting.
pub(crate) struct Bound {
    /// Where it listens: the real port, if 0 was asked for.
    pub(crate) address: SocketAddr,
    start: Box<dyn FnOnce() -> Server>,
}

impl Bound {
    /// A server that `start` starts.
    pub(crate) fn new(address: SocketAddr, start: impl FnOnce() -> Server + 'static) -> Self {
        Self { address, start: Box::new(start) }
    }

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
    let listener = listen(address)?;
    let address = listener.local_addr()?;
    let server = Server::build();
    let stopping = server.graceful_shutdown_signal();
    let keep_alive = Duration::from_secs(settings.keep_alive_seconds);
    let shared = Arc::clone(shared);
    let server = server
        .workers(workers)
        .max_concurrent_connections(settings.connections_max)
        .shutdown_timeout(settings.shutdown_grace_seconds)
        .disable_signals()
        .listen("http", listener, move || {
            let stopping = stopping.clone();
            let http = HttpService::build()
                .graceful_shutdown_signal(move || {
                    let stopping = stopping.clone();
                    async move { stopping.notified().await }
                })
                .keep_alive(keep_alive)
                .client_request_timeout(HEAD_DEADLINE)
                .client_disconnect_timeout(DISCONNECT_DEADLINE)
                .local_addr(address)
                .on_connect_ext(|socket: &Socket, data| {
                    data.insert(Rc::clone(socket.connection()));
                });
            fn_service(accept).and_then(http.h1(application(&shared, table, Side::Public)))
        })?;
    Ok(Bound::new(address, move || server.run()))
}

/// A socket for a server.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // The port of a process that has just ended can be taken over.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A connection whose socket can be given a deadline: the server of actix-web has no place for one, so the parts that it is made of are put
/// together here.
async fn accept(stream: TcpStream) -> Result<(Socket, Option<SocketAddr>), DispatchError> {
    // Without it an answer would only wait a little longer.
    let _ = stream.set_nodelay(true);
    let peer = stream.peer_addr().ok();
    Ok((Socket::new(stream), peer))
}

/// The routes, as one worker has them.
pub(crate) fn application(
    shared: &SharedLater,
    table: fn() -> Vec<Entry>,
    side: Side,
) -> impl ServiceFactory<Request, Config = (), Response = ServiceResponse, Error = HttpResponse, InitError = ()> + use<>
{
    // A worker without the shared state has no routes; the program sets it before it starts the servers.
    let worker = shared.get().map(|shared| Rc::new(Worker::new(Arc::clone(shared), side)));
    let app = App::new().configure(move |app| {
        if let Some(worker) = &worker {
            routes::configure(app, worker, table());
        }
    });
    let app = app.into_factory().map_err(|error: actix_web::Error| error.error_response());
    map_config(app, |()| AppConfig::default())
}
