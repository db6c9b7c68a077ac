//! How many bookings a system has answered and not yet written into its database, asked of the running system.
//! Must not know: what is pressed, how fast.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use super::metrics::Metrics;
use crate::driver::clock;
use crate::driver::target::Target;

/// hotslot's gauge of it.
const LEDGER_LAG: &str = "hotslot_ledger_lag_records";
/// hotslot's default `ledger_lag_max`, with which it is started. Past it bookings are answered 503, so that a bound which
/// does not hold also shows among the other answers.
pub(crate) const LEDGER_LAG_BOUND_RECORDS: u64 = 1_000_000;
/// The list in Redis in which bookings of the peer `redis-counter` wait for PostgreSQL. An entry leaves it after it is
/// inserted.
const QUEUE: &str = "pending";
/// How long one reading may take.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How often it is read while waiting for its end.
const DRAIN_INTERVAL: Duration = Duration::from_millis(20);
/// How long the waiting may last.
const DRAIN_DEADLINE: Duration = Duration::from_secs(240);

/// Why it is not known how much is left.
#[derive(Debug, Error)]
pub(crate) enum BacklogError {
    /// The system does not say.
    #[error("cannot read what is not yet in the database: {0}")]
    Unreadable(String),
    /// It does not come to an end.
    #[error("{records} bookings are still not in the database after {}s", DRAIN_DEADLINE.as_secs())]
    NeverDrained {
        /// So many at the last reading.
        records: u64,
    },
}

/// Where it is asked for.
#[derive(Debug)]
pub(crate) enum Backlog {
    /// Nowhere: what is answered is in the database, or never will be.
    Never,
    /// On the page of metrics of every node.
    Metrics {
        /// The nodes; mostly there is one.
        nodes: Vec<Metrics>,
    },
    /// In Redis.
    Queue {
        /// Its socket.
        socket: PathBuf,
    },
}

impl Backlog {
    /// Of the hotslot whose nodes serve there.
    pub(crate) fn of_hotslot(nodes: &[Target]) -> Self {
        Self::Metrics { nodes: nodes.iter().cloned().map(Metrics::of).collect() }
    }

    /// What it may be at most, where there is a bound.
    pub(crate) fn bound_records(&self) -> Option<u64> {
        match self {
            Self::Metrics { nodes } => Some(LEDGER_LAG_BOUND_RECORDS * nodes.len() as u64),
            Self::Never | Self::Queue { .. } => None,
        }
    }

    /// Records that are behind now; `None` where nothing ever is.
    pub(crate) async fn read(&mut self) -> Result<Option<u64>, BacklogError> {
        let reading = async {
            match self {
                Self::Never => Ok(None),
                Self::Metrics { nodes } => lag_of_ledger(nodes).await.map(Some),
                Self::Queue { socket } => length_of_queue(socket).await.map(Some),
            }
        };
        let read = tokio::time::timeout(READ_TIMEOUT, reading).await;
        read.unwrap_or_else(|_| Err("no answer in time".to_owned())).map_err(BacklogError::Unreadable)
    }

    /// Waits until nothing is behind, and answers since when; `None` where nothing ever is. To be called once no more is
    /// booked. A gauge may be a moment old, so it has to say so twice.
    pub(crate) async fn drained(&mut self) -> Result<Option<Instant>, BacklogError> {
        let deadline = clock::now() + DRAIN_DEADLINE;
        let mut empty_since = None;
        loop {
            let Some(records) = self.read().await? else { return Ok(None) };
            let now = clock::now();
            match (records, empty_since) {
                (0, Some(_)) => return Ok(empty_since),
                (0, None) => empty_since = Some(now),
                _ if now >= deadline => return Err(BacklogError::NeverDrained { records }),
                _ => empty_since = None,
            }
            tokio::time::sleep(DRAIN_INTERVAL).await;
        }
    }
}

/// Of all nodes together: each tells of the days that it speaks for.
async fn lag_of_ledger(nodes: &mut [Metrics]) -> Result<u64, String> {
    let mut records = 0;
    for node in nodes {
        let [lag] = node.read([LEDGER_LAG]).await?;
        records += lag as u64;
    }
    Ok(records)
}

async fn length_of_queue(socket: &Path) -> Result<u64, String> {
    let mut stream = UnixStream::connect(socket).await.map_err(|error| error.to_string())?;
    stream.write_all(format!("LLEN {QUEUE}\r\n").as_bytes()).await.map_err(|error| error.to_string())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await.map_err(|error| error.to_string())?;
    let number = line.trim_end().strip_prefix(':').and_then(|number| number.parse().ok());
    number.ok_or_else(|| format!("Redis says {line:?}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, UnixListener};

    use super::*;

    #[tokio::test]
    async fn the_queue_is_counted_and_rubbish_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("redis.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        tokio::spawn(async move {
            for answer in [":17\r\n", "-ERR no\r\n"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut asked = [0; 14];
                stream.read_exact(&mut asked).await.unwrap();
                assert_eq!(&asked, b"LLEN pending\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let mut backlog = Backlog::Queue { socket };
        assert_eq!(backlog.read().await.unwrap(), Some(17));
        assert!(backlog.read().await.unwrap_err().to_string().contains("ERR no"));
        assert_eq!(backlog.bound_records(), None);
    }

    /// Serves one page of metrics after another, the last one for ever; counts them.
    async fn pages(lags: &'static [u64]) -> (Target, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target { address: listener.local_addr().unwrap(), host: "h".to_owned() };
        let served = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&served);
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n".len()];
            while stream.read_exact(&mut asked).await.is_ok() {
                let number = counter.fetch_add(1, Ordering::Relaxed);
                let lag = lags[number.min(lags.len() - 1)];
                let page = format!("{LEDGER_LAG} {lag}\n");
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{page}", page.len());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        (target, served)
    }

    #[tokio::test]
    async fn drained_is_what_says_so_twice() {
        let (target, served) = pages(&[70, 0, 5, 0, 0, 9]).await;
        let mut backlog = Backlog::of_hotslot(&[target]);
        assert_eq!(backlog.read().await.unwrap(), Some(70));
        assert!(backlog.drained().await.unwrap().is_some());
        assert_eq!(served.load(Ordering::Relaxed), 5);
        assert_eq!(backlog.bound_records(), Some(LEDGER_LAG_BOUND_RECORDS));
        let (one, _) = pages(&[70, 0]).await;
        let (other, served) = pages(&[5, 5, 3, 0]).await;
        let mut backlog = Backlog::of_hotslot(&[one, other]);
        assert_eq!(backlog.read().await.unwrap(), Some(75));
        // What any node lacks is behind.
        assert!(backlog.drained().await.unwrap().is_some());
        assert_eq!(served.load(Ordering::Relaxed), 5);
        assert_eq!(backlog.bound_records(), Some(2 * LEDGER_LAG_BOUND_RECORDS));
        assert_eq!(Backlog::Never.drained().await.unwrap(), None);
    }
}
