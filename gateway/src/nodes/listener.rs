//! The server for other nodes: an own socket, which takes requests that were passed on, and the engine's questions. Nothing else.
//! Must not know: routes, where the other nodes are.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_service::{ServiceFactoryExt, fn_service};
use actix_web::dev::Server;
use rustls::ServerConfig;
use tokio::net::TcpStream;

use super::socket::NodeSocket;
use crate::config::HttpSettings;
use crate::routes;
use crate::server::{Bound, DISCONNECT_DEADLINE, HEAD_DEADLINE, SharedLater, application, listen};
use crate::state::Side;

/// Longer than nodes keep an idle connection (see `client`), so that it is they who close it.
const KEEP_ALIVE: Duration = Duration::from_secs(120);

/// Binds `address` for the other nodes, with mutual TLS if given.
pub(crate) fn bind(
    settings: &HttpSettings,
    address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    shared: &SharedLater,
) -> io::Result<Bound> {
    let listener = listen(address)?;
    let address = listener.local_addr()?;
    let server = Server::build();
    let stopping = server.graceful_shutdown_signal();
    let shared = Arc::clone(shared);
    let server = server
        .workers(settings.workers)
        .max_concurrent_connections(settings.connections_max)
        .shutdown_timeout(settings.shutdown_grace_seconds)
        .disable_signals()
        .listen("nodes", listener, move || {
            let (stopping, tls) = (stopping.clone(), tls.clone());
            let http = HttpService::build()
                .graceful_shutdown_signal(move || {
                    let stopping = stopping.clone();
                    async move { stopping.notified().await }
                })
                .keep_alive(KEEP_ALIVE)
                .client_request_timeout(HEAD_DEADLINE)
                .client_disconnect_timeout(DISCONNECT_DEADLINE)
                .local_addr(address);
            let accept = move |stream: TcpStream| {
                let tls = tls.clone();
                async move {
                    let peer = stream.peer_addr().ok();
                    let socket = NodeSocket::accept(stream, tls).await.map_err(DispatchError::Io)?;
                    Ok::<_, DispatchError>((socket, peer))
                }
            };
            fn_service(accept).and_then(http.h1(application(&shared, routes::nodes, Side::Nodes)))
        })?;
    Ok(Bound::new(address, move || server.run()))
}
