//! A NATS server with JetStream, its streams in a directory of its own.
//! Must not know: what is published.

use std::net::SocketAddr;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::launch::{Launch, find};
use crate::port::Port;
use crate::process::Process;

const READY_DEADLINE: Duration = Duration::from_secs(20);
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);
/// Where answers to our requests go; each request has a connection of its own.
const INBOX: &str = "_INBOX.servers";

/// A NATS server.
///
/// ```no_run
/// # async fn example() {
/// let nats = servers::Nats::start().await;
/// nats.request("$JS.API.STREAM.CREATE.events", r#"{"name":"events","subjects":["events.>"]}"#).await;
/// let acknowledgement = nats.request("events.one", "hello").await;
/// assert!(acknowledgement.contains(r#""seq":1"#));
/// # }
/// ```
#[derive(Debug)]
pub struct Nats {
    process: Process,
    port: Port,
    _directory: TempDir,
}

impl Nats {
    /// Starts, and waits until JetStream answers.
    pub async fn start() -> Self {
        let port = Port::claim();
        let directory = TempDir::with_prefix("hotslot-nats-").expect("a temporary directory");
        let mut launch = Launch::new(find("nats-server", "nats-server"), directory.path());
        launch.argue(&["--addr", "127.0.0.1", "--port", &port.number().to_string(), "--jetstream", "--store_dir"]);
        launch.arguments.push(directory.path().join("store").into());
        let process = Process::start(format!("nats-server on port {}", port.number()), launch, false);
        let mut nats = Self { process, port, _directory: directory };
        nats.wait_until_ready().await;
        nats
    }

    async fn wait_until_ready(&mut self) {
        let address = self.port.address();
        let probe =
            async || request(address, "$JS.API.INFO", "").await.ok().filter(|answer| !answer.contains("\"error\""));
        self.process.ready(READY_DEADLINE, probe).await;
    }

    /// `nats://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("nats://{}", self.port.address())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Publishes a body to a subject, and answers what comes back: of a subject of JetStream's interface its answer, of
    /// one that a stream takes the acknowledgement. Panics if nothing comes within ten seconds.
    pub async fn request(&self, subject: &str, body: &str) -> String {
        let answer = tokio::time::timeout(ANSWER_DEADLINE, request(self.port.address(), subject, body)).await;
        let answer = answer.unwrap_or_else(|_| panic!("no answer to {subject} within {ANSWER_DEADLINE:?}"));
        answer.unwrap_or_else(|error| panic!("{subject}: {error}; log:\n{}", self.process.last_lines()))
    }

    /// SIGKILL: the process is gone when this returns. Its files stay.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// SIGSTOP: connections stay open, nothing answers.
    pub async fn stop(&mut self) {
        self.process.stop().await;
    }

    /// SIGCONT.
    pub async fn resume(&mut self) {
        self.process.resume();
    }

    /// Starts it again on the same port with the same streams; kills it first if it still runs.
    pub async fn restart(&mut self) {
        self.process.kill().await;
        self.process.start_again();
        self.wait_until_ready().await;
    }
}

/// One request on a connection of its own, in the text protocol of NATS.
async fn request(address: SocketAddr, subject: &str, body: &str) -> std::io::Result<String> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    let length = body.len();
    let text = format!(
        "CONNECT {{\"verbose\":false,\"pedantic\":false}}\r\nSUB {INBOX} 1\r\nPUB {subject} {INBOX} {length}\r\n{body}\r\n"
    );
    stream.write_all(text.as_bytes()).await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 || line.starts_with("-ERR") {
            return Err(std::io::Error::other(format!("the connection ended: {line:?}")));
        }
        // `MSG subject subscription [reply] length`
        if let Some(header) = line.strip_prefix("MSG ") {
            let length = header.split_whitespace().next_back().and_then(|word| word.parse().ok()).unwrap_or_default();
            let mut answer = vec![0; length];
            stream.read_exact(&mut answer).await?;
            return Ok(String::from_utf8_lossy(&answer).into_owned());
        }
    }
}
