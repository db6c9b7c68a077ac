//! One request, put together step by step and sent by awaiting it.
//! Must not know: which endpoints there are.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::reply::Reply;

/// A request that has not been sent yet. Awaiting it sends it; an answer that does not come fails the test.
#[derive(Clone, Debug)]
pub struct Call {
    http: reqwest::Client,
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
}

impl Call {
    /// A request without headers or body.
    pub fn new(http: &reqwest::Client, method: Method, url: String) -> Self {
        Self { http: http.clone(), method, url, headers: HeaderMap::new(), body: None }
    }

    /// Adds a header, beside any of the same name.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("a header name");
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header value");
        self.headers.append(name, value);
        self
    }

    /// Takes a header away.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// Sets the idempotency key, in place of any other.
    pub fn key(self, key: &str) -> Self {
        self.without("idempotency-key").header("idempotency-key", key)
    }

    /// Sets the bearer token, in place of any other.
    pub fn token(self, token: &str) -> Self {
        self.without("authorization").header("authorization", &format!("Bearer {token}"))
    }

    /// Sends this JSON.
    pub fn json(self, body: &Value) -> Self {
        self.without("content-type").header("content-type", "application/json").raw(body.to_string())
    }

    /// Sends these bytes; the content type is left as it is.
    pub fn raw(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sends the request; the error of the transport if no whole answer comes.
    pub async fn attempt(self) -> Result<Reply, reqwest::Error> {
        let mut request = self.http.request(self.method, self.url).headers(self.headers);
        if let Some(body) = self.body {
            request = request.body(body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = response.bytes().await?.to_vec();
        Ok(Reply { status, headers, body })
    }
}

impl IntoFuture for Call {
    type Output = Reply;
    type IntoFuture = Pin<Box<dyn Future<Output = Reply> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let what = format!("{} {}", self.method, self.url);
            self.attempt().await.unwrap_or_else(|error| panic!("{what}: {error:?}"))
        })
    }
}
