//! What goes on beside the load: readers of day streams, and clients that never finish a request.
//! Must not know: the load, how a run is judged.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;

use crate::api::instant_millis;
use crate::driver::clock::{self, ServerClock};
use crate::driver::target::Target;
use crate::run::link::{Link, LinkError, connect};
use crate::run::scenario::Background;
use crate::run::summary::{Durations, Spread};
use crate::run::world::World;

/// Their source addresses begin behind those of the generator, which has at most 8,000.
const FIRST_SOURCE: usize = 10_000;
/// How many streams are opened at once.
const OPENING_AT_ONCE: usize = 64;
/// Pause of a slow client after each byte.
const BYTE_PAUSE: Duration = Duration::from_millis(200);
/// What a slow client never finishes.
const SLOW_REQUEST: &[u8] =
    b"POST /v1/appointments HTTP/1.1\r\nHost: slow\r\nContent-Type: application/json\r\nX-Slow: ";

/// Ages kept for the distribution, 8 bytes each; later ones of a long run are counted as events only.
const MAX_AGES: usize = 5_000_000;

/// What the readers and slow clients saw.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Seen {
    /// Streams that were opened.
    pub(crate) watchers: u64,
    /// Events that they read.
    pub(crate) events: u64,
    /// Streams that ended before the run did.
    pub(crate) ended_early: u64,
    /// From the server's time in an event to its being read here.
    pub(crate) event_age: Spread,
    /// Slow clients that were connected.
    pub(crate) slow_clients: u64,
    /// Of these, those that the server closed before the run ended.
    pub(crate) slow_clients_closed: u64,
}

/// A thread with everything that goes on beside the load.
pub(crate) struct Beside {
    stop: watch::Sender<bool>,
    thread: JoinHandle<std::io::Result<Seen>>,
}

#[derive(Default)]
struct Counts {
    seen: Seen,
    ages_micros: Vec<u64>,
}

impl Counts {
    fn take_in(&mut self, server_time_millis: i64, server_clock: &ServerClock) {
        self.seen.events += 1;
        let since = server_clock.local_instant_of(server_time_millis);
        if let Some(since) = since.filter(|_| self.ages_micros.len() < MAX_AGES) {
            let age = clock::now().saturating_duration_since(since).as_micros();
            self.ages_micros.push(u64::try_from(age).unwrap_or(u64::MAX));
        }
    }
}

/// Starts everything and returns once it is open (or could not be: the counts tell).
pub(crate) async fn start(
    background: Background,
    target: Target,
    world: World,
    server_clock: Arc<ServerClock>,
) -> std::io::Result<Beside> {
    let (stop, stopped) = watch::channel(false);
    // One message is all there ever is.
    let (ready, mut opened) = mpsc::channel(1);
    let body = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let counts = Rc::new(RefCell::new(Counts::default()));
        let local = LocalSet::new();
        local.block_on(&runtime, run(background, target, world, server_clock, Rc::clone(&counts), ready, stopped));
        drop(local);
        let counts = counts.take();
        Ok(Seen { event_age: Durations::of(counts.ages_micros.into_iter()).spread(), ..counts.seen })
    };
    let thread = std::thread::Builder::new().name("beside".to_owned()).spawn(body)?;
    // If the thread failed to start its runtime, the end says so.
    let _ = opened.recv().await;
    Ok(Beside { stop, thread })
}

impl Beside {
    /// Stops everything; what was seen.
    pub(crate) fn end(self) -> std::io::Result<Seen> {
        self.stop.send_replace(true);
        self.thread.join().unwrap_or_else(|_| Err(std::io::Error::other("the thread beside the load panicked")))
    }
}

async fn run(
    background: Background,
    target: Target,
    world: World,
    server_clock: Arc<ServerClock>,
    counts: Rc<RefCell<Counts>>,
    ready: mpsc::Sender<()>,
    mut stopped: watch::Receiver<bool>,
) {
    let (watchers, slow) = (background.watchers as usize, background.slow_clients as usize);
    let numbers: Vec<usize> = (0..watchers).collect();
    for some in numbers.chunks(OPENING_AT_ONCE) {
        let opening = some.iter().map(|number| {
            let day = &world.days[number % world.days.len()];
            let path = format!("/v1/doctors/{}/days/{}/stream", day.doctor, day.date);
            tokio::task::spawn_local(open_stream(target.clone(), FIRST_SOURCE + number, path))
        });
        for stream in opening.collect::<Vec<_>>() {
            if let Ok(Ok((link, body))) = stream.await {
                counts.borrow_mut().seen.watchers += 1;
                tokio::task::spawn_local(watch_day(link, body, Rc::clone(&counts), Arc::clone(&server_clock)));
            }
        }
    }
    for number in 0..slow {
        let source = FIRST_SOURCE + watchers + number;
        tokio::task::spawn_local(dawdle(target.clone(), source, Rc::clone(&counts)));
    }
    // Nobody listens only if the run was given up.
    let _ = ready.send(()).await;
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

type Stream = hyper::body::Incoming;

async fn open_stream(target: Target, source: usize, path: String) -> Result<(Link, Stream), LinkError> {
    let mut link = Link::open(target.address, source).await?;
    let request = Request::builder().uri(path).header("host", &target.host).header("accept", "text/event-stream");
    let request = request.body(Full::<Bytes>::default()).map_err(|error| LinkError::Body(error.into()))?;
    let response = link.open_stream(request).await?;
    if response.status().as_u16() != 200 {
        return Err(LinkError::Body("the stream was refused".into()));
    }
    Ok((link, response.into_body()))
}

/// Reads one stream to its end; the link is kept so that it stays open.
async fn watch_day(link: Link, mut body: Stream, counts: Rc<RefCell<Counts>>, server_clock: Arc<ServerClock>) {
    let mut text: Vec<u8> = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        // An event ends with an empty line; what was searched before is not searched again but for its last byte.
        let mut searched = text.len().saturating_sub(1);
        text.extend_from_slice(&data);
        while let Some(found) = text[searched..].windows(2).position(|window| window == b"\n\n") {
            let event: Vec<u8> = text.drain(..searched + found + 2).collect();
            searched = 0;
            if let Some(server_time) = server_time_of(&event) {
                counts.borrow_mut().take_in(server_time, &server_clock);
            }
        }
    }
    drop(link);
    counts.borrow_mut().seen.ended_early += 1;
}

/// The `server_time` of an event, UTC milliseconds; `None` for a heartbeat.
fn server_time_of(event: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(event).ok()?;
    let (_, rest) = text.split_once(r#""server_time":""#)?;
    instant_millis(rest.split('"').next()?)
}

/// Sends a request a byte at a time until the server closes the connection.
async fn dawdle(target: Target, source: usize, counts: Rc<RefCell<Counts>>) {
    let Ok(mut stream) = connect(target.address, source).await else { return };
    counts.borrow_mut().seen.slow_clients += 1;
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
    counts.borrow_mut().seen.slow_clients_closed += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_tells_its_time_and_a_heartbeat_none() {
        let event = b"id: 1\nevent: day\ndata: {\"state\":\"open\",\"server_time\":\"1970-01-01T00:00:01.500Z\"}\n\n";
        assert_eq!(server_time_of(event), Some(1_500));
        assert_eq!(server_time_of(b": heartbeat\n\n"), None);
    }
}
