//! What a request that is looked at leaves behind: one span for each stage that it passes, wherever it passes it.
//! Must not know: who looks, how spans are exported, HTTP.
//!
//! Whoever begins a request decides if it is looked at; all else holds a [`Trace`], which is a null pointer for every other request.
//! While nobody is interested in spans at all, that is found out by one load ([`is_wanted`]).
//!
//! Spans say which request and how long. They hold no id of a person, no key, and no text of anybody.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tracing::{Level, Span};

/// The target of every span of a request: subscribers choose by it. Its level is `DEBUG`, which is off unless somebody asks.
pub const TARGET: &str = "hotslot::stages";

/// Most requests that a batch's span names: what subscribers keep at most.
const LINKS_MAX: usize = 128;

/// Spans that wait for the ledger: as many as a bulk of it has records. Requests beyond have none.
const AWAITING_LEDGER_MAX: usize = 4_096;

tokio::task_local! {
    static PRESENT: Trace;
}

/// Whether anybody looks at requests. Off, it costs one load.
pub fn is_wanted() -> bool {
    tracing::span_enabled!(target: TARGET, Level::DEBUG)
}

/// What a request passes, one after another, in the words of the architecture; beside them the wait for a day, and for another node.
/// What no day decides has `Admit` alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Token, limits, body.
    Admit,
    /// Another node answers.
    Forward,
    /// Has the key an answer, or the published picture?
    Dedup,
    /// Waiting for the day's turn.
    Queue,
    /// The day decides.
    Decide,
    /// The patient's time and the key are claimed across days.
    Claim,
    /// Waiting until the records are durable.
    Append,
    /// What is durable becomes visible.
    Publish,
    /// The answer is on its way.
    Reply,
}

impl Stage {
    fn span(self, request: &Span) -> Span {
        match self {
            Self::Admit => tracing::debug_span!(target: TARGET, parent: request, "admit"),
            Self::Forward => tracing::debug_span!(target: TARGET, parent: request, "forward"),
            Self::Dedup => tracing::debug_span!(target: TARGET, parent: request, "dedup"),
            Self::Queue => tracing::debug_span!(target: TARGET, parent: request, "queue"),
            Self::Decide => tracing::debug_span!(target: TARGET, parent: request, "decide"),
            Self::Claim => tracing::debug_span!(target: TARGET, parent: request, "claim"),
            Self::Append => tracing::debug_span!(target: TARGET, parent: request, "append"),
            Self::Publish => tracing::debug_span!(target: TARGET, parent: request, "publish"),
            Self::Reply => tracing::debug_span!(target: TARGET, parent: request, "reply"),
        }
    }
}

/// How a trace is named to others: the values of the W3C headers `traceparent` and `tracestate`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Onward {
    /// `traceparent`.
    pub parent: Box<str>,
    /// `tracestate`, if there is one.
    pub state: Option<Box<str>>,
}

/// A request that is looked at.
struct Looked {
    request: Span,
    onward: Onward,
    /// Where the request is now.
    stage: Mutex<Option<(Stage, Span)>>,
    has_record: AtomicBool,
}

/// The trace of one request; empty for one that nobody looks at. Cheap to clone.
#[derive(Clone, Default)]
pub struct Trace(Option<Arc<Looked>>);

impl Trace {
    /// Of the request whose span is `request`, at its first stage.
    pub fn new(request: Span, onward: Onward) -> Self {
        let stage = Mutex::new(Some((Stage::Admit, Stage::Admit.span(&request))));
        Self(Some(Arc::new(Looked { request, onward, stage, has_record: AtomicBool::new(false) })))
    }

    /// That of the request on whose behalf the present task runs ([`Trace::poll_in`]).
    pub fn present() -> Self {
        if !is_wanted() {
            return Self::default();
        }
        PRESENT.try_with(Clone::clone).unwrap_or_default()
    }

    /// Whether the request is looked at.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The request's own span.
    pub fn span(&self) -> Option<&Span> {
        self.0.as_ref().map(|looked| &looked.request)
    }

    /// How it is named to others.
    pub fn onward(&self) -> Option<&Onward> {
        self.0.as_ref().map(|looked| &looked.onward)
    }

    /// The request leaves its stage and enters `next`, unless it is there.
    pub fn begin(&self, next: Stage) {
        let Some(looked) = &self.0 else { return };
        if looked.stage.lock().as_ref().is_some_and(|(stage, _)| *stage == next) {
            return;
        }
        let span = next.span(&looked.request);
        let left = looked.stage.lock().replace((next, span));
        // A span that ends is told to the subscriber: not under the lock.
        drop(left);
    }

    /// The request leaves its last stage.
    pub fn end(&self) {
        if let Some(looked) = &self.0 {
            let left = looked.stage.lock().take();
            drop(left);
        }
    }

