//! Asking another node over HTTP/1.1: pooled connections, deadlines, and whether a question that failed can have arrived.
//! Must not know: what is asked, who has which shard, what is done about a failure.

use std::time::Duration;

use actix_web::web::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;

/// A node that does not take a connection within this is not there: nodes are near each other.
const CONNECT_DEADLINE: Duration = Duration::from_millis(500);
/// Idle connections are closed before the other side does (see `listener`), so that none is used that is just being closed.
const IDLE_DEADLINE: Duration = Duration::from_secs(30);
/// Idle connections that are kept to one node, of each HTTP worker: those in use are bounded by the forwards.
const IDLE_PER_NODE_MAX: usize = 64;
/// Most bytes of an answer: the largest page has well under this.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// Method; `HEAD` is asked as `GET`.
    pub(crate) method: Method,
    /// Path and query, as they came.
    pub(crate) target: String,
    /// All that the other node needs.
    pub(crate) headers: HeaderMap,
    /// Shared, so that asking again copies nothing.
    pub(crate) body: Bytes,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Its status.
    pub(crate) status: StatusCode,
    /// Its headers, those of the connection among them.
    pub(crate) headers: HeaderMap,
    /// Its body.
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum HopError {
    /// The question was not sent: it had no effect.
    #[error("not sent: {0}")]
    NotSent(String),
    /// It may have been sent, and may have had its effect.
    #[error("no answer: {0}")]
    Lost(String),
}

/// Connections to other nodes. They live on the runtime that asks first, so every HTTP worker has its own.
pub(crate) enum Client {
    /// In the clear.
    Plain(Pool<HttpConnector, Full<Bytes>>),
    /// By mutual TLS.
    Tls(Pool<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl Client {
    /// With mutual TLS, if configured.
    pub(crate) fn new(tls: Option<&ClientConfig>) -> Self {
        let mut http = HttpConnector::new();
        http.set_connect_timeout(Some(CONNECT_DEADLINE));
        http.set_nodelay(true);
        let mut builder = Pool::builder(TokioExecutor::new());
        builder
            .pool_idle_timeout(IDLE_DEADLINE)
            .pool_max_idle_per_host(IDLE_PER_NODE_MAX)
            .pool_timer(TokioTimer::new());
        let Some(tls) = tls else { return Self::Plain(builder.build(http)) };
        http.enforce_http(false);
        let https = HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_only().enable_http1();
        Self::Tls(builder.build(https.wrap_connector(http)))
    }

    /// The whole answer of the node at `address`, within `deadline`.
    pub(crate) async fn ask(&self, address: &str, question: &Question, deadline: Duration) -> Result<Reply, HopError> {
        let answer = async {
            let (parts, body) = self.begin(address, question).await?.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| HopError::Lost(error.to_string()))?.to_bytes();
            Ok(Reply { status: parts.status, headers: parts.headers, body })
        };
        tokio::time::timeout(deadline, answer)
            .await
            .unwrap_or_else(|_| Err(HopError::Lost("no answer in time".to_owned())))
    }

    /// The head of an answer whose body comes bit by bit, within `deadline`.
    pub(crate) async fn open(
        &self,
        address: &str,
        question: &Question,
        deadline: Duration,
    ) -> Result<Response<Incoming>, HopError> {
        let begun = tokio::time::timeout(deadline, self.begin(address, question)).await;
        begun.unwrap_or_else(|_| Err(HopError::Lost("no answer in time".to_owned())))
    }

    /// A connection from the pool that turns out to be closed before the question is on it is replaced silently, once for each.
    async fn begin(&self, address: &str, question: &Question) -> Result<Response<Incoming>, HopError> {
        let scheme = if matches!(self, Self::Tls(_)) { "https" } else { "http" };
        let method = if question.method == Method::HEAD { Method::GET } else { question.method.clone() };
        let uri = format!("{scheme}://{address}{}", question.target);
        let mut request = Request::builder().method(method).uri(uri).body(Full::new(question.body.clone()));
        if let Ok(request) = &mut request {
            request.headers_mut().clone_from(&question.headers);
        }
        let request = request.map_err(|error| HopError::NotSent(error.to_string()))?;
        let answer = match self {
            Self::Plain(pool) => pool.request(request).await,
            Self::Tls(pool) => pool.request(request).await,
        };
        answer.map_err(|error| {
            let words = words(&error);
            if error.is_connect() { HopError::NotSent(words) } else { HopError::Lost(words) }
        })
    }
}

/// An error with its causes, which the outermost does not tell.
fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}
