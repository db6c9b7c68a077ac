//! The press: every connection open and warm beforehand, all of them released at one instant.
//! Must not know: when that instant is or why, how a run is judged.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::driver::connection::{Connection, TransportError};
use crate::driver::request::BookingRequests;
use crate::driver::share::Share;
use crate::driver::{clock, cpu};
use crate::outcome::Press;
use crate::tokens::Patient;

/// How many connections are being opened at once, far below the backlog of a listening socket.
const OPENING_AT_ONCE: usize = 64;
/// How long one connection may take to open and to answer the warming request.
const WARM_TIMEOUT: Duration = Duration::from_secs(10);
/// A timer is exact to a millisecond; the rest of the wait is spent awake.
const AWAKE_BEFORE_PRESS: Duration = Duration::from_millis(2);

/// Why the press could not happen.
#[derive(Debug, Error)]
pub(crate) enum PressError {
    /// A connection could not be opened or does not answer.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// What went wrong.
        source: TransportError,
    },
    /// No runtime or thread.
    #[error("cannot start a press thread: {0}")]
    Start(std::io::Error),
    /// A thread or task ended without a result.
    #[error("a press thread failed: {0}")]
    Died(String),
}

/// Everything that is pressed, prepared.
pub(crate) struct PressPlan {
    /// Where to, at least one: connection `c` of `n` addresses goes to address `c mod n`.
    pub(crate) addresses: Vec<SocketAddr>,
    /// The value of the `Host` header.
    pub(crate) host: String,
    /// The bytes to send.
    pub(crate) requests: BookingRequests,
    /// Who presses; connection `c` of `n` presses for `c`, `c + n`, …
    pub(crate) patients: Vec<Patient>,
    /// How many connections.
    pub(crate) connections: usize,
    /// How many threads, each with its own share of the connections.
    pub(crate) threads: usize,
    /// How often a patient whose outcome is open is pressed again with the same key.
    pub(crate) retries: u32,
    /// Whether `not_released` means "too early, again" rather than no.
    pub(crate) repress_early: bool,
    /// When to give up, counted from the press.
    pub(crate) deadline: Duration,
    /// After so long no patient presses for the first time any more: who has not pressed yet is not told of at all.
    pub(crate) stop_after: Option<Duration>,
}

impl PressPlan {
    /// Where the connection of that number goes, the first time and after it was lost.
    pub(crate) fn address_of(&self, number: usize) -> SocketAddr {
        self.addresses[number % self.addresses.len()]
    }
}

/// What the press gave.
pub(crate) struct Pressed {
    /// One for each patient who pressed (or should have, by the deadline), in no order.
    pub(crate) presses: Vec<Press>,
    /// Processor time of the press threads from the press on; `None` where the system does not tell.
    pub(crate) generator_cpu_nanos: Option<u64>,
}

/// Connections that are open and warm, on threads that wait for the word.
pub(crate) struct Armed {
    press_at: watch::Sender<Option<Instant>>,
    threads: Vec<JoinHandle<Result<Pressed, PressError>>>,
}

impl Armed {
    /// Opens and warms every connection; returns when all stand ready. They should be released soon, before the
    /// server closes them as idle.
    pub(crate) async fn arm(plan: PressPlan) -> Result<Self, PressError> {
        let plan = Arc::new(plan);
        let count = plan.threads.clamp(1, plan.connections.max(1));
        let (press_at, receiver) = watch::channel(None);
        // One message a thread is all there ever is.
        let (ready, mut readies) = mpsc::channel(count);
        let mut threads = Vec::with_capacity(count);
        for thread in 0..count {
            let (plan, ready, receiver) = (Arc::clone(&plan), ready.clone(), receiver.clone());
            let builder = std::thread::Builder::new().name(format!("press-{thread}"));
            let body = move || run_thread(plan, (thread, count), ready, receiver);
            threads.push(builder.spawn(body).map_err(PressError::Start)?);
        }
        drop(ready);
        let armed = Self { press_at, threads };
        for _ in 0..count {
            if readies.recv().await.is_none() {
                // A thread gave up; its result says why. The others give up as the word is never given.
                return Err(armed.collect().await.err().unwrap_or_else(|| PressError::Died("not ready".to_owned())));
            }
        }
        Ok(armed)
    }

    /// Presses at the local instant `at` (at once if it has passed) and waits until everyone is through or the plan's
    /// deadline has come.
    pub(crate) async fn release(self, at: Instant) -> Result<Pressed, PressError> {
        self.press_at.send_replace(Some(at));
        self.collect().await
    }

