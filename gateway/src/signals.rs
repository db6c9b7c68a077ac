//! When the process is asked to end.
//! Must not know: what has to be done then.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT of this process.
pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Listens from now on.
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The request to end: SIGTERM or SIGINT.
    pub(crate) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// The request to end at once: another SIGINT, by somebody who waits at a terminal. Another SIGTERM asks for nothing new:
    /// supervisors repeat it.
    pub(crate) async fn force(&mut self) {
        self.interrupt.recv().await;
    }
}
