//! A tiny booking server for tests of the driver: one doctor-day in memory, with faults to plant.
//! Must not know: the driver, the audit. It shares the public words of the API with them and nothing else.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::driver::clock;

/// The key its tokens are signed with.
pub(crate) const KEY: [u8; 32] = [42; 32];
/// The one day's date.
pub(crate) const DATE: &str = "2030-01-02";
/// The server's time when it starts: 2030-01-01T00:00:00Z, far from the machine's own.
const START_MILLIS: i64 = 1_893_456_000_000;
/// Start of the first slot: 2030-01-02T08:00:00Z; the others follow every quarter of an hour.
const FIRST_SLOT_MILLIS: i64 = START_MILLIS + 32 * 3_600_000;

/// Faults count the bookings, from 1; 0 plants none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// The connection breaks after every n-th new booking is stored, before it is answered.
    pub(crate) break_after_every: usize,
    /// Every n-th new booking is answered 503 first.
    pub(crate) unavailable_before_every: usize,
    /// The n-th booking is answered but not stored.
    pub(crate) lose: usize,
    /// The n-th booking is stored twice, the second time under another id.
    pub(crate) duplicate: usize,
    /// Sold out is told while this many places are left.
    pub(crate) keep_back: u64,
}

/// The day.
#[derive(Clone, Debug)]
pub(crate) struct FakeDay {
    /// Capacity of each slot.
    pub(crate) capacities: Vec<u64>,
    /// Milliseconds from the start of the server to the release; `None` is open at once.
    pub(crate) release_after_millis: Option<i64>,
    /// What goes wrong.
    pub(crate) faults: Faults,
}

struct State {
    day: FakeDay,
    started: Instant,
    /// Slot, patient, id.
    rows: Vec<(usize, Uuid, Uuid)>,
    taken: Vec<u64>,
    answers: HashMap<String, Value>,
    attempts: usize,
    bookings: usize,
    earliest_press_millis: Option<i64>,
}

/// A running fake; stops when dropped.
pub(crate) struct FakeServer {
    /// Where it listens, on loopback.
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    accepting: JoinHandle<()>,
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl FakeServer {
    /// Listens on a free port.
    pub(crate) async fn start(day: FakeDay) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            taken: vec![0; day.capacities.len()],
            day,
            started: clock::now(),
            rows: Vec::new(),
            answers: HashMap::new(),
            attempts: 0,
            bookings: 0,
            earliest_press_millis: None,
        }));
        let shared = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, state, accepting }
    }

    /// Stops listening, and returns once the port is closed.
    pub(crate) async fn stop(mut self) {
        self.accepting.abort();
        // Aborted is what it is meant to be.
        let _ = (&mut self.accepting).await;
    }

    /// Milliseconds from the release to the first press that came in; `None` before any.
    pub(crate) fn first_press_after_release_millis(&self) -> Option<i64> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Some(state.earliest_press_millis? - START_MILLIS - state.day.release_after_millis?)
    }
}

