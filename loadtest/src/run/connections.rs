//! The generator's connections: opened beforehand, warm, and opened again where the server has closed them.
//! Must not know: what is asked over them, when it is due.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::driver::connection::{Connection, TransportError};
use crate::driver::target::Target;
use crate::run::generator::GeneratorError;
use crate::run::link::connect;

/// How long one connection may take to open and to carry its first request.
const WARM_TIMEOUT: Duration = Duration::from_secs(20);
/// Connections that a thread opens at once, far below the backlog of a listening socket.
const OPENING_AT_ONCE: usize = 64;
/// Pause before a lost connection is opened again.
const RECONNECT_DELAY: Duration = Duration::from_millis(100);

/// Opens connections of these numbers, each warm. Must be called inside a `LocalSet`.
pub(crate) async fn open_all(target: &Target, numbers: &[usize]) -> Result<Vec<Connection>, GeneratorError> {
    let address = target.address;
    let mut links = Vec::with_capacity(numbers.len());
    for some in numbers.chunks(OPENING_AT_ONCE) {
        let opening: Vec<_> =
            some.iter().map(|number| tokio::task::spawn_local(open_warm(target.clone(), *number))).collect();
        for link in opening {
            let link = link.await.map_err(|_| GeneratorError::Died("a connection panicked"))?;
            links.push(link.map_err(|source| GeneratorError::Connect { address, source })?);
        }
    }
    Ok(links)
}

async fn open(address: SocketAddr, number: usize) -> std::io::Result<Connection> {
    connect(address, number).await.map(Connection::over)
}

/// Opens a connection that has carried a request: servers soon close one that never did, and the release may be some
/// seconds away.
async fn open_warm(target: Target, number: usize) -> Result<Connection, TransportError> {
    let warming = format!("GET /healthz/live HTTP/1.1\r\nHost: {}\r\n\r\n", target.host);
    let warm = async {
        let mut connection = open(target.address, number).await?;
        connection.exchange(warming.as_bytes()).await?;
        Ok(connection)
    };
    timeout(WARM_TIMEOUT, warm).await.unwrap_or(Err(TransportError::Timeout))
}

/// Whether it can carry another request.
pub(crate) fn is_open(link: &Connection) -> bool {
    link.is_usable() && !link.is_stale()
}

/// The connection of that number, opened again; `None` once the deadline has come.
pub(crate) async fn open_again(address: SocketAddr, number: usize, deadline: Instant) -> Option<Connection> {
    loop {
        if let Ok(link) = timeout_at(deadline, open(address, number)).await.ok()? {
            return Some(link);
        }
        timeout_at(deadline, sleep(RECONNECT_DELAY)).await.ok()?;
    }
}
