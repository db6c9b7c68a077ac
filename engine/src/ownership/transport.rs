//! How a question of this engine reaches the engine of another node: a port.
//! Must not know: HTTP, what is asked.

use async_trait::async_trait;

/// Carries a question to another node and its answer back. Both are opaque here: `EngineHandle::answer_peer` makes the one of the other.
#[async_trait]
pub trait PeerTransport: Send + Sync + 'static {
    /// Asks the node at `address` (`host:port` of its listener for nodes). It may be asked twice, or have been asked though this fails: a
    /// question must bear it. Has a deadline of its own; an error says in words why there is no answer.
    async fn ask(&self, address: &str, body: Vec<u8>) -> Result<Vec<u8>, String>;
}
