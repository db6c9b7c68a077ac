//! A network that can be broken, between a client and a server on the same machine.
//! Must not know: what is said over it.

mod connection;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use tokio::sync::watch;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Requests,
    /// From the server to the client.
    Answers,
    /// Both ways.
    Both,
}

/// What the network does at the moment.
#[derive(Clone, Copy, Debug)]
struct Network {
    target: SocketAddr,
    /// New connections are refused.
    is_cut: bool,
    /// How often it has been cut: a connection from before has been reset.
    cuts: u64,
    holds_requests: bool,
    holds_answers: bool,
    delay_ms: u64,
    is_closing: bool,
}

impl Network {
    /// Whether nothing may pass that way now.
    fn holds(&self, direction: Direction) -> bool {
        match direction {
            Direction::Requests => self.holds_requests,
            Direction::Answers => self.holds_answers,
            Direction::Both => self.holds_requests || self.holds_answers,
        }
    }
}

/// Bytes passed so far.
#[derive(Debug, Default)]
struct Passed {
    requests: AtomicU64,
    answers: AtomicU64,
}

/// A network between clients, who connect to [`address`](Self::address), and one server. It has a thread of its own, so
/// that it goes on whatever becomes of the caller's runtime; dropping it closes all its connections.
///
/// Every change holds for every byte from the moment the call returns, on connections old and new.
///
/// ```
/// use servers::{Direction, Proxy};
/// let proxy = Proxy::in_front_of("127.0.0.1:5432".parse().expect("an address"));
/// let url = proxy.through("postgres://postgres@127.0.0.1:5432/postgres");
/// assert_eq!(url, format!("postgres://postgres@{}/postgres", proxy.address()));
/// proxy.stall(Direction::Answers);
/// proxy.heal();
/// ```
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
    passed: Arc<Passed>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A network that is well, in front of a server that need not be there yet.
    pub fn in_front_of(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a listener that does not block");
        let address = listener.local_addr().expect("a listener knows its address");
        let network = Network {
            target,
            is_cut: false,
            cuts: 0,
            holds_requests: false,
            holds_answers: false,
            delay_ms: 0,
            is_closing: false,
        };
        let (sender, receiver) = watch::channel(network);
        let passed = Arc::new(Passed::default());
        let counted = Arc::clone(&passed);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let serve = move || runtime.block_on(connection::serve(listener, receiver, counted));
        let thread =
            std::thread::Builder::new().name("proxy".to_owned()).spawn(serve).expect("a thread can be started");
        Self { address, network: sender, passed, thread: Some(thread) }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same address of the web form (`redis://…`, `postgres://…`, `nats://…`), but through this network. Panics if the
    /// server's host and port do not stand in it.
    pub fn through(&self, url: &str) -> String {
        let target = self.network.borrow().target.to_string();
        assert!(url.contains(&target), "this network leads to {target}, not to {url}");
        url.replacen(&target, &self.address.to_string(), 1)
    }

    /// Resets (RST) all connections, drops what was held, and refuses new ones, until it heals.
    pub fn cut(&self) {
        self.network.send_modify(|network| {
            network.is_cut = true;
            network.cuts += 1;
        });
    }

    /// Resets (RST) all connections and drops what was held; new ones are welcome.
    pub fn cut_once(&self) {
        self.network.send_modify(|network| network.cuts += 1);
    }

    /// Holds all bytes that go that way, and the ends and resets of connections too, as a partition does: nobody is told.
    /// They arrive when it heals. New connections open, and wait. What was held before in the other direction stays held.
    pub fn stall(&self, direction: Direction) {
        self.network.send_modify(|network| {
            network.holds_requests |= direction != Direction::Answers;
            network.holds_answers |= direction != Direction::Requests;
        });
    }

    /// Every byte that comes from now on takes that much longer, each way, in milliseconds; 0: no longer.
    pub fn delay_ms(&self, delay_ms: u64) {
        self.network.send_modify(|network| network.delay_ms = delay_ms);
    }

    /// Neither cut nor stalled nor slow. What was stalled arrives; what was cut stays lost.
    pub fn heal(&self) {
        self.network.send_modify(|network| {
            network.is_cut = false;
            network.holds_requests = false;
            network.holds_answers = false;
            network.delay_ms = 0;
        });
    }

    /// Connections from now on lead to that server.
    pub fn lead_to(&self, target: SocketAddr) {
        self.network.send_modify(|network| network.target = target);
    }

    /// Bytes handed on that way so far, on all connections: tells whether a request has arrived although no answer has.
    pub fn passed_bytes(&self, direction: Direction) -> u64 {
        let (mut requests, mut answers) = (0, 0);
        // Under the lock, so that bytes which the other side has seen are counted.
        self.network.send_if_modified(|_| {
            requests = self.passed.requests.load(Ordering::Acquire);
            answers = self.passed.answers.load(Ordering::Acquire);
            false
        });
        match direction {
            Direction::Requests => requests,
            Direction::Answers => answers,
            Direction::Both => requests + answers,
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.network.send_modify(|network| network.is_closing = true);
        if let Some(thread) = self.thread.take() {
            // It panics only if the test has lost already.
            let _ = thread.join();
        }
    }
}
