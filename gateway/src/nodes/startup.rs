//! What a process needs before its engine starts, to be one of several nodes: a socket for the others, and a way to ask them.
//! Must not know: routes, what is asked.

use std::sync::Arc;

use engine::EngineConfig;
use engine::clock::SystemClock;
use engine::ownership::PeerTransport;
use rustls::ClientConfig;

use super::listener;
use super::tls::NodeTls;
use super::transport::HttpTransport;
use crate::auth::pass::Passes;
use crate::commands::Failure;
use crate::config::Config;
use crate::server::{Bound, SharedLater};

/// The listener for other nodes, and this side of TLS when they are asked.
pub(crate) struct Among {
    /// Not yet accepting.
    pub(crate) server: Bound,
    /// `None`: in the clear.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// For the engine.
    pub(crate) transport: Option<Arc<dyn PeerTransport>>,
}

impl Among {
    /// `None` if the settings name no listener for nodes. Tells `engine` where this node is reached.
    pub(crate) fn bind(
        config: &Config,
        later: &SharedLater,
        passes: &Arc<Passes>,
        engine: &mut EngineConfig,
    ) -> Result<Option<Self>, Failure> {
        let Some(nodes) = &config.http.nodes else { return Ok(None) };
        let tls = nodes.tls.as_ref().map(NodeTls::load).transpose();
        let tls = tls.map_err(|error| Failure::settings(error.to_string()))?;
        let server = listener::bind(&config.http, nodes.listen, tls.as_ref().map(|tls| Arc::clone(&tls.server)), later)
            .map_err(|error| Failure::settings(format!("node_listen: {}: {error}", nodes.listen)))?;
        let tls = tls.map(|tls| tls.client);
        let clock = Arc::new(SystemClock::start());
        engine.node.address.get_or_insert_with(|| server.address.to_string());
        let transport = HttpTransport::new(tls.as_deref(), Arc::clone(passes), clock);
        Ok(Some(Self { server, tls, transport: Some(Arc::new(transport)) }))
    }
}
