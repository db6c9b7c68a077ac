//! A provider that is called over HTTP, as the webhook and the gateway for text messages are: does to each request what the test says,
//! and remembers what it was asked.
//! Must not know: which messages there should be.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What becomes of a request.
#[derive(Clone)]
pub enum Deed {
    /// This status and body.
    Answer(u16, &'static str),
    /// It is never answered.
    Hang,
    /// It is answered with 201 when the notice comes.
    Late(Arc<Notify>),
}

/// See the module. Ends with its value.
pub struct Provider {
    address: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

struct State {
    /// Header lines of each answer, each with its end.
    headers: &'static str,
    /// One a request, the last again and again.
    deeds: VecDeque<Deed>,
    asked: Vec<(Timestamp, String)>,
}

impl Provider {
    /// One that answers with `status`.
    pub async fn start(status: u16) -> Self {
        Self::start_with(status, "").await
    }

    /// One that answers with `status` and these lines of its head, each with its end.
    pub async fn start_with(status: u16, headers: &'static str) -> Self {
        Self::listening(vec![Deed::Answer(status, "")], headers).await
    }

    /// One that does these, one a request; the last again and again.
    pub async fn doing(deeds: Vec<Deed>) -> Self {
        Self::listening(deeds, "").await
    }

    async fn listening(deeds: Vec<Deed>, headers: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let state = Arc::new(Mutex::new(State { headers, deeds: deeds.into(), asked: Vec::new() }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, state, task }
    }

    /// What to call for messages.
    pub fn url(&self) -> String {
        format!("{}/messages", self.base())
    }

    /// Where everything else is below.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it answers so.
    pub fn answer(&self, status: u16) {
        lock(&self.state).deeds = [Deed::Answer(status, "")].into();
    }

    /// Every request so far, heads and bodies.
    pub fn asked(&self) -> Vec<String> {
        self.asked_when().into_iter().map(|(_, request)| request).collect()
    }

    /// The same, each with when it had come.
    pub fn asked_when(&self) -> Vec<(Timestamp, String)> {
        lock(&self.state).asked.clone()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The value of a header, or of a field of a form.
pub fn value_of<'request>(request: &'request str, name: &str) -> Option<&'request str> {
    let (head, body) = request.split_once("\r\n\r\n")?;
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    let fields = body.split('&').filter_map(|field| field.split_once('='));
    headers.chain(fields).find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut bytes = Vec::new();
    while let Some(request) = next_request(&mut stream, &mut bytes).await {
        let (deed, headers) = {
            let mut state = lock(&state);
            state.asked.push((blackbox::now(), request));
            let deed = if state.deeds.len() > 1 { state.deeds.pop_front() } else { state.deeds.front().cloned() };
            (deed, state.headers)
        };
        let (status, body) = match deed {
            None | Some(Deed::Hang) => std::future::pending().await,
            Some(Deed::Late(notice)) => {
                notice.notified().await;
                (201, "{}")
            }
            Some(Deed::Answer(status, body)) => (status, body),
        };
        let answer = format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len());
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// One request of a kept-alive connection, whole.
async fn next_request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(length) = length_of_first(bytes) {
            return Some(String::from_utf8_lossy(&bytes.drain(..length).collect::<Vec<u8>>()).into_owned());
        }
        if stream.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn length_of_first(bytes: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let head = text.find("\r\n\r\n")? + 4;
    let length = text[..head].lines().find_map(|line| line.strip_prefix("content-length:"));
    let whole = head + length.and_then(|length| length.trim().parse::<usize>().ok()).unwrap_or(0);
    (bytes.len() >= whole).then_some(whole)
}