/// A reply: status, extra headers, body. `None` breaks the connection.
type Reply = Option<(u16, &'static str, Value)>;

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut buffer = Vec::new();
    while let Some((head, body)) = read_request(&mut stream, &mut buffer).await {
        let reply = state.lock().unwrap_or_else(PoisonError::into_inner).reply(&head, &body);
        let Some((status, extra, body)) = reply else { return };
        let body = body.to_string();
        let answer = format!("HTTP/1.1 {status} X\r\n{extra}content-length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..end].to_vec()).ok()?;
            let length = header(&head, "content-length").map_or(Some(0), |value| value.parse().ok())?;
            if buffer.len() >= end + 4 + length {
                let body = buffer[end + 4..end + 4 + length].to_vec();
                buffer.drain(..end + 4 + length);
                return Some((head, body));
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.split("\r\n").skip(1).filter_map(|line| line.split_once(": "));
    fields.into_iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn instant_text(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis).unwrap().to_string()
}

fn slot_start(index: usize) -> String {
    instant_text(FIRST_SLOT_MILLIS + i64::try_from(index).unwrap() * 900_000)
}

fn subject(head: &str) -> Option<(Uuid, String)> {
    let token = header(head, "authorization")?.strip_prefix("Bearer ")?;
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_audience(&["hotslot"]);
    validation.set_issuer(&["hotslot"]);
    let claims = jsonwebtoken::decode::<Value>(token, &DecodingKey::from_secret(&KEY), &validation).ok()?.claims;
    Some((claims["sub"].as_str()?.parse().ok()?, claims["role"].as_str()?.to_owned()))
}

fn problem(status: u16, code: &str) -> Reply {
    Some((status, "", json!({"status": status, "code": code})))
}

impl State {
    fn now_millis(&self) -> i64 {
        START_MILLIS + i64::try_from(self.started.elapsed().as_millis()).unwrap()
    }

    fn is_released(&self) -> bool {
        self.day.release_after_millis.is_none_or(|after| self.now_millis() >= START_MILLIS + after)
    }

    fn reply(&mut self, head: &str, body: &[u8]) -> Reply {
        let mut words = head.split(' ');
        match (words.next()?, words.next()?) {
            ("GET", "/healthz/live") => Some((200, "", json!({}))),
            ("GET", path) if path.ends_with(DATE) => Some((200, "", self.day_body())),
            ("GET", path) if path.contains("/appointments?limit=200") => self.page(head, path),
            ("POST", "/v1/appointments") => self.book(head, body),
            _ => problem(404, "not_found"),
        }
    }

    fn day_body(&self) -> Value {
        let released = self.is_released();
        let slots = self.day.capacities.iter().zip(&self.taken).enumerate().map(|(index, (capacity, taken))| {
            let remaining = if released { capacity.saturating_sub(*taken) } else { 0 };
            json!({"start": slot_start(index), "capacity": capacity, "remaining": remaining})
        });
        let release_at = self.day.release_after_millis.filter(|_| !released);
        json!({
            "state": if released { "open" } else { "scheduled" },
            "release_at": release_at.map(|after| instant_text(START_MILLIS + after)),
            "server_time": instant_text(self.now_millis()),
            "slots": slots.collect::<Vec<_>>(),
        })
    }

    fn page(&self, head: &str, path: &str) -> Reply {
        if subject(head)?.1 != "admin" {
            return problem(403, "forbidden");
        }
        let first = path.split_once("&cursor=").map_or(Some(0), |(_, cursor)| cursor.parse().ok())?;
        let items = self.rows.iter().skip(first).take(200).map(|(slot, patient, id)| {
            json!({"id": id, "patient_id": patient, "start": slot_start(*slot), "status": "booked"})
        });
        let next = first + 200;
        let next_cursor = (next < self.rows.len()).then(|| next.to_string());
        Some((200, "", json!({"items": items.collect::<Vec<_>>(), "next_cursor": next_cursor})))
    }

    fn book(&mut self, head: &str, body: &[u8]) -> Reply {
        let now = self.now_millis();
        self.earliest_press_millis.get_or_insert(now);
        let Some((patient, _)) = subject(head) else { return problem(401, "unauthenticated") };
        let key = format!("{patient} {}", header(head, "idempotency-key")?);
        if let Some(answer) = self.answers.get(&key) {
            return Some((201, "idempotency-replayed: true\r\n", answer.clone()));
        }
        if !self.is_released() {
            return problem(409, "not_released");
        }
        let nth = |count: usize, every: usize| every > 0 && count.is_multiple_of(every);
        self.attempts += 1;
        if nth(self.attempts, self.day.faults.unavailable_before_every) {
            return Some((503, "retry-after: 0\r\n", json!({"status": 503, "code": "unavailable"})));
        }
        let wanted = serde_json::from_slice::<Value>(body).ok()?["start"].as_str().map(str::to_owned);
        let free = |state: &Self, index: usize| state.taken[index] < state.day.capacities[index];
        let left: u64 = self.day.capacities.iter().zip(&self.taken).map(|(capacity, taken)| capacity - taken).sum();
        let slot = (0..self.taken.len())
            .filter(|_| left > self.day.faults.keep_back)
            .find(|index| free(self, *index) && wanted.as_ref().is_none_or(|start| *start == slot_start(*index)));
        let Some(slot) = slot else {
            return problem(409, if wanted.is_some() { "slot_taken" } else { "sold_out" });
        };
        self.bookings += 1;
        let id = Uuid::from_u128(self.bookings as u128);
        let answer = json!({"id": id, "patient_id": patient, "start": slot_start(slot), "status": "booked"});
        if self.bookings != self.day.faults.lose {
            self.rows.push((slot, patient, id));
        }
        if self.bookings == self.day.faults.duplicate {
            self.rows.push((slot, patient, Uuid::from_u128(u128::MAX)));
        }
        self.taken[slot] += 1;
        self.answers.insert(key, answer.clone());
        if nth(self.bookings, self.day.faults.break_after_every) { None } else { Some((201, "", answer)) }
    }
}
