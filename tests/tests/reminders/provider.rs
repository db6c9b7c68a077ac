//! A provider as the webhook channel calls one: answers what it is told to, and remembers what it was asked.
//! Must not know: which messages there should be.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// See the module. Ends with its value.
pub struct Provider {
    address: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

struct State {
    status: u16,
    /// Header lines of the answer, each with its end.
    headers: &'static str,
    asked: Vec<(Timestamp, String)>,
}

impl Provider {
    /// One that answers with `status`.
    pub async fn start(status: u16) -> Self {
        Self::start_with(status, "").await
    }

    /// One that answers with `status` and these lines of its head, each with its end.
    pub async fn start_with(status: u16, headers: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let state = Arc::new(Mutex::new(State { status, headers, asked: Vec::new() }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, state, task }
    }

    /// What to call.
    pub fn url(&self) -> String {
        format!("http://{}/messages", self.address)
    }

    /// From now on it answers so.
    pub fn answer(&self, status: u16) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).status = status;
    }

    /// Every request so far, heads and bodies.
    pub fn asked(&self) -> Vec<String> {
        self.asked_when().into_iter().map(|(_, request)| request).collect()
    }

    /// The same, each with when it had come.
    pub fn asked_when(&self) -> Vec<(Timestamp, String)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).asked.clone()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut bytes = Vec::new();
    while let Some(request) = next_request(&mut stream, &mut bytes).await {
        let (status, headers) = {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.asked.push((blackbox::now(), request));
            (state.status, state.headers)
        };
        let answer = format!("HTTP/1.1 {status} Said\r\ncontent-length: 0\r\n{headers}\r\n");
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
