//! Finds the node that speaks for a request, and brings its answer back; bounded in number and in time.
//! Must not know: what is asked, when to ask whom (`route` decides).

use std::cell::Cell;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use engine::clock::Clock;
use engine::telemetry::catalogue::{FORWARD_DURATION, FORWARD_HOPS, FORWARDS, FORWARDS_IN_FLIGHT};

use super::Nodes;
use super::client::{Client, HopError, Question, Reply};
use super::question::moved_shard;
use super::route::{Next, Route};
use crate::api::catalogue::Code;
use crate::api::idempotency::IDEMPOTENCY_KEY;
use crate::api::problem::Problem;

/// Requests that one HTTP worker forwards at once: what a few milliseconds of the busiest second bring, and with it the connections to
/// another node are bounded.
pub(super) const IN_FLIGHT_MAX: usize = 1_024;
/// What an answer may take on the other node, which itself answers or refuses long before.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// Where the answer came from.
#[derive(Debug)]
pub(crate) enum Found<T> {
    /// This process speaks for it after all.
    Here(Result<T, Problem>),
    /// Another node has answered.
    There(Reply),
}

/// Of one HTTP worker.
pub(crate) struct Forwarder {
    nodes: Arc<Nodes>,
    client: Client,
    clock: Arc<dyn Clock>,
    in_flight: Cell<usize>,
}

impl Forwarder {
    /// Its connections live on the runtime that calls it.
    pub(crate) fn new(nodes: Arc<Nodes>, clock: Arc<dyn Clock>) -> Self {
        let client = Client::new(nodes.tls.as_deref());
        nodes.forwarders.fetch_add(1, Ordering::Relaxed);
        Self { nodes, client, clock, in_flight: Cell::new(0) }
    }

    /// All nodes.
    pub(crate) fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// Answers `question`, which is about `shard`, on whichever node speaks for it; `here` if it turns out to be this
    /// one. A problem if there is none in time.
    pub(crate) async fn find<T, F, A>(&self, question: &Question, shard: u16, here: F) -> Result<Found<T>, Problem>
    where
        F: Fn() -> A,
        A: Future<Output = Result<T, Problem>>,
    {
        let _in_flight = self.enter()?;
        let started_micros = self.clock.monotonic_micros();
        let mut route = Route::new(shard, is_repeatable(question), started_micros / 1_000);
        let found = self.follow(&mut route, question, here).await;
        let outcome = match &found {
            Ok(Found::Here(_)) => "here",
            Ok(Found::There(_)) => "answered",
            Err(Next::Lost) => "lost",
            Err(_) => "unavailable",
        };
        metrics::counter!(FORWARDS, "outcome" => outcome).increment(1);
        let micros = self.clock.monotonic_micros().saturating_sub(started_micros);
        metrics::histogram!(FORWARD_DURATION).record(micros as f64 / 1_000_000.0);
        found.map_err(|_| Problem::unavailable(format!("nobody speaks for shard {}: {outcome}", route.shard)))
    }

    async fn follow<T, F, A>(&self, route: &mut Route, question: &Question, here: F) -> Result<Found<T>, Next>
    where
        F: Fn() -> A,
        A: Future<Output = Result<T, Problem>>,
    {
        loop {
            let place = self.nodes.territory.place_of(route.shard);
            match route.next(place, self.clock.monotonic_micros() / 1_000) {
                Next::Here => {
                    let outcome = here().await;
                    match outcome.as_ref().err().and_then(Problem::shard) {
                        None => return Ok(Found::Here(outcome)),
                        Some(shard) => route.moved(shard),
                    }
                }
                Next::Ask { address } => match self.ask(&address, question).await {
                    Ok(reply) => match moved_shard(&reply) {
                        None => return Ok(Found::There(reply)),
                        Some(shard) => route.moved(shard),
                    },
                    Err(error) => {
                        tracing::debug!(node = %address, %error, "a node did not answer");
                        route.failed(&error);
                    }
                },
                Next::Pause { millis } => tokio::time::sleep(Duration::from_millis(millis)).await,
                given_up @ (Next::Unavailable | Next::Lost) => return Err(given_up),
            }
        }
    }

    /// One hop.
    pub(crate) async fn ask(&self, address: &str, question: &Question) -> Result<Reply, HopError> {
        let reply = self.client.ask(address, question, ANSWER_DEADLINE).await;
        let result = match &reply {
            Ok(reply) if moved_shard(reply).is_some() => "moved",
            Ok(_) => "answered",
            Err(HopError::NotSent(_)) => "not_sent",
            Err(HopError::Lost(_)) => "lost",
        };
        metrics::counter!(FORWARD_HOPS, "result" => result).increment(1);
        reply
    }

    fn enter(&self) -> Result<InFlight<'_>, Problem> {
        let count = self.in_flight.get();
        if count >= IN_FLIGHT_MAX {
            return Err(Problem::of(Code::Overloaded).retry_after_seconds(1));
        }
        self.in_flight.set(count + 1);
        self.nodes.forwards.fetch_add(1, Ordering::Relaxed);
        metrics::gauge!(FORWARDS_IN_FLIGHT).increment(1.0);
        Ok(InFlight(self))
    }
}

/// A request that is being forwarded, until it is dropped.
struct InFlight<'f>(&'f Forwarder);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get().saturating_sub(1));
        self.0.nodes.forwards.fetch_sub(1, Ordering::Relaxed);
        metrics::gauge!(FORWARDS_IN_FLIGHT).decrement(1.0);
    }
}

/// Whether asking twice does no more than asking once: reads, and commands under an idempotency key.
///
/// The others (confirm, cancel, no-show, close and reschedule without a key, `PUT`, `PATCH`) are asked once, although
/// most could be repeated by the caller without harm: a second confirm, cancel or close changes nothing, and the
/// identical `PUT` neither. But the answer could be another one (a `PUT` with `If-Match` would be told that the day has
/// changed, by itself), so the caller is told that it is not known.
fn is_repeatable(question: &Question) -> bool {
    let reads = [hyper::Method::GET, hyper::Method::HEAD];
    reads.contains(&question.method) || question.headers.contains_key(IDEMPOTENCY_KEY.as_str())
}

#[cfg(test)]
mod tests {
    use actix_web::web::Bytes;

    use super::*;

    #[test]
    fn reads_and_keyed_commands_are_repeatable_and_nothing_else() {
        for (method, key, expected) in [
            ("GET", false, true),
            ("HEAD", false, true),
            ("POST", true, true),
            ("DELETE", true, true),
            ("POST", false, false),
            ("DELETE", false, false),
            ("PUT", false, false),
            ("PATCH", false, false),
        ] {
            let mut headers = hyper::HeaderMap::new();
            if key {
                headers.insert("idempotency-key", hyper::header::HeaderValue::from_static("k"));
            }
            let method = hyper::Method::from_bytes(method.as_bytes()).expect("a method");
            let question = Question { method, target: "/".to_owned(), headers, body: Bytes::new() };
            assert_eq!(is_repeatable(&question), expected, "{question:?}");
        }
    }
}
