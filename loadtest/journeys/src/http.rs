//! One request and its answer over HTTP, each with a deadline.
//! Must not know: what is asked for, or what the answer means.

use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, ETAG, IF_MATCH, RETRY_AFTER};
use reqwest::{Client, Method, Response};
use serde_json::Value;
use uuid::Uuid;

use crate::clock;

/// How long one answer may take, whole.
const ANSWER_DEADLINE: Duration = Duration::from_secs(20);

/// The server, over one pool of connections that everyone shares.
pub(crate) struct Api {
    client: Client,
    base: String,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The method.
    pub(crate) method: Method,
    /// From `/v1` on, with the query.
    pub(crate) path: String,
    /// Sent as `Idempotency-Key`.
    pub(crate) key: Option<Uuid>,
    /// Sent as `If-Match`.
    pub(crate) if_match: Option<String>,
    /// Sent as JSON.
    pub(crate) body: Option<Value>,
}

impl Request {
    /// A GET.
    pub(crate) const fn get(path: String) -> Self {
        Self { method: Method::GET, path, key: None, if_match: None, body: None }
    }

    /// A PUT with this body.
    pub(crate) const fn put(path: String, body: Value) -> Self {
        Self { method: Method::PUT, path, key: None, if_match: None, body: Some(body) }
    }

    /// A POST with a key of its own: asked again, it is the same request.
    pub(crate) const fn post(path: String, key: Uuid, body: Option<Value>) -> Self {
        Self { method: Method::POST, path, key: Some(key), if_match: None, body }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// The stable code of the problem; empty where there is none.
    pub(crate) code: String,
    /// How long to wait before asking again.
    pub(crate) retry_after: Option<Duration>,
    /// The entity tag.
    pub(crate) tag: Option<String>,
    /// The JSON; null where there is none.
    pub(crate) body: Value,
}

/// What came of a request.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// The answer, or why there is none: perhaps done, perhaps not.
    pub(crate) answer: Result<Answer, String>,
    /// From the request to the whole answer.
    pub(crate) took: Duration,
}

impl Api {
    /// Of the server at `base`, such as `http://127.0.0.1:8080`. No proxy of the environment comes between.
    pub(crate) fn new(base: String) -> Result<Self, reqwest::Error> {
        let agent = concat!("hotslot-journeys/", env!("CARGO_PKG_VERSION"));
        // Targets are plain HTTP, so no certificates are looked for, which a machine may not have.
        let client = Client::builder().no_proxy().tls_certs_only([]).user_agent(agent).build()?;
        Ok(Self { client, base })
    }

    /// Asks once.
    pub(crate) async fn ask(&self, request: &Request, token: Option<&str>) -> Heard {
        let began = clock::now();
        let asked = async {
            let response = self.send(request, token).await?;
            answer_of(response).await
        };
        let answer = match tokio::time::timeout(ANSWER_DEADLINE, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            // Without the URL: it names people.
            Ok(Err(error)) => Err(reason_of(error)),
            Err(_) => Err(format!("no answer within {} s", ANSWER_DEADLINE.as_secs())),
        };
        Heard { answer, took: began.elapsed() }
    }

    /// Opens a stream: its head, from which the caller reads on with deadlines of its own.
    pub(crate) async fn open(&self, path: String) -> Result<(Response, Instant), String> {
        let began = clock::now();
        let request = Request::get(path);
        let sent = self.send(&request, None);
        match tokio::time::timeout(ANSWER_DEADLINE, sent).await {
            Ok(Ok(response)) => Ok((response, began)),
            Ok(Err(error)) => Err(reason_of(error)),
            Err(_) => Err(format!("no stream within {} s", ANSWER_DEADLINE.as_secs())),
        }
    }

    async fn send(&self, request: &Request, token: Option<&str>) -> Result<Response, reqwest::Error> {
        let mut builder = self.client.request(request.method.clone(), format!("{}{}", self.base, request.path));
        if let Some(token) = token {
            builder = builder.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(key) = request.key {
            builder = builder.header("idempotency-key", key.to_string());
        }
        if let Some(tag) = &request.if_match {
            builder = builder.header(IF_MATCH, tag);
        }
        if let Some(body) = &request.body {
            builder = builder.json(body);
        }
        builder.send().await
    }
}

/// Reads an answer to its end.
pub(crate) async fn answer_of(response: Response) -> Result<Answer, reqwest::Error> {
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let status = response.status().as_u16();
    let retry_after = text(RETRY_AFTER).and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    let tag = text(ETAG);
    let body: Value = serde_json::from_slice(&response.bytes().await?).unwrap_or_default();
    let code = body["code"].as_str().unwrap_or_default().to_owned();
    Ok(Answer { status, code, retry_after, tag, body })
}

/// Why there is no answer, with its causes.
fn reason_of(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut reason = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(deeper) = cause {
        reason.push_str(&format!(": {deeper}"));
        cause = deeper.source();
    }
    reason
}
