//! What goes on beside the load: readers of day streams, and clients that never finish a request.
//! Must not know: the load, how streams are read, how a run is judged.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;

use crate::api::Day;
use crate::driver::clock::ServerClock;
use crate::driver::target::Target;
use crate::run::link::connect;
use crate::run::scenario::Background;
use crate::run::world::World;
use crate::watch::{Streams, WatchReport, Watched};

/// Source addresses of slow clients begin behind those of the generator, which has at most 8,000, and of the readers, at most 10,000.
const FIRST_SOURCE: usize = 20_000;
/// Pause of a slow client after each byte.
const BYTE_PAUSE: Duration = Duration::from_millis(200);
/// What a slow client never finishes.
const SLOW_REQUEST: &[u8] =
    b"POST /v1/appointments HTTP/1.1\r\nHost: slow\r\nContent-Type: application/json\r\nX-Slow: ";

/// What the readers and slow clients saw.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Seen {
    /// The readers.
    #[serde(flatten)]
    pub(crate) streams: WatchReport,
    /// Slow clients that were connected.
    pub(crate) slow_clients: u64,
    /// Of these, those that the server closed before the run ended.
    pub(crate) slow_clients_closed: u64,
}

/// Everything that goes on beside the load.
pub(crate) struct Beside {
    streams: Streams,
    stop: watch::Sender<bool>,
    thread: JoinHandle<io::Result<Dawdled>>,
}

#[derive(Clone, Copy, Default)]
struct Dawdled {
    connected: u64,
    closed: u64,
}

/// Starts everything and returns once it is open (or could not be: the counts tell).
pub(crate) async fn start(
    background: Background,
    target: Target,
    world: &World,
    server_clock: Arc<ServerClock>,
) -> io::Result<Beside> {
    let watched = (0..background.watchers as usize).zip((0..world.days.len()).cycle()).map(|(_, index)| {
        let day = &world.days[index];
        // A run has at most 600,000 days: nothing is cut.
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        Watched { path: format!("/v1/doctors/{}/days/{}/stream", day.doctor, day.date), day: number }
    });
    let streams = Streams::open(watched.collect(), target.clone(), server_clock).await?;
    let (stop, stopped) = watch::channel(false);
    // One message is all there ever is.
    let (ready, mut opened) = mpsc::channel(1);
    let body = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(LocalSet::new().block_on(&runtime, run(background.slow_clients as usize, target, ready, stopped)))
    };
    let thread = std::thread::Builder::new().name("beside".to_owned()).spawn(body)?;
    // If the thread failed to start its runtime, the end says so.
    let _ = opened.recv().await;
    Ok(Beside { streams, stop, thread })
}

impl Beside {
    /// Stops everything; what was seen. `last` is the last state of each day, and `changes` the instants of its bookings if there was
    /// nothing else.
    pub(crate) async fn end(self, last: Vec<Day>, changes: Option<&[Vec<i64>]>) -> io::Result<Seen> {
        self.stop.send_replace(true);
        let streams = self.streams.end(last, changes).await?;
        let died = |_| Err(io::Error::other("the thread beside the load panicked"));
        let Dawdled { connected, closed } = self.thread.join().unwrap_or_else(died)?;
        Ok(Seen { streams, slow_clients: connected, slow_clients_closed: closed })
    }
}

async fn run(slow: usize, target: Target, ready: mpsc::Sender<()>, mut stopped: watch::Receiver<bool>) -> Dawdled {
    let counts = Rc::new(RefCell::new(Dawdled::default()));
    for number in 0..slow {
        tokio::task::spawn_local(dawdle(target.clone(), FIRST_SOURCE + number, Rc::clone(&counts)));
    }
    // Nobody listens only if the run was given up.
    let _ = ready.send(()).await;
    let _ = stopped.wait_for(|stopped| *stopped).await;
    *counts.borrow()
}

/// Sends a request a byte at a time until the server closes the connection.
async fn dawdle(target: Target, source: usize, counts: Rc<RefCell<Dawdled>>) {
    let Ok(mut stream) = connect(target.address, source).await else { return };
    counts.borrow_mut().connected += 1;
    let mut answer = [0; 512];
    for byte in SLOW_REQUEST.iter().chain(std::iter::repeat(&b'x')) {
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        match tokio::time::timeout(BYTE_PAUSE, stream.read(&mut answer)).await {
            // Not closed, or an answer before the close.
            Err(_) => {}
            Ok(Ok(read)) if read > 0 => {}
            Ok(_) => break,
        }
    }
    counts.borrow_mut().closed += 1;
}
