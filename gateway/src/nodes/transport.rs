//! The engine's questions to other nodes, carried over HTTP.
//! Must not know: what is asked (see the engine's `ownership::peers`).

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use async_trait::async_trait;
use booking_core::UtcMillis;
use engine::clock::Clock;
use engine::ownership::PeerTransport;
use engine::telemetry::trace::Trace;
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::{HeaderMap, Method, StatusCode};
use parking_lot::Mutex;
use rustls::ClientConfig;

use super::client::{Client, Question};
use super::internal::ASK;
use super::question::insert_trace;
use super::question::on_wire::HOP;
use crate::auth::pass::Passes;

/// A question is answered in a few milliseconds, or its node is in trouble; whoever waits for it holds something meanwhile.
const ANSWER_DEADLINE: Duration = Duration::from_secs(2);
/// A pass is made anew after this long: well before it ends.
const PASS_MILLIS: i64 = 20_000;

/// See the module.
pub(crate) struct HttpTransport {
    client: Client,
    passes: Arc<Passes>,
    clock: Arc<dyn Clock>,
    pass: Mutex<Option<(UtcMillis, HeaderValue)>>,
}

impl HttpTransport {
    /// Its connections live on the runtime of whoever asks first: the main one.
    pub(crate) fn new(tls: Option<&ClientConfig>, passes: Arc<Passes>, clock: Arc<dyn Clock>) -> Self {
        Self { client: Client::new(tls), passes, clock, pass: Mutex::new(None) }
    }

    fn pass(&self) -> Option<HeaderValue> {
        let now = self.clock.now();
        let mut known = self.pass.lock();
        if let Some((made_at, pass)) = &*known
            && (0..PASS_MILLIS).contains(&now.millis_since(*made_at))
        {
            return Some(pass.clone());
        }
        let mut pass = HeaderValue::from_str(&format!("Bearer {}", self.passes.make(now)?)).ok()?;
        pass.set_sensitive(true);
        *known = Some((now, pass.clone()));
        Some(pass)
    }
}

#[async_trait]
impl PeerTransport for HttpTransport {
    async fn ask(&self, address: &str, body: Vec<u8>) -> Result<Vec<u8>, String> {
        let pass = self.pass().ok_or_else(|| "no pass can be signed".to_owned())?;
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, pass);
        headers.insert(HOP, HeaderValue::from_static("1"));
        if let Some(onward) = Trace::present().onward() {
            insert_trace(&mut headers, onward);
        }
        let question = Question { method: Method::POST, target: ASK.to_owned(), headers, body: Bytes::from(body) };
        let reply = self.client.ask(address, &question, ANSWER_DEADLINE).await.map_err(|error| error.to_string())?;
        match reply.status {
            StatusCode::OK => Ok(reply.body.to_vec()),
            status => Err(format!("the node at {address} answered with status {status}")),
        }
    }
}
