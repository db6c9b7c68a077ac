//! Ports that no other test takes meanwhile, so that a server can be started again on its own.
//! Must not know: what listens there.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that Linux gives to outgoing connections (from 32,768), with room for the cluster bus above each.
const FIRST: u16 = 12_000;
const COUNT: u16 = 10_000;
/// A node of a Redis cluster talks to the others on its port plus this, unless told otherwise.
const CLUSTER_BUS_OFFSET: u16 = 10_000;
/// Ports from one process to the next, so that tests that start together do not try the same ones.
const STRIDE: u32 = 17;

/// A port of the loopback, and the one of a cluster bus above it. It stays ours for as long as this lives, whether a
/// server listens or not: the socket of UDP with the same number, which no server here uses, is the claim. The system
/// ends the claim with the process, however that ends.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    _claim: UdpSocket,
}

impl Port {
    /// A port that is free and not claimed.
    pub(crate) fn claim() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let start = (std::process::id().wrapping_mul(STRIDE) % u32::from(COUNT)) as u16;
        for _ in 0..COUNT {
            let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
            if let Some(port) = Self::try_claim(FIRST + (start + step) % COUNT) {
                return port;
            }
        }
        panic!("none of the {COUNT} ports from {FIRST} on is free")
    }

    /// That very port, if nobody has it.
    pub(crate) fn try_claim(number: u16) -> Option<Self> {
        let claim = UdpSocket::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        let bus_is_free = number.checked_add(CLUSTER_BUS_OFFSET).is_none_or(is_free);
        (is_free(number) && bus_is_free).then_some(Self { number, _claim: claim })
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_claimed_once_and_given_back() {
        let port = Port::claim();
        let number = port.number();
        assert!(Port::try_claim(number).is_none(), "claimed twice");
        assert_ne!(Port::claim().number(), number);
        drop(port);
        let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, number)).expect("nobody else takes it at this moment");
        assert!(Port::try_claim(number).is_none(), "somebody listens there");
    }
}
