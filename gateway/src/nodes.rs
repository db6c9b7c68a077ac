//! Several nodes, one service: requests that reach a node which does not speak for their day are answered by the one that does.
//! Must not know: what a call does, how shards change hands (the engine's `ownership` does).

pub(crate) mod client;
pub(crate) mod days;
pub(crate) mod forward;
pub(crate) mod internal;
pub(crate) mod listener;
pub(crate) mod question;
pub(crate) mod route;
pub(crate) mod socket;
pub(crate) mod startup;
#[cfg(all(test, feature = "testing"))]
mod tests;
pub(crate) mod tls;
pub(crate) mod transport;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use engine::ownership::Territory;
use rustls::ClientConfig;

use crate::auth::pass::Passes;
use client::Client;

/// What this process needs to be one of several nodes.
pub(crate) struct Nodes {
    /// Where everything is.
    pub(crate) territory: Arc<Territory>,
    /// What nodes show each other.
    pub(crate) passes: Arc<Passes>,
    /// This side of mutual TLS, if it is used.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// Of the main runtime: for the days that are streamed from elsewhere.
    pub(crate) client: Client,
    /// Requests that the workers forward now.
    forwards: AtomicUsize,
    /// Workers that forward.
    forwarders: AtomicUsize,
}

impl Nodes {
    /// Must be called on the main runtime.
    pub(crate) fn new(territory: Arc<Territory>, passes: Arc<Passes>, tls: Option<Arc<ClientConfig>>) -> Self {
        let client = Client::new(tls.as_deref());
        Self { territory, passes, tls, client, forwards: AtomicUsize::new(0), forwarders: AtomicUsize::new(0) }
    }

    /// Requests being forwarded, and how many there may be.
    pub(crate) fn forwards(&self) -> (usize, usize) {
        let bound = forward::IN_FLIGHT_MAX * self.forwarders.load(Ordering::Relaxed);
        (self.forwards.load(Ordering::Relaxed), bound)
    }
}
