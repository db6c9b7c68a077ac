//! Traces: which trace a request belongs to, if it is recorded, and how what was recorded leaves the process.
//! Must not know: what a call does, which stages the engine has.

pub(crate) mod context;
#[cfg(feature = "otel")]
mod export;
#[cfg(feature = "otel")]
mod queue;
pub(crate) mod sampling;
pub(crate) mod span;

use crate::commands::Failure;
use crate::config::Config;
use crate::logs;

/// What tells a collector of recorded requests, if there is one; before there is a runtime.
#[derive(Default)]
pub(crate) struct Recording {
    #[cfg(feature = "otel")]
    waiting: Option<export::Waiting>,
}

/// As [`Recording`], running.
pub(crate) struct Running {
    #[cfg(feature = "otel")]
    exporting: Option<queue::Exporting>,
}

impl Recording {
    /// Begins to log, and to record requests if a collector is named.
    pub(crate) fn begin(config: &Config) -> Result<Self, Failure> {
        #[cfg(feature = "otel")]
        if let Some(collector) = &config.traces.collector {
            let made = export::recorder(collector);
            let (recorder, waiting) = made.map_err(|error| Failure::settings(format!("otlp_endpoint: {error}")))?;
            logs::init_with(&config.log, recorder);
            return Ok(Self { waiting: Some(waiting) });
        }
        logs::init(&config.log);
        Ok(Self::default())
    }

    /// Tells the collector from now on, on the present runtime.
    pub(crate) fn spawn(self) -> Running {
        Running {
            #[cfg(feature = "otel")]
            exporting: self.waiting.map(queue::Waiting::spawn),
        }
    }
}

impl Running {
    /// Tells what is left, as far as that is quick.
    pub(crate) async fn finish(self) {
        #[cfg(feature = "otel")]
        if let Some(exporting) = self.exporting {
            exporting.finish().await;
        }
    }
}
