//! Sockets from source addresses of their own.
//! Must not know: what is asked over them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};

/// Source addresses in use on loopback: 127.0.1.1 to 127.0.250.250, so that no server sees one client only and no
/// pair of addresses runs out of ports.
const SOURCES_A_RANGE: usize = 250;
/// How long one connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The source address of the connection of that number; `None` where the target is not on loopback (IPv4).
pub(crate) fn source_of(target: SocketAddr, number: usize) -> Option<SocketAddr> {
    let IpAddr::V4(address) = target.ip() else { return None };
    // Both parts are below 250: nothing is cut.
    let part = |number: usize| u8::try_from(number % SOURCES_A_RANGE + 1).unwrap_or(1);
    let source = Ipv4Addr::new(127, 0, part(number / SOURCES_A_RANGE), part(number));
    address.is_loopback().then(|| SocketAddr::new(source.into(), 0))
}

/// Opens a socket to `target` from the source address of that number, with Nagle's delay off.
pub(crate) async fn connect(target: SocketAddr, number: usize) -> io::Result<TcpStream> {
    let socket = if target.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(source) = source_of(target, number) {
        socket.bind(source)?;
    }
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, socket.connect(target))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn eight_thousand_connections_have_eight_thousand_sources_and_a_remote_target_none() {
        let target = "127.0.0.1:8080".parse().unwrap();
        let sources: HashSet<_> = (0..8_000).filter_map(|number| source_of(target, number)).collect();
        assert_eq!(sources.len(), 8_000);
        assert!(sources.iter().all(|source| source.ip().is_loopback() && source.port() == 0));
        assert_eq!(source_of("192.0.2.1:80".parse().unwrap(), 0), None);
        assert_eq!(source_of("[::1]:80".parse().unwrap(), 0), None);
    }
}