    /// The request has become a record: the ledger will hear of it.
    pub fn note_record(&self) {
        if let Some(looked) = &self.0 {
            looked.has_record.store(true, Ordering::Relaxed);
        }
    }

    /// Polls the future of the request so that [`Trace::present`] finds it.
    pub fn poll_in<F: Future>(&self, future: Pin<&mut F>, context: &mut Context<'_>) -> Poll<F::Output> {
        match &self.0 {
            None => future.poll(context),
            Some(looked) => {
                let _inside = looked.request.enter();
                PRESENT.sync_scope(self.clone(), || future.poll(context))
            }
        }
    }
}

/// The span of a batch of the journal that has records of these requests: a trace of its own, which names them. None if there are none.
pub(crate) fn batch_span<'trace>(traces: impl Iterator<Item = &'trace Trace>, records: usize) -> Span {
    let mut requests = traces.filter_map(Trace::span).take(LINKS_MAX).peekable();
    if requests.peek().is_none() {
        return Span::none();
    }
    let batch = tracing::debug_span!(target: TARGET, parent: None, "batch", hotslot.records = records);
    for request in requests {
        batch.follows_from(request);
    }
    batch
}

/// Requests whose records are durable and not in the ledger yet, in about the order of positions.
#[derive(Default)]
pub(crate) struct AwaitingLedger {
    spans: Mutex<VecDeque<(u64, Span)>>,
}

impl AwaitingLedger {
    /// The record of the request at `position` waits for the ledger from now on, if it has one.
    pub(crate) fn push(&self, trace: &Trace, position: u64) {
        let Some(looked) = trace.0.as_ref().filter(|looked| looked.has_record.swap(false, Ordering::Relaxed)) else {
            return;
        };
        let span = tracing::debug_span!(target: TARGET, parent: &looked.request, "ledger");
        let mut spans = self.spans.lock();
        if spans.len() < AWAITING_LEDGER_MAX {
            spans.push_back((position, span));
        }
    }

    /// The ledger has everything up to `position`.
    pub(crate) fn applied(&self, position: u64) {
        let mut ended = Vec::new();
        {
            let mut spans = self.spans.lock();
            // A later position may stand before an earlier one of another day: that ends with the next bulk.
            while spans.front().is_some_and(|(at, _)| *at <= position) {
                ended.extend(spans.pop_front());
            }
        }
        drop(ended);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;

    /// Notes names of spans as they begin.
    #[derive(Clone, Default)]
    struct Notes(Arc<Mutex<Vec<&'static str>>>);

    impl Subscriber for Notes {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == TARGET
        }

        fn new_span(&self, span: &Attributes<'_>) -> Id {
            let mut names = self.0.lock();
            names.push(span.metadata().name());
            Id::from_u64(names.len() as u64)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {
            self.0.lock().push("link");
        }

        fn event(&self, _: &Event<'_>) {}

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    fn onward() -> Onward {
        Onward { parent: "00-1-2-01".into(), state: None }
    }

    #[test]
    fn a_request_passes_its_stages_and_waits_for_the_ledger_if_it_has_a_record() {
        let notes = Notes::default();
        tracing::subscriber::with_default(notes.clone(), || {
            assert!(is_wanted());
            let trace = Trace::new(tracing::debug_span!(target: TARGET, "request"), onward());
            let waiting = AwaitingLedger::default();
            waiting.push(&trace, 1);
            trace.begin(Stage::Dedup);
            trace.note_record();
            waiting.push(&trace, 2);
            waiting.push(&trace, 2);
            assert_eq!(waiting.spans.lock().len(), 1, "once");
            waiting.applied(1);
            assert_eq!(waiting.spans.lock().len(), 1, "not there yet");
            waiting.applied(2);
            assert!(waiting.spans.lock().is_empty());
            let none = Trace::default();
            drop(batch_span([&none, &trace].into_iter(), 3));
            assert!(batch_span([&none].into_iter(), 3).is_none());
        });
        assert_eq!(*notes.0.lock(), ["request", "admit", "dedup", "ledger", "batch", "link"]);
    }

    #[test]
    fn the_present_request_is_found_while_it_is_polled_and_not_after() {
        tracing::subscriber::with_default(Notes::default(), || {
            let trace = Trace::new(tracing::debug_span!(target: TARGET, "request"), onward());
            let mut inside = std::pin::pin!(async { Trace::present().is_on() });
            let mut context = Context::from_waker(std::task::Waker::noop());
            assert_eq!(trace.poll_in(inside.as_mut(), &mut context), Poll::Ready(true));
            assert!(!Trace::present().is_on());
        });
    }

    #[test]
    fn nobody_looks_unless_asked_to() {
        tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), || {
            assert!(!is_wanted() && !Trace::present().is_on());
        });
    }
}
