//! A provider's HTTP server, which does to each request what the test says: answers, hangs up, never answers, or answers when it is let.
//! Must not know: which provider it plays.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::support::{Stream, acceptor};

/// What becomes of a request.
#[derive(Clone)]
pub enum Deed {
    /// This status, these header lines, this body.
    Answer(u16, &'static str, String),
    /// The connection ends.
    HangUp,
    /// Nothing, for ever.
    Hang,
    /// Nothing until the notice, then 200.
    Late(Arc<Notify>),
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method, path and version.
    pub first_line: String,
    /// In lower case, with values.
    pub headers: Vec<(String, String)>,
    /// As text.
    pub body: String,
}

impl Request {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A running provider; stops with the value.
pub struct Provider {
    /// Where it listens.
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    server: JoinHandle<()>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Provider {
    /// Does these, one a request; the last again and again.
    pub async fn start(deeds: Vec<Deed>) -> Self {
        Self::listen(deeds, None).await
    }

    /// The same over TLS.
    pub async fn start_encrypted(deeds: Vec<Deed>) -> Self {
        Self::listen(deeds, Some(acceptor())).await
    }

    async fn listen(deeds: Vec<Deed>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().expect("bound"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let deeds = Arc::new(Mutex::new(VecDeque::from(deeds)));
        let seen = Arc::clone(&requests);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, deeds, seen) = (tls.clone(), Arc::clone(&deeds), Arc::clone(&seen));
                tokio::spawn(async move {
                    let stream: Box<dyn Stream> = match tls {
                        None => Box::new(stream),
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => Box::new(stream),
                            Err(_) => return,
                        },
                    };
                    serve(BufReader::new(stream), deeds, seen).await;
                });
            }
        });
        Self { url, requests, server }
    }

    /// One answer to everything.
    pub async fn answering(status: u16, headers: &'static str, body: &str) -> Self {
        Self::start(vec![Deed::Answer(status, headers, body.to_owned())]).await
    }

    /// What has come so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().clone()
    }
}

async fn serve(
    mut stream: BufReader<Box<dyn Stream>>,
    deeds: Arc<Mutex<VecDeque<Deed>>>,
    seen: Arc<Mutex<Vec<Request>>>,
) {
    while let Some(request) = read(&mut stream).await {
        seen.lock().push(request);
        let deed = {
            let mut deeds = deeds.lock();
            if deeds.len() > 1 { deeds.pop_front() } else { deeds.front().cloned() }
        };
        let (status, headers, body) = match deed {
            None | Some(Deed::HangUp) => return,
            Some(Deed::Hang) => std::future::pending().await,
            Some(Deed::Late(let_go)) => {
                let_go.notified().await;
                (200, "", String::new())
            }
            Some(Deed::Answer(status, headers, body)) => (status, headers, body),
        };
        let head = format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
        let whole = format!("{head}{body}");
        if stream.write_all(whole.as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<Box<dyn Stream>>) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let first_line = lines.remove(0);
    let headers: Vec<_> = lines
        .iter()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Request { first_line, headers, body: String::from_utf8(body).ok()? })
}
