//! Recorded spans on their way out: a bounded queue that nobody ever waits for, and the task that empties it.
//! Must not know: how a span is made, where the collector is.

use std::time::Duration;

use engine::telemetry::catalogue::{TRACE_QUEUE, TRACE_SPANS};
use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Spans that wait: some seconds of a busy node at a share of a hundredth, and about 8 MiB. More are lost, and counted.
const QUEUE_MAX: usize = 8_192;
/// Spans told at once: what collectors take in one message by default.
const BATCH_MAX: usize = 512;
/// The spans of a request end within moments of each other, so they go together.
const PAUSE: Duration = Duration::from_millis(500);
/// At the end, a collector that hangs is waited for no longer: the process must end within ten seconds.
const FLUSH_DEADLINE: Duration = Duration::from_millis(400);

/// The near end of the queue.
#[derive(Debug)]
pub(super) struct SpanQueue(Sender<SpanData>);

/// The far end, before there is a runtime.
#[derive(Debug)]
pub(crate) struct Waiting<E> {
    spans: Receiver<SpanData>,
    exporter: E,
}

/// The task.
#[derive(Debug)]
pub(crate) struct Exporting {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// A queue before `exporter`.
pub(super) fn queue<E>(exporter: E) -> (SpanQueue, Waiting<E>) {
    let (near, spans) = channel(QUEUE_MAX);
    (SpanQueue(near), Waiting { spans, exporter })
}

impl SpanProcessor for SpanQueue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.0.try_send(span).is_err() {
            count("lost", 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl<E: SpanExporter + 'static> Waiting<E> {
    /// Tells the collector from now on. The future must live on the present runtime.
    pub(crate) fn spawn(self) -> Exporting {
        let (stop, stopped) = oneshot::channel();
        Exporting { stop, task: tokio::spawn(self.run(stopped)) }
    }

    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        let mut batch = Vec::new();
        let mut is_stopping = false;
        loop {
            if !is_stopping && self.spans.len() < BATCH_MAX {
                tokio::select! {
                    // Whoever wanted to stop the task is gone, too.
                    _ = &mut stopped => is_stopping = true,
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
            if is_stopping {
                // What is there is told, and nothing is waited for any more.
                self.spans.close();
            }
            metrics::gauge!(TRACE_QUEUE).set(self.spans.len() as f64);
            if self.spans.is_empty() && !is_stopping {
                continue;
            }
            if self.spans.recv_many(&mut batch, BATCH_MAX).await == 0 {
                return;
            }
            let spans = batch.len() as u64;
            let outcome = self.exporter.export(std::mem::take(&mut batch)).await;
            count(if outcome.is_ok() { "exported" } else { "lost" }, spans);
            if let Err(error) = outcome {
                tracing::debug!(%error, spans, "spans are lost: the collector did not take them");
            }
        }
    }
}

impl Exporting {
    /// Tells what waits, as far as that is quick.
    pub(crate) async fn finish(self) {
        // The task is gone if it has panicked; then there is nothing to wait for.
        let _ = self.stop.send(());
        let _ = tokio::time::timeout(FLUSH_DEADLINE, self.task).await;
    }
}

fn count(outcome: &'static str, spans: u64) {
    metrics::counter!(TRACE_SPANS, "outcome" => outcome).increment(spans);
}
