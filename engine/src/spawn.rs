//! How background work is started, as a port: a simulator runs it under virtual time.
//! Must not know: what the work is.

use std::future::Future;
use std::pin::Pin;

/// Work that runs beside the caller.
pub type Work = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

/// Starts background work.
pub trait Spawn: Send + Sync + 'static {
    /// Runs `work` to its end; it is never cancelled while the engine lives.
    fn spawn(&self, work: Work);
}

/// Spawns on a tokio runtime.
pub struct TokioSpawn(pub tokio::runtime::Handle);

impl Spawn for TokioSpawn {
    fn spawn(&self, work: Work) {
        drop(self.0.spawn(work));
    }
}
