//! Sees the warnings that PostgreSQL sends while one statement runs.
//! Must not know: which statement, and what a warning means for it.
//!
//! A commit whose wait for the synchronous standby was cancelled is answered as a success with a WARNING beside it
//! (`protocols.md` rule 6). The client library hands warnings to `tracing` and to nobody else, so a statement is watched with a
//! subscriber of its own. That this sees warnings in this build, whatever is logged, is proven at the start of each
//! connection ([`require_sight`]), not assumed.

use std::sync::Arc;

use parking_lot::Mutex;
use sqlx::PgConnection;
use tracing::field::{Field, Visit};
use tracing::instrument::WithSubscriber;
use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing::{Dispatch, Event, Metadata, Subscriber};

/// Where the client library sends warnings.
const TARGET: &str = "sqlx::postgres::notice";
/// The warning of [`require_sight`]; not one that the server itself sends.
const PROBE: &str = "hotslot looks if it sees warnings";

/// Watches one connection. One statement at a time.
#[derive(Clone, Debug)]
pub struct Notices {
    seen: Arc<Mutex<Option<String>>>,
    /// Kept for as long as statements are watched: while it lives, no callsite is switched off for good.
    dispatch: Dispatch,
}

impl Default for Notices {
    fn default() -> Self {
        let seen = Arc::new(Mutex::new(None));
        Self { dispatch: Dispatch::new(Watcher { seen: Arc::clone(&seen) }), seen }
    }
}

impl Notices {
    /// The outcome of `statement`, and the first warning that came while it ran. The statement must be read to its end: the
    /// answer to its commit is the last thing the server sends.
    pub async fn watch<T>(&self, statement: impl Future<Output = T>) -> (T, Option<String>) {
        *self.seen.lock() = None;
        let outcome = statement.with_subscriber(self.dispatch.clone()).await;
        (outcome, self.seen.lock().take())
    }

    /// Has the server send a warning, and fails if it is not seen.
    pub async fn require_sight(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        const WARN: &str = "DO $$ BEGIN RAISE WARNING 'hotslot looks if it sees warnings'; END $$";
        let (outcome, warning) = self.watch(sqlx::raw_sql(WARN).execute(connection)).await;
        outcome?;
        match warning {
            Some(words) if words.contains(PROBE) => Ok(()),
            _ => Err(sqlx::Error::Protocol("warnings of the server are not seen; commits cannot be judged".to_owned())),
        }
    }
}

/// Keeps the first warning, and drops everything else that is told while a statement runs.
struct Watcher {
    seen: Arc<Mutex<Option<String>>>,
}

impl Subscriber for Watcher {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET && *metadata.level() <= LevelFilter::WARN
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        if self.enabled(event.metadata()) {
            let mut words = Words(String::new());
            event.record(&mut words);
            self.seen.lock().get_or_insert(words.0);
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.0);
        }
    }
}
