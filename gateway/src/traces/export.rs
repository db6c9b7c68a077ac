//! Recorded spans as OTLP over HTTP to a collector, by the libraries of OpenTelemetry; built with the feature `otel` only.
//! Must not know: which spans there are, who decides what is recorded.
//!
//! Their batch processor and its clients are left out: it drops silently where we count, and an asynchronous client panics on its
//! thread. Spans go through a queue of our own to a task of the main runtime, by the client that asks other nodes.

use std::cell::Cell;
use std::time::Duration;

use async_trait::async_trait;
use engine::telemetry::trace::TARGET;
use hyper::{Request, Response};
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use opentelemetry_otlp::{ExporterBuildError, Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, Sampler, SdkTracerProvider, SpanExporter as _};
use tracing::Span;
use tracing::level_filters::LevelFilter;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::{Layer, Registry};

use super::context::TraceContext;
use super::queue;
use crate::config::Collector;
use crate::nodes::client::{Client, Question};

/// A collector is near, or its spans are lost: nobody waits, but the queue behind fills meanwhile.
const EXPORT_DEADLINE: Duration = Duration::from_secs(5);
/// As many as the engine names in one batch.
const LINKS_MAX: u32 = 128;

thread_local! {
    /// The name of the next trace that begins on this thread.
    static NEXT_TRACE: Cell<Option<u128>> = const { Cell::new(None) };
}

/// What waits for a runtime to tell the collector.
pub(super) type Waiting = queue::Waiting<SpanExporter>;

/// What records spans, and what tells `collector` of them once it is spawned.
pub(super) fn recorder(
    collector: &Collector,
) -> Result<(impl Layer<Registry> + Send + Sync + use<>, Waiting), ExporterBuildError> {
    let resource = Resource::builder()
        .with_service_name("hotslot")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let client = CollectorClient { client: Client::new(None), collector: collector.clone() };
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("http://{}{}", collector.address, collector.path))
        .with_timeout(EXPORT_DEADLINE)
        // Between tries it would put the thread to sleep.
        .with_retry_policy(RetryPolicy::default().with_max_retries(0))
        .build()?;
    exporter.set_resource(&resource);
    let (near, waiting) = queue::queue(exporter);
    let provider = SdkTracerProvider::builder()
        .with_resource(resource)
        // What reaches it is to be recorded: that was decided at the edge.
        .with_sampler(Sampler::AlwaysOn)
        .with_id_generator(Ids::default())
        .with_max_links_per_span(LINKS_MAX)
        .with_span_processor(near)
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("hotslot"))
        // Each span names its parent; and where it was made in the code is nobody's question.
        .with_context_activation(false)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false);
    Ok((layer.with_filter(Targets::new().with_target(TARGET, LevelFilter::DEBUG)), waiting))
}

/// Makes `span` the child of the span that the caller named, or else the first of the trace of that name; then `context` is at `span`.
pub(super) fn adopt(span: &Span, context: &mut TraceContext) {
    if context.is_given {
        let state = context.state.as_deref().and_then(|state| state.parse::<TraceState>().ok()).unwrap_or_default();
        let (trace, parent) = (TraceId::from(context.trace), SpanId::from(context.span));
        let remote = SpanContext::new(trace, parent, TraceFlags::SAMPLED, true, state);
        // Without a recorder there is nothing to be a child.
        let _ = span.set_parent(Context::new().with_remote_span_context(remote));
    } else {
        NEXT_TRACE.set(Some(context.trace));
    }
    // Asking for its name begins the span, on this thread.
    let begun = span.context();
    NEXT_TRACE.set(None);
    let own = begun.span().span_context().clone();
    if own.is_valid() {
        context.trace = u128::from_be_bytes(own.trace_id().to_bytes());
        context.span = u64::from_be_bytes(own.span_id().to_bytes());
    }
}

/// Random, but for traces that have a name already.
#[derive(Default, Debug)]
struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        NEXT_TRACE.take().map_or_else(|| self.0.new_trace_id(), TraceId::from)
    }

    fn new_span_id(&self) -> SpanId {
        self.0.new_span_id()
    }
}

/// The client that asks other nodes, towards a collector.
struct CollectorClient {
    client: Client,
    collector: Collector,
}

impl std::fmt::Debug for CollectorClient {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("CollectorClient").field("collector", &self.collector).finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let question =
            Question { method: head.method, target: self.collector.path.clone(), headers: head.headers, body };
        let reply = self.client.ask(&self.collector.address, &question, EXPORT_DEADLINE).await?;
        let mut response = Response::new(reply.body);
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers;
        Ok(response)
    }
}
