//! Asks a running process for its figures: its metrics page, and, with a token, what it is busy with.
//! Must not know: what is drawn.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use booking_core::Role;
use engine::clock::{Clock, SystemClock};
use engine::ids::{Ids, SystemIds};
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use hyper::{HeaderMap, Method, StatusCode, Uri};
use serde_json::Value;

use super::page::Page;
use crate::auth::Principal;
use crate::auth::key::SigningKey;
use crate::auth::token::{self, NewToken};
use crate::nodes::client::{Client, Question, Reply};

/// A process that does not answer within this is told to be away.
const ANSWER_DEADLINE: Duration = Duration::from_secs(2);
/// A token of our own is for one question.
const TOKEN_SECONDS: i64 = 60;

/// How an admin shows who it is.
pub(super) enum Pass {
    /// A token, as given.
    Token(String),
    /// The key of the process: tokens are made as they are needed.
    Key(SigningKey),
    /// Not at all: the reason is shown in place of what needs it.
    None(String),
}

/// Host and port of a plain URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Address(String);

impl Address {
    /// `http://HOST[:PORT][/]`; in words, why it is none.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|_| format!("{text:?} is not a URL such as http://127.0.0.1:8080"))?;
        match (uri.scheme_str(), uri.authority()) {
            (Some("http"), Some(authority)) if matches!(uri.path(), "" | "/") && uri.query().is_none() => {
                let port = authority.port_u16().unwrap_or(80);
                Ok(Self(format!("{}:{port}", authority.host())))
            }
            (Some("https"), _) => {
                Err(format!("{text:?}: ask the process itself over http, not the proxy in front of it"))
            }
            _ => Err(format!("{text:?} is not a URL such as http://127.0.0.1:8080")),
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "http://{}", self.0)
    }
}

/// What one look has found.
#[derive(Clone, Debug)]
pub(super) struct Look {
    /// The metrics.
    pub(super) page: Page,
    /// `GET /v1/admin/activity`, or why there is none.
    pub(super) activity: Result<Value, String>,
    /// On a monotonic scale.
    pub(super) at_micros: u64,
}

/// Where figures come from.
pub(super) struct Source {
    client: Client,
    pub(super) url: Address,
    metrics_url: Address,
    pass: Pass,
    pub(super) clock: Arc<SystemClock>,
}

impl Source {
    /// Nothing is asked yet.
    pub(super) fn new(url: Address, metrics_url: Address, pass: Pass) -> Self {
        Self { client: Client::new(None), url, metrics_url, pass, clock: Arc::new(SystemClock::start()) }
    }

    /// Asks once; in words, why there is no answer.
    pub(super) async fn look(&self) -> Result<Look, String> {
        let metrics = self.ask(&self.metrics_url, "/metrics", HeaderMap::new());
        let (metrics, activity) = futures_util::future::join(metrics, self.activity()).await;
        let reply = metrics?;
        if reply.status == StatusCode::NOT_FOUND {
            return Err(format!(
                "{} has no /metrics: where the setting metrics_listen is used they are there; name it with --metrics-url",
                self.metrics_url
            ));
        }
        let page = Page::parse(&String::from_utf8_lossy(&reply.body));
        if reply.status != StatusCode::OK || !page.is_ours() {
            return Err(format!("{} answers {} to /metrics, and is no hotslot", self.metrics_url, reply.status));
        }
        Ok(Look { page, activity, at_micros: self.clock.monotonic_micros() })
    }

    async fn activity(&self) -> Result<Value, String> {
        let token = match &self.pass {
            Pass::Token(token) => token.clone(),
            Pass::Key(key) => self.mint(key)?,
            Pass::None(reason) => return Err(reason.clone()),
        };
        let mut headers = HeaderMap::new();
        let bearer = HeaderValue::from_str(&format!("Bearer {token}"));
        headers.insert(AUTHORIZATION, bearer.map_err(|_| "the token has characters that no token has".to_owned())?);
        let reply = self.ask(&self.url, "/v1/admin/activity", headers).await?;
        match reply.status {
            StatusCode::OK => {
                serde_json::from_slice(&reply.body).map_err(|error| format!("it answers no JSON: {error}"))
            }
            StatusCode::UNAUTHORIZED => Err("the token is not accepted: another key, or expired".to_owned()),
            StatusCode::FORBIDDEN => Err("the token is not an admin's".to_owned()),
            status => Err(format!("it answers {status}")),
        }
    }

    fn mint(&self, key: &SigningKey) -> Result<String, String> {
        let subject = booking_core::SubjectId(SystemIds.next());
        let principal = Principal { subject, role: Role::Admin, clinic: None, audiences: Vec::new().into() };
        let token = NewToken { principal, issued_at: self.clock.now(), ttl_seconds: TOKEN_SECONDS };
        token::mint(key, &token).map_err(|error| error.to_string())
    }

    async fn ask(&self, address: &Address, target: &str, mut headers: HeaderMap) -> Result<Reply, String> {
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        let question = Question { method: Method::GET, target: target.to_owned(), headers, body: Bytes::new() };
        let answer = self.client.ask(&address.0, &question, ANSWER_DEADLINE).await;
        answer.map_err(|error| format!("{address} does not answer ({error})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_plain_url_without_a_path() {
        let parsed = |text| Address::parse(text).map(|address| address.to_string());
        assert_eq!(parsed("http://127.0.0.1:8080"), Ok("http://127.0.0.1:8080".to_owned()));
        assert_eq!(parsed("http://node-1/"), Ok("http://node-1:80".to_owned()));
        assert_eq!(parsed("http://[::1]:9"), Ok("http://[::1]:9".to_owned()));
        for wrong in ["", "127.0.0.1:8080", "https://example.org", "http://a/b", "http://a?b=c", "ftp://a"] {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
    }
}
