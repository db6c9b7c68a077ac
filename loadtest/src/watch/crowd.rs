//! A thread of its own with thousands of open streams, each read as soon as something comes.
//! Must not know: what an event says, how a run is judged.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;

use crate::api::Day;
use crate::driver::clock::{self, ServerClock};
use crate::driver::cpu;
use crate::driver::target::Target;
use crate::run::link::connect;
use crate::watch::sightings::Sightings;
use crate::watch::wire::Wire;

/// Their source addresses begin behind those of the generator, which has at most 8,000.
const FIRST_SOURCE: usize = 10_000;
/// How many streams are opened at once.
const OPENING_AT_ONCE: usize = 64;
/// How long all streams together may take to show their first event, once they are open.
const FIRST_EVENT_DEADLINE: Duration = Duration::from_secs(30);
/// How long after the load the last state may take to be seen.
const LAST_STATE_DEADLINE: Duration = Duration::from_secs(5);
/// How often is looked whether it has been.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// Read at once: an event of a day of 500 slots.
const READ_BYTES: usize = 64 * 1024;

/// One stream to be opened.
pub(crate) struct Watched {
    /// The address, without the host.
    pub(crate) path: String,
    /// Index of its day.
    pub(crate) day: u32,
}

/// What the thread gives.
#[derive(Debug)]
pub(crate) struct Watching {
    /// All that was seen.
    pub(crate) sightings: Sightings,
    /// Streams that were opened.
    pub(crate) opened: u64,
    /// Streams that ended before they were told to.
    pub(crate) ended_early: u64,
    /// Of those that were opened, those that had not seen the last state of their day in time.
    pub(crate) behind: u64,
    /// From the end of the load until everybody had; `None` if somebody had not.
    pub(crate) caught_up_ms: Option<f64>,
    /// Processor time of the thread; `None` where the system does not tell.
    pub(crate) cpu_nanos: Option<u64>,
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct Crowd {
    last: watch::Sender<Option<Vec<Day>>>,
    thread: JoinHandle<io::Result<Watching>>,
}

/// Opens all streams; returns once each has shown an event (or could not: the counts tell).
pub(crate) async fn open(watched: Vec<Watched>, target: Target, server_clock: Arc<ServerClock>) -> io::Result<Crowd> {
    let (last, told) = watch::channel(None);
    // One message is all there ever is.
    let (ready, mut opened) = mpsc::channel(1);
    let body = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let local = LocalSet::new();
        Ok(local.block_on(&runtime, run(watched, target, server_clock, ready, told)))
    };
    let thread = std::thread::Builder::new().name("watchers".to_owned()).spawn(body)?;
    // If the thread failed to start its runtime, the end says so.
    let _ = opened.recv().await;
    Ok(Crowd { last, thread })
}

impl Crowd {
    /// Waits until everybody has seen `last`, the last state of each day, but not for long; then ends all streams.
    pub(crate) async fn end(self, last: Vec<Day>) -> io::Result<Watching> {
        self.last.send_replace(Some(last));
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await;
        let died = || io::Error::other("the thread of the watchers panicked");
        joined.map_err(|_| died())?.map_err(|_| died())?
    }
}

/// What the streams of the thread share.
struct Shared {
    sightings: RefCell<Sightings>,
    buffer: RefCell<Box<[u8]>>,
    server_clock: Arc<ServerClock>,
    ended: RefCell<u64>,
}

async fn run(
    watched: Vec<Watched>,
    target: Target,
    server_clock: Arc<ServerClock>,
    ready: mpsc::Sender<()>,
    mut told: watch::Receiver<Option<Vec<Day>>>,
) -> Watching {
    let sightings = Sightings::new(watched.iter().map(|one| one.day), clock::now());
    let buffer = vec![0; READ_BYTES].into_boxed_slice();
    let shared = Rc::new(Shared {
        sightings: RefCell::new(sightings),
        buffer: RefCell::new(buffer),
        server_clock,
        ended: RefCell::default(),
    });
    let opened = open_all(&shared, &watched, &target).await;
    let deadline = clock::now() + FIRST_EVENT_DEADLINE;
    let shown = || opened.iter().all(|reader| shared.sightings.borrow().has_seen(*reader));
    wait_until(shown, deadline).await;
    // Nobody listens only if the run was given up.
    let _ = ready.send(()).await;
    let last = told.wait_for(Option::is_some).await.ok().and_then(|last| last.clone()).unwrap_or_default();
    let began = clock::now();
    let behind = || shared.sightings.borrow().behind(&opened, &last);
    let caught_up = wait_until(|| behind() == 0, began + LAST_STATE_DEADLINE).await;
    Watching {
        opened: opened.len() as u64,
        ended_early: *shared.ended.borrow(),
        behind: behind() as u64,
        caught_up_ms: caught_up.map(|at| at.saturating_duration_since(began).as_secs_f64() * 1e3),
        cpu_nanos: cpu::thread_nanos(),
        sightings: shared.sightings.replace(Sightings::new(std::iter::empty(), began)),
    }
}

/// Opens the streams, some at once; the numbers of those that were.
async fn open_all(shared: &Rc<Shared>, watched: &[Watched], target: &Target) -> Vec<usize> {
    let mut opened = Vec::with_capacity(watched.len());
    let numbers: Vec<usize> = (0..watched.len()).collect();
    for some in numbers.chunks(OPENING_AT_ONCE) {
        let opening = some.iter().map(|number| {
            let request = format!(
                "GET {} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n\r\n",
                watched[*number].path, target.host
            );
            tokio::task::spawn_local(ask(target.clone(), FIRST_SOURCE + number, request))
        });
        for (number, stream) in some.iter().zip(opening.collect::<Vec<_>>()) {
            if let Ok(Ok(stream)) = stream.await {
                opened.push(*number);
                tokio::task::spawn_local(read_on(Rc::clone(shared), *number, stream));
            }
        }
    }
    opened
}

async fn ask(target: Target, source: usize, request: String) -> io::Result<TcpStream> {
    let mut stream = connect(target.address, source).await?;
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

/// Reads one stream to its end.
async fn read_on(shared: Rc<Shared>, number: usize, mut stream: TcpStream) {
    let mut wire = Wire::new();
    std::future::poll_fn(|context| poll_stream(&shared, number, &mut stream, &mut wire, context)).await;
    *shared.ended.borrow_mut() += 1;
}

/// Takes in what there is; ready at the end. One buffer serves all streams: none is in the middle of a read when another begins.
fn poll_stream(
    shared: &Shared,
    number: usize,
    stream: &mut TcpStream,
    wire: &mut Wire,
    context: &mut Context<'_>,
) -> Poll<()> {
    loop {
        let mut bytes = shared.buffer.borrow_mut();
        let mut buffer = ReadBuf::new(&mut bytes);
        let read = ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer));
        if read.is_err() || buffer.filled().is_empty() {
            return Poll::Ready(());
        }
        let at = clock::now();
        let mut sightings = shared.sightings.borrow_mut();
        let mut event = |text: &str| sightings.take_in(number, text, at, &shared.server_clock);
        if wire.take(buffer.filled(), &mut event).is_err() {
            return Poll::Ready(());
        }
    }
}

/// The instant at which `done` was so, if that was before `deadline`.
async fn wait_until(done: impl Fn() -> bool, deadline: Instant) -> Option<Instant> {
    loop {
        let now = clock::now();
        if done() {
            return Some(now);
        }
        if now >= deadline {
            return None;
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}