    async fn collect(self) -> Result<Pressed, PressError> {
        let Self { press_at, threads } = self;
        let join_all = move || {
            // Dropped only if the word was never given or has been read: a watch keeps its last value.
            drop(press_at);
            threads.into_iter().map(JoinHandle::join).collect::<Vec<_>>()
        };
        let results =
            tokio::task::spawn_blocking(join_all).await.map_err(|error| PressError::Died(error.to_string()))?;
        let mut total = Pressed { presses: Vec::new(), generator_cpu_nanos: Some(0) };
        for result in results {
            let part = result.map_err(|_| PressError::Died("it panicked".to_owned()))??;
            total.presses.extend(part.presses);
            total.generator_cpu_nanos =
                total.generator_cpu_nanos.zip(part.generator_cpu_nanos).map(|(sum, nanos)| sum + nanos);
        }
        Ok(total)
    }
}

/// One thread with a runtime of its own, so that its connections share nothing with the other threads.
fn run_thread(
    plan: Arc<PressPlan>,
    (thread, threads): (usize, usize),
    ready: mpsc::Sender<()>,
    mut press_at: watch::Receiver<Option<Instant>>,
) -> Result<Pressed, PressError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(PressError::Start)?;
    runtime.block_on(async move {
        let numbers: Vec<usize> = (thread..plan.connections).step_by(threads).collect();
        let connections = open_all(&plan, &numbers).await?;
        // Nobody listens any more only if another thread has failed; the wait below then ends.
        let _ = ready.send(()).await;
        drop(ready);
        let Some(at) = press_at.wait_for(Option::is_some).await.ok().and_then(|at| *at) else {
            return Ok(Pressed { presses: Vec::new(), generator_cpu_nanos: None });
        };
        tokio::time::sleep_until((at - AWAKE_BEFORE_PRESS).into()).await;
        while clock::now() < at {
            std::hint::spin_loop();
        }
        let cpu_before = cpu::thread_nanos();
        let mut shares = JoinSet::new();
        for (number, connection) in connections {
            let plan = Arc::clone(&plan);
            shares.spawn(async move { Share::new(&plan, Some(connection), number, at).run(plan.connections).await });
        }
        let mut presses = Vec::new();
        while let Some(share) = shares.join_next().await {
            presses.extend(share.map_err(|error| PressError::Died(error.to_string()))?);
        }
        let generator_cpu_nanos = cpu::thread_nanos().zip(cpu_before).map(|(after, before)| after - before);
        Ok(Pressed { presses, generator_cpu_nanos })
    })
}

/// The connections of these numbers, in no order, each of which has answered one cheap request.
async fn open_all(plan: &PressPlan, numbers: &[usize]) -> Result<Vec<(usize, Connection)>, PressError> {
    let warming: Arc<[u8]> = format!("GET /healthz/live HTTP/1.1\r\nHost: {}\r\n\r\n", plan.host).into_bytes().into();
    let mut connections = Vec::with_capacity(numbers.len());
    let mut opening = JoinSet::new();
    for started in 0..numbers.len() + OPENING_AT_ONCE {
        if let Some(number) = numbers.get(started).copied() {
            let address = plan.address_of(number);
            let warming = Arc::clone(&warming);
            opening.spawn(async move {
                let open = tokio::time::timeout(WARM_TIMEOUT, open_warm(address, &warming)).await;
                match open.unwrap_or(Err(TransportError::Timeout)) {
                    Ok(connection) => Ok((number, connection)),
                    Err(source) => Err(PressError::Connect { address, source }),
                }
            });
        }
        if started >= OPENING_AT_ONCE
            && let Some(opened) = opening.join_next().await
        {
            connections.push(opened.map_err(|error| PressError::Died(error.to_string()))??);
        }
    }
    Ok(connections)
}

async fn open_warm(address: SocketAddr, warming: &[u8]) -> Result<Connection, TransportError> {
    let mut connection = Connection::open(address).await?;
    connection.exchange(warming).await?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::request::Pick;
    use crate::driver::target::Target;
    use crate::fake_server::{DATE, FakeDay, FakeServer, Faults, KEY};
    use crate::tokens::Mint;

    /// How many of 100 patients are told of.
    async fn told(stop_after: Option<Duration>) -> usize {
        let day = FakeDay { capacities: vec![1_000], release_after_millis: None, faults: Faults::default() };
        let server = FakeServer::start(day).await;
        let key = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(key.path(), KEY).unwrap();
        let target = Target { address: server.address, host: "h".to_owned() };
        let plan = PressPlan {
            addresses: vec![target.address],
            host: target.host.clone(),
            requests: BookingRequests::new(&target, uuid::Uuid::from_u128(77), DATE.parse().unwrap(), Pick::Any, &[]),
            patients: Mint::from_key_file(key.path()).unwrap().patients(100, 1).unwrap(),
            connections: 4,
            threads: 2,
            retries: 0,
            repress_early: false,
            deadline: Duration::from_secs(30),
            stop_after,
        };
        Armed::arm(plan).await.unwrap().release(clock::now()).await.unwrap().presses.len()
    }

    #[tokio::test]
    async fn who_would_begin_too_late_is_left_out() {
        assert_eq!(told(None).await, 100);
        assert_eq!(told(Some(Duration::from_secs(30))).await, 100);
        assert_eq!(told(Some(Duration::ZERO)).await, 0);
    }
}
