//! A Prometheus server that scrapes what a test runs, with the test's own rules.
//! Must not know: what is scraped, and what is asked of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::launch::{Launch, find};
use crate::port::Port;
use crate::process::Process;

const READY_DEADLINE: Duration = Duration::from_secs(30);
/// An answer of some bytes; longer ones are none that is asked for here.
const ANSWER_BYTES_MAX: u64 = 4_096;

/// A Prometheus server, its figures in a directory of its own.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    port: Port,
    _directory: TempDir,
}

impl Prometheus {
    /// Starts, and waits until it is ready. `configuration` is the text of its file; rule files are named in it by whole paths.
    pub async fn start(configuration: &str) -> Self {
        let port = Port::claim();
        let directory = TempDir::with_prefix("hotslot-prometheus-").expect("a temporary directory");
        let file = directory.path().join("prometheus.yaml");
        std::fs::write(&file, configuration).expect("a file of the test's own");
        let mut launch = Launch::new(find("prometheus", "prometheus"), directory.path());
        launch.arguments.push(flag("--config.file", &file));
        launch.arguments.push(flag("--storage.tsdb.path", &directory.path().join("data")));
        launch.argue(&[&format!("--web.listen-address={}", port.address())]);
        let mut process = Process::start(format!("prometheus on port {}", port.number()), launch, false);
        let address = port.address();
        process.ready(READY_DEADLINE, async || is_ready(address).await.ok().filter(|&ready| ready)).await;
        Self { process, port, _directory: directory }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// The last lines of its log, for messages.
    pub fn last_lines(&self) -> String {
        self.process.last_lines()
    }
}

/// The program that checks and tests rules; it comes with the server.
pub fn promtool() -> PathBuf {
    find("promtool", "prometheus")
}

fn flag(name: &str, value: &Path) -> std::ffi::OsString {
    let mut flag = std::ffi::OsString::from(format!("{name}="));
    flag.push(value);
    flag
}

async fn is_ready(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /-/ready HTTP/1.0\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.0 200") || answer.starts_with(b"HTTP/1.1 200"))
}
